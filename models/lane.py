"""Arrays to a device and back beside what it computes.

On CUDA both ways go through pinned memory on a stream of their own, so that neither the device waits for a copy nor the
processor for the device (CUDA C++ Programming Guide, "Asynchronous Concurrent Execution"). Written for CUDA, where it
was not run; on the CPU a copy is a copy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor

Array = npt.NDArray[Any]


class Lane:
    """Copies to and from one device."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream: Any = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]

    def upload(self, array: Array) -> Tensor:
        """The array as a tensor on the device, of which it is a copy; what computes there next waits for it."""
        if self._stream is None:
            return torch.tensor(array, device=self._device)
        computing = torch.cuda.current_stream(self._device)
        with torch.cuda.stream(self._stream):
            tensor = torch.tensor(array).pin_memory().to(self._device, non_blocking=True)
        computing.wait_stream(self._stream)
        tensor.record_stream(computing)
        return tensor

    def download(self, tensor: Tensor) -> Callable[[], Array]:
        """Begin to take a tensor from the device; what is returned waits until it is here."""
        if self._stream is None:
            here: Array = tensor.cpu().numpy()
            return lambda: here
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._stream):
            pinned = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
            pinned.copy_(tensor, non_blocking=True)
            tensor.record_stream(self._stream)
            copied = self._stream.record_event()

        def taken() -> Array:
            copied.synchronize()
            return pinned.numpy()

        return taken
