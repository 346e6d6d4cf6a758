"""What Diff2Lip's network is told besides the noisy picture: typed, all of it required, every shape checked."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

SIZE = 128
#: first row that is drawn; the rows above it are given
SPLIT = SIZE // 2

_SHAPES = {
    "image": (3, SIZE, SIZE),
    "reference": (3, SIZE, SIZE),
    "mask": (1, SIZE, SIZE),
    "speech": (80, 16),
}


def check_shape(name: str, value: object, shape: tuple[int, ...], count: int | None = None) -> None:
    """Raise TypeError if `value` is no tensor, ValueError if it is not floating [count, *shape]; `count` None: any."""
    if not isinstance(value, Tensor):
        raise TypeError(f"Diff2Lip needs '{name}' as a tensor [N, {_words(shape)}], got {type(value).__name__}")
    if tuple(value.shape[1:]) != shape or value.ndim != len(shape) + 1:
        raise ValueError(f"Diff2Lip's '{name}' has shape {list(value.shape)}, it takes [N, {_words(shape)}]")
    if count is not None and len(value) != count:
        raise ValueError(f"Diff2Lip's '{name}' is for {len(value)} frames, the others are for {count}")
    if not value.is_floating_point():
        raise ValueError(f"Diff2Lip's '{name}' is of {value.dtype}, it takes floating point")


def _words(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape))


def lower_half(count: int, device: torch.device | str = "cpu") -> Tensor:
    """The mask the model was trained with, float32 [count, 1, 128, 128]: 1 in rows 64…127, hard edge, full width."""
    mask = torch.zeros(count, 1, SIZE, SIZE, device=device)
    mask[:, :, SPLIT:] = 1
    return mask


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """For N frames, all RGB in -1…1 (WACV 2024, section 3: the masked frame, a reference of the person, the speech).

    image: [N, 3, 128, 128] the frame's upper half clean, its lower half noise: the same noise for every frame of a
        video, and the same that the sampler starts from, which is what keeps neighbouring frames alike.
    reference: [N, 3, 128, 128] a whole picture of the person.
    mask: [N, 1, 128, 128] 1 where the network draws, 0 where it is shown the frame.
    speech: [N, 80, 16] log-mel window, in -4…4.
    Raises TypeError and ValueError, naming the input, where one is missing or of another shape or number of frames.
    """

    image: Tensor
    reference: Tensor
    mask: Tensor
    speech: Tensor

    def __post_init__(self) -> None:
        count = len(self.image) if isinstance(self.image, Tensor) and self.image.ndim else None
        for field in fields(self):
            check_shape(field.name, getattr(self, field.name), _SHAPES[field.name], count)

    def __len__(self) -> int:
        return len(self.image)

    def part(self, start: int, stop: int) -> Conditions:
        """The same for frames start…stop-1."""
        return type(self)(**{field.name: getattr(self, field.name)[start:stop] for field in fields(self)})

    @staticmethod
    def hide_lower_half(*, frames: Tensor, references: Tensor, speech: Tensor, noise: Tensor) -> Conditions:
        """Conditions for whole frames [N, 3, 128, 128]: the lower half replaced by `noise` [N or 1, 3, 128, 128]."""
        check_shape("frames", frames, _SHAPES["image"])
        mask = lower_half(len(frames), frames.device)
        hidden = frames * (1 - mask) + noise * mask
        return _HalfHidden(image=hidden, reference=references, mask=mask, speech=speech)

    def check_mask(self) -> None:
        """Raise ValueError unless the mask is `lower_half`."""
        if not torch.equal(self.mask, lower_half(len(self), self.mask.device)):
            raise ValueError("Diff2Lip draws the lower half: the mask is 1 in rows 64 to 127 and 0 above, nothing else")


class _HalfHidden(Conditions):
    """What `hide_lower_half` made: its mask is known, and looking at it would mean to wait for a GPU."""

    def check_mask(self) -> None:
        """It is."""
