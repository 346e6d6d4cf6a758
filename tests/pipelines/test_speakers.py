"""Several people in one video, each with a sound of their own: real processes, a real file, each mouth measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from graph.report import Report
from graph.runner import Graph
from graph.stage import run_stage
from models.mouth.geometry import measure
from stages.detect import Detect
from stages.mix import MixSource
from stages.track import Track

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "pipelines" / "samples"
#: seconds that each of the two speaks; the other is silent then
TURN = 1.2
RATE = 25
SIDE = 512
#: frames at the beginning in which the right face is hidden
HIDDEN = 10

Frames = list[npt.NDArray[np.uint8]]


def frames_of(path: Path) -> Frames:
    with av.open(str(path)) as file:
        return [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]


def write_video(path: Path, frames: Frames) -> Path:
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=RATE, options={"crf": "12", "preset": "veryfast"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        file.mux(stream.encode())
    return path


def twins(frame: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The picture, and beside it the same mirrored."""
    return np.hstack([frame, frame[:, ::-1]])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two faces side by side, the right one hidden at first; a.wav (mono, 16 kHz) speaks in the first turn, b.wav
    (stereo, 32 kHz) in the second.
    """
    folder = tmp_path_factory.mktemp("speakers")
    frames = [twins(frame) for frame in frames_of(SAMPLES / "portrait.mp4")[: round(2 * TURN * RATE)]]
    for frame in frames[:HIDDEN]:
        frame[90:300, SIDE + 150 : SIDE + 370] = (150, 140, 135)
    write_video(folder / "two.mp4", frames)
    speech, rate = soundfile.read(SAMPLES / "speech.wav")
    turn = round(TURN * rate)
    silence = np.zeros(turn)
    soundfile.write(folder / "a.wav", np.concatenate([speech[:turn], silence]), rate)
    late = np.repeat(np.concatenate([silence, speech[turn : 2 * turn]]), 2)
    soundfile.write(folder / "b.wav", np.stack([late, late / 2], 1), 2 * rate)
    return folder


@pytest.fixture(scope="module")
def run(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Report]:
    """Runs a graph on the two faces; what it keeps lies in a place of this module's own."""
    home = tmp_path_factory.mktemp("home")

    def run(graph: str, **inputs: object) -> Report:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("GRAPHRUN_HOME", str(home))
            values = {"video": str(folder / "two.mp4"), **inputs}
            report = Graph.load(ROOT / "pipelines" / f"{graph}.yaml").run(values)
        assert report.status == "done", report.error
        return report

    return run


def apertures(path: Path) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """How far the left and the right mouth are open, over the height of the face, frame by frame."""
    frames = frames_of(path)

    def of(part: slice) -> npt.NDArray[np.float32]:
        rows = [{"frame": np.ascontiguousarray(frame[:, part])} for frame in frames]
        found = run_stage(Detect(every=5, device="cpu"), rows)
        given = [{"frame": packet.frame, "faces": packet.faces} for packet in found]
        tracked = run_stage(Track(smooth=False, device="cpu"), given)
        return np.array([measure(packet.landmarks)[0] for packet in tracked])

    return of(slice(SIDE)), of(slice(SIDE, None))


def ids_of(folder: Path, run: Callable[..., Report]) -> list[str]:
    """The ids of the left and of the right face, as a person learns them from faces.yaml."""
    run("faces", output=str(folder / "faces.jsonl"), picture=str(folder / "faces.png"))
    faces = json.loads((folder / "faces.jsonl").read_text().splitlines()[-1])["faces"]
    return [str(face["id"]) for face in sorted(faces, key=lambda face: face["box"][0])]


@pytest.mark.slow
def test_each_mouth_follows_its_own_sound(folder: Path, run: Callable[..., Report]) -> None:
    one, two = ids_of(folder, run)
    speakers = {one: str(folder / "a.wav"), two: str(folder / "b.wav")}
    report = run("speakers", speakers=speakers, output=str(folder / "out.mp4"))
    count, turn = round(2 * TURN * RATE), round(TURN * RATE)
    assert report.stages[f"diffuse.{one}"]["counts"] == {"drawn": count}
    passed = report.stages[f"diffuse.{two}"]["counts"]["no_face"]
    assert HIDDEN <= passed <= HIDDEN + 5, "who is not there passes through, and is counted"
    assert report.stages[f"diffuse.{two}"]["counts"]["drawn"] == count - passed
    left, right = apertures(folder / "out.mp4")
    assert len(left) == count
    # the mouth opens before the sound; what the codec and the mesh shake is less than what speech moves
    early, late = slice(passed + 2, turn - 6), slice(turn + 4, count - 2)
    assert np.ptp(left[early]) > 3 * np.ptp(left[late])
    assert np.ptp(right[late]) > 3 * np.ptp(right[early])
    check_sound(folder)
    check_outside(folder)


@pytest.mark.slow
def test_everyone_speaks(folder: Path, run: Callable[..., Report]) -> None:
    report = run("everyone", audio=str(folder / "a.wav"), output=str(folder / "all.mp4"))
    drawn = [name for name in report.stages if name.startswith("diffuse")]
    assert len(drawn) == 2
    left, right = apertures(folder / "all.mp4")
    turn = round(TURN * RATE)
    early, late = slice(HIDDEN + 7, turn - 6), slice(turn + 4, -2)
    for mouth in (left, right):
        assert mouth[early].mean() > 1.5 * mouth[late].mean()
    assert np.corrcoef(left[HIDDEN + 2 :], right[HIDDEN + 2 :])[0, 1] > 0.8


def test_all_is_not_one_face() -> None:
    with pytest.raises(ValueError, match=r"face all is not one face: pipelines/everyone\.yaml has every face speak"):
        Track(face="all")


def check_sound(folder: Path) -> None:
    """It is the sum of both (which test_mix.py looks at sample by sample), in the higher rate and the more channels."""

    def heard(*names: str) -> npt.NDArray[np.float32]:
        source = MixSource({name: str(folder / name) for name in names})
        sound = np.concatenate([packet.samples for packet in run_stage(source)])
        assert source.about()["rate"] == 32_000
        return sound

    found, expected = heard("out.mp4"), heard("a.wav", "b.wav")
    assert found.shape[1] == 2
    assert abs(len(found) - len(expected)) < 32_000 / RATE
    for channel in (0, 1):
        pair = found[: len(expected), channel], expected[: len(found), channel]
        assert np.corrcoef(*pair)[0, 1] > 0.98
        assert np.ptp(pair[0]) == pytest.approx(np.ptp(pair[1]), rel=0.1)


def check_outside(folder: Path) -> None:
    """Between the two, and above their mouths, nothing has changed but by encoding."""
    for before, after in zip(frames_of(folder / "two.mp4")[::20], frames_of(folder / "out.mp4")[::20], strict=False):
        change = (before.astype(int) - after)[: SIDE // 4] ** 2
        assert 10 * np.log10(255**2 / change.mean()) > 38
