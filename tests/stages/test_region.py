"""Parts of planes: seen as decode's RGB shows them, and drawn into with nothing changed around the drawing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from media_files import Clip, Picture, psnr, write_clip, write_pq
from runs import facts

from graph.stage import Caps, run_stage
from models.mouth.cut import Box
from models.mouth.paste import Placed
from stages.composite import Composite
from stages.crop import Crop
from stages.decode import Decode
from stages.media.colour import Colour
from stages.media.planes import Layout, samples_of, take_planes
from stages.media.region import Canvas

sys.path.append(str(Path(__file__).parents[1] / "models" / "mouth"))
from person import mesh, portrait

BT709 = {"colorspace": 1, "color_range": 1, "color_primaries": 1, "color_trc": 1}
BT601_FULL = {"colorspace": 5, "color_range": 2, "color_primaries": 5, "color_trc": 1}
BT2020 = {"colorspace": 9, "color_range": 1, "color_primaries": 9, "color_trc": 14}
SAID: Colour = {"matrix": "bt709", "range": "limited", "primaries": None, "transfer": None}
FACE = {"found": True, "score": 0.9, "cut": False, "id": 0}


def texture(_number: int, width: int, height: int) -> Picture:
    """A part of the sample's face."""
    return np.ascontiguousarray(portrait()[60 : 60 + height, 120 : 120 + width])


def canvas(told: dict[str, Any]) -> Canvas:
    return Canvas(Layout(**told["layout"]), told["colour"])


@pytest.mark.parametrize(
    ("pix_fmt", "colours", "size"),
    [
        ("yuv420p", BT709, (160, 128)),
        ("yuv420p", BT601_FULL, (160, 128)),
        ("yuv420p", {}, (160, 128)),
        ("yuv422p", BT2020, (160, 128)),
        ("yuv444p", BT709, (161, 127)),
        ("yuv420p10le", BT709, (160, 128)),
        ("yuv420p10le", BT2020, (160, 128)),
        ("yuv422p10le", BT601_FULL, (160, 128)),
        ("yuv444p10le", BT709, (161, 127)),
    ],
)
def test_a_part_is_seen_as_decode_shows_it(
    tmp_path: Path, pix_fmt: str, colours: dict[str, int], size: tuple[int, int]
) -> None:
    clip = Clip(count=1, width=size[0], height=size[1], pix_fmt=pix_fmt, colours=colours, draw=texture)
    path = write_clip(tmp_path / "in.mp4", clip)
    [shown], [packet] = run_stage(Decode(str(path))), run_stage(Decode(str(path), pixels="source"))
    part = canvas(facts(path, pixels="source"))
    for box in (part.whole, Box(0, 0, 7, 9), Box(31, 22, 90, 71), Box(size[0] - 33, size[1] - 21, *size)):
        wanted = shown.frame[box.top : box.bottom, box.left : box.right].astype(int)
        assert np.abs(part.see(packet.planes, box) - wanted).max() <= 1


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "suffix"),
    [
        ("libvpx-vp9", "yuv420p", ".webm"),
        ("libsvtav1", "yuv420p", ".mkv"),
        ("prores_ks", "yuv422p10le", ".mov"),
        ("ffv1", "yuv420p", ".mkv"),
    ],
)
def test_chroma_that_a_codec_does_not_place_is_on_the_left(
    tmp_path: Path, codec: str, pix_fmt: str, suffix: str
) -> None:
    clip = Clip(count=2, width=160, height=128, codec=codec, pix_fmt=pix_fmt, options={}, draw=texture)
    path = write_clip(tmp_path / f"in{suffix}", clip)
    part = canvas(facts(path, pixels="source"))
    for shown, packet in zip(run_stage(Decode(str(path))), run_stage(Decode(str(path), pixels="source")), strict=True):
        assert np.abs(part.see(packet.planes, part.whole) - shown.frame.astype(int)).max() <= 1


LAYOUTS = [
    "yuv420p",
    "yuv422p",
    "yuv444p",
    "yuv440p",
    "yuv411p",
    "yuv410p",
    "yuv420p10le",
    "yuv422p12le",
    "yuv444p16le",
]


