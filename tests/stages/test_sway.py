"""sway: the head of a still moves by what is promised, and nothing else does."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from media_files import Picture, psnr

from graph.stage import Packet, run_stage
from models.head.blink import Blink, closed
from models.mouth.cut import Box
from models.mouth.geometry import face_height
from stages.media.colour import Colour
from stages.media.planes import Layout, samples_of, take_planes
from stages.media.region import Canvas
from stages.sway import Sway

sys.path.append(str(Path(__file__).parents[1] / "models" / "mouth"))
from person import mesh, portrait

SPEECH = str(Path(__file__).parents[2] / "pipelines" / "samples" / "speech.wav")
VIDEO = str(Path(__file__).parents[2] / "pipelines" / "samples" / "portrait.mp4")
SAID: Colour = {"matrix": "bt709", "range": "limited", "primaries": None, "transfer": None}
#: a time at which it blinks
BLINK = Fraction(11, 5)
FACE = {"found": True, "score": 0.9, "cut": False, "id": 0}


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("still") / "face.png"
    cv2.imwrite(str(path), portrait()[..., ::-1])
    return str(path)


def swayed(still: str, count: int = 60, rate: Fraction | int = 25, **given: Any) -> list[Packet]:
    """Frames of the portrait, `rate` a second."""
    row = {"frame": portrait(), "landmarks": mesh(), "face": FACE}
    return run_stage(Sway(still, SPEECH, **given), [row] * count, rate=rate)


def follow(before: Picture, after: Picture, point: np.ndarray, reach: int = 20) -> np.ndarray:
    """How far what is around a point has moved, pixels."""
    x, y = np.rint(point).astype(int)
    patch = cv2.cvtColor(before[y - reach : y + reach, x - reach : x + reach], cv2.COLOR_RGB2GRAY)
    around = cv2.cvtColor(after[y - 2 * reach : y + 2 * reach, x - 2 * reach : x + 2 * reach], cv2.COLOR_RGB2GRAY)
    place = cv2.minMaxLoc(cv2.matchTemplate(around, patch, cv2.TM_CCOEFF_NORMED))[3]
    return np.array(place) - reach


def test_the_face_moves_the_border_stays_and_the_first_picture_is_as_it_came(still: str) -> None:
    frames = [packet.swayed for packet in swayed(still, motion=1.0)]
    assert np.array_equal(frames[0], portrait())
    for frame in frames:
        inside = frame.copy()
        inside[4:-4, 4:-4] = portrait()[4:-4, 4:-4]
        assert np.array_equal(inside, portrait())
    moves = np.array([follow(portrait(), frame, mesh()[1]) for frame in frames])
    furthest = np.hypot(*moves.T).max() / face_height(mesh())
    assert 0.01 < furthest < 0.08
    gentle = swayed(still, 2, Fraction(25, 59), motion=0.4)[-1].swayed
    assert np.allclose(follow(portrait(), gentle, mesh()[1]), 0.4 * moves[-1], atol=1)
    moved = np.abs(np.stack(frames).astype(int) - portrait()).max((0, 3)) > 8
    chin = int(mesh()[152, 1] + face_height(mesh()))
    assert moved[: int(mesh()[152, 1])].mean() > 0.05 and not moved[chin:].any(), "the body stays"


def test_a_head_keeps_its_details(still: str) -> None:
    def details(frame: Picture) -> float:
        left, top, right, bottom = *mesh().min(0).astype(int), *mesh().max(0).astype(int)
        return float(np.abs(cv2.Laplacian(frame[top:bottom, left:right].astype(np.float32), cv2.CV_32F)).mean())

    assert details(swayed(still, 4, 1, motion=1.0)[-1].swayed) > 0.93 * details(portrait())


def test_frames_are_the_same_again_and_by_seed(still: str) -> None:
    one, same, other = (swayed(still, 3, 1, motion=1.0, seed=seed)[-1].swayed for seed in (1, 1, 2))
    assert np.array_equal(one, same) and not np.array_equal(one, other)


def in_planes(pix_fmt: str, width: int, height: int) -> tuple[Canvas, Picture]:
    layout = Layout(pix_fmt, width, height)
    flat = np.empty(layout.shape, np.uint8)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(portrait()[:height, :width]), format="rgb24")
    take_planes(frame.reformat(format=pix_fmt, dst_colorspace=1, dst_color_range=1), layout, flat)
    return Canvas(layout, SAID), flat


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p", "yuv411p", "yuv444p", "yuv420p10le", "yuv444p16le"])
@pytest.mark.parametrize("size", [(512, 512), (509, 507)])
def test_planes_move_as_rgb_does(still: str, pix_fmt: str, size: tuple[int, int]) -> None:
    canvas, flat = in_planes(pix_fmt, *size)
    row = {"landmarks": mesh(), "face": FACE}
    stream = {"layout": canvas.layout.plain(), "colour": SAID}
    ways = []
    for pixels, name, image in (("source", "planes", flat), ("rgb", "frame", canvas.see(flat, canvas.whole))):
        stage = Sway(still, SPEECH, motion=1.0, pixels=pixels)
        packets = run_stage(stage, [{name: image, **row}] * 2, stream=stream, rate=1 / BLINK)
        ways.append([packet.swayed for packet in packets])
    planes, rgb = ways
    assert np.array_equal(planes[0], flat) and not np.array_equal(planes[-1], flat)
    assert closed(float(BLINK)) > 0.9
    assert psnr(canvas.see(planes[-1], canvas.whole), rgb[-1]) > 42
    for before, after in zip(samples_of(flat, canvas.layout), samples_of(planes[-1], canvas.layout), strict=True):
        assert after.max() < 1 << canvas.layout.bits
        assert np.array_equal(before[:1], after[:1]) and np.array_equal(before[:, -1:], after[:, -1:])


def test_a_picture_without_a_face_passes_through_and_is_counted(still: str) -> None:
    stage = Sway(still, SPEECH, motion=1.0)
    row = {"frame": portrait(), "landmarks": np.full((468, 2), np.nan, np.float32), "face": {**FACE, "found": False}}
    packets = run_stage(stage, [row] * 40)
    assert np.array_equal(packets[-1].swayed, portrait())
    assert stage.counts["no_face"] == 40


@pytest.mark.parametrize("given", [{"motion": -0.1}, {"motion": 1.01}, {"motion": float("nan")}, {"seed": -1}])
def test_what_cannot_be_is_refused(still: str, given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="has to"):
        Sway(still, SPEECH, **given)


def test_a_video_is_refused_and_one_picture_in_a_container_is_not(still: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has 125: leave motion at 0"):
        Sway(VIDEO, SPEECH).preflight()
    with av.open(str(tmp_path / "one.mp4"), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 512, 512, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(portrait(), format="rgb24")))
        container.mux(stream.encode(None))
    Sway(str(tmp_path / "one.mp4"), SPEECH).preflight()


def test_it_blinks_and_eyes_that_look_shut_do_not(still: str) -> None:
    shares = [closed(index / 25) for index in range(60)]
    frame = int(np.argmax(shares))
    assert shares[frame] > 0.9
    without, blinking = (swayed(still, motion=0.01, blinks=blinks) for blinks in (False, True))
    changed = [np.abs(one.swayed.astype(int) - other.swayed) for one, other in zip(without, blinking, strict=True)]
    assert [one.any() for one in changed] == [share > 0 for share in shares]
    eyes = Blink(mesh(), Box(0, 0, 512, 512)).eyes
    for left, top, right, bottom in (eye.box for eye in eyes):
        assert changed[frame][top:bottom, left:right].mean() > 5
        changed[frame][top - 1 : bottom + 1, left - 1 : right + 1] = 0
    assert not changed[frame].any()
    shut = portrait().copy()
    for left, top, right, bottom in (eye.box for eye in eyes):
        shut[top:bottom, left:right] = (190, 150, 130)
    rows = [{"frame": shut, "landmarks": mesh(), "face": FACE}] * 60
    stage = Sway(still, SPEECH, motion=0.01)
    blinking, without = run_stage(stage, rows), run_stage(Sway(still, SPEECH, motion=0.01, blinks=False), rows)
    assert stage.counts["no_blink"] == sum(share > 0 for share in shares)
    assert np.array_equal(blinking[frame].swayed, without[frame].swayed)
