"""graphrun: the command. It reads arguments, handles signals and prints; all else is done by those it calls."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graph import weights
from graph.display.text import Wrong

if TYPE_CHECKING:
    from graph.control import Control
    from graph.display.show import Show
    from graph.display.watching import Watching
    from graph.report import Report
    from graph.runner import Graph
    from graph.spec import GraphSpec

DONE, FAILED, WRONG, INTERRUPTED = 0, 1, 2, 130
#: Seconds that a second Ctrl-C leaves for a tidy end.
ABORT_WITHIN = 0.8

HELP = """\
graphrun runs dataflow graphs over video: every stage a process, every link bounded.

  graphrun GRAPH.yaml [INPUT=VALUE …] [OPTIONS]   run a graph
  graphrun GRAPH.yaml --help                      what a graph takes

  graphrun batch JOBS.yaml                        work off a list of jobs; what is done stays done
  graphrun batch GRAPH.yaml video='clips/*.mp4' output='out/{stem}.mp4'
                                                  the same, a job for every file
  graphrun check GRAPH.yaml [INPUT=VALUE …]       all that is wrong with it; else its plan and its memory
  graphrun stages [NAME]                          the stages there are; what one reads, writes and takes
  graphrun view GRAPH.yaml [-o graph.svg]         a picture of a graph
  graphrun profile GRAPH.yaml [INPUT=VALUE …] [-o profile.html]
                                                  run it; one HTML file shows what each worker did, and what would help
  graphrun tune GRAPH.yaml [INPUT=VALUE …] -o tuned.yaml
                                                  find workers, batches and processes that suit this machine
  graphrun schema [-o file]                       the JSON Schema of graph files, for editors
  graphrun models list|show|add|verify|convert|fetch
                                                  the weights of networks

Options of a run
  --set STAGE.PARAM=VALUE   another value for a stage's parameter; may be repeated
  --report FILE             write what happened as JSON, after every kind of end
  --trace FILE              write what each worker did, for ui.perfetto.dev
  --metrics :PORT           serve figures for Prometheus while it runs, to this machine (0.0.0.0:PORT: to all)
  --resume                  go on with what an earlier run of the same has left
  --parts N|auto            in so many ranges of packets that run at once, joined without encoding again
  --on ray|ray://HOST:PORT  on a Ray cluster (pip install 'graphrun[ray]'); also of batch
  --quiet                   nothing but errors
  --debug                   tracebacks
  --version, --help

Examples
  graphrun pipelines/lipsync.yaml
  graphrun pipelines/lipsync.yaml video=me.mp4 audio=hello.wav output=out.mp4
  graphrun pipelines/transcode.yaml video=me.mov --set encode.crf=23 --report run.json
  graphrun check my.yaml video=me.mp4

