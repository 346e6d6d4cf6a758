"""Network generators through the whole pipeline, with weights made by a formula: every frame, or a word why not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import soundfile
import torch

from graph.report import Report
from graph.runner import Graph
from models import registry
from models.synthetic import synthetic_weights

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "pipelines" / "samples"
MEDIA = Path(os.environ.get("GRAPHRUN_MEDIA", ROOT.parent / "shared" / "media"))

PAINTER = '''
import numpy as np
from stages.diffuse import Diffuse


class Network:
    size = 128
    first_row = 64

    waits = True

    def begin(self, crops, references, speech):
        return lambda: np.full_like(crops, 128)

    def about(self):
        return {"model": "grey"}


class Grey(Diffuse):
    """Draws grey in place of faces."""

    def open(self):
        self._network = Network()
'''


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Kept surveys, and one thread for torch: more wait for each other on a busy machine."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRAPHRUN_HOME", str(folder))
        patch.setenv("OMP_NUM_THREADS", "1")
        yield folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wav2Lip's, in the official form."""
    path = tmp_path_factory.mktemp("weights") / "wav2lip.pth"
    torch.save(synthetic_weights(registry.blank_network("wav2lip").state_dict()), path)
    return path


@pytest.fixture(scope="module")
def full_size_added(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Diff2Lip's weights, added from a file in the official form."""
    path = tmp_path_factory.mktemp("full") / "checkpoint.pt"
    torch.save(synthetic_weights(registry.blank_network("diff2lip").state_dict()), path)
    registry.add("diff2lip", path)
    path.unlink()


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """0.4 s of the sample's speech: ten frames."""
    samples, rate = soundfile.read(SAMPLES / "speech.wav")
    path = tmp_path_factory.mktemp("sound") / "short.wav"
    soundfile.write(path, samples[rate : rate + round(0.4 * rate)], rate)
    return path


def lipsync(output: Path, sound: Path, changes: dict[str, Any], graph: Path | None = None, **inputs: str) -> Report:
    values = {"video": str(SAMPLES / "portrait.mp4"), "audio": str(sound), "output": str(output)}
    return Graph.load(graph or ROOT / "pipelines" / "lipsync.yaml").run({**values, **inputs}, changes=changes)


def changed_graph(folder: Path, before: str, after: str) -> Path:
    """lipsync.yaml with a change that `--set` cannot make."""
    text = (ROOT / "pipelines" / "lipsync.yaml").read_text()
    assert before in text
    pipelines = ROOT / "pipelines"
    text = text.replace(before, after).replace("./samples", str(SAMPLES))
    for name in ("survey.yaml", "hearing.yaml", "mouth.yaml"):
        text = text.replace(f"graph: {name}", f"graph: {pipelines / name}")
    path = folder / "changed.yaml"
    path.write_text(text)
    return path


def pictures(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as file:
        return [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]


def changed(here: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Where two pictures differ by more than the way to YUV and back makes of one."""
    return np.asarray(np.abs(here.astype(int) - there).max(2) > 25)


def test_every_frame_is_drawn_by_weights_that_were_added(tmp_path: Path, sound: Path, weights: Path) -> None:
    registry.add("wav2lip", weights)
    graph = changed_graph(tmp_path, "use: diffuse, ", "use: diffuse, batch: 4, ")
    report = lipsync(tmp_path / "out.mkv", sound, {}, graph, model="wav2lip", mask="box", codec="ffv1")
    assert report.status == "done", report.error
    assert report.stages["diffuse"]["counts"] == {"drawn": 10}
    about = report.stages["diffuse"]["about"]
    assert about["model"] == "wav2lip" and about["provider"] == "torch" and about["licence"]
    assert any("research and personal use" in note for note in report.notes)
    made, source = pictures(tmp_path / "out.mkv"), pictures(SAMPLES / "portrait.mp4")
    assert len(made) == 10
    for here, there in zip(made, source, strict=False):
        differs = changed(here, there)
        ys, xs = np.nonzero(cv2.erode(differs.astype(np.uint8), np.ones((3, 3))))
        assert differs.mean() > 0.02
        assert 1.2 * (np.ptp(ys) + 1) * (np.ptp(xs) + 1) < differs.size, "only the face is touched"
    again = lipsync(tmp_path / "again.mp4", sound, {"diffuse.model": "wav2lip"})
    assert again.status == "done" and again.notes == [], "the licence is told once"


def test_weights_may_be_given_as_a_file(tmp_path: Path, sound: Path, weights: Path) -> None:
    report = lipsync(tmp_path / "out.mp4", sound, {"diffuse.weights": str(weights)}, model="wav2lip_gan")
    assert report.status == "done", report.error
    assert report.stages["diffuse"]["counts"] == {"drawn": 10}


def test_bf16_draws_every_frame_nearly_as_fp32_does(tmp_path: Path, sound: Path, weights: Path) -> None:
    drawn = {}
    for dtype in ("fp32", "bf16"):
        changes = {"diffuse.weights": str(weights), "diffuse.dtype": dtype, "diffuse.device": "cpu"}
        report = lipsync(tmp_path / f"{dtype}.mkv", sound, changes, model="wav2lip", codec="ffv1")
        assert report.status == "done", report.error
        assert report.stages["diffuse"]["counts"] == {"drawn": 10}
        assert report.stages["diffuse"]["about"]["dtype"] == dtype
        drawn[dtype] = np.array(pictures(tmp_path / f"{dtype}.mkv")).astype(int)
    error = np.abs(drawn["fp32"] - drawn["bf16"])
    assert 0 < error.mean() < 0.5 and error.max() < 64, (error.mean(), error.max())


def broken(weights: Path, path: Path, key: str = "output_block.0.conv_block.1.running_var", value: float = -1) -> Path:
    """Weights with one tensor changed: a variance below 0 is a finite number, but its root is none."""
    state = torch.load(weights, weights_only=True)
    state[key][:] = value
    torch.save(state, path)
    return path


def test_a_network_that_draws_no_numbers_stops_the_run(tmp_path: Path, sound: Path, weights: Path) -> None:
    file = broken(weights, tmp_path / "broken.pth")
    report = lipsync(tmp_path / "out.mp4", sound, {"diffuse.weights": str(file)}, model="wav2lip")
    assert report.status == "failed" and report.exit_code == 1
    assert "diffuse" in str(report.error) and "drew something that is not a number" in str(report.error)


def test_what_on_error_passes_through_is_counted_with_its_reason(tmp_path: Path, sound: Path, weights: Path) -> None:
    file = broken(weights, tmp_path / "broken.pth")
    graph = changed_graph(tmp_path, "use: diffuse, ", "use: diffuse, on_error: pass, ")
    changes = {"diffuse.weights": str(file)}
    report = lipsync(tmp_path / "out.mkv", sound, changes, graph, model="wav2lip", codec="ffv1")
    assert report.status == "done", report.error
    assert report.stages["diffuse"]["counts"] == {"passed": 10}
    errors = report.stages["diffuse"]["errors"]
    assert [error["index"] for error in errors] == list(range(10))
    assert all("not a number" in error["message"] for error in errors)
    for here, there in zip(pictures(tmp_path / "out.mkv"), pictures(SAMPLES / "portrait.mp4"), strict=False):
        assert changed(here, there).mean() < 0.001, "the frames as they were"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda good, path: path, "no such file of weights"),
        (lambda good, path: path.write_bytes(good.read_bytes()[:50_000_000]), "damaged or only a part of the file"),
        (lambda good, path: broken(good, path, value=float("nan")), "running_var has values that are not finite"),
        (lambda good, path: torch.save({"a.weight": torch.zeros(3)}, path), "not the weights of wav2lip: .* missing"),
    ],
)
def test_wrong_weights_are_refused_in_one_sentence(
    tmp_path: Path, sound: Path, weights: Path, make: Any, message: str
) -> None:
    make(weights, tmp_path / "given.pth")
    report = lipsync(tmp_path / "out.mp4", sound, {"diffuse.weights": str(tmp_path / "given.pth")}, model="wav2lip")
    assert report.status == "failed"
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(report.error)
    assert len(str(report.error).splitlines()) == 1
    assert not (tmp_path / "out.mp4").exists()


def test_without_weights_it_says_where_they_are_to_be_had(tmp_path: Path, sound: Path) -> None:
    report = lipsync(tmp_path / "out.mp4", sound, {"diffuse.model": "diff2lip"})
    assert report.status == "failed"
    assert "graphrun models add diff2lip FILE" in str(report.error)


def test_speech_of_8_khz_is_taken_and_said(tmp_path: Path, sound: Path, weights: Path) -> None:
    samples, rate = soundfile.read(sound)
    soundfile.write(tmp_path / "8k.wav", samples[:: rate // 8000], 8000)
    report = lipsync(tmp_path / "out.mp4", tmp_path / "8k.wav", {"diffuse.weights": str(weights)}, model="wav2lip")
    assert report.status == "done", report.error
    assert any("8000 Hz: nothing above 4000 Hz is heard" in note for note in report.notes)


def test_sound_shorter_than_a_window_is_filled_up_or_refused(tmp_path: Path, sound: Path) -> None:
    samples, rate = soundfile.read(sound)
    soundfile.write(tmp_path / "tiny.wav", samples[: rate // 10], rate)
    (tmp_path / "grey.py").write_text(PAINTER)
    graph = changed_graph(tmp_path, "use: diffuse, ", "use: ./grey.py:Grey, ")
    best = lipsync(tmp_path / "out.mp4", tmp_path / "tiny.wav", {}, graph, model="diff2lip")
    assert best.status == "done", best.error
    assert any("less than one window of speech (0.188 s): the rest is taken as silence" in one for one in best.notes)
    paper = lipsync(tmp_path / "out.mp4", tmp_path / "tiny.wav", {"diffuse.mode": "paper"}, graph, model="diff2lip")
    assert paper.status == "failed" and "less than one window of speech" in str(paper.error)


def test_paper_mode_drops_the_last_three_frames_and_overwrites_the_box(tmp_path: Path, sound: Path) -> None:
    (tmp_path / "grey.py").write_text(PAINTER)
    graph = changed_graph(tmp_path, "use: diffuse, ", "use: ./grey.py:Grey, ")
    changes = {"diffuse.mode": "paper", "decode.fps": "25"}
    report = lipsync(tmp_path / "out.mkv", sound, changes, graph, model="diff2lip", codec="ffv1", length="shortest")
    assert report.status == "done", report.error
    assert report.stages["speech"]["counts"] == {"no_whole_window": 3}
    assert report.stages["diffuse"]["counts"] == {"drawn": 7}
    made = pictures(tmp_path / "out.mkv")
    assert len(made) == 7
    for picture in made:
        ys, xs = np.nonzero(np.abs(picture.astype(int) - 128).max(2) <= 2)
        ys, xs = np.quantile(ys, [0.05, 0.95]).astype(int), np.quantile(xs, [0.05, 0.95]).astype(int)
        inside = picture[ys[0] : ys[1], xs[0] : xs[1]].astype(int)
        assert inside.size and np.abs(inside - 128).max() <= 2, "a hard box of what was drawn"


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("full_size_added")
@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_a_full_size_diff2lip_draws_every_frame_of_a_real_clip(tmp_path: Path, sound: Path, dtype: str) -> None:
    if not (MEDIA / "st_aoc.mp4").exists():
        pytest.skip(f"no real clips at {MEDIA} (GRAPHRUN_MEDIA)")
    inputs = {"video": MEDIA / "st_aoc.mp4", "audio": sound, "output": tmp_path / "out.mp4"}
    changes = {"model": "diff2lip", "steps": 2, "reference": "first", "dtype": dtype}
    words = [f"{name}={value}" for name, value in inputs.items()]
    words += [f"--set=diffuse.{name}={value}" for name, value in changes.items()]
    graphrun, graph = Path(sys.executable).with_name("graphrun"), ROOT / "pipelines" / "lipsync.yaml"
    subprocess.run([graphrun, graph, *words, "--quiet", "--report", tmp_path / "run.json"], check=True)
    report = json.loads((tmp_path / "run.json").read_text())
    assert report["status"] == "done", report["error"]
    assert report["stages"]["diffuse"]["counts"] == {"drawn": 10}
    about = report["stages"]["diffuse"]["about"]
    assert about["steps"] == 2 and about["dtype"] == dtype
    assert report["memory"]["pss_peak"] < 1.9e9, "of the command's own processes"
