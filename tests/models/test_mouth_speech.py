"""From speech to the mouth: phones, voice, pauses, the general map and what is enforced on it."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from models.mouth.articulation import LEAD, Articulation, articulate, general
from models.mouth.path import APERTURE, JAW, PROTRUSION, REST, WIDTH, MouthPath, runs
from models.mouth.phones import CLASSES, CLOSURES, Phone, PhoneRecognizer, class_tracks, joined
from models.mouth.speaking import performed, speaking
from models.mouth.speech import Piece, Speech
from models.mouth.voice import BANDS, FEATURES, FLOOR, VOICING, features

SAMPLE = Path(__file__).resolve().parents[2] / "pipelines" / "samples" / "speech.wav"


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    """ "And you always want to see it in the superlative degree."""
    return soundfile.read(SAMPLE, dtype="float32")[0]


@pytest.fixture(scope="module")
def recognizer() -> PhoneRecognizer:
    return PhoneRecognizer()


@pytest.fixture(scope="module")
def speech(samples: np.ndarray, recognizer: PhoneRecognizer) -> Speech:
    return Speech(recognizer(samples), features(samples))


#: seconds of silence before and after what is `spoken`
AROUND = 0.5


#: what vowels have more or less of than others, decibels, from a band to one (the first resonance lies near 300 Hz in
#: IY and UW and near 700 in AA, the second near 2300 in IY, 1100 in AA and 900 in UW)
VOWELS = {
    "AA": [(0, 2, -6), (2, 5, 8)],
    "AE": [(0, 2, -6), (2, 4, 6), (6, 8, 6)],
    "IY": [(0, 2, 8), (3, 6, -10), (7, 9, 6)],
    "UW": [(0, 3, 8), (5, 10, -15)],
}


def spoken(*phones: tuple[str, float], level: float = -30.0) -> Speech:
    """Phones of so many seconds between silences: vowels in their colours, closures with the high bands muffled."""
    found, start = [], 0
    for label, seconds in (("SIL", AROUND), *phones, ("SIL", AROUND)):
        found.append(Phone(label, start, start + round(100 * seconds)))
        start = found[-1].end
    voice = np.full((start, FEATURES), level, np.float32)
    voice[:, VOICING] = 0.8
    for phone in found:
        if phone.label == "SIL":
            voice[phone.start : phone.end, :BANDS], voice[phone.start : phone.end, VOICING] = FLOOR, 0
        elif phone.label in CLOSURES:
            voice[phone.start : phone.end, 3:VOICING] = level - 25
        for first, last, more in VOWELS.get(phone.label, []):
            voice[phone.start : phone.end, first:last] += more
    return Speech(found, voice)


def at(path: MouthPath, seconds: float) -> np.ndarray:
    """The mouth so many seconds after the first phone began."""
    return path.at([AROUND + seconds]).values[0]


# phones


def test_phones_of_a_sentence_are_found_in_order_and_in_time(speech: Speech) -> None:
    labels = [phone.label for phone in speech.phones]
    assert labels[0] == "SIL" and labels[-1] == "SIL"
    assert 25 <= len(labels) <= 60
    assert all(before.end == after.start for before, after in zip(speech.phones, speech.phones[1:], strict=False))
    assert speech.phones[-1].end == pytest.approx(len(speech), abs=5)
    text = " ".join(labels)
    assert "S IY" in text and "P" in labels and text.endswith("G R IY SIL")


def test_a_quiet_recording_has_the_same_phones(samples: np.ndarray, recognizer: PhoneRecognizer) -> None:
    loud = [phone.label for phone in recognizer(samples)]
    quiet = [phone.label for phone in recognizer(samples * 0.003)]
    assert sum(a == b for a, b in zip(loud, quiet, strict=False)) > 0.8 * len(loud)


@pytest.mark.parametrize("sound", [np.zeros(16_000, np.float32), np.ones(100, np.float32)])
def test_nothing_is_found_in_nothing(recognizer: PhoneRecognizer, sound: np.ndarray) -> None:
    assert recognizer(sound) == []


