"""Pictures in closed segments with a journal, so that a run can go on after the last segment that is whole.

Beside `out.mp4` lies, until it is whole, `out.mp4.segments`: `run.json` says what run it belongs to, `journal.jsonl`
has a line for every whole segment, `000000.mp4` and so on are the segments, each of which can be played.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Callable, Container, Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from stages.media.same_run import differences
from stages.media.writer import Picture, VideoWriter

#: names of the files in the folder
OWN = re.compile(r"(run\.json|journal\.jsonl)(\.new)?|(\d{6}|joined)(\.\w+)+")


@dataclass(frozen=True)
class Segment:
    """A whole segment: packets from `first` up to, not with, `after`, shown from `begin` to `last` (packets' clock)."""

    file: str
    first: int
    after: int
    packets: int
    begin: Fraction
    last: Fraction
    bytes: int

    @classmethod
    def read(cls, line: str) -> Segment:
        """A line of the journal; raises ValueError, KeyError or TypeError where it was cut off."""
        row = json.loads(line)
        return cls(**{**row, "begin": Fraction(row["begin"]), "last": Fraction(row["last"])})

    def line(self) -> str:
        """As `read` takes it."""
        return json.dumps({**asdict(self), "begin": str(self.begin), "last": str(self.last)})


class Segments:
    """Writes pictures to segments that begin at every `seconds` of the output; nothing is touched before the first.

    `base`: the ticks that times are counted in. `run`: plain facts that an earlier run must share with this one for
    its segments to be of use. `open_writer`: opens the encoder on a file. OSErrors say what is whole and where.
    """

    def __init__(
        self,
        path: str,
        seconds: Fraction,
        base: Fraction,
        run: dict[str, Any],
        open_writer: Callable[[str], VideoWriter],
    ) -> None:
        self.path = path
        self.folder = Path(f"{path}.segments")
        self.whole: list[Segment] = []
        self.begun = self.done = self.broken = False
        self.base = base
        self._seconds, self._open_writer = seconds, open_writer
        self._run = json.loads(json.dumps(run, default=str))
        self._lock: int | None = None
        self._zero = self._shown = self._begin = self._cut = self._last = Fraction(0)
        self._first = self._after = self._packets = 0
        self._writer: VideoWriter | None = None

    # ------------------------------------------------------------------------------------------------ going on

    def resume(self) -> int:
        """How many packets an earlier run has written whole, from its first on.

        Raises ValueError where that was another run, saying what differs, and OSError where it still runs.
        """
        told = self._read("run.json")
        if not told:
            return 0
        self._take_lock()
        if found := differences(json.loads(told), self._run):
            raise ValueError(
                f"{self.folder} is of another run: {'; '.join(found)} (without --resume the output is begun anew)"
            )
        self.whole = list(self._whole())
        self._zero = self.whole[0].begin if self.whole else Fraction(0)
        return self.whole[-1].after - self.whole[0].first if self.whole else 0

    def _whole(self) -> Iterator[Segment]:
        """The segments of the journal, up to the first that is not as it was left."""
        for line in self._read("journal.jsonl").splitlines():
            try:
                segment = Segment.read(line)
            except (ValueError, KeyError, TypeError):
                return
            place = self.folder / segment.file
            if not place.is_file() or place.stat().st_size != segment.bytes:
                return
            yield segment

    def _read(self, name: str) -> str:
        try:
            return (self.folder / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""

    def _take_lock(self) -> None:
        self._lock = lock(self.path, self.folder)

    def begin(self) -> None:
        """Make the folder that of this run: what is no whole segment of it goes."""
        if self.begun:
            return
        self.begun = True
        with self.told():
            self.folder.mkdir(exist_ok=True)
            if self._lock is None:
                self._take_lock()
            self._clear({segment.file for segment in self.whole})
            self._put("run.json", json.dumps(self._run))
            self._put("journal.jsonl", "".join(segment.line() + "\n" for segment in self.whole))

    def _clear(self, kept: Container[str] = ()) -> None:
        """Remove the files of this folder but for those to keep; what others put there is left alone."""
        for place in self.folder.iterdir():
            if OWN.fullmatch(place.name) and place.name not in kept:
                place.unlink()

    def _put(self, name: str, text: str) -> None:
        """A small file, whole or not at all."""
        spare = self.folder / f"{name}.new"
        with spare.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        spare.replace(self.folder / name)

    # ------------------------------------------------------------------------------------------------- writing

    @property
    def packets(self) -> int:
        """How many packets are in whole segments."""
        return sum(segment.packets for segment in self.whole)

    def write(self, image: Picture, index: int, time: Fraction) -> None:
        """Encode the picture of packet `index`, uint8 in its layout's shape, shown from `time` (packets' clock) on."""
        self.begin()
        if self.whole and index < self.whole[-1].after:
            return  # packets that no stage skips may come again where the first of all was skipped
        if not self.whole and self._writer is None:
            self._zero = time
        shown = self._shown_at(time)
        with self.told():
            if self._writer is not None and shown >= self._cut:
                self._end_segment(shown)
            if self._writer is None:
                self._begin_segment(shown, index, time)
            assert self._writer is not None
            self._writer.write(image, shown - self._shown)
            self._packets, self._after, self._last = self._packets + 1, index + 1, time

    def _shown_at(self, time: Fraction) -> Fraction:
        """A time of the packets' clock in seconds of the output."""
        return round((time - self._zero) / self.base) * self.base

    def _begin_segment(self, shown: Fraction, index: int, time: Fraction) -> None:
        place = self.folder / f"{len(self.whole):06}{Path(self.path).suffix}"
        self._writer = self._open_writer(str(place))
        self._shown, self._begin, self._first, self._packets = shown, time, index, 0
        self._cut = (shown // self._seconds + 1) * self._seconds

    def _end_segment(self, until: Fraction | None = None) -> None:
        """Make what is written a whole segment: on the disk first, then in the journal."""
        writer = self._writer
        assert writer is not None
        writer.finish(None if until is None else until - self._shown_at(self._last), as_written=True)
        self._writer = None
        place = Path(writer.path)
        _sync(place)
        _sync(self.folder)
        size = place.stat().st_size
        segment = Segment(place.name, self._first, self._after, self._packets, self._begin, self._last, size)
        with (self.folder / "journal.jsonl").open("a", encoding="utf-8") as journal:
            journal.write(segment.line() + "\n")
            journal.flush()
            os.fsync(journal.fileno())
        self.whole.append(segment)

    def end(self) -> None:
        """End the last segment."""
        self.begin()
        if self._writer is not None:
            with self.told():
                self._end_segment()

    @contextlib.contextmanager
    def told(self) -> Iterator[None]:
        """Errors of the disk, in words that say what is left."""
        try:
            yield
        except OSError as error:
            self.broken = True
            why = error.strerror or str(error)
            seconds = float(self.whole[-1].last - self.whole[0].begin) if self.whole else 0.0
            left = f"{seconds:.1f} s are whole in {self.folder}, and --resume goes on with them" if self.whole else ""
            if not self.folder.is_dir():
                why, left = f"the folder {self.folder} is gone", ""
            raise OSError("; ".join(filter(None, [f"{self.path} cannot be written: {why}", left]))) from error

    # ------------------------------------------------------------------------------------------------- the end

    def put(self, joined: Path, target: str) -> None:
        """Give what the segments were joined to its name, once it is on the disk."""
        with self.told():
            _sync(joined)
            joined.replace(target)

    def remove(self) -> None:
        """The output is whole: nothing of the segments stays."""
        self.done = True
        self._clear()
        with contextlib.suppress(OSError):  # somebody has put a file there
            self.folder.rmdir()

    def close(self) -> None:
        """Release what is open; the segments stay."""
        if self._writer is not None:
            # Only after an error of the disk is there still a writer; that has been told.
            with contextlib.suppress(OSError):
                self._writer.close()
            self._writer = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def check_free(path: str) -> None:
    """Raise OSError where another run writes segments of this output just now."""
    folder = Path(f"{path}.segments")
    if folder.is_dir():
        os.close(lock(path, folder))


def lock(path: str, folder: Path) -> int:
    """A descriptor that holds the folder of an output's segments for one run; OSError where another has it."""
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(held)
        raise OSError(f"{path} is being written by another run ({folder} is in use)") from None
    return held


def _sync(place: Path) -> None:
    """Have a file or folder on the disk."""
    descriptor = os.open(place, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
