"""survey, landmarks, crop, diffuse, composite: what the stages promise, each by run_stage."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graph.stage import Packet, run_stage
from models.faces.lips import POINTS
from models.mouth.bank import Bank
from models.mouth.path import MouthPath
from stages.composite import Composite
from stages.crop import Crop
from stages.diffuse import Diffuse
from stages.landmarks import Landmarks
from stages.survey import SurveySink

sys.path.append(str(Path(__file__).parents[1] / "models" / "mouth"))
from person import Person, speaking_person

FACE = {"found": True, "score": 0.9, "cut": False, "id": 0}
NONE = {"found": False, "score": 0.0, "cut": False, "id": -1}
NO_POINTS = np.full((468, 2), np.nan, np.float32)


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Person:
    return speaking_person(tmp_path_factory.mktemp("person"), 30)


@pytest.fixture(scope="module")
def survey(person: Person, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = str(tmp_path_factory.mktemp("survey") / "result")
    run_stage(SurveySink(folder, bank_mb=8), [*rows(person), {**rows(person)[0], "landmarks": NO_POINTS, "face": NONE}])
    return folder


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("target") / "mouth.csv"
    t = np.arange(200) / 100
    values = np.stack([0.5 - 0.5 * np.cos(9 * t), 0.5 + 0 * t, 0.3 + 0 * t, 0.5 + 0 * t], 1).astype(np.float32)
    MouthPath(t, values, t < 0, t < 0).write(path)
    return str(path)


def rows(person: Person) -> list[dict[str, Any]]:
    return [
        {"frame": frame, "landmarks": points, "face": {**FACE, "cut": index == 0}, "source_index": index}
        for index, (frame, points) in enumerate(zip(person.frames, person.landmarks, strict=True))
    ]


def fields(packets: list[Packet]) -> list[dict[str, Any]]:
    return [packet.fields() for packet in packets]


def whole(person: Person, survey: str, target: str, composite: Composite, **options: Any) -> list[Packet]:
    cropped = run_stage(Crop("auto", survey=survey), rows(person))
    diffuse = Diffuse(survey=survey, target=target, **options)
    return run_stage(composite, fields(run_stage(diffuse, fields(cropped))), stream={"shaped": True})


def test_a_survey_holds_every_frame_and_a_bank(survey: str, person: Person) -> None:
    read = run_stage(Landmarks(survey), [{"source_index": index} for index in (0, 12, 30, 12)])
    assert [packet.face["found"] for packet in read] == [True, True, False, True]
    assert read[0].face["cut"] and not read[1].face["cut"]
    others = np.setdiff1d(np.arange(468), POINTS)
    assert read[1].landmarks[others] == pytest.approx(person.landmarks[12][others], abs=1)
    assert 0 < np.abs(read[1].landmarks - person.landmarks[12])[list(POINTS)].max() < 10
    assert np.array_equal(read[1].landmarks, read[3].landmarks)
    assert np.isnan(read[2].landmarks).all()
    assert len(Bank(survey)) == 30


def test_a_survey_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match="no finished survey"):
        run_stage(Landmarks("nowhere"), [{"source_index": 0}])


def test_crops_are_the_frames_own_pixels(person: Person, survey: str) -> None:
    for packet in run_stage(Crop("rewrite", survey=survey), rows(person)):
        left, top = (-packet.placement[:, 2]).astype(int)
        side = packet.crop.shape[0]
        y0, x0, y1, x1 = max(0, top), max(0, left), min(512, top + side), min(512, left + side)
        assert np.array_equal(packet.crop[y0 - top : y1 - top, x0 - left : x1 - left], packet.frame[y0:y1, x0:x1])
        chin = packet.landmarks[152] + packet.placement[:, 2]
        assert (chin > 0).all() and (chin < side).all()


@pytest.mark.parametrize(("model", "side"), [("wav2lip", 96), ("diff2lip", 128)])
def test_networks_get_the_box_of_the_face(person: Person, model: Any, side: int) -> None:
    packet = run_stage(Crop(model), rows(person)[:1])[0]
    assert packet.crop.shape == (side, side, 3)
    inside = packet.landmarks @ packet.placement[:, :2].T + packet.placement[:, 2]
    assert inside.min(0) == pytest.approx([0, 0], abs=0.6)
    assert inside.max(0) == pytest.approx([side - 1] * 2, abs=0.6)


def test_without_a_face_nothing_changes_and_it_is_counted(person: Person, survey: str, target: str) -> None:
    lost = {**rows(person)[0], "landmarks": NO_POINTS, "face": NONE}
    crop, diffuse = Crop("auto", survey=survey), Diffuse(survey=survey, target=target)
    cropped = run_stage(crop, [lost])
    assert not cropped[0].crop.any() and np.isnan(cropped[0].placement).all()
    drawn = run_stage(diffuse, fields(cropped))
    assert not drawn[0].mask.any()
    composed = run_stage(Composite(), fields(drawn))
    assert np.array_equal(composed[0].composed, lost["frame"])
    assert crop.counts["no_face"] == diffuse.counts["no_face"] == 1


def test_a_profile_passes_through(person: Person, survey: str, target: str) -> None:
    row = rows(person)[0]
    middle = row["landmarks"].mean(0)
    turned = row["landmarks"].copy()
    turned[[1, 4, 5]] += (0.9 * (turned[454] - middle))[None]  # the nose beyond the cheek
    diffuse = Diffuse(survey=survey, target=target, profile=30)
    drawn = run_stage(diffuse, fields(run_stage(Crop("auto", survey=survey), [{**row, "landmarks": turned}])))
    assert not drawn[0].mask.any() and diffuse.counts["passed_through"] == 1


def test_what_passes_before_the_mouth_is_counted(person: Person, survey: str, target: str) -> None:
    row = rows(person)[9]
    frame, (x, y) = row["frame"].copy(), row["landmarks"][13].astype(int)
    frame[y - 14 : y + 14, :x] = 25
    diffuse = Diffuse("rewrite", survey=survey, target=target)
    cropped = run_stage(Crop("auto", survey=survey), [row, {**row, "frame": frame}])
    drawn = fields(run_stage(diffuse, fields(cropped)))
    assert diffuse.counts == {"drawn": 1, "covered": 1}
    composed = run_stage(Composite(), drawn, stream={"shaped": True})
    assert np.array_equal(composed[1].composed[y - 5 : y + 5, x - 20 : x - 8], frame[y - 5 : y + 5, x - 20 : x - 8])


def test_auto_says_what_it_takes_and_why(person: Person, survey: str, target: str) -> None:
    cropped = fields(run_stage(Crop("auto", survey=survey), rows(person)[:2]))
    diffuse = Diffuse(survey=survey, target=target)
    run_stage(diffuse, cropped)
    assert diffuse.notes[0].startswith("draws with rewrite: the bank's 30 mouths")
    assert diffuse.about()["model"] == "rewrite"


@pytest.mark.parametrize("model", ["rewrite", "warp"])
@pytest.mark.parametrize("mask", ["mouth", "lower_face", "box"])
def test_all_but_the_lower_face_is_bit_for_bit(person: Person, survey: str, target: str, model: Any, mask: Any) -> None:
    changed = []
    for packet in whole(person, survey, target, Composite(mask=mask), model=model)[3:9]:
        differs = (packet.composed != packet.frame).any(2)
        changed.append(differs.mean())
        lips = packet.landmarks[[61, 291, 0, 17]].mean(0).astype(int)
        nose = int(packet.landmarks[1, 1])
        assert not differs[: nose - 2].any()
        ys, xs = np.nonzero(differs)
        assert np.abs(xs - lips[0]).max() < 130 and ys.max() < lips[1] + 160
    assert max(changed) > 0.005


def test_a_mask_of_the_mouth_changes_less(person: Person, survey: str, target: str) -> None:
    counts = []
    for mask in ("mouth", "lower_face"):
        packets = whole(person, survey, target, Composite(mask=mask), model="rewrite")
        counts.append(sum(int((packet.composed != packet.frame).any(2).sum()) for packet in packets))
    assert 0 < counts[0] < counts[1]


@pytest.mark.parametrize("blend", ["feather", "poisson"])
def test_a_scaled_crop_comes_back_in_its_place(person: Person, blend: Any) -> None:
    row = run_stage(Crop("wav2lip"), rows(person)[:1])[0].fields()
    bright = np.clip(row["crop"].astype(int) + 30, 0, 255).astype(np.uint8)
    mask = np.zeros((96, 96), np.uint8)
    mask[50:90, 20:76] = 255
    packet = run_stage(Composite("box", blend), [{**row, "drawn": bright, "mask": mask}])[0]
    lips = packet.landmarks[[13, 14]].mean(0).astype(int)
    rise = packet.composed[lips[1] - 8 : lips[1] + 8, lips[0] - 8 : lips[0] + 8].astype(float).mean()
    rise -= packet.frame[lips[1] - 8 : lips[1] + 8, lips[0] - 8 : lips[0] + 8].mean()
    assert rise == pytest.approx(30 if blend == "feather" else 0, abs=6)
    eyes = int(packet.landmarks[33, 1])
    assert np.array_equal(packet.composed[:eyes], packet.frame[:eyes])


def test_a_source_played_back_gets_its_own_frames(person: Person, survey: str, target: str) -> None:
    there = rows(person)
    bounced = there + there[-2::-1]
    cropped = run_stage(Crop("auto", survey=survey), bounced)
    drawn = run_stage(Diffuse(survey=survey, target=target), fields(cropped))
    assert len(drawn) == 59 and all(packet.mask.any() for packet in drawn)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Crop("rewrite"), "needs either survey"),
        (lambda: Crop("wav2lip", size=128), "takes crops of 96 pixels, not of 128"),
        (lambda: Crop("auto", size=7), "between 32 and 1024"),
        (lambda: SurveySink("x", bank_mb=0), "bank_mb has to lie between"),
        (lambda: Diffuse("rewrite"), "needs survey"),
        (lambda: Diffuse("warp", survey="x"), "needs target"),
        (lambda: Diffuse("auto", survey="x", target="y", style=3.0), "style has to lie between 0.5 and 1.5"),
        (lambda: Diffuse("rewrite", survey="x", target="y", steps=25), "steps is for the networks"),
        (lambda: Diffuse("wav2lip", style=1.2), "follows the speech"),
    ],
)
def test_wrong_parameters_are_named(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_a_missing_target_is_named(survey: str) -> None:
    diffuse = Diffuse(survey=survey, target="nowhere.csv")
    with pytest.raises(ValueError, match=r"no such mouth path: nowhere\.csv"):
        diffuse.open()
    diffuse.close()