def planes(pix_fmt: str, width: int, height: int) -> tuple[Canvas, Picture]:
    """A picture of a texture in planes."""
    layout = Layout(pix_fmt, width, height)
    image = np.empty(layout.shape, np.uint8)
    frame = av.VideoFrame.from_ndarray(texture(0, width, height), format="rgb24")
    take_planes(frame.reformat(format=pix_fmt, dst_colorspace=1, dst_color_range=1), layout, image)
    return Canvas(layout, SAID), image


@pytest.mark.parametrize("pix_fmt", LAYOUTS)
@pytest.mark.parametrize("size", [(64, 48), (65, 47)])
def test_samples_change_where_the_mask_is_above_0_only(pix_fmt: str, size: tuple[int, int]) -> None:
    random = np.random.default_rng(7)
    on, image = planes(pix_fmt, *size)
    for box in (Box(0, 0, *size), Box(11, 9, 40, 32), Box(size[0] - 21, size[1] - 17, *size)):
        rows, columns = box.bottom - box.top, box.right - box.left
        mask = random.integers(0, 256, (rows, columns), np.uint8) * (random.random((rows, columns)) < 0.1)
        drawing = random.integers(0, 256, (rows, columns, 3), np.uint8)
        after = image.copy()
        on.draw(after, Placed(box, drawing, mask.astype(np.uint8)))
        whole = np.zeros((size[1], size[0]), bool)
        whole[box.top : box.bottom, box.left : box.right] = mask > 0
        for number, (old, new) in enumerate(
            zip(samples_of(image, on.layout), samples_of(after, on.layout), strict=True)
        ):
            down, across = on.layout.steps if number else (1, 1)
            padded = np.pad(whole, ((0, -whole.shape[0] % down), (0, -whole.shape[1] % across)))
            allowed = padded.reshape(old.shape[0], down, old.shape[1], across).any((1, 3))
            assert np.array_equal(old[~allowed], new[~allowed])
            assert (old != new)[allowed].mean() > (0.5 if number == 0 else 0.2)


@pytest.mark.parametrize("pix_fmt", LAYOUTS)
def test_what_is_drawn_is_there_and_half_a_mask_is_half_of_it(pix_fmt: str) -> None:
    on, image = planes(pix_fmt, 65, 47)
    box = Box(8, 8, 65, 47)
    y, x = np.mgrid[0:39, 0:57].astype(np.float32)
    drawing = np.stack([90 + x, 80 + y, 170 - x], 2).astype(np.uint8)
    whole, half = image.copy(), image.copy()
    on.draw(whole, Placed(box, drawing, np.full((39, 57), 255, np.uint8)))
    on.draw(half, Placed(box, drawing, np.full((39, 57), 51, np.uint8)))
    assert np.abs(on.see(whole, box).astype(int) - drawing)[4:-4, 4:-4].max() <= 2
    for old, fifth, new in zip(*(samples_of(one, on.layout) for one in (image, half, whole)), strict=True):
        mixed = old + 0.2 * (new.astype(float) - old)
        assert np.abs(fifth - mixed).max() <= 0.7