Ctrl-C finishes what is in flight, so that the output is whole as far as it goes; a second one stops at once.
Exit codes: 0 done, 1 a stage failed, 2 the graph or the arguments are wrong, 130 interrupted.
"""

app = typer.Typer(
    add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, add_help_option=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip
app.add_typer(weights.commands, name="models", result_callback=lambda lines: _say_all(lines))

GraphFile = Annotated[Path, typer.Argument(metavar="GRAPH.yaml", help="the graph file")]
Inputs = Annotated[list[str] | None, typer.Argument(metavar="[INPUT=VALUE]...", help="values for the graph's inputs")]
Changes = Annotated[
    list[str] | None, typer.Option("--set", metavar="STAGE.PARAM=VALUE", help="another value for a stage's parameter")
]
Debug = Annotated[bool, typer.Option("--debug", help="show tracebacks")]
NoCode = Annotated[bool, typer.Option("--no-code", help="look at the file only; load no stage's code")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="nothing but errors")]
ToTrace = Annotated[Path | None, typer.Option("--trace", metavar="FILE", help="what each worker did, for Perfetto")]
OnAddress = Annotated[str | None, typer.Option("--metrics", metavar=":PORT", help="serve figures for Prometheus")]
On = Annotated[str | None, typer.Option("--on", metavar="ray|ray://HOST:PORT", help="run on a Ray cluster")]
ToFile = Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="where it goes")]


def say(line: str, error: bool = False) -> None:
    """Print a line. Nobody to read it is no reason to stop."""
    try:
        print(line, file=sys.stderr if error else sys.stdout, flush=True)
    except BrokenPipeError:
        # What is printed later, and at exit, has to go somewhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), (sys.stderr if error else sys.stdout).fileno())


def main() -> int:
    """The entry point; returns the exit code. A traceback is shown with --debug only."""
    signal.signal(signal.SIGINT, _interrupted_early)
    debug = "--debug" in sys.argv
    arguments = _with_command(sys.argv[1:])
    try:
        code = typer.main.get_command(app).main(arguments, prog_name="graphrun", standalone_mode=True)
        return int(code or DONE)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else FAILED
    except Exception as error:
        return _told(error, debug)


def _told(error: Exception, debug: bool) -> int:
    """Say what an exception means for the person who watches; the exit code it stands for."""
    from graph.load import LoadError
    from graph.spec import GraphMistakes
    from graph.written import Unwritten

    if debug:
        import traceback

        traceback.print_exception(error)
    if isinstance(error, GraphMistakes):
        for mistake in error.mistakes:
            say(str(mistake), error=True)
        return WRONG
    if isinstance(error, Wrong | LoadError):
        say(f"graphrun: {error}", error=True)
        return getattr(error, "code", WRONG)
    if isinstance(error, Unwritten):
        say(f"graphrun: {error}", error=True)
        return FAILED
    text = " ".join(str(error).split())
    hint = "" if debug else " (--debug shows where)"
    say(f"graphrun: this is a bug of graphrun: {type(error).__name__}: {text}{hint}", error=True)
    return FAILED


def _with_command(arguments: list[str]) -> list[str]:
    """A run needs no word before the graph file; one is put there."""
    commands = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    if not arguments or arguments[0] in {*commands - {"run"}, "models", "-h", "--help", "--version"}:
        return arguments or ["--help"]
    return ["run", *arguments]


def _interrupted_early(_signal: int, _frame: object) -> None:
    raise SystemExit(INTERRUPTED)


@app.callback(invoke_without_command=True)
def top(
    help_: Annotated[bool, typer.Option("--help", "-h")] = False,
    version: Annotated[bool, typer.Option("--version")] = False,
) -> None:
    """What is asked of graphrun itself."""
    if version:
        from importlib import metadata

        say(f"graphrun {metadata.version('graphrun')}")
    elif help_:
        say(HELP.rstrip())


# --------------------------------------------------------------------------------------------------------------- run


@app.command(hidden=True, add_help_option=False)
def run(
    graph: Annotated[Path | None, typer.Argument(metavar="GRAPH.yaml")] = None,
    inputs: Inputs = None,
    changes: Changes = None,
    report: Annotated[Path | None, typer.Option("--report", metavar="FILE")] = None,
    trace: ToTrace = None,
    metrics: OnAddress = None,
    resume: Annotated[bool, typer.Option("--resume")] = False,
    on: On = None,
    parts: Annotated[str | None, typer.Option("--parts", metavar="N|auto")] = None,
    quiet: Quiet = False,
    debug: Debug = False,
    help_: Annotated[bool, typer.Option("--help", "-h")] = False,
) -> None:
    """Run a graph."""
    from graph.spec import GraphMistakes

    if graph is None:
        raise Wrong("which graph? (graphrun GRAPH.yaml; graphrun --help)")
    _known_command(graph)
    if help_:
        from graph.display.text import graph_lines

        return _say_all(graph_lines(_form_of(graph)))
    _check_report(report)
    try:
        watching = _watching(trace=trace, metrics=metrics)
        if on is None and parts is None:
            ended = _run(graph, inputs or [], changes or [], resume, quiet, debug, watching)
        elif trace is not None or metrics is not None:
            raise Wrong("--trace and --metrics look at one run here: they do not go with --on and --parts")
        else:
            ended = _run_away(graph, inputs or [], changes or [], on, parts, resume, quiet)
    except Exception as error:
        if report is not None:
            _refused(graph, error, WRONG if isinstance(error, GraphMistakes | Wrong) else FAILED).write(report)
        raise
    if report is not None:
        ended.write(report)
    raise SystemExit(ended.exit_code)


def _run_away(
    path: Path, inputs: list[str], changes: list[str], on: str | None, parts: str | None, resume: bool, quiet: bool
) -> Report:
    """Run a graph in parts or elsewhere, and say how it ended."""
    from graph.arguments import read
    from graph.control import Control
    from graph.display.show import Show
    from graph.many.away import in_parts

    graph, values, changed = read(path, inputs, changes)
    control = Control()
    _listen(control, Show())
    try:
        report = in_parts(
            graph, values, changed, on=on, parts=parts, resume=resume, control=control, say=_aside(quiet),
        )  # fmt: skip
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        control.close()
    _say_ending(report, graph, Show(), quiet, debug=False)
    return report


def _aside(quiet: bool) -> Callable[[str], None]:
    """Says a line beside the result, or nothing."""
    return lambda line: None if quiet else say(line, error=True)


@app.command()
def batch(
    file: Annotated[Path, typer.Argument(metavar="JOBS.yaml|GRAPH.yaml", help="a file of jobs, or a graph")],
    inputs: Inputs = None,
    changes: Changes = None,
    on: On = None,
    at_once: Annotated[int | None, typer.Option("--at-once", min=1, help="runs at once, whatever they need")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="leave out what the journal knows to be done")] = False,
    journal: Annotated[Path | None, typer.Option("--journal", metavar="FILE", help="FILE.journal otherwise")] = None,
    report: Annotated[Path | None, typer.Option("--report", metavar="FILE", help="what came of it, as JSON")] = None,
    quiet: Quiet = False,
) -> None:
    """Work off many runs: a list of jobs, or a graph with a pattern such as video='clips/*.mp4'."""
    import json

    from graph.arguments import arguments
    from graph.control import Control
    from graph.display.show import Show
    from graph.many.away import run_batch
    from graph.many.batch import table
    from graph.written import write_whole

    _check_report(report)
    values, changed = arguments(inputs or [], changes or [])
    control = Control()
    _listen(control, Show())
    try:
        ended = run_batch(
            file, values, changed, on=on, at_once=at_once, resume=resume, journal=journal, control=control,
            say=_aside(quiet),
        )  # fmt: skip
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        control.close()
    if not quiet:
        _say_all(table(ended))
    if report is not None:
        write_whole(report, [json.dumps(ended.as_dict(), indent=2), "\n"])
    raise SystemExit(ended.exit_code)


def _check_report(report: Path | None) -> None:
    """Raises Wrong where the report could not be written in the end."""
    from graph.written import Unwritten, check_place

    try:
        if report is not None:
            check_place(report)
    except Unwritten as error:
        raise Wrong(f"--report {error}") from None


def _known_command(graph: Path) -> None:
    """A mistyped command is not a missing file."""
    if graph.suffix in (".yaml", ".yml") or graph.exists():
        return
    from graph.words import nearest

    commands = ["batch", "check", "stages", "view", "schema", "models", "profile", "tune"]
    raise Wrong(f"there is no file and no command '{graph}'{nearest(str(graph), commands)}")


def _refused(graph: Path, error: Exception, code: int) -> Report:
    """The report of a run that ended before there was one."""
    from graph.report import Report

    class Refused(Report):
        @property
        def exit_code(self) -> int:
            return code

    return Refused(graph.stem, str(graph), error=str(error))


def _watching(profile: Path | None = None, trace: Path | None = None, metrics: str | None = None) -> Watching:
    """What is to look on while a run goes; raises Wrong."""
    from graph.display.watching import Watching
    from graph.written import Unwritten

    try:
        return Watching(profile, trace, metrics)
    except (ValueError, Unwritten) as error:
        raise Wrong(str(error)) from None


def _run(
    path: Path, inputs: list[str], changes: list[str], resume: bool, quiet: bool, debug: bool, watching: Watching
) -> Report:
    """Run a graph, show it, and say how it ended."""
    from graph.arguments import read
    from graph.control import Control
    from graph.display.show import choose
    from graph.staging import run_near

    graph, values, changed = read(path, inputs, changes)
    control = Control()
    shown = choose(quiet, lambda line: say(line, error=True))
    try:
        with _served(watching), shown:
            _listen(control, shown)
            report = run_near(
                graph, values, _aside(quiet), changes=changed, on_progress=watching.beside(shown.progress),
                control=control, resume=resume, recorder=watching.recorder,
            )  # fmt: skip
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        control.close()
    _say_ending(report, graph, shown, quiet, debug)
    written = watching.write(report)
    if not quiet:
        _say_all(written)
    return report


@contextmanager
def _served(watching: Watching) -> Iterator[None]:
    """Open what looks on; raises Wrong if that cannot be."""
    with ExitStack() as stack:
        try:
            stack.enter_context(watching)
        except (ValueError, RuntimeError, OSError) as error:
            raise Wrong(f"--metrics {watching.metrics}: {error}") from None
        yield


def _listen(control: Control, shown: Show) -> None:
    """The first Ctrl-C or SIGTERM drains, the second aborts; an alarm sees to it that this takes less than a second."""

    def stop(_signal: int, _frame: object) -> None:
        if control.draining:
            control.abort()
            signal.setitimer(signal.ITIMER_REAL, ABORT_WITHIN)
        else:
            control.drain()
            shown.stopping()

    def give_up(_signal: int, _frame: object) -> None:
        shown.restore()
        os._exit(INTERRUPTED)

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGALRM, give_up)


def _say_ending(report: Report, graph: Graph, shown: Show, quiet: bool, debug: bool) -> None:
    from graph.display.text import ending

    if report.error is not None and report.status == "failed":
        say(f"graphrun: {report.error}", error=True)
    if debug and report.traceback:
        say(report.traceback.rstrip(), error=True)
    if not quiet:
        _say_all(ending(report, graph.spec.first, shown.told, table=sys.stdout.isatty()))


def _say_all(lines: list[str]) -> None:
    for line in lines:
        say(line)


# ------------------------------------------------------------------------------------------ check, stages, pictures


@app.command()
def check(
    graph: GraphFile,
    inputs: Inputs = None,
    changes: Changes = None,
    no_code: NoCode = False,
    debug: Debug = False,
) -> None:
    """Say all that is wrong with a graph; else its plan, and how much memory it takes."""
    if no_code:
        spec = _form_of(graph)
        say(f"{spec.name}: the form of the file is right ({len(spec.stages)} stages)")
        return say("  no code was loaded: parameters, fields and capacities were not looked at")
    from graph.arguments import read
    from graph.control import Control
    from graph.display.show import Show
    from graph.inspection import inspect_graph

    loaded, values, changed = read(graph, inputs or [], changes or [])
    control = Control()
    _listen(control, Show())
    try:
        found = inspect_graph(loaded.spec, values, changed, control)
    finally:
        control.close()
    _say_all(found.lines)
    if found.failure is not None:
        say(f"graphrun: {found.failure}", error=True)
        if debug and found.failure.traceback:
            say(found.failure.traceback.rstrip(), error=True)
        raise SystemExit(INTERRUPTED if control.draining else FAILED)


@app.command()
def profile(
    graph: GraphFile,
    inputs: Inputs = None,
    changes: Changes = None,
    output: ToFile = None,
    trace: ToTrace = None,
    metrics: OnAddress = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Run a graph, and show in one HTML file what every worker did, what held it up, and what would help."""
    watching = _watching(output or Path(f"{graph.stem}-profile.html"), trace, metrics)
    raise SystemExit(_run(graph, inputs or [], changes or [], False, quiet, debug, watching).exit_code)


