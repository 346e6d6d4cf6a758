"""What HDR pictures were made for: the mastering display and the brightest content (SMPTE ST 2086, CTA-861.3)."""

from __future__ import annotations

import struct
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

#: the units of H.265, D.3.28: chromaticity in 1/50000, luminance in 1/10000 cd/m²
PLACES, LUMINANCES = 50_000, 10_000

Pair = tuple[int, int]


@dataclass(frozen=True)
class HDRLight:
    """What a file says of it; None is what it does not say.

    `display`: x and y of red, green, blue and white, then most and least luminance, in the units of H.265, D.3.28.
    `level`: MaxCLL and MaxFALL in cd/m².
    """

    display: tuple[Pair, ...] | None
    level: Pair | None

    def plain(self) -> dict[str, Any]:
        """As a fact of the stream; `from_plain` is the way back."""
        return asdict(self)

    @classmethod
    def from_plain(cls, told: dict[str, Any]) -> HDRLight:
        """See `plain`."""
        display = told["display"] and tuple((int(one), int(other)) for one, other in told["display"])
        return cls(display or None, told["level"] and (int(told["level"][0]), int(told["level"][1])))


def light_of(frame: Any) -> HDRLight | None:
    """What a decoded frame says of it; None where it says nothing."""
    from av.sidedata.sidedata import Type

    try:
        display = frame.side_data.get(Type.MASTERING_DISPLAY_METADATA)
        level = frame.side_data.get(Type.CONTENT_LIGHT_LEVEL)
    except ValueError:  # the frame has side data of a kind that this PyAV has no name for
        return None
    light = HDRLight(display and _display(bytes(display)), level and struct.unpack_from("=II", bytes(level)))
    return light if light.display or light.level else None


def _display(data: bytes) -> tuple[Pair, ...] | None:
    """FFmpeg's AVMasteringDisplayMetadata: ten fractions (x, y of red, green, blue, white; least, most), two flags."""
    numbers = struct.unpack_from("=22i", data)
    if not (numbers[20] and numbers[21]):
        return None
    values = [Fraction(*numbers[at : at + 2]) for at in range(0, 20, 2)]
    places = [round(value * PLACES) for value in values[:8]]
    least, most = (round(value * LUMINANCES) for value in values[8:])
    return (*zip(places[0::2], places[1::2], strict=True), (most, least))


#: by encoder: its option for parameters, the names of both there, and what divides the display's numbers
NAMES = {
    "libx264": ("x264-params", "mastering-display", "cll", 1, 1),
    "libx265": ("x265-params", "master-display", "max-cll", 1, 1),
    "libsvtav1": ("svtav1-params", "mastering-display", "content-light", PLACES, LUMINANCES),
}


def light_options(options: dict[str, str], encoder: str, light: HDRLight) -> dict[str, str] | None:
    """An encoder's options with what HDR was made for; None where the encoder cannot be told."""
    if encoder not in NAMES:
        return None
    option, display, level, places, luminances = NAMES[encoder]
    told = [options[option]] if option in options else []
    if light.display:
        red, green, blue, white, range_ = light.display
        corners = {"G": green, "B": blue, "R": red, "WP": white}
        text = "".join(f"{name}({x / places:.10g},{y / places:.10g})" for name, (x, y) in corners.items())
        told.append(f"{display}={text}L({range_[0] / luminances:.10g},{range_[1] / luminances:.10g})")
    if light.level:
        told.append(f"{level}={light.level[0]},{light.level[1]}")
    return {**options, option: ":".join(told)}
