"""Scene cuts, told as they come: the picture has changed, and neither motion nor light explains it."""

from __future__ import annotations

from collections import deque
from statistics import median

from models.faces import Floats, Frame
from models.faces.view import View, view_of

#: the small picture that is compared, and how far it may have moved (in its pixels) from one frame to the next
WIDTH, HEIGHT, REACH = 40, 24, 5
#: a contrast (standard deviation of luma, 0..255) below which a picture says nothing: black, white, a flash
FLAT = 6.0
#: a change from which on it can be a cut, one from which on it is one, and by how much it stands out of the last ones
LEAST, CERTAIN, STANDS_OUT = 0.3, 0.75, 4.0


class CutDetector:
    """`cut(picture)` is True for the first frame of a new scene, never for the first frame of all.

    The change from frame to frame is one minus the correlation of their small luma pictures, at the shift that explains
    it best: correlation does not see light that goes up or down (flashes, fades), the shift takes out pans. A picture
    without contrast is passed over, and the next one is compared with the last that had some.
    """

    def __init__(self) -> None:
        self._last: Floats | None = None
        self._changes: deque[float] = deque(maxlen=12)

    def cut(self, picture: Frame | View) -> bool:
        """Whether a scene begins with this frame [h, w, 3] or view."""
        small = view_of(picture).grey(WIDTH, HEIGHT)
        if _contrast(small) < FLAT:
            return False
        last, self._last = self._last, small
        if last is None:
            return False
        change = _change(last, small)
        usual = median(self._changes) if self._changes else 0.0
        found = change > CERTAIN or (change > LEAST and change > STANDS_OUT * usual)
        self._changes.clear() if found else self._changes.append(change)
        return found


def _change(before: Floats, after: Floats) -> float:
    """0 (the same picture, moved or lit otherwise) to 2, from the best place of the one's middle in the other."""
    import cv2

    inner = after[REACH:-REACH, REACH:-REACH]
    if _contrast(inner) < 1:
        return 0.0
    return 1 - float(cv2.matchTemplate(before, inner, cv2.TM_CCOEFF_NORMED).max())


def _contrast(luma: Floats) -> float:
    """The standard deviation: in a tenth of the time that NumPy takes for so few values."""
    import cv2

    return float(cv2.meanStdDev(luma)[1].item())
