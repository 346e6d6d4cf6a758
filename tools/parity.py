"""Numbers of a network for given inputs and weights made by a formula, to compare with another implementation's.

    python tools/parity.py diff2lip --inputs in.npz --out out.npz [--salt S] [--via torch|onnx] [--only NAME …]
    python tools/parity.py wav2lip --inputs in.npz --out out.npz

diff2lip reads `wav` float32 [n], `x` [N, 3, 128, 128] (the noisy picture), `img`, `ref` [N, 3, 128, 128] in 0…1, `mel`
[N, 80, 16], `t` [N], and writes what they suffice for: `mel_from_wav` [80, T], `audio_enc` [N, 128, 8, 8], `style`
[N, 512], `out` [N, 6, 128, 128], `ddim_sample` [N, 3, 128, 128] (25 steps of DDIM from the noise of seed 7; its upper
half is that of the picture), `recon_u8` uint8 [N, 128, 128, 3]. wav2lip reads `face` [N, 6, 96, 96] in 0…1 and `mel`
[N, 1, 80, 16], and writes `out` [N, 3, 96, 96] and `audio_enc` [N, 512, 1, 1].
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from models.diff2lip.conditions import Conditions
from models.diff2lip.export import OnnxDenoiser, export
from models.diff2lip.network import Network
from models.diff2lip.pictures import join, to_bytes
from models.diff2lip.sampler import Sampler, start_noise
from models.mel import log_mel
from models.synthetic import fill

Arrays = dict[str, npt.NDArray[np.generic]]

#: what each output is made of
DIFF2LIP = {
    "mel_from_wav": ("wav",),
    "audio_enc": ("mel",),
    "style": ("mel",),
    "out": ("x", "img", "ref", "mel", "t"),
    "ddim_sample": ("img", "ref", "mel"),
    "recon_u8": ("img", "ref", "mel"),
}
WAV2LIP = {"audio_enc": ("mel",), "out": ("face", "mel")}


class Diff2Lip:
    """The outputs of Diff2Lip by name; the network is made when the first of them needs it."""

    def __init__(self, inputs: Mapping[str, npt.NDArray[np.generic]], salt: str, via: str) -> None:
        self._inputs = inputs
        self._salt = salt
        self._via = via
        self._network: Network | OnnxDenoiser | None = None
        self._sample: torch.Tensor | None = None

    def compute(self, name: str) -> npt.NDArray[np.generic]:
        """One of the outputs."""
        made: Mapping[str, Callable[[], torch.Tensor | npt.NDArray[np.generic]]] = {
            "mel_from_wav": lambda: log_mel(np.asarray(self._inputs["wav"], np.float32)),
            "audio_enc": lambda: self._speech()[0],
            "style": lambda: self._speech()[1],
            "out": self._out,
            "ddim_sample": self._ddim,
            "recon_u8": lambda: to_bytes(self._ddim(), "down"),
        }
        return np.asarray(made[name]())

    def _tensor(self, name: str) -> torch.Tensor:
        return torch.from_numpy(np.asarray(self._inputs[name], np.float32))

    def _model(self) -> Network | OnnxDenoiser:
        if self._network is None:
            with torch.device("meta"):
                network = Network()
            fill(network, self._salt)
            self._network = network
            if self._via == "onnx":
                with tempfile.TemporaryDirectory() as folder:
                    export(network, folder)
                    self._network = OnnxDenoiser(folder, "cpu")
        return self._network

    def _speech(self) -> tuple[torch.Tensor, torch.Tensor]:
        model = self._model()
        if isinstance(model, OnnxDenoiser):
            return model.encode(self._tensor("mel"))
        encoded = model.audio_encoder(self._tensor("mel"))
        return encoded, model.style_of(encoded)

    def _conditions(self) -> Conditions:
        frames, references = (self._tensor(name) * 2 - 1 for name in ("img", "ref"))
        noise = start_noise(7)
        return Conditions.hide_lower_half(frames=frames, references=references, speech=self._tensor("mel"), noise=noise)

    def _out(self) -> torch.Tensor:
        model, conditions = self._model(), self._conditions()
        t = torch.from_numpy(np.asarray(self._inputs["t"], np.int64))
        if isinstance(model, OnnxDenoiser):
            return model.out(self._tensor("x"), t, conditions, model.prepare(conditions)[1])
        answer: torch.Tensor = model(self._tensor("x"), t, conditions)
        return answer

    def _ddim(self) -> torch.Tensor:
        if self._sample is None:
            lower = Sampler(self._model()).sample(self._conditions(), start_noise(7))
            self._sample = join(self._tensor("img") * 2 - 1, lower)
        return self._sample


class Wav2Lip:
    """The outputs of Wav2Lip by name."""

    def __init__(self, inputs: Mapping[str, npt.NDArray[np.generic]], salt: str, via: str) -> None:
        from models.wav2lip.network import Network as Wav2LipNetwork

        with torch.device("meta"):
            self._network = Wav2LipNetwork()
        fill(self._network, salt)
        self._inputs = {name: np.asarray(value, np.float32) for name, value in inputs.items()}
        self._via = via

    def compute(self, name: str) -> npt.NDArray[np.generic]:
        """One of the outputs; the graph has no `audio_enc`, which is always torch's."""
        mel = torch.from_numpy(self._inputs["mel"])
        if name == "audio_enc":
            return np.asarray(self._network.audio_encoder(mel))
        if self._via == "torch":
            return np.asarray(self._network(mel, torch.from_numpy(self._inputs["face"])))
        from models.wav2lip.export import export as export_wav2lip
        from models.wav2lip.export import open_graph
        from models.wav2lip.generator import OnnxRunner

        with tempfile.TemporaryDirectory() as folder:
            session = open_graph(export_wav2lip(self._network, Path(folder) / "wav2lip.onnx"), "cpu")
        return OnnxRunner(session)(self._inputs["mel"], self._inputs["face"])()


def main() -> int:
    """Read the arguments, compute, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model", choices=["diff2lip", "wav2lip"])
    parser.add_argument("--inputs", required=True, type=Path, help="an .npz file")
    parser.add_argument("--out", required=True, type=Path, help="the .npz file to write")
    parser.add_argument("--salt", default="", help="added to each key when the weights are made")
    parser.add_argument("--via", choices=["torch", "onnx"], default="torch")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="outputs to compute; default: all that can be")
    given = parser.parse_args()
    outputs = DIFF2LIP if given.model == "diff2lip" else WAV2LIP
    if unknown := set(given.only or ()) - set(outputs):
        parser.error(f"{', '.join(sorted(unknown))}: {given.model} has {', '.join(outputs)}")
    with np.load(given.inputs, allow_pickle=False) as file:
        inputs = dict(file)
    wanted = [name for name in given.only or outputs if set(outputs[name]) <= set(inputs)]
    for name in given.only or outputs:
        if lacking := [need for need in outputs[name] if need not in inputs]:
            print(f"{name}: not computed, the inputs lack {', '.join(lacking)}", file=sys.stderr)
    model = (Diff2Lip if given.model == "diff2lip" else Wav2Lip)(inputs, given.salt, given.via)
    with torch.inference_mode():
        results: Arrays = {name: model.compute(name) for name in wanted}
    np.savez(given.out, **results)  # type: ignore[arg-type]
    for name, result in results.items():
        print(f"{name}: {result.dtype} {list(result.shape)}, mean {result.mean():.6f}, std {result.std():.6f}")
    return 0 if results else 1


if __name__ == "__main__":
    sys.exit(main())