def test_what_is_heard_does_not_hang_on_what_was_heard_before(samples: np.ndarray) -> None:
    parts, rng = np.array_split(samples, 3), np.random.default_rng(0)
    noise = rng.normal(0, 0.2, 16_000).astype(np.float32)
    alone = [PhoneRecognizer()(part) for part in parts]
    one = PhoneRecognizer()
    for part, phones in [*zip(parts, alone, strict=True), *zip(parts[::-1], alone[::-1], strict=True)]:
        assert one(part) == phones
        one(noise)


def test_overlapping_blocks_join_without_gaps_or_doubles() -> None:
    first = (0, 100, [Phone("SIL", 0, 40), Phone("AA", 40, 98), Phone("T", 98, 110)])
    second = (100, 200, [Phone("AA", 60, 96), Phone("T", 96, 107), Phone("S", 107, 200)])
    whole = joined([second, first])
    assert [phone.label for phone in whole] == ["SIL", "AA", "T", "S"]
    assert all(before.end <= after.start for before, after in itertools.pairwise(whole))


def test_pieces_of_a_recording_tell_what_the_whole_tells(
    samples: np.ndarray, recognizer: PhoneRecognizer, speech: Speech
) -> None:
    long = np.concatenate([samples] * 3)
    pieces = []
    for first in range(0, 1200, 400):
        start, stop = max(0, first - 100), min(1200, first + 500)
        part = long[start * 160 : stop * 160]
        phones = [phone._replace(start=phone.start + start, end=phone.end + start) for phone in recognizer(part)]
        pieces.append(Piece(first, first + 400, phones, features(part)[first - start : first - start + 400]))
    whole = Speech.of(pieces, 1200)
    assert np.abs(whole.voice[450:750].astype(np.float32) - features(long)[450:750]).max() < 0.1
    tracks, once = class_tracks(whole.phones, 1200), class_tracks(speech.phones, 400)
    assert (tracks.reshape(3, 400, -1).argmax(2) == once.argmax(1)).mean() > 0.85


def test_every_phone_has_a_class_and_a_target() -> None:
    table = general()
    for phones in CLASSES.values():
        for phone in phones:
            parts = table.diphthongs.get(phone, (phone,))
            assert phone.startswith(("+", "SIL")) or all(part in table.targets for part in parts), phone


# voice


def test_a_tone_is_loud_in_its_band_and_voiced_and_noise_is_not() -> None:
    time = np.arange(16_000) / 16_000
    tone = sum(np.sin(2 * np.pi * 150 * n * time) for n in range(1, 10)).astype(np.float32) * 0.05
    noise = np.random.default_rng(1).normal(0, 0.05, 16_000).astype(np.float32)
    assert features(tone).shape == (100, FEATURES)
    assert features(tone)[20:80, VOICING].min() > 0.55 > 0.4 > np.median(features(noise)[20:80, VOICING])
    assert features(tone)[50, :VOICING].argmax() < 4
    assert (features(np.zeros(1_600, np.float32))[:, :VOICING] == FLOOR).all()


def test_in_a_gap_sounds_what_is_beside_it_and_nothing_in_silence() -> None:
    heard = spoken(("AA", 0.3), ("UW", 0.3))
    voice = heard.voice.copy()
    voice[65:69, :BANDS], voice[65:69, VOICING] = FLOOR, 0  # the gap of a "t" within AA
    gap = replace(heard, voice=voice)
    fall = gap.sound(57, 59) - gap.sound(66, 68)
    assert np.abs(fall[:, :BANDS]).max() < 0.5  # of the 2 steps that the frames themselves fall by
    assert np.abs(heard.sound(0, 25)).max() < 0.05
    assert heard.sound(60, 75)[:, 3].mean() > heard.sound(90, 105)[:, 3].mean() + 0.3


def test_a_part_sounds_as_it_does_in_the_whole() -> None:
    heard = spoken(("AA", 0.3), ("IY", 0.2), ("S", 0.1), ("UW", 0.3))
    whole = heard.sound(0, len(heard))
    assert np.allclose(heard.sound(40, 90), whole[40:90], atol=1e-4)
    assert np.allclose(heard.sound(-3, 5), whole[[0, 0, 0, 0, 1, 2, 3, 4]], atol=1e-4)


def test_long_recordings_are_measured_as_short_ones() -> None:
    noise = np.random.default_rng(2).normal(0, 0.1, 25 * 16_000).astype(np.float32)
    assert np.allclose(features(noise)[1_500:1_600], features(noise[1_400 * 160 : 1_700 * 160])[100:200], atol=1e-2)


