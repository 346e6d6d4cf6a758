"""The map learned from a video's own sound and picture, and how far it is to be trusted.

Ridge regression (Hoerl and Kennard, 1970) from what is heard around a moment, -0.08 .. +0.16 s, to what the mouth does
then. What is heard: the voice's sound, the classes of phones, and what the general map (see `articulation`) says, which
is held down least, so that little data leans on it. The two maps are then averaged: each errs in its own way, and the
learned one counts the more, the longer it has listened. Nothing is chosen by how well it does on the video, since a few
seconds cannot tell that; cross-validation over four parts of the time only tells whether the sound belongs to the
picture at all. Where it does not, nothing is learned.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.mouth.articulation import LEAD, articulate
from models.mouth.geometry import Range
from models.mouth.path import APERTURE, COLUMNS, WIDTH
from models.mouth.phones import FRAME_RATE, Phone, class_tracks
from models.mouth.smooth import smoothed
from models.mouth.speech import Speech

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Frames = npt.NDArray[np.intp]

#: frames around a moment that are listened to
OFFSETS = np.arange(-8, 17, 4)
#: how much the ridge is held down, and how much less the voice and the general map are (squares divide the penalty)
PENALTY = 64.0
_VOICE, _PRIOR = 2.0, 3.0
#: seconds of speech after which the learned map counts as much as the general one
EVEN = 7.0
#: for the sound to count as the picture's own, the mix has to reach this correlation with the aperture, and more than
#: in this share of trials with the same picture shifted in time, of which there are so many
TRUST, CHANCE, SHIFTS = 0.2, 0.95, 40
#: seconds of speech with a face below which nothing is learned, and above which no more is listened to
LEAST, MOST = 4.0, 300.0
FOLDS = 4

_MARGIN = 40  # frames around a piece that smoothing and offsets reach
_CHUNK = 6_000  # frames mapped at a time
_LAGS = np.arange(-20, 21, 2)  # frames within which sound and picture of a video may be apart
_FREE = 6  # frames by which mouths lead more or less than LEAD without anything being wrong
_DOUBT = 0.005  # correlation that a lag of one frame has to bring to be believed
_SPREAD = 2.5  # at most so much is a learned map stretched to the person's own spread


class Mix(NamedTuple):
    """How well a measure of the mouth was told, as cross-validated correlations: by each map alone, and by both."""

    general: float
    learned: float
    mixed: float


@dataclass(frozen=True)
class Learned:
    """A map from speech to the mouth of one person.

    `mixes` one a measure; `share` of the learned map in them; `weights` [features, 4], rows as columns of `listen`;
    `lead` in frames, by which this mouth leads less than others, and `offset`, by which the video's sound lay behind
    its picture beyond what mouths do (undone in the map); `scale` [4, 6]: mean and spread of the learned map, of the
    general map and of the mouth, in units of the person's range; `together` [4], the correlations of the two maps;
    `seconds` listened to; `chance`, the correlation with the aperture that a picture shifted in time reaches in one
    case of twenty.
    """

    mixes: tuple[Mix, ...]
    share: float
    weights: Doubles
    lead: int
    offset: int
    scale: Doubles
    together: Doubles
    seconds: float
    chance: float

    def __call__(self, speech: Speech, lead: float = LEAD) -> Floats:
        """The mouth for another recording: float32 [T, 4], in units as `articulate`."""
        general = _later(articulate(speech, lead), self.lead)
        moved = round((lead - LEAD) * FRAME_RATE)
        usual = _later(articulate(speech), self.lead) if moved else general
        out = np.empty_like(general)
        for first in range(0, len(speech), _CHUNK):
            end = min(first + _CHUNK, len(speech))
            own = listen(speech, np.arange(first, end) + moved, usual) @ self.weights
            out[first:end] = self._mixed(own, general[first:end])
        return out

    def _mixed(self, own: Doubles, general: Floats) -> Doubles:
        own_mean, own_spread, usual, usual_spread, mean, spread = self.scale.T
        both = self.share * (own - own_mean) / own_spread + (1 - self.share) * (general - usual) / usual_spread
        return np.asarray(mean + spread * both / _size(self.share, self.together), np.float64)

    def by_name(self) -> dict[str, Mix]:
        """The mixes by the names of the measures."""
        return dict(zip(COLUMNS, self.mixes, strict=True))

    def __str__(self) -> str:
        told = ", ".join(f"{name} r {mix.mixed:.2f}" for name, mix in self.by_name().items())
        late = f"; the sound lies {self.offset / FRAME_RATE:+.2f} s off the picture, undone" if self.offset else ""
        listened = f"{self.share:.0%} learned from {self.seconds:.0f} s of the video's own sound"
        return f"a map that is {listened}: {told}{late}"


def listen(speech: Speech, frames: Frames, general: Floats) -> Doubles:
    """What is heard around some frames (rising), and the general map [T, 4] there.

    float64 [n, features · offsets + 5], the last column 1.
    """
    first, end = int(frames[0]) - _MARGIN, int(frames[-1]) + _MARGIN + 1
    tracks = np.concatenate([_VOICE * speech.sound(first, end), _classes(speech, first, end)], axis=1)
    heard = tracks[(frames - first)[:, None] + OFFSETS].reshape(len(frames), -1)
    prior = _PRIOR * general[np.clip(frames, 0, len(general) - 1)]
    return np.concatenate([heard, prior, np.ones((len(frames), 1))], axis=1, dtype=np.float64)


def _classes(speech: Speech, first: int, end: int) -> Floats:
    """Phone classes of frames first .. end, smoothed, [n, 11]; held still beyond the recording."""
    places = np.clip(np.arange(first, end), 0, len(speech) - 1)
    begin, end = int(places[0]), int(places[-1]) + 1
    near = [phone for phone in speech.phones if phone.end > begin and phone.start < end]
    raw = class_tracks([Phone(label, start - begin, stop - begin) for label, start, stop in near], end - begin)
    return smoothed(raw, 2.5)[places - begin]


def learn(speech: Speech, times: Doubles, measures: Floats) -> tuple[Learned | None, str]:
    """Learn from a video's own sound; returns the map, or None, and one sentence that says why.

    `times` float64 [n]: seconds of the video's frames, rising, on the clock of `speech`. `measures` float32 [n, 4]: the
    mouth (`geometry.measure`), NaN where no face is seen.
    """
    last = min(speech.duration, float(times.min(initial=np.inf)) + MOST)
    seen = np.isfinite(measures).all(axis=1) & (times >= 0) & (times < last)
    if seen.sum() < 2:
        return None, "the general map, since the video's own sound and its faces do not meet"
    times, units = times[seen], Range.of(measures[seen]).units(measures[seen]).astype(np.float64)
    frames = np.clip(np.round(times * FRAME_RATE).astype(np.intp), 0, len(speech) - 1)
    spoken = float(np.median(np.diff(times)) * (~speech.silent[frames]).sum())
    if spoken < LEAST:
        return None, f"the general map, since the video itself holds only {spoken:.1f} s of speech with a face"
    map_ = _fit(speech, frames, units, spoken)
    reached = map_.mixes[APERTURE].mixed
    if reached < max(TRUST, map_.chance):
        shown = f"r {reached:.2f}, by chance {map_.chance:.2f}"
        return None, f"the general map, since the video's sound does not tell its picture ({shown})"
    return map_, str(map_)


def _apart(general: Floats, frames: Frames, units: Doubles) -> int:
    """By how many frames the sound lies behind the picture, more than mouths do by themselves.

    The lag at which aperture and width follow the general map best, less what speaks against a lag that far off.
    """
    likeness = []
    for lag in _LAGS:
        moved = _later(general, int(lag))[frames].astype(np.float64)
        told = [_alike(moved[:, column], units[:, column]) for column in (APERTURE, WIDTH)]
        likeness.append(float(np.mean(told)) - _DOUBT * abs(int(lag)))
    return int(_LAGS[int(np.argmax(likeness))])


def _later(track: Floats, frames: int) -> Floats:
    """A track [T, n] as it is that many frames later, held still beyond its ends."""
    return track[np.clip(np.arange(len(track)) + frames, 0, len(track) - 1)] if frames else track


def _fit(speech: Speech, frames: Frames, units: Doubles, seconds: float) -> Learned:
    general = articulate(speech)
    apart = _apart(general, frames, units)
    lead = int(np.clip(apart, -_FREE, _FREE))
    offset = apart - lead
    general = _later(general, lead)
    frames = np.clip(frames + offset, 0, len(speech) - 1)
    heard, usual = listen(speech, frames, general), general[frames].astype(np.float64)
    shifted = _shifted(units[:, APERTURE])
    told = _validated(heard, np.concatenate([units, shifted], axis=1), _folds(len(frames)))
    own, by_chance = told[:, : len(COLUMNS)], told[:, len(COLUMNS) :]
    share = seconds / (seconds + EVEN)
    mixes = tuple(_mix(share, *tracks) for tracks in zip(own.T, usual.T, units.T, strict=True))
    together = np.array([_alike(*tracks) for tracks in zip(own.T, usual.T, strict=True)])
    pairs = zip(by_chance.T, shifted.T, strict=True)
    reached = [_mix(share, own_track, usual[:, APERTURE], truth).mixed for own_track, truth in pairs]
    chance = float(np.quantile(reached, CHANCE))
    weights = _solve(*_gram(heard, units))
    return Learned(mixes, share, weights, lead, offset, _scale(own, usual, units), together, seconds, chance)


def _scale(own: Doubles, usual: Doubles, units: Doubles) -> Doubles:
    """Mean and spread of the learned map, of the general map and of the mouth, [4, 6]."""
    spread = np.maximum(np.nanstd(own, axis=0), units.std(axis=0) / _SPREAD)
    learned = [np.nanmean(own, axis=0), np.maximum(spread, 1e-6)]
    general = [usual.mean(axis=0), np.maximum(usual.std(axis=0), 1e-6)]
    return np.stack([*learned, *general, units.mean(axis=0), units.std(axis=0)], axis=1)


def _shifted(track: Doubles) -> Doubles:
    """The track moved round by many times more than mouth and sound belong together over, [n, SHIFTS]."""
    least = len(track) // 8
    return np.stack([np.roll(track, int(by)) for by in np.linspace(least, len(track) - least, SHIFTS)], axis=1)


def _mix(share: float, own: Doubles, usual: Doubles, truth: Doubles) -> Mix:
    """How well the general map, the learned one and both together follow the truth."""
    known = np.isfinite(own)
    first, second = ((track - track[known].mean()) / max(track[known].std(), 1e-6) for track in (own, usual))
    return Mix(_alike(second, truth), _alike(first, truth), _alike(share * first + (1 - share) * second, truth))


def _folds(count: int) -> list[slice]:
    """Four parts of the time, with a gap between them so that none tells the next one's beginning."""
    edges = np.linspace(0, count, FOLDS + 1).astype(int)
    gap = min(5, count // (8 * FOLDS))
    return [slice(int(first) + gap, int(end) - gap) for first, end in pairwise(edges)]


def _validated(heard: Doubles, truth: Doubles, folds: list[slice]) -> Doubles:
    """What a map that has not seen a fold says of it, shaped as `truth` [n, m]; NaN in the gaps between folds."""
    grams = [_gram(heard[fold], truth[fold]) for fold in folds]
    square, crossed = sum(gram[0] for gram in grams), sum(gram[1] for gram in grams)
    out = np.full(truth.shape, np.nan)
    for fold, (own_square, own_crossed) in zip(folds, grams, strict=True):
        out[fold] = heard[fold] @ _solve(square - own_square, crossed - own_crossed)
    return out


def _gram(heard: Doubles, truth: Doubles) -> tuple[Doubles, Doubles]:
    return heard.T @ heard, heard.T @ truth


def _solve(square: Doubles, crossed: Doubles) -> Doubles:
    ridge = np.full(len(square), PENALTY)
    ridge[-1] = 1e-6  # the constant is free
    return np.asarray(np.linalg.solve(square + np.diag(ridge), crossed), np.float64)


def _alike(a: Doubles, b: Doubles) -> float:
    """Pearson's correlation over what is known of both; 0 where one of them never moves."""
    known = np.isfinite(a) & np.isfinite(b)
    if known.sum() < 3 or a[known].std() < 1e-9 or b[known].std() < 1e-9:
        return 0.0
    return float(np.corrcoef(a[known], b[known])[0, 1])


def _size(share: float, together: Doubles) -> Doubles:
    """The spread of a mix of two standard tracks that correlate so much, [4]."""
    return np.sqrt(np.maximum(share**2 + (1 - share) ** 2 + 2 * share * (1 - share) * together, 0.1))
