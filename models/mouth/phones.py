"""Phones with times out of speech: the phone recogniser of pocketsphinx (English acoustic model, phone language model).

The phones of English are a fair cover of other languages for what the mouth does: it is the class of a sound (open,
spread, round, closed) that matters, and that is usually right where the phone itself is not.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]

#: samples per second of everything that is recognised
SAMPLE_RATE = 16_000
#: frames per second of the recogniser, and of all that is made from speech
FRAME_RATE = 100

#: lips together
CLOSURES = ("B", "M", "P")
#: lower lip at the upper teeth
TEETH = ("F", "V")
#: what the recogniser calls silence, breath and noise
PAUSES = ("SIL", "+NSN+", "+SPN+", "+BREATH+", "+COUGH+", "+NOISE+", "+SMACK+", "+UH+", "+UM+")
#: mouth classes: phones whose lips and jaw look alike (after Fisher 1968 and Jackson 1988, with the vowels split by
#: openness and rounding); what the map learned from a video is made of
CLASSES: dict[str, tuple[str, ...]] = {
    "rest": PAUSES,
    "closed": CLOSURES,
    "teeth": TEETH,
    "open": ("AA", "AH", "AW", "AY", "HH"),
    "half-open": ("AE", "EH", "EY", "ER"),
    "spread": ("IH", "IY", "Y"),
    "round-open": ("AO", "OW", "OY"),
    "round": ("UH", "UW", "W", "R"),
    "hushing": ("CH", "JH", "SH", "ZH"),
    "hissing": ("S", "Z"),
    "tongue": ("D", "DH", "G", "K", "L", "N", "NG", "T", "TH"),
}
CLASS_OF = {phone: index for index, phones in enumerate(CLASSES.values()) for phone in phones}


class Phone(NamedTuple):
    """A phone (CMU's ARPAbet in capitals, or one of `PAUSES`) and its first and one-past-last frame at `FRAME_RATE`."""

    label: str
    start: int
    end: int

    @property
    def middle(self) -> float:
        """Its middle, in frames."""
        return (self.start + self.end) / 2


class PhoneRecognizer:
    """Recognises phones block by block; about 0.05 s of one core for a second of speech."""

    def __init__(self) -> None:
        """Raises RuntimeError where pocketsphinx has come without its model."""
        import pocketsphinx

        home = Path(pocketsphinx.get_model_path()) / "en-us"
        if not (home / "en-us-phone.lm.bin").is_file():
            raise RuntimeError(f"pocketsphinx has no English phone model in {home}: install its wheel")
        self._decoder = pocketsphinx.Decoder(
            hmm=str(home / "en-us"),
            allphone=str(home / "en-us-phone.lm.bin"),
            lm=None,
            dict=None,
            lw=2.0,
            beam=1e-15,
            pbeam=1e-15,
            loglevel="FATAL",
        )

    def __call__(self, samples: Samples) -> list[Phone]:
        """The phones of `samples` (float32 [n], -1..1, mono, 16 kHz), in order, without gaps where there is sound.

        Meant for blocks of some 5 to 30 s: the whole block is one utterance. Quiet recordings are raised before they
        are rounded to 16 bits. Nothing comes of a block that is shorter than 0.1 s or silent to the last bit.
        """
        peak = float(np.abs(samples).max(initial=0))
        if len(samples) < SAMPLE_RATE // 10 or not np.isfinite(peak) or peak < 1e-6:
            return []
        # With what it has learned of the block before, what is heard would hang on the order of the blocks.
        self._decoder.reinit_feat()
        sound = (samples * (0.9 / peak * 32767)).astype("<i2")
        self._decoder.start_utt()
        self._decoder.process_raw(sound.tobytes(), full_utt=True)
        self._decoder.end_utt()
        found = self._decoder.seg() or ()
        return [Phone(segment.word, segment.start_frame, segment.end_frame + 1) for segment in found]


def joined(blocks: list[tuple[int, int, list[Phone]]]) -> list[Phone]:
    """The phones of a whole recording from those of overlapping blocks.

    Each block is (first, end, phones), the frames that it answers for and its phones in frames of the recording. A
    phone belongs to the block in whose frames its middle lies; where two still overlap at a seam, they share it.
    """
    kept: list[Phone] = []
    for first, end, phones in sorted(blocks, key=lambda block: block[0]):
        for phone in phones:
            if not first <= phone.middle < end:
                continue
            start = phone.start
            if kept and start < kept[-1].end:
                before = kept[-1]
                seam = (start + before.end) // 2
                kept[-1] = Phone(before.label, before.start, max(seam, before.start + 1))
                start = kept[-1].end
            if phone.end > start:
                kept.append(Phone(phone.label, start, phone.end))
    return kept


def class_tracks(phones: list[Phone], count: int) -> npt.NDArray[np.float32]:
    """One column a class of `CLASSES`, [count, 11]: 1 in the frames where a phone of the class is spoken."""
    tracks = np.zeros((count, len(CLASSES)), np.float32)
    for phone in phones:
        tracks[max(0, phone.start) : phone.end, CLASS_OF.get(phone.label, 0)] = 1
    tracks[tracks.sum(axis=1) == 0, 0] = 1
    return tracks
