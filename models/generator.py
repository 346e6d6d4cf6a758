"""Generators that are networks, behind one interface: crops, references and speech in, crops that speak out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from models.checkpoint import file_format, load_weights
from models.device import choose_device, choose_dtype, dtype_word, narrow
from models.registry import converted, find_model, weights

if TYPE_CHECKING:
    import torch
    from torch import nn

N = TypeVar("N", bound="nn.Module")
Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


class Generator(Protocol):
    """What draws the mouth."""

    @property
    def name(self) -> str:
        """Of the model."""
        ...

    @property
    def size(self) -> int:
        """Height and width of the pictures it takes and gives, in pixels."""
        ...

    @property
    def first_row(self) -> int:
        """The first row of them that it draws; those above are given back as they came."""
        ...

    def draw(self, crops: Bytes, references: Bytes, speech: Floats) -> Bytes:
        """RGB uint8 [N, size, size, 3], the same again, float32 [N, 80, 16] → RGB uint8 [N, size, size, 3]."""
        ...

    def begin(self, crops: Bytes, references: Bytes, speech: Floats) -> Callable[[], Bytes]:
        """As `draw`, but only begins on a GPU: what is returned waits for the pictures."""
        ...

    @property
    def waits(self) -> bool:
        """Whether it is worth doing something else before the pictures that were begun are taken."""
        ...

    def about(self) -> dict[str, Any]:
        """Plain facts for the report: model, licence, device, provider, and the numbers that shape the result."""
        ...


@dataclass(frozen=True)
class _Hardware:
    """source: the weights, or with `onnx` the graphs, which run on `provider`."""

    source: Path
    onnx: bool
    device: torch.device
    dtype: torch.dtype
    provider: str
    threads: int
    compile: bool

    @property
    def gpu(self) -> int:
        return self.device.index or 0


def load_generator(
    name: str,
    *,
    path: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    provider: str = "auto",
    threads: int = 0,
    compile: bool = False,
    steps: int = 25,
    solver: Literal["ddim", "dpm++", "unipc"] = "ddim",
    seed: int = 7,
    batch: int = 0,
    reuse: int = 1,
    warm_start: float = 0.0,
    rounding: Literal["nearest", "down"] = "nearest",
) -> Generator:
    """A network generator with its weights, ready to draw.

    name: `diff2lip`, `wav2lip` or `wav2lip_gan`. path: weights to use in place of those at hand. device: `auto`, `cpu`
    or `cuda:N`. dtype: `auto`, `fp32`, `bf16` or `fp16` (not on a CPU). provider: `auto` runs checkpoints in torch and
    ONNX graphs in ONNX Runtime; `cpu`, `cuda`, `tensorrt`, `openvino` run in ONNX Runtime there. threads: of this
    process's torch, or of ONNX Runtime, 0 for their own choice. compile: let torch compile the network. The rest is for
    diff2lip, see `Diff2Lip` and `Sampler`; Wav2Lip has no steps and rounds to the nearest.
    Raises ValueError where there are no weights (saying how to get them), they are another model's, or a word or number
    is out of range; OSError where a file cannot be read.
    """
    find_model(name)
    place = choose_device(device)
    source, onnx = _source(name, path, provider)
    if onnx and (compile or dtype not in ("auto", "fp32")):
        raise ValueError("dtype and compile are torch's: ONNX Runtime runs a graph as it was written")
    kind = choose_dtype("fp32" if onnx else dtype, place)
    wanted = place.type if provider == "auto" else provider
    hardware = _Hardware(source, onnx, place, kind, wanted, threads, compile)
    if threads and not onnx:
        import torch

        torch.set_num_threads(threads)
    if name != "diff2lip":
        return _wav2lip(name, hardware)
    drawing = {"steps": steps, "solver": solver, "seed": seed, "batch": batch, "reuse": reuse, "warm_start": warm_start}
    return _diff2lip(hardware, {**drawing, "rounding": rounding})


def _diff2lip(hardware: _Hardware, drawing: dict[str, Any]) -> Generator:
    from models.diff2lip.generator import Diff2Lip

    if not hardware.onnx:
        from models.diff2lip.network import CompiledNetwork, Network

        network = _filled(Network, "diff2lip", hardware)
        denoiser = CompiledNetwork(network) if hardware.compile else network
        return Diff2Lip(denoiser, device=hardware.device, dtype=hardware.dtype, **drawing)
    from models.diff2lip.export import OnnxDenoiser

    graphs = OnnxDenoiser(hardware.source, hardware.provider, hardware.threads, hardware.gpu)
    # tensors pass through the CPU's memory, wherever ONNX Runtime computes
    return Diff2Lip(graphs, device=choose_device("cpu"), provider=graphs.provider, **drawing)


def _wav2lip(name: str, hardware: _Hardware) -> Generator:
    from models.wav2lip.generator import OnnxRunner, TorchRunner, Wav2Lip

    if not hardware.onnx:
        from models.wav2lip.network import Network

        network = _filled(Network, name, hardware)
        if hardware.compile:
            network.compile()
        runner = TorchRunner(network, hardware.device, hardware.dtype)
        return Wav2Lip(runner, name=name, device=str(hardware.device), dtype=dtype_word(hardware.dtype))
    from models.wav2lip.export import open_graph

    session = open_graph(hardware.source, hardware.provider, hardware.threads, hardware.gpu)
    return Wav2Lip(OnnxRunner(session), name=name, device=hardware.provider)


def _source(name: str, path: str | None, provider: str) -> tuple[Path, bool]:
    """The weights to run in torch, or the ONNX file (for diff2lip the folder) and True."""
    given = weights(name) if path is None else Path(path)
    if given.is_dir():
        return given, True
    if not given.is_file():
        raise ValueError(f"no such file of weights: {path}")
    if file_format(given) == "onnx":
        return given, True
    if provider == "auto":
        return given, False
    if path is not None:
        raise ValueError(f"provider: {provider} runs ONNX graphs, and {path} is a checkpoint")
    folder = converted(name, "onnx")
    return (folder if name == "diff2lip" else folder / "network.onnx"), True


def _filled(network_type: type[N], name: str, hardware: _Hardware) -> N:
    import torch

    with torch.device("meta"):
        network = network_type()
    load_weights(network, hardware.source, name)
    narrow(network, hardware.dtype)
    return network.to(hardware.device)
