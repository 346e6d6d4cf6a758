"""The map learned from a video's own sound: what it learns, when it is believed, and when not."""

from __future__ import annotations

import numpy as np
import pytest

from models.mouth.articulation import articulate
from models.mouth.learn import Learned, learn
from models.mouth.phones import CLASSES, CLOSURES, Phone
from models.mouth.speech import Speech
from models.mouth.voice import BANDS, FEATURES, FLOOR, VOICING

RATE = 25


def talk(seconds: float, seed: int) -> Speech:
    """Random phones with a voice whose bands tell them apart, and a pause every few seconds."""
    random = np.random.default_rng(seed)
    labels = [phone for name, phones in CLASSES.items() if name != "rest" for phone in phones]
    colours = np.random.default_rng(99).normal(0, 8, (len(labels), BANDS))
    phones: list[Phone] = []
    voice = np.full((round(seconds * 100), FEATURES), FLOOR, np.float32)
    voice[:, VOICING] = 0
    place = 0
    while place < len(voice):
        pause = not phones or random.random() < 0.04
        length = 50 if pause else int(random.integers(5, 18))
        which = int(random.integers(len(labels)))
        end = min(place + length, len(voice))
        phones.append(Phone("SIL" if pause else labels[which], place, end))
        if not pause:
            voice[place:end, :BANDS] = -35 + colours[which] + random.normal(0, 2, (end - place, BANDS))
            voice[place:end, VOICING] = 0.8
            if labels[which] in CLOSURES:
                voice[place:end, 4:BANDS] -= 25
        place = end
    return Speech(phones, voice)


def person(speech: Speech, *, own_way: float, late: float = 0.0, noise: float = 0.03) -> tuple[np.ndarray, np.ndarray]:
    """Times and measures of someone who moves by the general map, or by a way of their own, or by a mix."""
    times = np.arange(int(speech.duration * RATE)) / RATE
    frames = np.clip(np.round((times + late) * 100).astype(int), 0, len(speech) - 1)
    general = articulate(speech)[frames]
    habits = np.random.default_rng(5).uniform(0, 1, (60, 4))
    wilful = np.zeros((len(speech), 4))
    for phone in speech.phones:
        wilful[phone.start : phone.end] = habits[sum(map(ord, phone.label)) % 60] * (phone.label != "SIL")
    kernel = np.hanning(15) / np.hanning(15).sum()
    wilful = np.stack([np.convolve(column, kernel, "same") for column in wilful.T], axis=1)
    wilful = wilful[np.clip(frames + 10, 0, len(speech) - 1)]
    units = (1 - own_way) * general + own_way * wilful
    units = units + np.random.default_rng(6).normal(0, noise, units.shape)
    low, span = np.array([0.01, 0.2, 0.1, 0.4]), np.array([0.1, 0.08, 0.05, 0.06])
    return times, (low + units * span).astype(np.float32)


def likeness(learned: Learned | None, speech: Speech, measures: np.ndarray, times: np.ndarray) -> np.ndarray:
    shapes = learned(speech) if learned else articulate(speech)
    there = shapes[np.clip(np.round(times * 100).astype(int), 0, len(speech) - 1)]
    return np.array([np.corrcoef(there[:, column], measures[:, column])[0, 1] for column in range(4)])


def test_a_persons_own_way_is_learned_and_beats_the_general_map_on_new_speech() -> None:
    first, second = talk(40, 1), talk(20, 2)
    learned, why = learn(first, *person(first, own_way=1.0))
    assert learned is not None and "learned from" in why
    times, measures = person(second, own_way=1.0)
    own, general = likeness(learned, second, measures, times), likeness(None, second, measures, times)
    assert own.min() > 0.6 and (own > general + 0.2).all()
    for name, mix in learned.by_name().items():
        assert mix.mixed > mix.general and mix.learned > mix.general, name


def test_the_longer_it_has_listened_the_more_the_learned_map_counts() -> None:
    shares = []
    for seconds in (8, 20, 60):
        heard = talk(seconds, 1)
        learned, _ = learn(heard, *person(heard, own_way=0.5))
        assert learned is not None
        shares.append(learned.share)
    assert 0.3 < shares[0] < 0.6 < shares[1] < 0.8 < shares[2] < 1


