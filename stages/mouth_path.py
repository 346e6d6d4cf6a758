"""mouth_path: what was said becomes what the mouth shall do, as a CSV file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from graph.stage import Array, Caps, Output, Packet, Sink, Value

if TYPE_CHECKING:
    from models.mouth.learn import Learned
    from models.mouth.path import MouthPath
    from models.mouth.speech import Piece, Speech

#: seconds of smoothing of what is told from speech, and of a path that was made elsewhere
HEARD, TARGET = 0.04, 0.02


class MouthPathSink(Sink):
    """Join the phones and voice of a recording, map them to the mouth, and write the path (`MouthPath`) as CSV.

    The map is the general one (targets of phones, blended, and the voice's sound), or, where `survey` tells how the
    person's mouth moves and the video's own sound was listened to, that one averaged with one learned from it.

    `path`: the CSV. `survey`: folder of the video's survey. `style`: how much the mouth moves, 0.5 to 1.5. `smooth`:
    seconds (standard deviation) of smoothing, 0 to 0.2; by itself 0.04, of a target 0.02. `lead`: seconds by which the
    mouth comes before the sound, -0.5 to 0.5. `target`: a path made elsewhere (see `models.mouth.targets`), which is
    taken instead of a map.
    """

    reads = {
        "phones": Value(),
        "voice": Array(np.float32, "<=2200 14"),
        "span": Value(),
    }
    stateful = True

    def __init__(
        self,
        path: str,
        survey: str | None = None,
        style: float = 1.0,
        smooth: float | None = None,
        lead: float = 0.1,
        target: str | None = None,
    ) -> None:
        self.path = path
        self.survey = survey
        self.target = target
        self.style = within("style", style, 0.5, 1.5)
        usual = HEARD if target is None else TARGET
        self.smooth = within("smooth", usual if smooth is None else smooth, 0.0, 0.2)
        self.lead = within("lead", lead, -0.5, 0.5)
        self._pieces: dict[str, list[Piece]] = {"speech": [], "own": []}
        self._totals: dict[str, int] = {}
        self._after = ""

    def preflight(self) -> None:
        """Read what can be wrong before anything is heard: the target, and the survey unless it is still to be made."""
        from models.mouth.survey import Survey
        from models.mouth.targets import read_target

        if self.target is not None:
            if not Path(self.target).is_file():
                raise ValueError(f"no such target: {self.target}")
            read_target(self.target, self.style, self.smooth, self.lead)
        elif self.survey:
            Survey(self.survey).close()

    def open(self) -> None:
        """Whether there is a folder to write to, and what it takes to."""
        folder = Path(self.path).absolute().parent
        if not folder.is_dir():
            raise ValueError(f"cannot write {self.path}: there is no folder {folder}")
        self.preflight()

    def configure(self, caps: Caps) -> Caps:
        """Learns from the stream whose sound is the video's own."""
        self._own = str(caps.stream.get("own", "none"))
        return Caps()

    def process(self, packet: Packet) -> None:
        """Keep the piece: 28 bytes a frame of 1/100 s, 10 MB an hour."""
        from models.mouth.phones import Phone
        from models.mouth.speech import Piece

        span = packet.span
        phones = [Phone(label, start, end) for label, start, end in packet.phones]
        self._totals[span["of"]] = span["total"]
        self._pieces[span["of"]].append(Piece(span["first"], span["end"], phones, packet.voice.astype(np.float16)))

    def finish(self) -> Sequence[Output]:
        """Map, and write the CSV."""
        from models.mouth.path import runs

        speech = self._joined("speech")
        path = self._from_target(speech) if self.target is not None else self._from_speech(speech)
        path.write(self.path)
        self.counts["pauses"] = len(runs(path.silent))
        self.counts["closures"] = len(runs(path.closed))
        return [Output(self.path, frames=len(path), duration=path.duration, about=self._after)]

    def _joined(self, of: str) -> Speech:
        from models.mouth.speech import Speech

        return Speech.of(self._pieces.pop(of, []), self._totals.get(of, 0))

    def _from_target(self, speech: Speech) -> MouthPath:
        from models.mouth.targets import read_target

        assert self.target is not None
        path, kind = read_target(self.target, self.style, self.smooth, self.lead)
        if path.duration < speech.duration - 0.5:
            self.notes.append(f"the target ends at {path.duration:.2f} s, the sound at {speech.duration:.2f} s")
        self._tell(f"{self.target}, taken as {kind}")
        return path.at(np.arange(len(speech)) / 100)

    def _from_speech(self, speech: Speech) -> MouthPath:
        from models.mouth.articulation import articulate
        from models.mouth.speaking import speaking

        learned = self._learned(speech)
        shapes = learned(speech, self.lead) if learned else articulate(speech, self.lead)
        if not speech.phones or (len(speech.pauses) == 1 and speech.silent.all()):
            self.notes.append("there is no speech in the sound: the mouth stays at rest")
        return speaking(speech, shapes, self.style, self.smooth, self.lead)

    def _learned(self, speech: Speech) -> Learned | None:
        """The map learned from the video's own sound, where there is one."""
        from models.mouth.learn import learn
        from models.mouth.survey import Survey

        own = speech if self._own == "speech" else self._joined("own")
        if self.survey is None:
            self._tell("the general map, since no survey tells how the person's mouth moves")
            return None
        if self._own == "none" or not len(own):
            self._tell("the general map, since there is no sound of the video's own to learn from")
            return None
        with Survey(self.survey) as survey:
            table = survey.table()
            learned, why = learn(own, table["time"].astype(np.float64), table["measures"])
        self._tell(why)
        return learned

    def _tell(self, what: str) -> None:
        self._after = what
        self.notes.append(f"mouth after {what}")


def within(name: str, value: float, least: float, most: float) -> float:
    """The value, or a ValueError that says its bounds."""
    if not least <= value <= most:
        raise ValueError(f"{name} is {value:g}, but has to lie between {least:g} and {most:g}")
    return value
