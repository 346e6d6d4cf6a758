"""Diff2Lip as ONNX: two graphs in a folder, and a denoiser that runs them through ONNX Runtime.

`speech.onnx`: speech [N, 80, 16] → encoded [N, 128, 8, 8], style [N, 512].
`step.onnx`: x, image, reference [N, 3, 128, 128], t int64 [N], style [N, 512], level, level_after float32 [1]
(alpha-bar now and after the step) → out [N, 6, 128, 128] (the network's), clean, after [N, 3, 64, 128] (rows 64…127 of
the estimate of the clean picture and of the picture at the next step, by DDIM). The mask is the lower half. N is free.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.jit._trace import TracerWarning

from models.diff2lip.conditions import SIZE, SPLIT, Conditions, lower_half
from models.diff2lip.network import Network
from models.onnx import open_session

SPEECH, STEP = "speech.onnx", "step.onnx"
OPSET = 18


class _Speech(nn.Module):
    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, speech: Tensor) -> tuple[Tensor, Tensor]:
        encoded = self.network.audio_encoder(speech)
        return encoded, self.network.style_of(encoded)


class _Step(nn.Module):
    """The network and one step of DDIM."""

    mask: Tensor

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mask", lower_half(1), persistent=False)

    def forward(
        self, x: Tensor, t: Tensor, image: Tensor, reference: Tensor, style: Tensor, level: Tensor, level_after: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        out = self.network.draw(x, t, image, reference, self.mask, style)
        lower, noise = x[:, :, SPLIT:], out[:, :3, SPLIT:]
        spread = (1 / level - 1).sqrt()
        clean = (lower / level.sqrt() - spread * noise).clamp(-1, 1)
        left = (lower / level.sqrt() - clean) / spread
        return out, clean, level_after.sqrt() * clean + (1 - level_after).sqrt() * left


def export(network: Network, folder: str | Path) -> list[Path]:
    """Write both graphs into `folder` (made if need be) and return their paths; 400 MB for the whole network."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    picture = torch.zeros(1, 3, SIZE, SIZE)
    level = torch.tensor([0.5])
    step = (picture, torch.tensor([0]), picture, picture, torch.zeros(1, 512), level, level)
    _export(_Speech(network), (torch.zeros(1, 80, 16),), folder / SPEECH, ["speech"], ["encoded", "style"])
    names = ["x", "t", "image", "reference", "style", "level", "level_after"]
    _export(_Step(network), step, folder / STEP, names, ["out", "clean", "after"])
    return [folder / SPEECH, folder / STEP]


def _export(module: nn.Module, args: tuple[Tensor, ...], path: Path, inputs: list[str], outputs: list[str]) -> None:
    counted = [name for name in inputs + outputs if not name.startswith("level")]
    with warnings.catch_warnings(), torch.inference_mode():
        # the exporter by tracing needs no further package; the shapes it warns of are those of the network, not of N
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=TracerWarning)
        torch.onnx.export(
            module.eval(),
            args,
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=inputs,
            output_names=outputs,
            dynamic_axes={name: {0: "N"} for name in counted},
        )


class OnnxDenoiser:
    """The graphs that `export` wrote (or a quantised copy), run by ONNX Runtime; tensors are on the CPU.

    provider: `auto`, `cpu`, `cuda`, `tensorrt` or `openvino`; threads: 0 leaves it to ONNX Runtime; gpu: which
    one, of several. Raises ValueError
    where the folder lacks a graph or the provider is not there.
    """

    reuses = False

    def __init__(self, folder: str | Path, provider: str = "auto", threads: int = 0, gpu: int = 0) -> None:
        self._speech = open_session(Path(folder) / SPEECH, provider, threads, gpu)
        self._step = open_session(Path(folder) / STEP, provider, threads, gpu)
        self.provider = self._step.get_providers()[0]

    def encode(self, speech: Tensor) -> tuple[Tensor, Tensor]:
        """speech [N, 80, 16] → features [N, 128, 8, 8] and style [N, 512]."""
        encoded, style = self._speech.run(["encoded", "style"], {"speech": speech.numpy()})
        return torch.from_numpy(encoded), torch.from_numpy(style)

    def out(self, x: Tensor, t: Tensor, conditions: Conditions, style: Tensor) -> Tensor:
        """The network's answer, [N, 6, 128, 128]."""
        half = torch.tensor([0.5]).numpy()
        given = {"x": x, "t": t, "image": conditions.image, "reference": conditions.reference, "style": style}
        inputs = {name: tensor.contiguous().numpy() for name, tensor in given.items()}
        return torch.from_numpy(self._step.run(["out"], {**inputs, "level": half, "level_after": half})[0])

    def prepare(self, conditions: Conditions) -> tuple[Conditions, Tensor]:
        """The speech's style, once a frame. Raises ValueError unless the mask is the lower half."""
        conditions.check_mask()
        return conditions, self.encode(conditions.speech)[1]

    def predict(
        self, lower: Tensor, t: Tensor, prepared: tuple[Conditions, Tensor], deep: Tensor | None = None
    ) -> tuple[Tensor, None]:
        """The noise [N, 3, 64, 128] in the lower half; there are no deep features to reuse."""
        conditions, style = prepared
        x = torch.cat([conditions.image[:, :, :SPLIT], lower], dim=2)
        return self.out(x, t, conditions, style)[:, :3, SPLIT:], None