@pytest.mark.parametrize("snr", [None, 20, 10])
def test_pauses_are_found_also_in_noise(samples: np.ndarray, recognizer: PhoneRecognizer, snr: int | None) -> None:
    gap = np.zeros(16_000, np.float32)
    sound = np.concatenate([gap, samples, gap, samples, gap])
    if snr is not None:
        power = np.sqrt(np.mean(samples[np.abs(samples) > 0.01] ** 2)) * 10 ** (-snr / 20)
        sound = sound + np.random.default_rng(3).normal(0, power, len(sound)).astype(np.float32)
    heard = Speech(recognizer(sound), features(sound))
    path = speaking(heard, articulate(heard))
    for start in (0.05, 5.15, 10.3):
        within = (path.times > start) & (path.times < start + 0.6)
        assert path.silent[within].all() and path.values[within, APERTURE].max() == 0
    talking = ((path.times > 1.4) & (path.times < 4.4)) | ((path.times > 6.4) & (path.times < 9.4))
    assert path.silent[talking].mean() < 0.15


def test_a_recording_without_speech_leaves_the_mouth_at_rest(recognizer: PhoneRecognizer) -> None:
    noise = np.random.default_rng(4).normal(0, 0.05, 5 * 16_000).astype(np.float32)
    for sound in (noise, np.zeros(16_000, np.float32), np.zeros(10, np.float32)):
        heard = Speech(recognizer(sound), features(sound))
        path = speaking(heard, articulate(heard))
        assert len(path) == len(sound) // 160
        assert path.silent.all() and np.allclose(path.values, REST) and not path.closed.any()


# the general map


def test_vowels_open_spread_and_round_as_they_do() -> None:
    shapes = {}
    for vowel in ("AA", "IY", "UW"):
        heard = spoken(("T", 0.1), (vowel, 0.3), ("T", 0.1))
        shapes[vowel] = at(speaking(heard, articulate(heard)), 0.25 - LEAD)
    assert shapes["AA"][APERTURE] > shapes["IY"][APERTURE] + 0.3 and shapes["AA"][JAW] > shapes["UW"][JAW] + 0.3
    assert shapes["IY"][WIDTH] > shapes["AA"][WIDTH] + 0.15 and shapes["IY"][WIDTH] > shapes["UW"][WIDTH] + 0.5
    assert shapes["UW"][PROTRUSION] > shapes["AA"][PROTRUSION] + 0.3


@pytest.mark.parametrize("mistaken", ["AA", "IY", "UW", "T"])
def test_a_vowel_that_the_recogniser_mistakes_is_still_told_by_its_sound(mistaken: str) -> None:
    shapes = {}
    for vowel in ("AA", "IY", "UW"):
        heard = spoken(("T", 0.1), (vowel, 0.3), ("T", 0.1))
        phones = [Phone(mistaken, *phone[1:]) if phone.label == vowel else phone for phone in heard.phones]
        shapes[vowel] = articulate(replace(heard, phones=phones))[round(100 * (AROUND + 0.25))]
    assert shapes["AA"][APERTURE] > max(shapes["IY"][APERTURE], shapes["UW"][APERTURE]) + 0.1
    assert shapes["AA"][JAW] > max(shapes["IY"][JAW], shapes["UW"][JAW]) + 0.1
    assert shapes["IY"][WIDTH] > shapes["UW"][WIDTH] + 0.15


def test_rounding_begins_in_the_consonant_before() -> None:
    round_, spread = spoken(("S", 0.2), ("UW", 0.25)), spoken(("S", 0.2), ("IY", 0.25))
    early = 0.1
    a, b = (at(speaking(heard, articulate(heard)), early) for heard in (round_, spread))
    assert a[PROTRUSION] > b[PROTRUSION] + 0.15 and a[WIDTH] < b[WIDTH] - 0.15


def test_the_mouth_leads_the_sound_by_what_is_asked() -> None:
    heard = spoken(("T", 0.1), ("AA", 0.2), ("T", 0.1))
    peaks = [articulate(heard, lead)[:, APERTURE].argmax() for lead in (0.0, 0.1, 0.2)]
    assert peaks[0] - peaks[1] == pytest.approx(10, abs=3) and peaks[1] - peaks[2] == pytest.approx(10, abs=3)


