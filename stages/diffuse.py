"""diffuse: the generator draws the mouth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from graph.stage import Array, Caps, Output, Packet, Stage, Value, process_all
from models.mouth.names import EMBEDDED, ModelName, check_mode

if TYPE_CHECKING:
    from models.generator import Generator
    from models.mouth.cut import Picture
    from models.mouth.drawers import Drawer
    from models.mouth.geometry import Floats
    from models.mouth.survey import Survey

#: faces of fewer pixels, from side to side or from top to bottom, are left as they are
SMALLEST = 32
#: what only a network that draws in steps can use
_IN_STEPS = ("steps", "solver", "seed", "frames", "reuse", "warm_start")


class Diffuse(Stage):
    """Draw the mouth that speaks, in each crop.

    `model`: `rewrite` takes the person's own mouths from the bank in `survey`, `warp` bends the mouth that the picture
    shows, `auto` takes the one that suits the video and says which and why. Both follow the mouth path in the CSV file
    `target`. `diff2lip`, `wav2lip` and `wav2lip_gan` are networks that draw from `speech`.

    `style`: how large the moves are (0.5 to 1.5), `smooth`: seconds of smoothing (0 to 0.3), `lead`: seconds by which
    the mouth comes before the path (-0.5 to 0.5); these are for the embedded generators. For the networks: `weights` (a
    file in place of those at hand), `device`, `dtype`, `provider`, `threads`, `compile`, and `reference`: the picture
    of the person that they are shown, `same` (the frame itself), `first` (the first that shows a face) or the number of
    a frame of the video. For diff2lip also `steps`, `solver`, `seed`, `frames` (at once in the network, of those of a
    `batch:`), `reuse`, `warm_start`, and `mode`: `paper` rounds as its authors' code does and lets all of the crop be
    used; crop, composite and speech have the rest of that mode.
    `profile`: degrees that a head may be turned; frames beyond pass through unchanged, counted as `passed_through`, as
    those without a face, counted as `no_face`, and for the networks faces under 32 pixels, counted as `small_face`.
    What passes before the mouth, a hand or a microphone, rewrite leaves as it is; such frames are counted as `covered`,
    all others that are drawn as `drawn`. An error of a network ends the run, or goes by `on_error`.
    """

    reads = {
        "crop": Array(np.uint8, "s s 3"),
        "placement": Array(np.float32, "2 3"),
        "landmarks": Array(np.float32, "468 2"),
        "face": Value(),
        "source_index": Value(),
    }
    writes = {
        "drawn": Array(np.uint8, "s s 3", "the crop with the new mouth, RGB"),
        "mask": Array(np.uint8, "s s", "where it may be used, 0..255"),
    }

    def __init__(
        self,
        model: ModelName = "auto",
        survey: str | None = None,
        target: str | None = None,
        style: float = 1.0,
        smooth: float = 0.0,
        lead: float = 0.0,
        profile: float = 40.0,
        weights: str | None = None,
        device: str | None = None,
        dtype: str | None = None,
        provider: str | None = None,
        threads: int | None = None,
        steps: int | None = None,
        solver: Literal["ddim", "dpm++", "unipc"] | None = None,
        seed: int | None = None,
        frames: int | None = None,
        compile: bool | None = None,
        reuse: int | None = None,
        warm_start: float | None = None,
        reference: Literal["same", "first"] | int = "same",
        mode: Literal["best", "paper"] = "best",
    ) -> None:
        check_mode(mode, model)
        for name, value, low, high in (
            ("style", style, 0.5, 1.5),
            ("smooth", smooth, 0.0, 0.3),
            ("lead", lead, -0.5, 0.5),
            ("profile", profile, 5.0, 90.0),
        ):
            if not low <= value <= high:
                raise ValueError(f"{name} has to lie between {low:g} and {high:g}, not {value:g}")
        self.model, self.survey, self.target = model, survey, target
        self.manner = {"style": style, "smooth": smooth, "lead": lead}
        self.profile = profile
        given: dict[str, Any] = {"path": weights, "device": device, "dtype": dtype, "provider": provider}
        given |= {"threads": threads, "compile": compile, "steps": steps, "solver": solver, "seed": seed}
        given |= {"frames": frames, "reuse": reuse, "warm_start": warm_start}
        self.options = {name: value for name, value in given.items() if value is not None}
        self.reference, self.mode = reference, mode
        self._check()
        if model not in EMBEDDED:
            self.reads = {**Diffuse.reads, "speech": Array(np.float32, "80 16")}
        self._survey: Survey | None = None
        self._drawer: Drawer | None = None
        self._network: Generator | None = None
        self._shown: Picture | None = None
        self._at_once = 0

    def _check(self) -> None:
        if self.model in EMBEDDED:
            for name in [*self.options, *(["reference"] if self.reference != "same" else [])]:
                what = "weights" if name == "path" else name
                raise ValueError(
                    f"{what} is for the networks (diff2lip, wav2lip, wav2lip_gan); {self.model} has no use for it"
                )
            for name, value in (("survey", self.survey), ("target", self.target)):
                if value is None:
                    made = {"survey": "pipelines/survey.yaml", "target": "pipelines/mouth.yaml"}[name]
                    raise ValueError(f"model {self.model} needs {name} ({made} makes it)")
        elif self.manner != {"style": 1.0, "smooth": 0.0, "lead": 0.0}:
            raise ValueError(f"style, smooth and lead are for rewrite and warp; {self.model} follows the speech")
        elif self.reference != "same" and self.survey is None:
            raise ValueError(f"reference {self.reference} needs survey (pipelines/survey.yaml makes it)")
        elif self.model != "diff2lip":
            for name in self.options.keys() & set(_IN_STEPS):
                raise ValueError(f"{name} is for diff2lip; {self.model} draws in one pass")

    def preflight(self) -> None:
        """Whether a network's weights are there."""
        if self.model not in EMBEDDED and self.options.get("path") is None:
            from models.registry import weights

            weights(self.model)

    def open(self) -> None:
        """Open the survey or the network."""
        if self.model not in EMBEDDED:
            self._open_network()
            return
        from models.mouth.drawers import read_target, suited
        from models.mouth.survey import Survey

        assert self.survey is not None and self.target is not None
        self._survey = Survey(self.survey)
        self._path = read_target(self.target)
        if self.model == "auto":
            choice = suited(self._survey)
            self._chosen, self._why = choice.name, choice.why
            self.notes.append(f"draws with {choice.name}: {choice.why}")
        else:
            self._chosen, self._why = ("warp" if self.model == "warp" else "rewrite"), "asked for"

    def _open_network(self) -> None:
        from models.generator import load_generator
        from models.registry import licence_notice

        named = {("batch" if name == "frames" else name): value for name, value in self.options.items()}
        options: dict[str, Any] = {"threads": self.cores, **named}  # no other stage computes as much
        if self.mode == "paper":
            options["rounding"] = "down"
        self._network = load_generator(self.model, **options)
        if notice := licence_notice(self.model):
            self.notes.append(notice)

    def configure(self, caps: Caps) -> Caps:
        """Now the rate is known: get ready to draw."""
        rate = caps.stream.get("rate")
        if self._network is not None:
            side = caps.shapes["crop"][0]
            if side != self._network.size:
                want = self._network.size
                raise ValueError(
                    f"{self.model} takes crops of {want} pixels, crop gives {side}: give crop the same model"
                )
            if self.reference != "same":
                self._shown = self._read_reference(str(caps.stream["video"]), side)
            return Caps(stream={"generator": self.model, "shaped": False})
        from models.mouth.drawers import open_drawer

        assert self._survey is not None
        exact = None if rate is None else Fraction(str(rate))
        self._drawer = open_drawer(self._chosen, self._survey, self._path, exact, **self.manner)
        return Caps(stream={"generator": self._chosen, "shaped": True})

    def _read_reference(self, video: str, side: int) -> Picture:
        from models.mouth.reference import reference_crop, reference_frame
        from models.mouth.survey import Survey
        from stages.media.reader import read_picture

        assert self.survey is not None and self.reference != "same"
        with Survey(self.survey) as survey:
            index = reference_frame(survey, self.reference)
            return reference_crop(survey, index, read_picture(video, index), side, self.mode)

    def about(self) -> dict[str, Any]:
        """Which generator runs, and why."""
        if self._network is not None:
            return {**self._network.about(), "reference": self.reference, "mode": self.mode}
        return {"model": self._chosen, "why": self._why, **self.manner}

    def process(self, packet: Packet) -> None:
        """Draw one crop."""
        process_all(self, [packet])

    def process_batch(self, packets: Sequence[Packet]) -> Iterator[None]:
        """Draw the crops of a task; networks get them all at once, and on a GPU the next task's while they draw."""
        wanted = [packet for packet in packets if self._shows_face(packet)]
        if self._network is not None:
            if wanted:
                pictures = self._begin_network(self._network, wanted)
                if self._network.waits:
                    yield
                self._take_drawn(self._network, wanted, pictures())
            return
        for packet in wanted:
            assert self._drawer is not None
            drawn = self._drawer.draw(packet.index, float(packet.time), packet.crop, packet.placement, packet.landmarks)
            packet.drawn, packet.mask = drawn.picture, drawn.mask
            self.counts["covered" if drawn.covered else "drawn"] += 1

    def _begin_network(self, network: Generator, packets: list[Packet]) -> Callable[[], Picture]:
        self._at_once = max(self._at_once, len(packets))
        crops = np.stack([packet.crop for packet in packets])
        references = crops if self._shown is None else np.broadcast_to(self._shown, crops.shape)
        return network.begin(crops, references, np.stack([packet.speech for packet in packets]))

    def _take_drawn(self, network: Generator, packets: list[Packet], drawn: Picture) -> None:
        from models.mouth.masks import network_mask

        for packet, picture in zip(packets, drawn, strict=True):
            packet.drawn = picture
            if self.mode == "paper":
                packet.mask[...] = 255
            else:
                packet.mask = network_mask(packet.landmarks, packet.placement, network.size, network.first_row)
            self.counts["drawn"] += 1

    def _shows_face(self, packet: Packet) -> bool:
        """Whether there is a mouth to draw; if not, the crop passes through."""
        from models.mouth.geometry import yaw

        if not packet.face["found"] or not np.isfinite(packet.placement).all():
            self.counts["no_face"] += 1
        elif abs(float(yaw(packet.landmarks))) > self.profile:
            self.counts["passed_through"] += 1
        elif self._network is not None and self._too_small(packet.placement):
            self.counts["small_face"] += 1
        else:
            return True
        self.pass_through(packet)
        return False

    def _too_small(self, placement: Floats) -> bool:
        assert self._network is not None
        return bool((self._network.size / placement[[0, 1], [0, 1]] < SMALLEST).any())

    def finish(self) -> Sequence[Output]:
        """Says what was asked for in vain."""
        if self._at_once == 1:
            for name in self.options.keys() & {"warm_start", "frames"}:
                self.notes.append(f"{name} changed nothing: it needs a batch: of the stage larger than 1")
        return ()

    def pass_through(self, packet: Packet) -> None:
        """The crop as it is, used nowhere."""
        packet.drawn = packet.crop
        packet.mask[...] = 0

    def close(self) -> None:
        """Close the survey."""
        if self._survey is not None:
            self._survey.close()
