"""diffuse with a network: what it is shown, where its picture may be used, and nothing done in silence."""

from __future__ import annotations

import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import models.generator
from graph.stage import Caps, Packet, infer_caps, process_all, run_stage
from stages.composite import Composite
from stages.crop import Crop
from stages.diffuse import Diffuse
from stages.survey import SurveySink

sys.path.append(str(Path(__file__).parents[1] / "models" / "mouth"))
from person import Person, speaking_person

FACE = {"found": True, "score": 0.9, "cut": False, "id": 0}
NONE = {"found": False, "score": 0.0, "cut": False, "id": -1}
NO_POINTS = np.full((468, 2), np.nan, np.float32)


class Painter:
    """Paints crops red, and keeps what it was shown."""

    name = "diff2lip"
    size = 128
    first_row = 64
    waits = False

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.calls: list[tuple[np.ndarray, ...]] = []

    def begin(self, crops: np.ndarray, references: np.ndarray, speech: np.ndarray) -> Callable[[], np.ndarray]:
        self.calls.append((crops.copy(), references.copy(), speech.copy()))
        drawn = np.zeros_like(crops)
        drawn[..., 0] = 255
        return lambda: drawn

    def about(self) -> dict[str, Any]:
        return {"model": self.name}


@pytest.fixture(autouse=True)
def painters(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Painter]:
    """The networks that were loaded."""
    made: list[Painter] = []

    def load(name: str, **options: Any) -> Painter:
        made.append(Painter(**options))
        return made[-1]

    monkeypatch.setattr(models.generator, "load_generator", load)
    monkeypatch.setenv("GRAPHRUN_HOME", str(tmp_path / "home"))
    return made


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Person:
    return speaking_person(tmp_path_factory.mktemp("person"), 12)


@pytest.fixture(scope="module")
def survey(person: Person, tmp_path_factory: pytest.TempPathFactory) -> str:
    """No face in frame 0 and the last."""
    folder = str(tmp_path_factory.mktemp("survey") / "result")
    lost = {"landmarks": NO_POINTS, "face": NONE}
    run_stage(SurveySink(folder, bank_mb=8), [rows(person)[0] | lost, *rows(person)[1:], rows(person)[0] | lost])
    return folder


