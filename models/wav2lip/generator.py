"""Wav2Lip as a generator: crops, references and speech in, crops that speak out; by torch or by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from models.wav2lip.network import SIZE, SPLIT, Network

if TYPE_CHECKING:
    import onnxruntime
    import torch

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


def faces_of(crops: Bytes, references: Bytes) -> Floats:
    """RGB uint8 [N, 96, 96, 3], twice → what the network is shown, BGR float32 [N, 6, 96, 96] in 0…1.

    Channels 0…2 are the crop with rows 48…95 zero, 3…5 the reference. Raises ValueError where a shape is another.
    """
    for name, pictures in (("crops", crops), ("references", references)):
        if pictures.dtype != np.uint8 or pictures.shape != (len(crops), SIZE, SIZE, 3):
            raise ValueError(
                f"Wav2Lip takes {name} as uint8 [{len(crops)}, 96, 96, 3], got {pictures.dtype} {list(pictures.shape)}"
            )
    faces = np.concatenate([crops[..., ::-1], references[..., ::-1]], axis=3).transpose(0, 3, 1, 2)
    faces = np.ascontiguousarray(faces, np.float32) / np.float32(255)
    faces[:, :3, SPLIT:] = 0
    return faces


def pictures_of(drawn: Floats) -> Bytes:
    """BGR float32 [N, 3, 96, 96] in 0…1 → RGB uint8 [N, 96, 96, 3], rounded."""
    return np.ascontiguousarray(np.rint(drawn.clip(0, 1) * 255).astype(np.uint8).transpose(0, 2, 3, 1)[..., ::-1])


class TorchRunner:
    """The network in torch on a device."""

    provider = "torch"

    def __init__(self, network: Network, device: torch.device, dtype: torch.dtype) -> None:
        from models.lane import Lane

        self._network = network
        self._device = device
        self._dtype = dtype
        self._lane = Lane(device)

    def __call__(self, speech: Floats, faces: Floats) -> Callable[[], Floats]:
        """[N, 1, 80, 16], [N, 6, 96, 96] → what waits for [N, 3, 96, 96]."""
        import torch

        from models.device import lower_precision

        with torch.inference_mode(), lower_precision(self._device, self._dtype):
            drawn = self._network(self._lane.upload(speech), self._lane.upload(faces))
        return self._lane.download(drawn.float())


class OnnxRunner:
    """The network in ONNX Runtime. A graph for one frame at a time is run once a frame."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self._single = session.get_inputs()[0].shape[0] == 1
        self.provider: str = session.get_providers()[0]

    def __call__(self, speech: Floats, faces: Floats) -> Callable[[], Floats]:
        """[N, 1, 80, 16], [N, 6, 96, 96] → what gives [N, 3, 96, 96]."""
        if not self._single:
            drawn = self._run(speech, faces)
        else:
            drawn = np.concatenate([self._run(speech[i : i + 1], faces[i : i + 1]) for i in range(len(faces))])
        return lambda: drawn

    def _run(self, speech: Floats, faces: Floats) -> Floats:
        drawn: Floats = self._session.run(None, {"source": speech, "target": faces})[0]
        return drawn


class Wav2Lip:
    """Draws 96×96 faces whole; what lies outside the mouth is a soft copy of the crop.

    runner: a `TorchRunner` or an `OnnxRunner`; name: `wav2lip` or `wav2lip_gan`.
    """

    size = SIZE
    first_row = 0
    licence = "research and personal use"

    def __init__(
        self, runner: TorchRunner | OnnxRunner, *, name: str = "wav2lip", device: str = "cpu", dtype: str = "fp32"
    ) -> None:
        self.name = name
        self._runner = runner
        self._device = device
        self._dtype = dtype

    def about(self) -> dict[str, Any]:
        """Plain facts for the report."""
        return {
            "model": self.name,
            "licence": self.licence,
            "device": self._device,
            "provider": self._runner.provider,
            "dtype": self._dtype,
        }

    @property
    def waits(self) -> bool:
        """Whether a GPU draws, in torch."""
        return self._runner.provider == "torch" and self._device.startswith("cuda")

    def draw(self, crops: Bytes, references: Bytes, speech: Floats) -> Bytes:
        """Crops that speak, RGB uint8 [N, 96, 96, 3].

        crops, references: RGB uint8 [N, 96, 96, 3]; speech: float32 [N, 80, 16]. Raises ValueError where shapes do not
        fit or the network gives something that is not a number.
        """
        return self.begin(crops, references, speech)()

    def begin(self, crops: Bytes, references: Bytes, speech: Floats) -> Callable[[], Bytes]:
        """As `draw`, but only begins on a GPU: what is returned waits for the pictures."""
        if speech.shape != (len(crops), 80, 16):
            raise ValueError(f"Wav2Lip takes speech as [{len(crops)}, 80, 16], got {list(speech.shape)}")
        mel = np.ascontiguousarray(speech[:, None], np.float32)
        waiting = self._runner(mel, faces_of(crops, references))

        def drawn() -> Bytes:
            pictures = waiting()
            if not np.isfinite(pictures).all():
                raise ValueError("Wav2Lip drew something that is not a number: weights or inputs are broken")
            return pictures_of(pictures)

        return drawn
