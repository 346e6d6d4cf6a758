"""What passes before a mouth is left as it is, and is not taken for the person's mouth."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from person import Person, path_of, survey_of

from models.mouth.bank import Bank
from models.mouth.cover import Look
from models.mouth.cut import cut_out, lower_face
from models.mouth.drawers import open_drawer
from models.mouth.geometry import apply, face_height
from models.mouth.path import MouthPath
from models.mouth.survey import Survey

SIZE = 320
DARK = (25, 25, 28)


def crop_of(frame: np.ndarray, landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A crop, its placement, and the landmarks in it."""
    placement = lower_face(landmarks, SIZE)
    crop = np.zeros((SIZE, SIZE, 3), np.uint8)
    cut_out(frame, placement, crop)
    return crop, placement, apply(placement, landmarks)


def held(frame: np.ndarray, landmarks: np.ndarray, colour: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The frame with a bar from the left to the middle of the mouth, as a finger or a microphone; and where it is."""
    x, y = landmarks[13].astype(int)
    reach = int(0.07 * face_height(landmarks))
    bar = np.zeros(frame.shape[:2], bool)
    bar[y - reach : y + reach, :x] = True
    changed = frame.copy()
    changed[bar] = colour
    return changed, bar


def wanted() -> MouthPath:
    t = np.arange(60)
    return path_of(np.stack([0.5 - 0.5 * np.cos(t / 3), 0.5 + 0 * t, 0.5 + 0 * t, 0.5 + 0 * t], 1))


def test_the_person_as_known_is_not_covered(person: Person) -> None:
    look = Look(Bank(person.folder))
    assert not look.covered.any()
    for frame, landmarks in zip(person.frames[::5], person.landmarks[::5], strict=True):
        crop, _, target = crop_of(np.clip(frame * 0.9 + 12, 0, 255).astype(np.uint8), landmarks)  # in other light
        assert look.cover(crop, target) is None


@pytest.mark.parametrize("colour", [DARK, (60, 110, 60)])
def test_a_bar_before_the_mouth_is_left_alone(person: Person, colour: tuple[int, int, int]) -> None:
    with Survey(person.folder) as survey:
        drawer = open_drawer("rewrite", survey, wanted(), Fraction(25))
        for index in (3, 12, 20, 33):
            frame, bar = held(person.frames[index], person.landmarks[index], colour)
            crop, placement, target = crop_of(frame, person.landmarks[index])
            inside = np.zeros((SIZE, SIZE, 3), np.uint8)
            cut_out(np.repeat(bar[..., None] * np.uint8(255), 3, 2), placement, inside)
            drawn = drawer.draw(index, index / 25, crop, placement, person.landmarks[index])
            assert drawn.covered
            x, y = target[[61, 13]].mean(0).astype(int)  # between a corner and the middle of the lips
            assert inside[y, x].all()
            assert np.abs(drawn.picture[y - 3 : y + 4, x - 3 : x + 4].astype(int) - colour).max() <= 4
            x, y = target[[291, 13]].mean(0).astype(int)
            assert (drawn.mask[y - 3 : y + 4, x - 3 : x + 4] > 0).any()  # the other half is drawn


def test_a_mouth_that_is_hidden_passes_through(person: Person) -> None:
    with Survey(person.folder) as survey:
        drawer = open_drawer("rewrite", survey, wanted(), Fraction(25))
        crop, placement, target = crop_of(person.frames[5], person.landmarks[5])
        low, high = target[[61, 0, 17, 291]].min(0).astype(int) - 20, target[[61, 0, 17, 291]].max(0).astype(int) + 20
        crop[low[1] : high[1], low[0] : high[0]] = DARK
        drawn = drawer.draw(5, 0.2, crop, placement, person.landmarks[5])
    assert drawn.covered and np.array_equal(drawn.picture, crop) and not drawn.mask.any()


def test_mouths_that_were_covered_are_not_taken(person: Person, tmp_path: Path) -> None:
    frames = [
        held(frame, landmarks, DARK)[0] if index in range(20, 28) else frame
        for index, (frame, landmarks) in enumerate(zip(person.frames, person.landmarks, strict=True))
    ]
    folder = survey_of(frames, person.landmarks, tmp_path)
    bank = Bank(folder)
    barred = set(bank.frame[Look(bank).covered].tolist())
    assert barred == set(range(20, 28)) & set(bank.frame.tolist())
    with Survey(folder) as survey:
        drawer = open_drawer("rewrite", survey, wanted(), Fraction(25))
        for index in range(0, 60, 6):
            crop, placement, _ = crop_of(person.frames[0], person.landmarks[0])
            drawn = drawer.draw(index, index / 25, crop, placement, person.landmarks[0])
            dark = (drawn.picture.max(2) < 45).sum() - (crop.max(2) < 45).sum()
            assert dark < 0.01 * SIZE * SIZE
