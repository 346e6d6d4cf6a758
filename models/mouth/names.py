"""The generators by name. Imports nothing heavy: stages read it when they are declared."""

from __future__ import annotations

from typing import Literal

ModelName = Literal["auto", "rewrite", "warp", "diff2lip", "wav2lip", "wav2lip_gan"]

#: what needs no weights; `auto` takes the one that suits the video
EMBEDDED = ("auto", "rewrite", "warp")
#: the networks, with the side of the crops that they take, in pixels
SIZES = {"diff2lip": 128, "wav2lip": 96, "wav2lip_gan": 96}
