"""The command as people use it: what it says, where, and with which exit code; never a traceback unasked."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

PARTS = Path(__file__).with_name("parts.py")
SCRIPT = Path(sys.executable).with_name("graphrun")


class Command:
    """Runs `graphrun` in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {**os.environ, "GRAPHRUN_HOME": str(folder / "home"), "COLUMNS": "200"}
        self.env.pop("NO_COLOR", None)

    def write(self, stages: str, head: str = "", name: str = "graph.yaml") -> Path:
        """A graph file; `parts:` stands for the file of small stages."""
        path = self.folder / name
        path.write_text(f"graph: test\n{head}\nstages:\n" + stages.replace("parts:", f"{PARTS}:"))
        return path

    def __call__(self, *arguments: object, seconds: float = 30) -> subprocess.CompletedProcess[str]:
        words = [str(SCRIPT), *map(str, arguments)]
        return subprocess.run(
            words, cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=seconds, check=False
        )

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        """As a call, not waited for."""
        words = [str(SCRIPT), *map(str, arguments)]
        pipe = subprocess.PIPE
        return subprocess.Popen(words, cwd=self.folder, env=self.env, stdout=pipe, stderr=pipe, text=True)


@pytest.fixture
def graphrun(tmp_path: Path) -> Command:
    return Command(tmp_path)


HEAD = """about: Counts.
inputs:
  packets: {type: int, default: 20, about: how many}
  output:  {type: path, default: out.txt, about: where the lines go}"""
STAGES = """  source: {use: "parts:Count", with: {packets: $packets}}
  copy:   {use: "parts:Copy", from: source}
  sink:   {use: "parts:Write", from: copy, with: {path: $output, fields: [copied]}}
"""
ENDLESS = STAGES.replace("Count", "Endless").replace("$packets", "$packets, pace: 0.01")


@pytest.fixture
def graph(graphrun: Command) -> Path:
    return graphrun.write(STAGES, HEAD)


def report_of(folder: Path) -> dict[str, object]:
    return dict(json.loads((folder / "run.json").read_text()))


# --------------------------------------------------------------------------------------------------------------- run


def test_a_run_that_is_done(graphrun: Command, graph: Path, tmp_path: Path) -> None:
    ended = graphrun(graph, "packets=7", "output=lines.txt", "--report", "run.json")
    assert ended.returncode == 0, ended.stderr
    assert len((tmp_path / "lines.txt").read_text().splitlines()) == 7
    assert ended.stdout.startswith("test done: 7 packets")
    assert "wrote lines.txt (7 frames)" in ended.stdout
    assert "copy: copied: 7" in ended.stdout
    report = report_of(tmp_path)
    assert (report["status"], report["exit_code"], report["packets"]) == ("done", 0, 7)


def test_set_changes_a_parameter(graphrun: Command, graph: Path) -> None:
    ended = graphrun(graph, "--set", "source.packets=3", "--set", "sink.fields=[copied, number]")
    assert ended.returncode == 0, ended.stderr
    assert (graphrun.folder / "out.txt").read_text().splitlines()[2].endswith("[2, 2]")


def test_quiet_says_nothing(graphrun: Command, graph: Path) -> None:
    ended = graphrun(graph, "--quiet")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_a_graph_says_what_it_takes(graphrun: Command, graph: Path) -> None:
    ended = graphrun(graph, "--help")
    assert ended.returncode == 0
    for words in ("Counts.", "packets", "int", "20", "how many", "out.txt", "source, copy, sink"):
        assert words in ended.stdout


def test_elsewhere_than_on_a_terminal_a_line_every_five_seconds(graphrun: Command) -> None:
    slow = graphrun.write(STAGES.replace("$packets", "130, pace: 0.05"), HEAD)
    ended = graphrun(slow)
    lines = ended.stderr.splitlines()
    assert 1 <= len(lines) <= 4
    assert lines[0].startswith(("test, 5.", "test, 6."))
    assert " of 130 (" in lines[0]
    assert "real time" in lines[0]
    assert "\x1b" not in ended.stdout + ended.stderr


