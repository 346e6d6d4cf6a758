"""crop: the face, or its lower half, cut out of each frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from graph.stage import Array, Caps, Packet, Stage, Value, Window
from models.mouth.names import AHEAD, EMBEDDED, SIZES, ModelName, check_mode
from stages.media.planes import reading

if TYPE_CHECKING:
    from models.mouth.cut import Picture


class Crop(Stage):
    """Cut the face out of each frame, as the generator wants it.

    For `model` `auto`, `rewrite` and `warp` a square of the frame's own pixels around the lower face, large enough for
    the largest face in `survey` (at most 512 pixels; larger faces are scaled down). For the networks the box around the
    face, stretched to the size that they take. `size`: the crop's side in pixels, 0 for the one that fits. `mode`:
    `paper` takes the box in whole pixels and smooths it over five frames, as Diff2Lip's code does. `pixels`: `rgb`
    reads `frame`; `source` reads the `planes` of a `decode` with `pixels: source`, of which the crop alone becomes RGB.

    `placement` is the affine map from the frame's pixels to the crop's. Without a face the crop is black, the placement
    NaN, and the frame counted as `no_face`.
    """

    reads = {
        "frame": Array(np.uint8, "h w 3"),
        "landmarks": Array(np.float32, "468 2"),
        "face": Value(),
    }
    writes = {
        "crop": Array(np.uint8, "s s 3", "RGB"),
        "placement": Array(np.float32, "2 3", "frame → crop, pixels"),
    }

    def __init__(
        self,
        model: ModelName = "auto",
        size: int = 0,
        survey: str | None = None,
        mode: Literal["best", "paper"] = "best",
        pixels: Literal["rgb", "source"] = "rgb",
    ) -> None:
        if size and not 32 <= size <= 1024:
            raise ValueError(f"size has to be 0, or lie between 32 and 1024 pixels, not {size}")
        if size and model in SIZES and size != SIZES[model]:
            raise ValueError(f"{model} takes crops of {SIZES[model]} pixels, not of {size}")
        if not size and model in EMBEDDED and survey is None:
            raise ValueError(f"for model {model} crop needs either survey (to fit the size to the faces) or size")
        check_mode(mode, model)
        self.mode = mode
        if mode == "paper":
            self.window = Window(AHEAD - 1, AHEAD - 1)
        self.model = model
        self.size = size
        self.survey = survey
        self.pixels = pixels
        self.reads = reading(Crop.reads, pixels)

    def open(self) -> None:
        """Learn how large the faces are."""
        from models.mouth.cut import lower_face_size
        from models.mouth.survey import Survey

        self._side = self.size or SIZES.get(self.model, 0)
        if not self._side and self.survey is not None:
            with Survey(self.survey) as survey:
                self._side = lower_face_size(survey)

    def configure(self, caps: Caps) -> Caps:
        """The crop's size; learns how the pictures lie in memory."""
        from stages.media.region import canvas_of

        self._canvas = canvas_of(caps, self.pixels)
        if self._canvas.is_hdr:
            self.notes.append("HDR stays: the mouth is drawn in BT.709, tone-mapped, and brought back to what it was")
        return Caps({"crop": (self._side, self._side, 3)})

    def about(self) -> dict[str, Any]:
        """The crop's side in pixels."""
        return {"size": self._side}

    def process(self, packet: Packet) -> None:
        """Cut one crop."""
        from models.mouth.cut import cut_out, face_box, lower_face, needed

        if not packet.face["found"]:
            self.counts["no_face"] += 1
            self.pass_through(packet)
            return
        if self.mode == "paper":
            self._cut_as_paper(packet)
            return
        place = lower_face if self.model in EMBEDDED else face_box
        packet.placement = place(packet.landmarks, self._side)
        _, _, width, height = self._canvas.whole
        box = needed(packet.placement, self._side, height, width)
        cut_out(self._canvas.see(self._image(packet), box), box.inside(packet.placement), packet.crop)

    def _image(self, packet: Packet) -> Picture:
        return cast("Picture", packet.frame if self.pixels == "rgb" else packet.planes)

    def _cut_as_paper(self, packet: Packet) -> None:
        from models.mouth.cut import Box
        from models.mouth.paper import box_of, placement_of, smoothed, stretch_out

        around = [packet.at(offset) for offset in range(1 - AHEAD, AHEAD)]
        seen = [one for one in around if one is not None and one.face["found"]]
        _, _, width, height = self._canvas.whole
        boxes = [box_of(one.landmarks, height, width) for one in seen]
        box = smoothed(boxes, seen.index(packet), last=around[-1] is None)
        if (box[2:] <= box[:2]).any():
            self.counts["no_face"] += 1
            self.pass_through(packet)
            return
        packet.placement = placement_of(box, self._side)
        left, top, right, bottom = (int(edge) for edge in box)
        stretch_out(self._canvas.see(self._image(packet), Box(left, top, right, bottom)), packet.crop)

    def pass_through(self, packet: Packet) -> None:
        """No face."""
        packet.crop[...] = 0
        packet.placement[...] = np.nan
