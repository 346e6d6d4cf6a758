"""The map learned from a video's own sound and picture, and how far it is to be trusted.

Ridge regression (Hoerl and Kennard, 1970) from what is heard around a moment, -0.16 .. +0.24 s, to what the mouth does
then. What is heard: the classes of phones, the bands of the voice, or both, and what the general map (see
`articulation`) says, which is hardly held down, so that little data leans on it. Which of them, and how much
regularised, is chosen for each measure of the mouth by cross-validation over four parts of the time, and mixed with the
general map as the same cross-validation has it. Where neither tells the mouth, the sound is taken not to belong to the
picture, and nothing is learned.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.mouth.articulation import LEAD, articulate
from models.mouth.geometry import Range
from models.mouth.path import APERTURE, COLUMNS
from models.mouth.phones import FRAME_RATE, Phone, class_tracks
from models.mouth.speech import Speech

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Frames = npt.NDArray[np.intp]

#: frames around a moment that are listened to
OFFSETS = np.arange(-16, 25, 4)
#: what may be listened to, and how much the ridge is held down
KINDS = ("phones", "voice", "both")
PENALTIES = (4.0, 16.0, 64.0)
#: shares of the learned map in the mix
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
#: the learned map has to beat the general one by this correlation to be let in
GAIN = 0.03
#: for the sound to count as the picture's own, the mix has to reach this correlation with the aperture, and more than
#: in this share of trials with the same picture shifted in time, of which there are so many
TRUST, CHANCE, SHIFTS = 0.2, 0.95, 40
#: seconds of speech with a face below which nothing is learned, and above which no more is listened to
LEAST, MOST = 4.0, 300.0
FOLDS = 4

#: how much less than the rest the general map's word is held down (its square divides the penalty)
_PRIOR = 10.0
_MARGIN = 40  # frames around a piece that smoothing and offsets reach
_CHUNK = 6_000  # frames mapped at a time
_LAGS = np.arange(-20, 21, 2)  # frames within which sound and picture of a video may be apart
_FREE = 6  # frames by which mouths lead more or less than LEAD without anything being wrong
_SPREAD = 2.5  # at most so much is a learned map stretched to the person's own spread


class Mix(NamedTuple):
    """How one measure of the mouth comes about. Correlations are cross-validated, of the general map as it is."""

    kind: str
    share: float
    general: float
    learned: float
    mixed: float


@dataclass(frozen=True)
class Learned:
    """A map from speech to the mouth of one person.

    `mixes` one a measure; `weights` of each, one a column of `listen`; `offset` in frames, by which
    the video's sound lay behind its picture beyond what mouths do (undone in the map); `scale` [4, 6]: mean and spread
    of the learned map, of the general map and of the mouth, in units of the person's range; `seconds` listened to;
    `chance`, the correlation with the aperture that a picture shifted in time reaches in one case of twenty.
    """

    mixes: tuple[Mix, ...]
    weights: tuple[Doubles, ...]
    scale: Doubles
    together: Doubles
    offset: int
    seconds: float
    chance: float

    def __call__(self, speech: Speech, lead: float = LEAD) -> Floats:
        """The mouth for another recording: float32 [T, 4], in units as `articulate`."""
        general = articulate(speech, lead)
        moved = round((lead - LEAD) * FRAME_RATE)
        usual = articulate(speech) if moved else general
        out = np.empty_like(general)
        for first in range(0, len(speech), _CHUNK):
            end = min(first + _CHUNK, len(speech))
            frames = np.arange(first, end) + moved
            heard = {mix.kind: listen(speech, mix.kind, frames, usual) for mix in self.mixes if mix.share}
            for column, mix in enumerate(self.mixes):
                own = heard[mix.kind] @ self.weights[column] if mix.share else np.zeros(end - first)
                out[first:end, column] = self._mixed(column, own, general[first:end, column])
        return out

    def _mixed(self, column: int, own: Doubles, general: Floats) -> Doubles:
        own_mean, own_spread, usual, usual_spread, mean, spread = self.scale[column]
        share = self.mixes[column].share
        both = share * (own - own_mean) / own_spread + (1 - share) * (general - usual) / usual_spread
        return np.asarray(mean + spread * both / _size(share, self.together[column]), np.float64)

    def by_name(self) -> dict[str, Mix]:
        """The mixes by the names of the measures."""
        return dict(zip(COLUMNS, self.mixes, strict=True))

    def __str__(self) -> str:
        told = []
        for name, mix in self.by_name().items():
            way = f"{mix.share:.0%} from {mix.kind}" if mix.share else "general"
            told.append(f"{name} {way} r {mix.mixed:.2f}" + (f" (general {mix.general:.2f})" if mix.share else ""))
        late = f"; the sound lies {self.offset / FRAME_RATE:+.2f} s off the picture, undone" if self.offset else ""
        return f"map learned from {self.seconds:.0f} s of the video's own sound: " + ", ".join(told) + late


def listen(speech: Speech, kind: str, frames: Frames, general: Floats) -> Doubles:
    """What is heard around some frames (rising), and the general map [T, 4] there.

    float64 [n, features · offsets + 5], the last column 1.
    """
    first, end = int(frames[0]) - _MARGIN, int(frames[-1]) + _MARGIN + 1
    tracks = np.concatenate([_tracks(speech, part, first, end) for part in _parts(kind)], axis=1)
    around = (frames - first)[:, None] + OFFSETS
    heard = tracks[around].reshape(len(frames), -1)
    prior = _PRIOR * general[np.clip(frames, 0, len(general) - 1)]
    return np.concatenate([heard, prior, np.ones((len(frames), 1))], axis=1, dtype=np.float64)


def _parts(kind: str) -> tuple[str, ...]:
    return ("phones", "voice") if kind == "both" else (kind,)


def _tracks(speech: Speech, part: str, first: int, end: int) -> Floats:
    """Phone classes [n, 11] or voice [n, 14] of frames first .. end, smoothed; held still beyond the recording."""
    from scipy.ndimage import gaussian_filter1d

    places = np.clip(np.arange(first, end), 0, len(speech) - 1)
    begin, end = int(places[0]), int(places[-1]) + 1
    if part == "phones":
        near = [phone for phone in speech.phones if phone.end > begin and phone.start < end]
        raw = class_tracks([Phone(label, start - begin, stop - begin) for label, start, stop in near], end - begin)
    else:
        raw = speech.normalised(begin, end)
    return np.asarray(gaussian_filter1d(raw, 2.5, axis=0)[places - begin], np.float32)


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
    usual = articulate(speech)
    offset = _apart(usual[:, APERTURE], frames, units[:, APERTURE])
    frames = np.clip(frames + offset, 0, len(speech) - 1)
    map_ = _fit(speech, frames, units, usual, offset, spoken)
    reached = map_.mixes[APERTURE].mixed
    if reached < max(TRUST, map_.chance):
        shown = f"r {reached:.2f}, by chance {map_.chance:.2f}"
        return None, f"the general map, since the video's sound does not tell its picture ({shown})"
    return map_, str(map_)


def _apart(track: Floats, frames: Frames, aperture: Doubles) -> int:
    """By how many frames the sound lies behind the picture, more than mouths do by themselves; 0 if that is unclear."""
    last = len(track) - 1
    likeness = [_alike(track[np.clip(frames + lag, 0, last)].astype(np.float64), aperture) for lag in _LAGS]
    best = int(np.argmax(likeness))
    lag = int(_LAGS[best])
    if likeness[best] < TRUST or abs(lag) <= _FREE or best in (0, len(_LAGS) - 1):
        return 0
    return lag - int(np.sign(lag)) * _FREE


def _fit(speech: Speech, frames: Frames, units: Doubles, general: Floats, offset: int, seconds: float) -> Learned:
    heard = {kind: listen(speech, kind, frames, general) for kind in KINDS}
    folds = _folds(len(frames))
    truths = np.concatenate([units, _shifted(units[:, APERTURE])], axis=1)
    tried = {
        (kind, penalty): _validated(heard[kind], truths, penalty, folds) for kind in KINDS for penalty in PENALTIES
    }
    usual = general[frames].astype(np.float64)
    mixes, weights, scale, together = [], [], [], []
    for column in range(len(COLUMNS)):
        truth, alone = units[:, column], usual[:, column]
        (kind, penalty), own = _best(tried, column, truth)
        mixes.append(_mix(kind, own, alone, truth))
        weights.append(_solve(*_gram(heard[kind], truth[:, None]), penalty)[:, 0])
        spread = max(own[np.isfinite(own)].std(), truth.std() / _SPREAD, 1e-6)
        scale.append([np.nanmean(own), spread, alone.mean(), max(alone.std(), 1e-6), truth.mean(), truth.std()])
        together.append(_alike(own, alone))
    reached = []
    for column in range(len(COLUMNS), truths.shape[1]):
        (kind, _), own = _best(tried, column, truths[:, column])
        reached.append(_mix(kind, own, usual[:, APERTURE], truths[:, column]).mixed)
    chance = float(np.quantile(reached, CHANCE))
    return Learned(tuple(mixes), tuple(weights), np.array(scale), np.array(together), offset, seconds, chance)


def _shifted(track: Doubles) -> Doubles:
    """The track moved round by many times more than mouth and sound belong together over, [n, SHIFTS]."""
    least = len(track) // 8
    return np.stack([np.roll(track, int(by)) for by in np.linspace(least, len(track) - least, SHIFTS)], axis=1)


def _best(tried: dict[tuple[str, float], Doubles], column: int, truth: Doubles) -> tuple[tuple[str, float], Doubles]:
    """What was listened to, how much held down, and what came of it, where that follows the truth best."""
    way = max(tried, key=lambda way: _alike(tried[way][:, column], truth))
    return way, tried[way][:, column]


def _mix(kind: str, own: Doubles, usual: Doubles, truth: Doubles) -> Mix:
    """The share of the learned map that follows the truth best; none where it is no gain."""
    known = np.isfinite(own)
    standard = [(track - track[known].mean()) / max(track[known].std(), 1e-6) for track in (own, usual)]
    results = [_alike(share * standard[0] + (1 - share) * standard[1], truth) for share in SHARES]
    best = int(np.argmax(results))
    if results[best] < results[0] + GAIN:
        best = 0
    return Mix(kind, SHARES[best], results[0], results[-1], results[best])


def _folds(count: int) -> list[slice]:
    """Four parts of the time, with a gap between them so that none tells the next one's beginning."""
    edges = np.linspace(0, count, FOLDS + 1).astype(int)
    gap = min(5, count // (8 * FOLDS))
    return [slice(int(first) + gap, int(end) - gap) for first, end in pairwise(edges)]


def _validated(heard: Doubles, truth: Doubles, penalty: float, folds: list[slice]) -> Doubles:
    """What a map that has not seen a fold says of it, [n, 4]; NaN in the gaps between folds."""
    grams = [_gram(heard[fold], truth[fold]) for fold in folds]
    square, crossed = sum(gram[0] for gram in grams), sum(gram[1] for gram in grams)
    out = np.full(truth.shape, np.nan)
    for fold, (own_square, own_crossed) in zip(folds, grams, strict=True):
        out[fold] = heard[fold] @ _solve(square - own_square, crossed - own_crossed, penalty)
    return out


def _gram(heard: Doubles, truth: Doubles) -> tuple[Doubles, Doubles]:
    return heard.T @ heard, heard.T @ truth


def _solve(square: Doubles, crossed: Doubles, penalty: float) -> Doubles:
    ridge = np.full(len(square), penalty)
    ridge[-1] = 1e-6  # the constant is free
    return np.asarray(np.linalg.solve(square + np.diag(ridge), crossed), np.float64)


def _alike(a: Doubles, b: Doubles) -> float:
    """Pearson's correlation over what is known of both; 0 where one of them never moves."""
    known = np.isfinite(a) & np.isfinite(b)
    if known.sum() < 3 or a[known].std() < 1e-9 or b[known].std() < 1e-9:
        return 0.0
    return float(np.corrcoef(a[known], b[known])[0, 1])


def _size(share: float, together: float) -> float:
    """The spread of a mix of two standard tracks that correlate so much."""
    return float(np.sqrt(max(share**2 + (1 - share) ** 2 + 2 * share * (1 - share) * together, 0.1)))