def test_what_runs_first_is_told(graphrun: Command) -> None:
    graphrun.write(STAGES, HEAD, "before.yaml")
    path = graphrun.write(STAGES, HEAD + "\nfirst: {lines: {graph: before.yaml, with: {packets: $packets}}}")
    assert "first 'lines': made in" in graphrun(path).stdout
    assert "first 'lines': kept from an earlier run" in graphrun(path).stdout


def test_what_runs_first_only_for_some_values_is_spared_for_others(graphrun: Command) -> None:
    graphrun.write(STAGES, HEAD, "before.yaml")
    first = "first: {lines: {graph: before.yaml, with: {packets: $packets}, when: {source.packets: [3, 4]}}}"
    path = graphrun.write(STAGES, f"{HEAD}\n{first}")
    assert "first 'lines'" not in graphrun(path, "packets=5").stdout
    assert "first 'lines'" not in graphrun(path, "packets=4", "--set", "source.packets=6").stdout
    assert "first 'lines': made in" in graphrun(path, "packets=4").stdout
    path.write_text(path.read_text().replace("source.packets: [3, 4]", "sorce.packets: 3"))
    wrong = graphrun(path)
    assert wrong.returncode == 2 and "there is no stage 'sorce' (did you mean 'source'?)" in wrong.stderr


def test_what_runs_first_and_writes_elsewhere_is_told(graphrun: Command) -> None:
    graphrun.write(STAGES.replace("$output", "elsewhere.txt"), HEAD, "before.yaml")
    ended = graphrun(graphrun.write(STAGES, HEAD + "\nfirst: {lines: {graph: before.yaml, with: {packets: $packets}}}"))
    assert ended.returncode == 1
    assert "before.yaml has run, but wrote nothing where it was told to" in ended.stderr


def test_what_runs_first_and_fails_is_not_kept(graphrun: Command) -> None:
    failing = STAGES.replace("from: source}", "from: source, with: {fail_at: 1}}")
    graphrun.write(failing, HEAD, "before.yaml")
    ended = graphrun(graphrun.write(STAGES, HEAD + "\nfirst: {lines: {graph: before.yaml, with: {packets: $packets}}}"))
    assert ended.returncode == 1
    assert "first 'lines': failed after" in ended.stdout and "kept" not in ended.stdout


# --------------------------------------------------------------------------------------------------- what goes wrong

FIVE = """graph: five
stages:
  source: {use: "parts:Count", with: {packet: 5}}
  copy:   {use: "parts:Copi", from: source}
  again:  {use: "parts:Copy", from: sorce, with: {delay: long}}
  sink:   {use: "parts:Write", from: again, wrkers: 2, with: {path: x, fields: []}}
"""


def test_five_mistakes_in_one_file_are_all_named(graphrun: Command, tmp_path: Path) -> None:
    path = tmp_path / "five.yaml"
    path.write_text(FIVE.replace("parts:", f"{PARTS}:"))
    ended = graphrun(path, "--report", "run.json")
    assert ended.returncode == 2
    lines = ended.stderr.splitlines()
    for place, words in {
        (3, "packet'"),
        (4, "Copi'"),
        (5, "sorce'"),
        (5, "'delay'"),
        (6, "wrkers'"),
    }:
        assert any(line.startswith(f"{path}:{place}:") and words in line for line in lines), (words, lines)
    assert "Traceback" not in ended.stderr
    report = report_of(tmp_path)
    assert (report["status"], report["exit_code"]) == ("failed", 2)
    assert "packet'" in str(report["error"])


