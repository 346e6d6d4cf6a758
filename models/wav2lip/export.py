"""Wav2Lip as an ONNX graph with FaceFusion's names: `source` [N, 1, 80, 16], `target` [N, 6, 96, 96] → `output`."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch.jit._trace import TracerWarning

from models.onnx import open_session
from models.wav2lip.network import SIZE, Network

if TYPE_CHECKING:
    import onnxruntime

OPSET = 18
_INPUTS = {"source": (1, 80, 16), "target": (6, SIZE, SIZE)}


def export(network: Network, path: str | Path) -> Path:
    """Write the graph, 145 MB, N free; the batch norms are folded into the convolutions. Returns the path."""
    names = [*_INPUTS, "output"]
    with warnings.catch_warnings(), torch.inference_mode():
        # the exporter by tracing needs no further package; what it warns of are the checks of shapes
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=TracerWarning)
        torch.onnx.export(
            network.eval(),
            tuple(torch.zeros(1, *shape) for shape in _INPUTS.values()),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=names[:2],
            output_names=names[2:],
            dynamic_axes={name: {0: "N"} for name in names},
        )
    return Path(path)


def open_graph(
    path: str | Path, provider: str = "auto", threads: int = 0, gpu: int = 0
) -> onnxruntime.InferenceSession:
    """Open a Wav2Lip graph, one of FaceFusion's or one that `export` wrote; N may be fixed to 1.

    Raises ValueError where it is another network, naming its inputs, or the provider cannot be used.
    """
    session = open_session(path, provider, threads, gpu)
    found = {given.name: tuple(given.shape[1:]) for given in session.get_inputs()}
    if found != _INPUTS:
        shown = ", ".join(f"{name} {list(shape)}" for name, shape in found.items())
        raise ValueError(f"{path} is not Wav2Lip's network: its inputs are {shown}, not source and target")
    return session