@app.command()
def tune(
    graph: GraphFile,
    inputs: Inputs = None,
    changes: Changes = None,
    output: ToFile = None,
    seconds: Annotated[float, typer.Option("--seconds", min=0.5, help="how long each sample runs")] = 4.0,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Run short samples of a graph, and write it with the workers, batches and processes that suit this machine."""
    from graph.arguments import read
    from graph.control import Control
    from graph.display.show import Show
    from graph.each import refuse_repeated
    from graph.tune import SampleFailed, check_target, describe, write_tuned
    from graph.tune import tune as find

    loaded, values, changed = read(graph, inputs or [], changes or [])
    target = output or graph.with_name(f"{graph.stem}-tuned.yaml")
    control = Control()
    _listen(control, Show())
    try:
        refuse_repeated(loaded.spec, "tuned")
        check_target(loaded.spec, target)
        told = None if quiet else lambda line: say(f"  {line}", error=True)
        found = find(loaded.spec, values, changed, seconds=seconds, tell=told, control=control)
    except SampleFailed as error:
        say(f"graphrun: {error}", error=True)
        raise SystemExit(INTERRUPTED if control.draining else FAILED) from (error if debug else None)
    except ValueError as error:
        raise Wrong(str(error)) from None
    finally:
        control.close()
    write_tuned(found, target)
    say(f"{describe(found.chosen.choices)}: expected {found.chosen.expected or 0.0:.1f} packets/s")
    say(f"  measured {found.chosen.best:.1f} packets/s, before {found.before.best:.1f}; wrote {target}")


@app.command()
def stages(name: Annotated[str | None, typer.Argument(help="also module:Class, ./file.py:Class")] = None) -> None:
    """The stages there are; what one reads, writes and takes."""
    from graph.catalogue import stage_lines, stages_lines, tell

    _say_all(stages_lines(Path.cwd()) if name is None else stage_lines(tell(name, Path.cwd())))


@app.command()
def view(
    graph: GraphFile,
    inputs: Inputs = None,
    output: ToFile = None,
    no_code: NoCode = False,
) -> None:
    """Draw a graph as SVG: GRAPH.svg, unless -o says otherwise; - is standard output."""
    from graph.arguments import arguments
    from graph.display.svg import svg
    from graph.display.view import picture

    values, _ = arguments(inputs or [], [])
    if output is not None and str(output) != "-" and output.suffix.lower() != ".svg":
        raise Wrong(f"{output}: what is drawn is SVG, so the file's name has to end in .svg")
    drawn = picture(_form_of(graph), code=not no_code, values=values)
    _write(output or Path(graph.with_suffix(".svg").name), svg(drawn))


def _form_of(path: Path) -> GraphSpec:
    """A graph file whose form is right; no stage's code is loaded."""
    from graph.spec import GraphMistakes, load_spec

    spec = load_spec(path)
    if spec.mistakes:
        raise GraphMistakes(spec.mistakes)
    return spec


@app.command()
def schema(output: ToFile = None) -> None:
    """The JSON Schema of graph files, for editors."""
    import json

    from graph.schema import graph_schema

    _write(output or Path("-"), json.dumps(graph_schema(), indent=2) + "\n")


def _write(path: Path, text: str) -> None:
    if str(path) == "-":
        return say(text.rstrip())
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Wrong(f"{path}: {error.strerror}") from None
    say(f"wrote {path}", error=True)