def test_wrong_arguments_are_all_named(graphrun: Command, graph: Path) -> None:
    ended = graphrun(graph, "packets=many", "nonsense", "ouput=x", "--set", "copy.delay", "--set", "cpy.delay=1")
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 5
    for words in ("type int", "NAME=VALUE", "did you mean 'output'?", "STAGE.PARAM=VALUE", "did you mean 'copy'?"):
        assert words in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing.yaml"], "nothing.yaml: No such file"),
        (["chek"], "did you mean 'check'?"),
        (["graph.yaml", "--reprot", "x"], "--report"),
        (["graph.yaml", "--report", "no/such/run.json"], "no/such"),
        (["stages", "decod"], "did you mean 'decode'?"),
        (["view", "graph.yaml", "-o", "no/such.svg"], "no/such.svg"),
        (["check"], "GRAPH.yaml"),
        (["models", "show", "nothing"], "nothing"),
    ],
)  # fmt: skip
def test_one_clear_message_and_exit_code_2(
    graphrun: Command, graph: Path, arguments: list[str], words: str
) -> None:
    ended = graphrun(*arguments)
    assert ended.returncode == 2
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_stage_that_fails_is_named_with_its_packet(graphrun: Command, tmp_path: Path) -> None:
    path = graphrun.write(STAGES.replace("from: source", "from: source, with: {fail_at: 17}"), HEAD)
    ended = graphrun(path, "--report", "run.json")
    assert ended.returncode == 1
    assert "stage 'copy', packet 17 at 0.567 s: the number is odd" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert report_of(tmp_path)["status"] == "failed"
    debugged = graphrun(path, "--debug")
    assert debugged.returncode == 1
    assert "Traceback" in debugged.stderr
    assert "parts.py" in debugged.stderr


def test_our_own_bugs_are_called_so(graphrun: Command, graph: Path) -> None:
    code = "import sys, graph.runner as r, graph.cli; r.Graph.run = lambda *a, **k: 1 / 0; sys.exit(graph.cli.main())"
    words = [str(SCRIPT.with_name("python")), "-c", code, str(graph), "--report", "run.json"]
    ended = subprocess.run(words, cwd=graphrun.folder, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith("graphrun: this is a bug of graphrun: ZeroDivisionError")
    assert len(ended.stderr.splitlines()) == 1
    assert report_of(graphrun.folder)["exit_code"] == 1
    shown = subprocess.run([*words, "--debug"], cwd=graphrun.folder, capture_output=True, text=True, check=False)
    assert "Traceback" in shown.stderr


# -------------------------------------------------------------------------------------------------------- interrupts


def begun(graphrun: Command, *arguments: object) -> subprocess.Popen[str]:
    """A run whose sink has got some packets."""
    started = graphrun.start(*arguments)
    out = graphrun.folder / "out.txt"
    while not out.exists() or len(out.read_text().splitlines()) < 5:
        assert started.poll() is None, started.communicate()
        time.sleep(0.02)
    return started


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_first_interrupt_finishes_what_is_in_flight(graphrun: Command, how: signal.Signals) -> None:
    running = begun(graphrun, graphrun.write(ENDLESS, HEAD), "--report", "run.json")
    running.send_signal(how)
    out, err = running.communicate(timeout=10)
    assert running.returncode == 130
    assert "finishing what is in flight" in err
    assert "test interrupted: " in out
    assert "Traceback" not in err
    lines = (graphrun.folder / "out.txt").read_text().splitlines()
    assert [int(line.split()[0]) for line in lines] == list(range(len(lines)))
    report = report_of(graphrun.folder)
    assert (report["status"], report["exit_code"], report["packets"]) == ("interrupted", 130, len(lines))


def test_the_second_interrupt_stops_within_a_second(graphrun: Command) -> None:
    stages = ENDLESS.replace("from: source", "from: source, with: {delay: 0.2, hang_at: 7}")
    running = begun(graphrun, graphrun.write(stages, HEAD), "--report", "run.json")
    children = psutil.Process(running.pid).children(recursive=True)
    running.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert running.poll() is None
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=1)
    assert running.returncode == 130
    assert "Traceback" not in err
    assert len(children) == 3
    assert not psutil.wait_procs(children, timeout=1)[1]
    assert report_of(graphrun.folder)["status"] == "interrupted"


