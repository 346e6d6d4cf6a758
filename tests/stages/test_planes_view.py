"""Faces are looked for in planes as in RGB: the same detections, meshes, lips and mouths of every kind of file."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from face_clips import with_heads
from media_files import Clip, Picture, write_clip, write_pq
from runs import facts

from graph.stage import Packet, run_stage
from models.faces.mesh import Region
from models.faces.view import FrameView
from models.mouth.bank import Bank
from models.mouth.survey import Survey
from stages.annotate import Annotate
from stages.decode import Decode
from stages.detect import Detect
from stages.faces_picture import FacesPicture
from stages.media.colour import Colour
from stages.media.planes import Layout, take_planes
from stages.media.region import Canvas
from stages.media.view import PlanesView
from stages.mesh import FaceMesh
from stages.people import People
from stages.survey import SurveySink
from stages.track import Track

sys.path.append(str(Path(__file__).parents[1] / "models" / "mouth"))
from person import portrait

SAID: Colour = {"matrix": "bt709", "range": "limited", "primaries": None, "transfer": None}
LAYOUTS = ["yuv420p", "yuv422p", "yuv444p", "yuv440p", "yuv411p", "yuv410p", "yuv420p10le", "yuv422p12le"]


def smooth(width: int, height: int) -> Picture:
    """The portrait in a size, without detail that chroma of fewer samples cannot hold."""
    return np.asarray(cv2.GaussianBlur(cv2.resize(portrait(), (width, height)), (0, 0), 3), np.uint8)


def both_views(pix_fmt: str, width: int, height: int) -> tuple[PlanesView, FrameView]:
    """A picture in planes, and the RGB of these."""
    layout = Layout(pix_fmt, width, height)
    image = np.empty(layout.shape, np.uint8)
    frame = av.VideoFrame.from_ndarray(smooth(width, height), format="rgb24")
    take_planes(frame.reformat(format=pix_fmt, dst_colorspace=1, dst_color_range=1), layout, image)
    canvas = Canvas(layout, SAID)
    return PlanesView(canvas, image), FrameView(canvas.see(image, canvas.whole))


@pytest.mark.parametrize("pix_fmt", LAYOUTS)
@pytest.mark.parametrize("size", [(256, 192), (255, 191)])
def test_planes_are_seen_as_their_rgb_is(pix_fmt: str, size: tuple[int, int]) -> None:
    planes, rgb = both_views(pix_fmt, *size)
    assert planes.shape == rgb.shape
    for part in ((slice(7, 90), slice(33, 256)), (slice(5, 150, 3), slice(11, 200, 4))):
        away = np.abs(planes[part].astype(int) - rgb[part])
        assert away.max() <= 1 if part[0].step is None else away.mean() < 1.5 and np.percentile(away, 98) <= 16
    for small in ((128, 96), (100, 75), (40, 30), (320, 240)):
        away = np.abs(planes.whole(*small).astype(int) - rgb.whole(*small))
        assert away.mean() < 1.5 and np.percentile(away, 99.5) <= 16
    scaled = np.corrcoef(planes.grey(40, 24).ravel(), rgb.grey(40, 24).ravel())[0, 1]
    assert scaled > 0.99 and abs(planes.grey(40, 24).mean() - rgb.grey(40, 24).mean()) < 6


@pytest.mark.parametrize("pix_fmt", LAYOUTS)
@pytest.mark.parametrize("side", [90, 192, 250, 400, 700])
def test_a_region_is_warped_as_that_of_the_rgb(pix_fmt: str, side: int) -> None:
    """Also one that is turned, and one that reaches far over an edge."""
    planes, rgb = both_views(pix_fmt, 511, 383)
    for region in (Region(250, 180, side, 0.0), Region(260.3, 200.7, side, 0.6), Region(490, 20, side, -0.3)):
        seen, wanted = np.empty((2, 3, 192, 192), np.float32)
        planes.warped(region.to_frame(), seen)
        rgb.warped(region.to_frame(), wanted)
        away = 255 * np.abs(seen - wanted)
        assert away.mean() < 1.2 and np.percentile(away, 99) <= 10 and seen.min() >= 0 and seen.max() <= 1


def test_a_part_of_a_region_is_seen_as_in_the_whole() -> None:
    """So the lips may be looked at alone."""
    for view in both_views("yuv420p", 640, 480):
        for side in (150, 300, 460):
            to_frame = Region(330, 240, side, 0.2).to_frame()
            whole, part = np.empty((3, 192, 192), np.float32), np.empty((3, 48, 80), np.float32)
            view.warped(to_frame, whole)
            onto = to_frame.copy()
            onto[:, 2] += to_frame[:, :2] @ [60, 100]
            view.warped(onto, part)
            assert 255 * np.abs(part - whole[:, 100:148, 60:140]).max() <= 1.5


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (33, 5)])
def test_tiny_pictures_are_seen(size: tuple[int, int]) -> None:
    for view in both_views("yuv420p", *size):
        out = np.empty((3, 192, 192), np.float32)
        for region in (Region(0, 0, 400, 0.1), Region(-500, 900, 50, 0)):
            view.warped(region.to_frame(), out)
            assert np.isfinite(out).all()
        assert view.whole(24, 16).shape == (16, 24, 3) and view.grey(40, 24).shape == (24, 40)


def moving(number: int, width: int, height: int) -> Picture:
    """The portrait, which moves and nods a little."""
    onto = cv2.getRotationMatrix2D((width / 2, height / 2), 3 * number, 1.0)
    onto[:, 2] += 4 * number, number
    size = (width, height)
    shown = cv2.warpAffine(cv2.resize(portrait(), size), onto, size, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(shown, np.uint8)


def survey(path: Path, pixels: Any, folder: Path) -> list[Packet]:
    """What survey.yaml does to a file, in RGB or in planes."""
    stream, options = facts(path, pixels="source"), {"device": "cpu", "pixels": pixels}
    rows = [packet.fields() for packet in run_stage(Decode(str(path), pixels=pixels))]
    assert ("planes" if pixels == "source" else "frame") in rows[0]
    found = run_stage(Detect(every=3, **options), rows, stream=stream)
    followed = run_stage(Track(smooth=False, **options), [one.fields() for one in found], stream=stream)
    run_stage(SurveySink(str(folder), pixels=pixels), [one.fields() for one in followed], stream=stream)
    return followed


def alike(ways: dict[str, list[Packet]]) -> None:
    """That both ways have found the same."""
    for one, other in zip(*ways.values(), strict=True):
        assert one.time == other.time and one.face["found"] and other.face["found"]
        assert one.faces.shape == other.faces.shape
        assert np.abs(one.faces[:, :4] - other.faces[:, :4]).max(initial=0) < 6
        assert np.linalg.norm(one.landmarks - other.landmarks, axis=1).mean() < 0.5


#: a clip's name, and what is special of it
CLIPS: dict[str, Clip] = {
    "of 8 bits": Clip(),
    "of full range": Clip(colours={"colorspace": 5, "color_range": 2, "color_primaries": 5, "color_trc": 1}),
    "of 10 bits": Clip(pix_fmt="yuv420p10le"),
    "422": Clip(pix_fmt="yuv422p"),
    "of odd size": Clip(pix_fmt="yuv444p", width=511, height=509),
    "turned": Clip(rotation=90),
    "mirrored": Clip(rotation=180, mirrored=True),
    "of variable rate": Clip(times=[Fraction(n, 90) for n in (0, 3, 7, 9, 14, 20)]),
    "rgb": Clip(codec="ffv1", pix_fmt="bgr0", options={}),
}


@pytest.mark.parametrize("name", CLIPS)
def test_a_survey_of_planes_is_that_of_rgb(name: str, tmp_path: Path) -> None:
    clip = CLIPS[name]
    drawn = (lambda n, w, h: np.rot90(moving(n, h, w), -clip.rotation // 90)) if clip.rotation else moving
    size = {"width": clip.width, "height": clip.height} if clip.width > 64 else {"width": 512, "height": 512}
    own = {**vars(clip), **size, "count": 6, "draw": lambda n, w, h: np.ascontiguousarray(drawn(n, w, h))}
    path = write_clip(tmp_path / f"in.{'mkv' if clip.codec == 'ffv1' else 'mp4'}", Clip(**own))
    ways = {pixels: survey(path, pixels, tmp_path / pixels) for pixels in ("rgb", "source")}
    alike(ways)
    with Survey(tmp_path / "rgb") as one, Survey(tmp_path / "source") as other:
        assert {**one.facts, "found": 6} == other.facts
        lips = [each.records(0, 6)["landmarks"][:, [61, 291, 13, 14, 0, 17]] for each in (one, other)]
    assert np.linalg.norm(lips[0] - lips[1], axis=2).mean() < 0.5
    banks = [Bank(tmp_path / pixels) for pixels in ways]
    assert len(banks[0]) == len(banks[1]) == 6
    for row in range(6):
        crops = [overlapping(bank, row, banks) for bank in banks]
        # what is turned has its chroma resampled
        most = 8 if clip.rotation else 2
        assert crops[0].size > 20_000 and np.abs(crops[0].astype(int) - crops[1]).max() <= most


def overlapping(bank: Bank, row: int, banks: list[Bank]) -> Picture:
    """What a mouth shows of the part of the frame that all banks have of it."""
    corners = [-one.placement[row][:, 2].astype(int) for one in banks]
    ends = [corner + one.crop(row).shape[1::-1] for corner, one in zip(corners, banks, strict=True)]
    own = -bank.placement[row][:, 2].astype(int)
    (left, top), (right, bottom) = np.max(corners, 0) - own, np.min(ends, 0) - own
    return bank.crop(row)[top:bottom, left:right]


def test_a_still_is_surveyed_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "in.png"
    cv2.imwrite(str(path), moving(1, 512, 512)[..., ::-1])
    ways = {pixels: survey(path, pixels, tmp_path / pixels) for pixels in ("rgb", "source")}
    np.testing.assert_array_equal(ways["rgb"][0].landmarks, ways["source"][0].landmarks)
    assert (Bank(tmp_path / "rgb").crop(0) == Bank(tmp_path / "source").crop(0)).all()


@pytest.mark.slow
def test_a_survey_of_hdr_is_that_of_what_decode_maps(tmp_path: Path) -> None:
    path = write_pq(tmp_path / "in.mp4", [moving(number, 320, 320) for number in range(4)])
    ways = {pixels: survey(path, pixels, tmp_path / pixels) for pixels in ("rgb", "source")}
    alike(ways)
    crops = [overlapping(Bank(tmp_path / pixels), 0, [Bank(tmp_path / one) for one in ways]) for pixels in ways]
    away = np.abs(crops[0].astype(int) - crops[1])
    assert away.mean() < 1 and np.percentile(away, 99) <= 3


def test_scenes_and_everybodys_ids_are_those_of_rgb(tmp_path: Path) -> None:
    """Also who is who is told by looks, of planes as of RGB."""
    first = [with_heads([(150 + 4 * n, 180, 200), (460 + 4 * n, 190, 220)], 0) for n in range(6)]
    frames = [*first, *(with_heads([(300 + 4 * n, 180, 260)], 5) for n in range(6))]
    path = write_clip(tmp_path / "in.mp4", Clip(count=12, width=640, height=360, draw=lambda n, _w, _h: frames[n]))
    found, shown = {}, {}
    for pixels in ("rgb", "source"):
        stream = facts(path, pixels="source")
        rows = [packet.fields() for packet in run_stage(Decode(str(path), pixels=pixels))]
        seen = run_stage(Detect(every=3, device="cpu", pixels=pixels), rows, stream=stream)
        stage = FaceMesh(device="cpu", pixels=pixels)
        found[pixels] = run_stage(stage, [one.fields() for one in seen], stream=stream)
        assert stage.counts == {"scene_cuts": 1, "faces": 18}
        told = [{**one.fields(), "faces": np.array(one.followed)} for one in found[pixels]]
        run_stage(FacesPicture(str(tmp_path / f"{pixels}.png"), pixels=pixels), told, stream=stream)
        run_stage(People(str(tmp_path / f"{pixels}.json"), least=0.1, pixels=pixels), told, stream=stream)
        shown[pixels] = run_stage(Annotate(pixels=pixels), told[5:7], stream=stream)
    for one, other in zip(*found.values(), strict=True):
        assert one.ids.tolist() == other.ids.tolist() == ([0, 1] if one.index < 6 else [2])
        assert np.linalg.norm(one.meshes - other.meshes, axis=2).mean() < 0.5
    drawn = [np.stack([one.annotated for one in shown[pixels]]) for pixels in found]
    pictures = [cv2.imread(str(tmp_path / f"{pixels}.png")) for pixels in found]
    for one, other in (drawn, pictures):
        assert one.shape == other.shape and np.abs(one.astype(int) - other).mean() < 1
    assert (tmp_path / "rgb.json").read_text() == (tmp_path / "source.json").read_text()
