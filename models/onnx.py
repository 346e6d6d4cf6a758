"""ONNX Runtime sessions: the one place that opens them, so that device, threads and checks are the same everywhere."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from models.prelu import without_prelu

if TYPE_CHECKING:
    import onnxruntime

CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"

ProviderName = Literal["auto", "cpu", "cuda", "tensorrt", "openvino"]
RUNTIME = {"cpu": CPU, "cuda": CUDA, "tensorrt": "TensorrtExecutionProvider", "openvino": "OpenVINOExecutionProvider"}


@dataclass(frozen=True)
class Network:
    """An opened network. `provider` is the ONNX Runtime provider that really runs it."""

    session: onnxruntime.InferenceSession
    provider: str
    path: Path

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """Of the first input; None where a dimension is free."""
        shape = self.session.get_inputs()[0].shape
        return tuple(size if isinstance(size, int) and size > 0 else None for size in shape)

    @property
    def takes_several(self) -> bool:
        """Whether it takes any number of pictures at once, and each of its outputs has one part for each of them."""
        firsts = [one.shape[0] if one.shape else 1 for one in (*self.session.get_inputs(), *self.session.get_outputs())]
        return all(isinstance(first, str) for first in firsts) and len(set(firsts)) == 1

    def run(self, tensor: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
        """All outputs by name for a network of one input."""
        given, names = self._ends
        return dict(zip(names, self.session.run(names, {given: tensor}), strict=True))

    @cached_property
    def _ends(self) -> tuple[str, list[str]]:
        """The names of the first input and of all outputs: ONNX Runtime describes them anew whenever it is asked."""
        return self.session.get_inputs()[0].name, [output.name for output in self.session.get_outputs()]


def check_device(device: str) -> str:
    """`device` if it is `auto`, `cpu`, `cuda` or `cuda:N`; else ValueError."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", device):
        raise ValueError(f"device {device!r} is not auto, cpu, cuda or cuda:N")
    return device


def open_network(
    path: str | Path,
    device: str = "auto",
    *,
    threads: int = 1,
    sha256: str | None = None,
    change: Callable[[bytes], bytes] | None = None,
) -> Network:
    """Open an ONNX file, after checking the SHA-256 of the very bytes that are loaded where one is given.

    `change` makes of them what is really opened, for networks that say of themselves what they need not.
    `auto` takes CUDA where it works and the CPU elsewhere; `cuda:N` is that device or a RuntimeError. Raises ValueError
    where the file is not the expected one or no network, OSError where it cannot be read.
    """
    path = Path(path)
    model = path.read_bytes()
    if sha256 is not None and (found := hashlib.sha256(model).hexdigest()) != sha256:
        raise ValueError(f"{path} is not the file that was published: its SHA-256 is {found}, expected {sha256}")
    model = change(model) if change else model
    providers = _providers(check_device(device))
    if providers == [CPU] and b"PRelu" in model:
        model = without_prelu(model)
    session = _session(model, path, providers, threads)
    used = session.get_providers()[0]
    if device.startswith("cuda") and used != CUDA:
        raise RuntimeError(f"device {device} cannot be used by ONNX Runtime here: it offers {used} only")
    return Network(session, used, path)


def open_session(
    path: str | Path, provider: str = "auto", threads: int = 0, gpu: int = 0
) -> onnxruntime.InferenceSession:
    """Open a network on a provider that a user names; `auto` is CUDA where there is a GPU, else the CPU.

    `threads` 0: ONNX Runtime's choice; `gpu`: which one, of several. Raises ValueError where the file is missing, is no
    network, or the provider is not there or cannot be used: another one is never taken in its place.
    """
    import onnxruntime

    if provider not in get_args(ProviderName):
        raise ValueError(f"provider: {provider!r} is none of {', '.join(get_args(ProviderName))}")
    if not Path(path).is_file():
        raise ValueError(f"no such ONNX file: {path}")
    there = onnxruntime.get_available_providers()
    wanted = RUNTIME[provider] if provider != "auto" else CUDA if CUDA in there and _has_gpu() else CPU
    if wanted not in there:
        raise ValueError(f"provider: {provider} is not in the ONNX Runtime that is installed")
    on = {"device_id": gpu} if wanted in (CUDA, RUNTIME["tensorrt"]) else {}
    session = _session(str(path), path, [(wanted, on)], threads)
    if (used := session.get_providers()[0]) != wanted:
        raise ValueError(f"provider: {provider} cannot be used here: ONNX Runtime fell back to {used}")
    return session


def _providers(device: str) -> Sequence[str | tuple[str, Mapping[str, Any]]]:
    import onnxruntime

    if device == "cpu" or (device == "auto" and not (CUDA in onnxruntime.get_available_providers() and _has_gpu())):
        return [CPU]
    number = int(device.partition(":")[2] or 0) if device != "auto" else 0
    return [(CUDA, {"device_id": number}), CPU]


def _has_gpu() -> bool:
    """Whether a driver is loaded: a build with CUDA lists its provider on machines without a GPU as well."""
    return Path("/proc/driver/nvidia/version").exists() or Path("/dev/dxg").exists()


def _session(
    model: bytes | str, path: str | Path, providers: Sequence[str | tuple[str, Mapping[str, Any]]], threads: int
) -> onnxruntime.InferenceSession:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # stages share the cores: a thread that spins while it waits takes them from the others
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(model, options, providers=list(providers))
    except Exception as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{path} cannot be opened by ONNX Runtime: {reason}") from error
