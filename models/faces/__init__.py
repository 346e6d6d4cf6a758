"""Faces: detectors, mesh, identities over time, smoothing, scene cuts.

Everywhere here a frame is RGB uint8 [h, w, 3], and `faces` is float32 [n, 15]: x0 y0 x1 y1 score, then x y of the
person's right eye, left eye, nose tip, right corner of the mouth, left corner of the mouth. Pixels: x right, y down,
(0, 0) is the centre of the top-left pixel.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Frame = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

#: at most as many faces a frame are kept, the largest
MOST_FACES = 32
#: columns of `faces`
COLUMNS = 15