@pytest.mark.parametrize("phone", CLOSURES)
@pytest.mark.parametrize("rate", [24, 25, 30])
def test_closures_close_within_a_frame_of_their_sound(phone: str, rate: int) -> None:
    heard = spoken(("AA", 0.31), (phone, 0.08), ("AA", 0.3), (phone, 0.06), ("AA", 0.2))
    path = speaking(heard, articulate(heard), style=1.5, smooth=0.1).at(np.arange(0, 1.95, 1 / rate))
    shut = [path.times[first : last + 1] for first, last in runs(path.closed)]
    assert len(shut) == 2
    for times, begin, end in zip(shut, (0.81, 1.19), (0.89, 1.25), strict=True):
        assert begin - 1 / rate <= times[0] and times[-1] <= end + 1 / rate
    assert path.values[path.closed, APERTURE].max() < 0.1
    assert path.values[:, APERTURE].max() > 0.6


def test_lips_come_near_the_teeth_on_f_and_v() -> None:
    for phone in ("F", "V"):
        heard = spoken(("AA", 0.3), (phone, 0.1), ("AA", 0.3))
        path = speaking(heard, articulate(heard))
        assert 0 < at(path, 0.32)[APERTURE] < 0.2 and not path.closed.any()
        assert at(path, 0.12)[APERTURE] > 0.5


def test_a_closure_that_the_sound_denies_is_not_believed() -> None:
    heard = spoken(("AA", 0.3), ("P", 0.08), ("AA", 0.3))
    voice = heard.voice.copy()
    voice[heard.phones[2].start : heard.phones[2].end] = voice[heard.phones[1].start]
    flat = replace(heard, voice=voice)
    assert speaking(heard, articulate(heard)).closed.any()
    assert not speaking(flat, articulate(flat)).closed.any()


def test_style_scales_the_movement_and_leaves_closures_and_silence() -> None:
    heard = spoken(("AE", 0.2), ("M", 0.1), ("IY", 0.2))
    low, usual, high = (speaking(heard, articulate(heard), style=style) for style in (0.5, 1.0, 1.5))
    assert low.values[:, APERTURE].max() < 0.7 * usual.values[:, APERTURE].max()
    assert high.values[:, WIDTH].max() > usual.values[:, WIDTH].max() > low.values[:, WIDTH].max()
    assert high.values.max() <= 1.15
    for path in (low, usual, high):
        assert path.closed.any() and path.values[path.closed, APERTURE].max() == 0
        assert path.silent.any() and np.allclose(path.values[path.silent], REST)


def test_smoothing_slows_the_mouth() -> None:
    heard = spoken(*[(phone, 0.08) for phone in ("AA", "T", "AE", "S", "AA", "IY") * 3])
    rough, smooth = (speaking(heard, articulate(heard), smooth=smooth) for smooth in (0.0, 0.06))
    assert np.abs(np.diff(smooth.values, axis=0)).mean() < 0.8 * np.abs(np.diff(rough.values, axis=0)).mean()


def test_a_short_pause_does_not_rest_and_a_long_one_does() -> None:
    path = performed([], [(100, 135)], np.full((300, 4), 0.8, np.float32))
    assert path.silent.any() and path.values[path.silent, APERTURE].max() == 0
    assert not performed([], [], np.full((300, 4), 0.8, np.float32)).silent.any()
    assert path.values[:80, APERTURE].min() > 0.7 and path.values[150:, APERTURE].min() > 0.7


def test_the_sample_opens_its_mouth_in_speech_and_ends_shut(speech: Speech) -> None:
    path = speaking(speech, articulate(speech))
    assert path.values[~path.silent, APERTURE].std() > 0.15
    assert path.values[-5:, APERTURE].max() == 0 and path.silent[-5:].all()


def test_a_table_that_is_none_is_refused(tmp_path: Path) -> None:
    for text in ("", "[]", '{"phones": {}}', '{"phones": {"AA": [1, 2]}, "reach": {}, "range": {}, "diphthongs": {}}'):
        (tmp_path / "table.json").write_text(text)
        with pytest.raises(ValueError, match="is no table of articulation"):
            Articulation.read(tmp_path / "table.json")