def test_what_it_says_of_itself_holds_on_new_speech() -> None:
    first, second = talk(30, 3), talk(30, 4)
    learned, _ = learn(first, *person(first, own_way=0.7, noise=0.2))
    assert learned is not None
    times, measures = person(second, own_way=0.7, noise=0.2)
    claimed = np.array([mix.mixed for mix in learned.mixes])
    assert np.abs(likeness(learned, second, measures, times) - claimed).max() < 0.2


def test_little_speech_of_a_common_mouth_leans_on_the_general_map() -> None:
    first, second = talk(7, 7), talk(20, 8)
    learned, _ = learn(first, *person(first, own_way=0.0, noise=0.15))
    times, measures = person(second, own_way=0.0, noise=0.15)
    assert (likeness(learned, second, measures, times) > likeness(None, second, measures, times) - 0.1).all()


def test_the_paths_fill_the_persons_range() -> None:
    first = talk(40, 9)
    learned, _ = learn(first, *person(first, own_way=1.0))
    assert learned is not None
    shapes = learned(first)
    assert np.isfinite(shapes).all() and shapes.dtype == np.float32
    assert (shapes.std(axis=0) > 0.15).all() and (np.abs(shapes.mean(axis=0) - 0.45) < 0.25).all()


def test_a_sound_that_does_not_belong_to_the_picture_teaches_nothing() -> None:
    heard, other = talk(20, 10), talk(20, 11)
    learned, why = learn(heard, *person(other, own_way=1.0))
    assert learned is None
    assert "the general map" in why and "does not tell its picture" in why


@pytest.mark.parametrize(("seconds", "found"), [(3, 1.0), (20, 0.1), (20, 0.0)])
def test_too_little_speech_with_a_face_teaches_nothing(seconds: float, found: float) -> None:
    heard = talk(seconds, 12)
    times, measures = person(heard, own_way=1.0)
    measures[int(found * len(measures)) :] = np.nan
    learned, why = learn(heard, times, measures)
    assert learned is None and why.startswith("the general map, since")


def test_a_survey_without_frames_teaches_nothing() -> None:
    learned, why = learn(talk(5, 1), np.zeros(0), np.zeros((0, 4), np.float32))
    assert learned is None and "do not meet" in why


def test_frames_without_a_face_are_left_out() -> None:
    first, second = talk(40, 1), talk(20, 2)
    times, measures = person(first, own_way=1.0)
    measures[np.random.default_rng(1).random(len(measures)) < 0.3] = np.nan
    learned, _ = learn(first, times, measures)
    assert learned is not None
    times, measures = person(second, own_way=1.0)
    assert likeness(learned, second, measures, times).min() > 0.6


def test_a_file_whose_sound_lies_off_its_picture_gives_a_map_in_time() -> None:
    first, second = talk(40, 13), talk(20, 14)
    for late in (0.14, -0.14):
        learned, why = learn(first, *person(first, own_way=0.2, late=late))
        assert learned is not None and learned.offset == pytest.approx(100 * late, abs=8) and "undone" in why
        times, measures = person(second, own_way=0.2)
        assert likeness(learned, second, measures, times)[0] > 0.7


@pytest.mark.parametrize("late", [0.05, -0.05])
def test_a_mouth_that_leads_less_or_more_than_others_keeps_its_way(late: float) -> None:
    first, second = talk(40, 18), talk(20, 19)
    learned, _ = learn(first, *person(first, own_way=0.0, late=late))
    assert learned is not None and learned.offset == 0 and learned.lead == pytest.approx(100 * late, abs=2)
    times, measures = person(second, own_way=0.0, late=late)
    assert likeness(learned, second, measures, times)[0] > likeness(None, second, measures, times)[0]


def test_lead_moves_the_learned_map_too() -> None:
    first = talk(30, 15)
    learned, _ = learn(first, *person(first, own_way=1.0))
    assert learned is not None
    usual, later = learned(first, 0.1)[:, 0], learned(first, 0.0)[:, 0]
    lags = [np.corrcoef(usual[50:-50], np.roll(later, lag)[50:-50])[0, 1] for lag in range(-20, 21)]
    assert int(np.argmax(lags)) - 20 == pytest.approx(-10, abs=2)


def test_long_recordings_are_mapped_in_pieces_without_seams() -> None:
    first, long = talk(20, 16), talk(130, 17)
    learned, _ = learn(first, *person(first, own_way=1.0))
    assert learned is not None
    shapes = learned(long)
    steps = np.abs(np.diff(shapes, axis=0)).max(axis=1)
    assert len(shapes) == len(long)
    assert steps[[5_999, 11_999]].max() <= np.quantile(steps, 0.999)
