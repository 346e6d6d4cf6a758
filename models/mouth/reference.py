"""The picture of the person that a network is shown besides the frame: which one, and how it is cut out."""

from __future__ import annotations

from typing import Literal

import numpy as np

from models.mouth.cut import Picture, cut_out, face_box
from models.mouth.names import AHEAD
from models.mouth.paper import box_of, smoothed, stretch_out
from models.mouth.survey import Survey


def reference_frame(survey: Survey, reference: Literal["first"] | int) -> int:
    """The number of the frame that is meant: that one, or the first that shows a face.

    Raises ValueError where there is no such frame, or no face in it.
    """
    index = int(np.isfinite(survey.table()["height"]).argmax()) if reference == "first" else reference
    if not 0 <= index < survey.count:
        raise ValueError(f"reference: the video has frames 0 to {survey.count - 1}, not {index}")
    if not survey.landmarks(index)[1]["found"]:
        raise ValueError(f"reference: frame {index} of the video shows no face")
    return index


def reference_crop(survey: Survey, index: int, frame: Picture, size: int, mode: Literal["best", "paper"]) -> Picture:
    """The face in `frame` uint8 [h, w, 3], number `index` of the video: uint8 [size, size, 3], cut as crop cuts."""
    crop = np.empty((size, size, 3), np.uint8)
    if mode == "best":
        cut_out(frame, face_box(survey.landmarks(index)[0], size), crop)
        return crop
    ahead = [survey.landmarks(one) for one in range(index, min(index + AHEAD, survey.count))]
    boxes = [box_of(landmarks, *frame.shape[:2]) for landmarks, face in ahead if face["found"]]
    left, top, right, bottom = smoothed(boxes, 0, last=False)
    stretch_out(frame[top:bottom, left:right], crop)
    return crop