def both_ways(image: Picture, pix_fmt: str, landmarks: np.ndarray, drawn: Any, **options: Any) -> list[Picture]:
    """RGB of what crop and composite make of a picture, by way of RGB and of planes, and both crops."""
    told = {"layout": Layout(pix_fmt, image.shape[1], image.shape[0]), "colour": SAID}
    on, flat = Canvas(told["layout"], SAID), np.empty(told["layout"].shape, np.uint8)
    frame = av.VideoFrame.from_ndarray(image, format="rgb24")
    take_planes(frame.reformat(format=pix_fmt, dst_colorspace=1, dst_color_range=1), told["layout"], flat)
    row = {"landmarks": landmarks, "face": FACE}
    mode = {"mode": options.get("mode", "best")}
    stream = {"layout": told["layout"].plain(), "colour": SAID}
    results = []
    for pixels, name, picture in (("rgb", "frame", on.see(flat, on.whole)), ("source", "planes", flat)):
        crop = Crop("diff2lip" if mode["mode"] == "paper" else "wav2lip", pixels=pixels, **mode)
        [cut] = run_stage(crop, [{name: picture, **row}], stream=stream)
        side = cut.crop.shape[0]
        mask = np.zeros((side, side), np.uint8)
        mask[side // 2 :, side // 8 : -side // 8] = 255
        mask[side // 2 : side // 2 + 6] //= 2
        composite = Composite(**{"mask": "box", **options}, pixels=pixels)
        [made] = run_stage(composite, [{**cut.fields(), "drawn": drawn(cut.crop), "mask": mask}], stream=stream)
        results += [cut.crop, made.composed if pixels == "rgb" else on.see(made.composed, on.whole)]
    return results


def brighter(crop: Picture) -> Picture:
    return np.clip(crop.astype(int) + np.array([24, 12, -10]), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("options", [{}, {"blend": "poisson"}, {"mask": "lower_face", "mode": "paper"}])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p10le"])
def test_planes_are_composed_as_rgb_is(pix_fmt: str, options: dict[str, Any]) -> None:
    crops_and_frames = both_ways(portrait(), pix_fmt, mesh(), brighter, **options)
    assert np.abs(crops_and_frames[0].astype(int) - crops_and_frames[2]).max() <= 1
    assert psnr(crops_and_frames[1], crops_and_frames[3]) > (48 if pix_fmt == "yuv420p" else 55)


@pytest.mark.parametrize("part", ["left", "right", "bottom"])
def test_a_face_partly_outside_is_drawn_alike(part: str) -> None:
    x = int(mesh()[:, 0].mean())
    height, width = portrait().shape[:2]
    left, top, right, bottom = {"left": (x, 0, width, height), "right": (0, 0, x + 1, height),
                                "bottom": (0, 0, width, int(mesh()[13, 1]))}[part]  # fmt: skip
    image = np.ascontiguousarray(portrait()[top:bottom, left:right])
    crops_and_frames = both_ways(image, "yuv420p", mesh() - np.float32([left, top]), brighter)
    assert np.abs(crops_and_frames[0].astype(int) - crops_and_frames[2]).max() <= 1
    assert psnr(crops_and_frames[1], crops_and_frames[3]) > 45


@pytest.fixture(scope="module")
def hdr(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A frame in PQ of a part of a face."""
    return write_pq(tmp_path_factory.mktemp("hdr") / "in.mp4", [texture(0, 192, 160)])


@pytest.mark.slow
def test_hdr_is_seen_as_decode_maps_it_and_what_is_drawn_comes_back_as_hdr(hdr: Path) -> None:
    from stages.media.region import canvas_of

    [shown], [packet] = run_stage(Decode(str(hdr))), run_stage(Decode(str(hdr), pixels="source"))
    on = canvas_of(Caps(stream=facts(hdr, pixels="source")), "source")
    seen = on.see(packet.planes, on.whole)
    assert np.abs(seen - shown.frame.astype(int)).max() <= 2
    box, mask = Box(40, 30, 141, 121), np.full((91, 101), 255, np.uint8)
    same, drawn = packet.planes.copy(), packet.planes.copy()
    inside = seen[30:121, 40:141]
    on.draw(same, Placed(box, inside, mask))
    error = samples_of(same, on.layout)[0].astype(int) - samples_of(packet.planes, on.layout)[0]
    assert np.abs(error).mean() < 2 and np.percentile(np.abs(error), 99.9) <= 6, "of 1023"
    on.draw(drawn, Placed(box, brighter(inside), mask))
    after = on.see(drawn, on.whole).astype(int)
    assert np.abs(after[34:117, 44:137] - brighter(inside)[4:-4, 4:-4]).mean() < 1
    luma, before = samples_of(drawn, on.layout)[0], samples_of(packet.planes, on.layout)[0]
    assert np.array_equal(luma[:30], before[:30]) and np.array_equal(luma[:, 141:], before[:, 141:])
