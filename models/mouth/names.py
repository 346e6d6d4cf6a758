"""The generators by name. Imports nothing heavy: stages read it when they are declared."""

from __future__ import annotations

from typing import Literal

ModelName = Literal["auto", "rewrite", "warp", "diff2lip", "wav2lip", "wav2lip_gan"]

#: what needs no weights; `auto` takes the one that suits the video
EMBEDDED = ("auto", "rewrite", "warp")
#: the networks, with the side of the crops that they take, in pixels
SIZES = {"diff2lip": 128, "wav2lip": 96, "wav2lip_gan": 96}
#: frames over which the paper's code smooths the box around a face
AHEAD = 5


def check_mode(mode: str, model: str) -> None:
    """Raise ValueError where a model has no code of a paper to be like."""
    if mode == "paper" and model != "diff2lip":
        raise ValueError(f"mode paper is what Diff2Lip's code does; {model} has only best")
