"""Colours of video: the code points of ITU-T H.273, and what is taken where a file says nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

MATRICES = {0: "gbr", 1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 9: "bt2020nc", 10: "bt2020c"}
PRIMARIES = {
    1: "bt709",
    4: "bt470m",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "film",
    9: "bt2020",
    10: "smpte428",
    11: "smpte431",
    12: "smpte432",
    22: "ebu3213",
}
TRANSFERS = {
    1: "bt709",
    4: "gamma22",
    5: "gamma28",
    6: "smpte170m",
    7: "smpte240m",
    8: "linear",
    9: "log100",
    10: "log316",
    11: "iec61966-2-4",
    12: "bt1361e",
    13: "iec61966-2-1",
    14: "bt2020-10",
    15: "bt2020-12",
    16: "smpte2084",
    17: "smpte428",
    18: "arib-std-b67",
}
RANGES = {1: "limited", 2: "full"}
HDR = ("smpte2084", "arib-std-b67")

#: colour facts of a stream by name (`matrix`, `range`, `primaries`, `transfer`), None where the file says nothing
Colour = dict[str, str | None]

#: what a file without any word of its colours says
NOTHING_SAID: Colour = {"matrix": None, "range": None, "primaries": None, "transfer": None}

#: what tone-mapped pictures are in
BT709: Colour = {"matrix": "bt709", "range": "limited", "primaries": "bt709", "transfer": "bt709"}

#: frames from this height on are taken as BT.709 where the file says nothing, smaller ones as BT.601
HD_HEIGHT = 720


def colour_of(frame: Any) -> Colour:
    """What a decoded frame says of its colours."""
    return {
        "matrix": MATRICES.get(int(frame.colorspace)),
        "range": RANGES.get(int(frame.color_range)),
        "primaries": PRIMARIES.get(int(frame.color_primaries)),
        "transfer": TRANSFERS.get(int(frame.color_trc)),
    }


#: weight of red and of blue in luma, by matrix (H.273, table 4)
WEIGHTS = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 5: (0.299, 0.114), 7: (0.212, 0.087), 9: (0.2627, 0.0593)}


def is_hdr(colour: Colour) -> bool:
    """Whether the transfer is PQ or HLG."""
    return colour["transfer"] in HDR


def code(names: dict[int, str], name: str | None) -> int:
    """The H.273 code point of a name; 2, unspecified, for None."""
    return next((number for number, known in names.items() if known == name), 2)


def matrix_for(colour: Colour, width: int, height: int) -> int:
    """The matrix to convert with, as PyAV's Colorspace numbers it: the one stated, else the one usual for the size."""
    usual = "bt709" if min(width, height) >= HD_HEIGHT else "smpte170m"
    number = code(MATRICES, colour.get("matrix") if colour.get("matrix") != "gbr" else usual)
    number = code(MATRICES, usual) if number == 2 else number
    return {6: 5, 10: 9}.get(number, number)


def range_for(colour: Colour) -> int:
    """The range to convert with, as PyAV's ColorRange numbers it: limited where nothing is stated."""
    return 2 if colour.get("range") == "full" else 1


def yuv_rows(matrix: int, bits: int, full: bool) -> npt.NDArray[np.float64]:
    """The 3×4 map from RGB (0..255) to samples of YUV with so many bits (H.273, equations 20 to 28 and 38 to 43)."""
    red, blue = WEIGHTS[matrix]
    luma = np.array([red, 1 - red - blue, blue])
    u = (np.array([0, 0, 1]) - luma) / (2 - 2 * blue)
    v = (np.array([1, 0, 0]) - luma) / (2 - 2 * red)
    unit, whole = 1 << (bits - 8), (1 << bits) - 1
    scales = [whole] * 3 if full else [219 * unit, 224 * unit, 224 * unit]
    offsets = [0 if full else 16 * unit, 128 * unit, 128 * unit]
    return np.column_stack([np.stack([luma, u, v]) * np.array(scales)[:, None] / 255, offsets])