@pytest.fixture(scope="module")
def video(person: Person, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The frames as a folder of pictures."""
    folder = tmp_path_factory.mktemp("video")
    for index, frame in enumerate([*person.frames, person.frames[0]]):
        cv2.imwrite(str(folder / f"{index:03}.png"), frame[..., ::-1])
    return str(folder)


def rows(person: Person) -> list[dict[str, Any]]:
    return [
        {"frame": frame, "landmarks": points, "face": FACE, "source_index": index}
        for index, (frame, points) in enumerate(zip(person.frames, person.landmarks, strict=True))
    ]


def cropped(there: list[dict[str, Any]], **options: Any) -> list[dict[str, Any]]:
    speech = [np.full((80, 16), index, np.float32) for index in range(len(there))]
    crops = run_stage(Crop("diff2lip", **options), there)
    return [{**packet.fields(), "speech": mel} for packet, mel in zip(crops, speech, strict=True)]


def test_the_network_gets_crop_and_speech_of_each_packet(person: Person, painters: list[Painter]) -> None:
    given, diffuse = cropped(rows(person)), Diffuse("diff2lip")
    drawn = run_stage(diffuse, given)
    assert diffuse.counts == {"drawn": 12}
    for row, packet, (crops, references, speech) in zip(given, drawn, painters[0].calls, strict=True):
        assert np.array_equal(crops[0], row["crop"]) and np.array_equal(references[0], row["crop"])
        assert np.array_equal(speech[0], row["speech"])
        assert (packet.drawn[..., 0] == 255).all() and packet.mask[100, 64] == 255
        assert not packet.mask[:64].any(), "what it does not draw is not used"


def test_a_task_s_packets_are_drawn_in_one_call(person: Person, painters: list[Painter]) -> None:
    given, diffuse = cropped(rows(person)), Diffuse("diff2lip")
    given[2] |= {"face": NONE, "placement": np.full((2, 3), np.nan, np.float32)}
    diffuse.open()
    shapes = {name: np.shape(given[0][name]) for name in diffuse.reads}
    infer_caps(diffuse, Caps(shapes, {"rate": "25"}))
    blank = [{"drawn": np.ones((128, 128, 3), np.uint8), "mask": np.ones((128, 128), np.uint8)} for _ in given]
    packets = [Packet(at, Fraction(at, 25), given[at] | blank[at], diffuse.writes) for at in range(5)]
    process_all(diffuse, packets)
    assert [len(crops) for crops, _, _ in painters[0].calls] == [4]
    assert diffuse.counts == {"drawn": 4, "no_face": 1}
    assert not packets[2].mask.any() and np.array_equal(packets[2].drawn, packets[2].crop)


@pytest.mark.parametrize("waits", [False, True])
def test_what_a_gpu_draws_is_taken_after_the_next_task_was_begun(
    person: Person, painters: list[Painter], monkeypatch: pytest.MonkeyPatch, waits: bool
) -> None:
    monkeypatch.setattr(Painter, "waits", waits)
    given, diffuse = cropped(rows(person)), Diffuse("diff2lip")
    diffuse.open()
    infer_caps(diffuse, Caps({name: np.shape(given[0][name]) for name in diffuse.reads}, {"rate": "25"}))
    blank = [{"drawn": np.zeros((128, 128, 3), np.uint8), "mask": np.zeros((128, 128), np.uint8)} for _ in given]
    packets = [Packet(at, Fraction(at, 25), given[at] | blank[at], diffuse.writes) for at in range(2)]
    tasks = [diffuse.process_batch([packet]) for packet in packets]
    left = [task for task in tasks if next(task, "done") != "done"]
    assert (len(left), len(painters[0].calls)) == (2 * waits, 2)
    assert [packet.mask.any() for packet in packets] == [not waits] * 2
    assert all(next(task, "done") == "done" for task in left)
    assert all((packet.drawn[..., 0] == 255).all() for packet in packets)


@pytest.mark.parametrize("mask", ["lower_face", "box"])
def test_only_pixels_inside_the_mask_change(person: Person, mask: Any) -> None:
    drawn = run_stage(Diffuse("diff2lip"), cropped(rows(person)[:3]))
    for packet in run_stage(Composite(mask), [one.fields() for one in drawn], stream={"shaped": False}):
        inside = cv2.warpAffine(packet.mask, packet.placement, packet.frame.shape[1::-1], flags=cv2.WARP_INVERSE_MAP)
        inside = cv2.dilate(inside, np.ones((3, 3), np.uint8))  # its edge falls between pixels
        changed = (packet.composed != packet.frame).any(2)
        assert changed.any() and not (changed & (inside == 0)).any()
        assert not changed[: int(packet.landmarks[[33, 263], 1].max())].any(), "nothing above the eyes"


@pytest.mark.parametrize(("reference", "index"), [("first", 1), (4, 4)])
@pytest.mark.parametrize("mode", ["best", "paper"])
def test_the_reference_is_the_frame_asked_for(
    person: Person, survey: str, video: str, painters: list[Painter], reference: Any, index: int, mode: Any
) -> None:
    given = cropped(rows(person), mode=mode)
    run_stage(Diffuse("diff2lip", survey=survey, reference=reference, mode=mode), given[6:8], stream={"video": video})
    for _, references, _ in painters[0].calls:
        assert np.abs(references[0].astype(int) - given[index]["crop"]).mean() < 2
        assert np.abs(references[0].astype(int) - given[7]["crop"]).mean() > 0


@pytest.mark.parametrize(("reference", "message"), [(12, "frame 12 of the video shows no"), (99, "frames 0 to 12")])
def test_a_reference_that_is_not_there_is_named(
    person: Person, survey: str, video: str, reference: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        run_stage(
            Diffuse("diff2lip", survey=survey, reference=reference), cropped(rows(person)[:1]), stream={"video": video}
        )


def test_options_reach_the_network(person: Person, painters: list[Painter]) -> None:
    options: dict[str, Any] = {"device": "cpu", "dtype": "bf16", "provider": "auto", "threads": 1, "compile": False}
    options |= {"steps": 8, "solver": "dpm++", "seed": 3, "reuse": 2, "warm_start": 0.2}
    run_stage(Diffuse("diff2lip", weights="w.pt", frames=4, **options), cropped(rows(person)[:1]))
    run_stage(Diffuse("diff2lip", mode="paper"), cropped(rows(person)[:1]))
    assert painters[0].options == {"path": "w.pt", "batch": 4, **options}
    assert painters[1].options == {"rounding": "down", "threads": Diffuse.cores}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "wav2lip", "steps": 8}, "steps is for diff2lip; wav2lip draws in one pass"),
        ({"model": "wav2lip_gan", "warm_start": 0.2}, "warm_start is for diff2lip"),
        ({"model": "wav2lip", "mode": "paper"}, "wav2lip has only best"),
        ({"model": "rewrite", "survey": "s", "target": "t", "compile": True}, "compile is for the networks"),
        ({"model": "warp", "survey": "s", "target": "t", "device": "cpu"}, "device is for the networks"),
        ({"model": "warp", "survey": "s", "target": "t", "weights": "w"}, "weights is for the networks"),
        ({"model": "auto", "survey": "s", "target": "t", "reference": 3}, "reference is for the networks"),
        ({"model": "diff2lip", "reference": "first"}, "reference first needs survey"),
    ],
)
def test_an_option_without_effect_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Diffuse(**options)


def test_mask_and_blend_are_refused_where_they_have_no_effect() -> None:
    with pytest.raises(ValueError, match="mask and blend have no effect"):
        Composite(mask="mouth", mode="paper")


def test_the_licence_is_told_once(person: Person) -> None:
    told = []
    for _ in range(2):
        diffuse = Diffuse("diff2lip")
        run_stage(diffuse, cropped(rows(person)[:1]))
        told.append(diffuse.notes)
    assert len(told[0]) == 1 and "CC BY-NC 4.0" in told[0][0] and "Non-commercial" in told[0][0]
    assert told[1] == []


def test_what_needs_a_batch_says_so_without_one(person: Person) -> None:
    for options, notes in (({"warm_start": 0.4}, 1), ({"steps": 8}, 0)):
        diffuse = Diffuse("diff2lip", **options)
        run_stage(diffuse, cropped(rows(person)[:2]))
        assert sum("needs a batch" in note for note in diffuse.notes) == notes


def test_the_report_says_what_ran(person: Person) -> None:
    diffuse = Diffuse("diff2lip", mode="paper")
    run_stage(diffuse, cropped(rows(person)[:1]))
    assert diffuse.about() == {"model": "diff2lip", "reference": "same", "mode": "paper"}


def test_faces_under_32_pixels_pass_through_and_are_counted(person: Person) -> None:
    row = rows(person)[0]
    width = float(np.ptp(row["landmarks"][:, 0]))
    for side, counts in ((28, {"small_face": 1}), (40, {"drawn": 1})):
        small = (row["landmarks"] * (side / width)).astype(np.float32)
        diffuse = Diffuse("diff2lip")
        packet = run_stage(diffuse, cropped([{**row, "landmarks": small}]))[0]
        assert diffuse.counts == counts
        assert packet.mask.any() == (counts == {"drawn": 1})


def test_what_a_network_raises_is_raised(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise ValueError("drew something that is not a number")

    monkeypatch.setattr(Painter, "begin", broken)
    diffuse = Diffuse("diff2lip")
    with pytest.raises(ValueError, match="not a number"):
        run_stage(diffuse, cropped(rows(person)[:1]))
    assert not diffuse.counts["drawn"]


def test_paper_mode_smooths_the_box_and_overwrites_it_whole(person: Person) -> None:
    given = cropped(rows(person), mode="paper")
    drawn = [one.fields() for one in run_stage(Diffuse("diff2lip", mode="paper"), given)]
    for packet in run_stage(Composite(mode="paper"), drawn):
        ys, xs = np.nonzero((packet.composed == [255, 0, 0]).all(2))
        left, top, right, bottom = xs.min(), ys.min(), xs.max() + 1, ys.max() + 1
        assert len(ys) == (right - left) * (bottom - top), "all of the box"
        assert np.array_equal(packet.crop, cv2.resize(packet.frame[top:bottom, left:right], (128, 128)))
        untouched = packet.composed.copy()
        untouched[top:bottom, left:right] = packet.frame[top:bottom, left:right]
        assert np.array_equal(untouched, packet.frame)
    ahead = np.mean([row["landmarks"].min(0).astype(int) for row in rows(person)[2:7]], axis=0).astype(int)
    assert -given[2]["placement"][:, 2] / given[2]["placement"][[0, 1], [0, 1]] == pytest.approx(ahead, abs=0.6)