def test_the_second_interrupt_also_ends_what_listens_no_more(graphrun: Command, graph: Path) -> None:
    stuck = "import sys, time, graph.runner as r, graph.cli; r.Graph.run = lambda *a, **k: time.sleep(60)"
    words = [sys.executable, "-c", f"{stuck}; sys.exit(graph.cli.main())", str(graph)]
    with subprocess.Popen(words, cwd=graphrun.folder, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        time.sleep(2)
        running.send_signal(signal.SIGINT)
        assert "finishing" in running.stderr.readline()
        running.send_signal(signal.SIGINT)
        assert running.wait(timeout=1) == 130


# ---------------------------------------------------------------------------------------------------- on a terminal


def on_a_terminal(graphrun: Command, *arguments: object, **env: str) -> str:
    """What a terminal of 120 columns shows of a run, escapes and all."""
    main, terminal = pty.openpty()
    words = [str(SCRIPT), *map(str, arguments)]
    environment = {**graphrun.env, "TERM": "xterm-256color", "COLUMNS": "120", **env}
    with subprocess.Popen(
        words, cwd=graphrun.folder, env=environment, stdin=terminal, stdout=terminal, stderr=terminal
    ) as run:
        os.close(terminal)
        shown = b""
        while select.select([main], [], [], 20)[0]:
            try:
                shown += os.read(main, 65536)
            except OSError:
                break
        os.close(main)
    assert run.returncode == 0, shown
    return shown.decode()


def test_on_a_terminal_every_stage_has_a_row(graphrun: Command) -> None:
    path = graphrun.write(STAGES.replace("$packets", "40, pace: 0.03"), HEAD)
    shown = on_a_terminal(graphrun, path)
    for words in ("source", "copy", "sink", "link into it", "waits for input", "real time", "/40 packets", "left"):
        assert words in shown
    assert "\x1b[?25h" in shown, "the cursor is shown again"
    assert "test done: 40 packets" in shown
    assert "\x1b[1m" in shown
    plain = on_a_terminal(graphrun, path, NO_COLOR="1")
    assert not any(f"\x1b[{colour}m" in plain for colour in range(30, 38))


# ------------------------------------------------------------------------------------------ check, stages, models


def test_check_tells_plan_links_and_memory(graphrun: Command, graph: Path) -> None:
    ended = graphrun("check", graph, "--set", "source.height=100", "--set", "source.width=100")
    assert ended.returncode == 0, ended.stderr
    assert "source -> copy" in ended.stdout
    assert "100 × 100 × 3" in ended.stdout
    assert "3 processes at rest" in ended.stdout, "all but the sink, which is not opened"
    assert "arenas 0 MB" in ended.stdout


def test_check_without_inputs_says_which_would_tell_the_bound(graphrun: Command) -> None:
    path = graphrun.write(STAGES, HEAD.replace("default: out.txt, ", ""))
    ended = graphrun("check", path)
    assert ended.returncode == 0, ended.stderr
    assert "source -> copy" in ended.stdout
    assert "memory: known once inputs are given (output=…)" in ended.stdout


def test_check_runs_no_code_if_so_asked(graphrun: Command, tmp_path: Path) -> None:
    (tmp_path / "evil.py").write_text("from pathlib import Path\nPath('was-here').touch()\n")
    path = graphrun.write('  source: {use: "./evil.py:Evil"}\n')
    ended = graphrun("check", "--no-code", path)
    assert ended.returncode == 0
    assert "no code was loaded" in ended.stdout
    assert graphrun("view", "--no-code", path).returncode == 0
    assert not (tmp_path / "was-here").exists()
    assert graphrun("check", path).returncode == 2
    assert (tmp_path / "was-here").exists()


def test_check_says_why_a_stage_cannot_be_opened(graphrun: Command) -> None:
    ended = graphrun("check", graphrun.write(STAGES.replace("parts:Copy", "parts:Closed"), HEAD))
    assert ended.returncode == 1
    assert "stage 'copy': no such model: face.onnx" in ended.stderr


def test_check_tells_of_graphs_that_run_first(graphrun: Command) -> None:
    graphrun.write(STAGES, HEAD, "before.yaml")
    path = graphrun.write(STAGES, HEAD + "\nfirst: {lines: {graph: before.yaml}}")
    before = graphrun("check", path)
    assert before.returncode == 0, before.stderr
    assert "lines: before.yaml, not made yet; arenas" in before.stdout
    assert graphrun(path).returncode == 0
    after = graphrun("check", path).stdout
    assert "kept from an earlier run" in after
    assert "at rest" in after


def test_stages_are_listed_and_told(graphrun: Command) -> None:
    listed = graphrun("stages")
    assert listed.returncode == 0
    assert any(line.split()[:2] == ["decode", "Source"] for line in listed.stdout.splitlines())
    told = graphrun("stages", f"{PARTS}:Around")
    assert told.returncode == 0
    for words in ("Stage Around", "The mean over a window of neighbours.", "frame", "uint8 h w 3", "reads 1 packets"):
        assert words in told.stdout
    assert "path" in graphrun("stages", f"{PARTS}:Write").stdout
    count = graphrun("stages", f"{PARTS}:Count").stdout
    assert ["pace", "float", "0.0"] in [line.split() for line in count.splitlines()]


def test_models_are_listed(graphrun: Command) -> None:
    listed = graphrun("models", "list")
    assert listed.returncode == 0
    assert "wav2lip" in listed.stdout
    assert "licence" in graphrun("models", "show", "wav2lip").stdout


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_names_every_command_and_option(graphrun: Command, arguments: list[str]) -> None:
    from graph.cli import app, run

    shown = graphrun(*arguments)
    assert shown.returncode == 0
    for command in app.registered_commands:
        name = command.name or (command.callback.__name__ if command.callback else "")
        assert name == "run" or f"graphrun {name}" in shown.stdout
    options = [one for one in run.__annotations__ if one not in ("graph", "inputs", "changes", "help_", "return")]
    assert all(f"--{option}" in shown.stdout for option in options)


def test_version(graphrun: Command) -> None:
    assert graphrun("--version").stdout.startswith("graphrun 0.")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--report", "folder"], "--report folder is a folder"),
        (["--trace", "folder"], "folder is a folder"),
        (["--report", "nowhere/run.json"], "--report nowhere/run.json: the folder nowhere cannot be written to"),
        (["output="], "'output=' names no file"),
    ],
)
def test_what_could_not_be_written_in_the_end_is_refused_at_the_start(
    graphrun: Command, words: list[str], message: str
) -> None:
    (graphrun.folder / "folder").mkdir()
    ended = graphrun(graphrun.write(STAGES, HEAD), *words)
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert message in ended.stderr
    assert sorted(one.name for one in graphrun.folder.iterdir()) == ["folder", "graph.yaml"]


def test_a_report_that_cannot_be_written_is_said_and_the_output_stays(graphrun: Command) -> None:
    ended = graphrun(graphrun.write(STAGES, HEAD), "--report", "/proc/run.json")
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == "graphrun: /proc/run.json cannot be written: No such file or directory"
    assert len((graphrun.folder / "out.txt").read_text().splitlines()) == 20


def test_a_drawing_is_not_called_what_it_is_not(graphrun: Command) -> None:
    ended = graphrun("view", graphrun.write(STAGES, HEAD), "-o", "graph.png")
    assert ended.returncode == 2 and "has to end in .svg" in ended.stderr
