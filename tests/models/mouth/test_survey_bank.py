"""The survey is read as it was written; the bank keeps to its bound and spreads over what there is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from person import Person, mesh, portrait

from models.mouth.bank import Bank, Gathering
from models.mouth.geometry import face_height, measure
from models.mouth.sharpness import sharpness
from models.mouth.survey import Survey, SurveyWriter


def written(folder: Path, landmarks: list[np.ndarray | None], cuts: tuple[int, ...] = (), lips: bool = False) -> Path:
    writer = SurveyWriter(folder)
    for index, points in enumerate(landmarks):
        found = points is not None
        shown = points if found else np.zeros((468, 2))
        writer.add(index / 25, shown, found=found, cut=index in cuts, track=0, presence=0.9)
    writer.finish({"rate": "25", "lips": lips})
    return folder


def test_frames_come_back_smoothed_and_gaps_stay_gaps(tmp_path: Path) -> None:
    noise = np.random.default_rng(3)
    noisy = [mesh() + noise.normal(0, 1, (468, 2)) for _ in range(30)]
    with Survey(written(tmp_path, [*noisy, None, mesh()])) as survey:
        middle = np.stack([survey.landmarks(i)[0] for i in range(3, 27)])
        assert (middle - mesh()).std() < 0.65  # a seven-point quadratic leaves 0.58 of white noise
        gap, face = survey.landmarks(30)
        assert np.isnan(gap).all() and face == {"found": False, "score": pytest.approx(0.9), "cut": False, "id": 0}
        assert survey.landmarks(31)[0] == pytest.approx(mesh(), abs=1e-3)
        assert survey.table()["measures"].shape == (32, 4)


def test_lips_that_were_looked_at_closer_stay_as_they_were_seen(tmp_path: Path) -> None:
    quick = [mesh() for _ in range(11)]
    quick[5] = mesh() + np.float32([0, 6])  # what no smoothing lets through
    with Survey(written(tmp_path, quick, lips=True)) as survey:
        moved = (survey.landmarks(5)[0] - mesh())[:, 1]
    assert moved[[13, 14, 61, 291, 0, 17]] == pytest.approx(6, abs=1e-3)
    assert moved[[1, 33, 152, 10]] == pytest.approx(6 / 3, abs=1e-3)


def test_a_quadratic_motion_is_not_dragged(tmp_path: Path) -> None:
    moving = [mesh() + np.float32(0.2 * t * t) for t in range(20)]
    with Survey(written(tmp_path, moving)) as survey:
        for index in range(3, 17):
            assert survey.landmarks(index)[0] == pytest.approx(moving[index], abs=0.01)


def test_nothing_leaks_over_a_cut(tmp_path: Path) -> None:
    with Survey(written(tmp_path, [mesh()] * 10 + [mesh() + 100] * 10, cuts=(0, 10))) as survey:
        for index in range(20):
            assert survey.landmarks(index)[0] == pytest.approx(mesh() + (100 if index >= 10 else 0), abs=1e-2)


def test_a_survey_that_was_not_finished_is_refused(tmp_path: Path) -> None:
    writer = SurveyWriter(tmp_path / "half")
    writer.add(0, mesh(), found=True, cut=True, track=0, presence=1)
    writer.close()
    with pytest.raises(ValueError, match="no finished survey"):
        Survey(tmp_path / "half")
    written(tmp_path / "whole", [mesh()] * 3)
    with (tmp_path / "whole" / "frames.bin").open("ab") as file:
        file.write(b"x")
    with pytest.raises(ValueError, match="does not hold the 3 frames"):
        Survey(tmp_path / "whole")


def test_frames_beyond_the_end_are_named(tmp_path: Path) -> None:
    with Survey(written(tmp_path, [mesh()] * 3)) as survey, pytest.raises(ValueError, match="3 frames, but frame 3"):
        survey.landmarks(3)


def test_the_bank_keeps_to_its_bound_and_to_the_range(person: Person, tmp_path: Path) -> None:
    all_of_it = Gathering(10**9)
    bounded = Gathering(1_000_000)
    for index, (frame, points) in enumerate(zip(person.frames, person.landmarks, strict=True)):
        assert all_of_it.offer(frame, points, index, index / 25, 1)
        bounded.offer(frame, points, index, index / 25, 1)
        assert bounded.bytes <= 1_000_000
    assert len(all_of_it.mouths) == 60
    assert 4 < len(bounded.mouths) < 40
    bounded.save(tmp_path)
    bank = Bank(tmp_path)
    kept, there = bank.measures()[:, 0], measure(person.landmarks)[:, 0]
    assert kept.min() == pytest.approx(there.min(), abs=0.01) and kept.max() == pytest.approx(there.max(), abs=0.01)
    for row in range(len(bank)):
        left, top = (-bank.placement[row][:, 2]).astype(int)
        crop = bank.crop(row)
        frame = person.frames[int(bank.frame[row])]
        assert np.array_equal(crop, frame[top : top + crop.shape[0], left : left + crop.shape[1]])


def test_of_two_mouths_alike_the_sharper_one_stays(person: Person) -> None:
    import cv2

    gathering = Gathering(1_000_000)
    for index, (frame, points) in enumerate(zip(person.frames, person.landmarks, strict=True)):
        soft = np.asarray(cv2.GaussianBlur(frame, (0, 0), 2), np.uint8)
        for off, one in enumerate((soft, frame) if index % 2 else (frame, soft)):
            gathering.offer(one, points, 2 * index + off, index / 25, 1)
    softs = {index for index in range(2 * len(person.frames)) if (index % 4) in (1, 2)}
    assert len(gathering.mouths) > 4
    assert sum(mouth.frame in softs for mouth in gathering.mouths) < len(gathering.mouths) / 4  # by chance a half


def test_sharpness_tells_blur_and_little_else(person: Person) -> None:
    import cv2

    frame, points = person.frames[10], person.landmarks[10]
    own = sharpness(frame, onto(0), points)
    turned = np.asarray(cv2.warpAffine(frame, onto(12, points[2]), frame.shape[1::-1]), np.uint8)
    assert sharpness(turned, onto(12, points[2]), points) == pytest.approx(own, rel=0.06)
    assert sharpness(np.clip(frame * 0.6, 0, 255).astype(np.uint8), onto(0), points) == pytest.approx(own, rel=0.06)
    twice = np.asarray(cv2.resize(frame, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC), np.uint8)
    assert sharpness(twice, onto(0), points * 2 + 0.5) == pytest.approx(own, rel=0.06)
    blurred = np.asarray(cv2.GaussianBlur(frame, (0, 0), 0.005 * float(face_height(points))), np.uint8)
    assert sharpness(blurred, onto(0), points) < 0.93 * own


def onto(angle: float, middle: Any = (0, 0)) -> Any:
    import cv2

    return np.asarray(cv2.getRotationMatrix2D([float(n) for n in middle], angle, 1.0), np.float32)


def test_large_faces_are_scaled_and_doubtful_ones_left_out() -> None:
    gathering = Gathering(10**7, size=96)
    assert not gathering.offer(portrait(), mesh(), 0, 0.0, presence=0.2)
    assert not gathering.offer(portrait(), mesh() + 5000, 0, 0.0, presence=1.0)
    assert gathering.offer(portrait(), mesh(), 0, 0.0, presence=1.0)
    assert max(gathering.mouths[0].crop.shape) == 96


def test_a_bank_whose_pixels_are_gone_is_refused(person: Person, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no bank of mouths"):
        Bank(tmp_path)
    (tmp_path / "bank.npz").write_bytes((person.folder / "bank.npz").read_bytes())
    with pytest.raises(ValueError, match=r"crops\.bin does not fit"):
        Bank(tmp_path)
