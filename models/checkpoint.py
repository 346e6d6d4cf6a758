"""Weights from files of torch and safetensors into a network: nothing but tensors is read, and all of it has to fit.

Files of 32-bit numbers are mapped, not read: every process that loads the same file shares one copy in memory.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from torch import Tensor, nn

Format = Literal["torch", "old torch", "safetensors", "onnx"]

#: keys that only one kind of checkpoint has, and what it is
_TELLING = {
    "audio_encoder_to_style.3.weight": "a Diff2Lip checkpoint",
    "face_decoder_blocks.0.0.conv_block.0.weight": "a Wav2Lip checkpoint",
    "face_encoder.0.conv_block.0.weight": "a SyncNet checkpoint (Wav2Lip's lip-sync expert)",
    "conv3_3_norm.weight": "an S3FD face detector",
    "input_blocks.0.0.weight": "a diffusion U-Net of another kind",
    "conv_in.weight": "a U-Net in the layout of diffusers",
    "stylegan_decoder.style_mlp.1.weight": "a GFPGAN face restorer",
}
_WRAPPERS = ("state_dict", "model", "ema", "model_state_dict")
_SHOWN = 3


class CheckpointError(ValueError):
    """A file that is not the weights it should be; the message says what it is instead."""


def file_format(path: str | Path) -> Format:
    """What kind of file it is, by its content. Raises OSError, or CheckpointError for a web page and the unknown."""
    path = Path(path)
    with path.open("rb") as file:
        head = file.read(64)
    if zipfile.is_zipfile(path):
        return "torch"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size:
        return "safetensors"
    if head[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04"):
        return "old torch"
    if head[:1] == b"\x08":  # the first field of an ONNX model, its version
        return "onnx"
    if head.lstrip()[:1] == b"<":
        raise CheckpointError(f"{path} is a web page, not weights: the download link led to a page that asks something")
    if head[:2] == b"PK" or head[8:9] == b"{":
        raise CheckpointError(f"{path} is damaged or only a part of the file ({path.stat().st_size:,} bytes)")
    raise CheckpointError(f"{path} is no file of weights that is known here (torch, safetensors or ONNX)")


def read_state(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint by key, mapped from the file where its format allows it.

    Wrapped state dicts (`state_dict`, `model`, `ema`) are unwrapped and `module.` before every key is taken off. Raises
    OSError, or CheckpointError where the file is damaged or holds anything but tensors and plain values.
    """
    kind = file_format(path)
    if kind == "onnx":
        raise CheckpointError(f"{path} is an ONNX graph, not a checkpoint")
    if kind == "safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return dict(load_file(path))
        except SafetensorError as error:
            raise CheckpointError(f"{path} is damaged or only a part of the file: {error}") from error
    return _unwrapped(_read_torch(path, mapped=kind == "torch"), Path(path))


def _read_torch(path: str | Path, mapped: bool) -> Any:
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        reason = "holds more than tensors, which is refused as it could run code"
        raise CheckpointError(f"{path} is damaged, or {reason}") from error
    except (RuntimeError, EOFError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged or only a part of the file: {str(error).splitlines()[0]}") from error


def _unwrapped(content: Any, path: Path) -> dict[str, Tensor]:
    import torch

    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise CheckpointError(f"{path} holds no state dict (tensors by key)")
    if content and all(key.startswith("module.") for key in content):
        return {key.removeprefix("module."): value for key, value in content.items()}
    return dict(content)


def check_state(state: Mapping[str, Tensor], network: nn.Module, name: str) -> None:
    """Raise CheckpointError unless keys and shapes are those of `network` and every number is finite."""
    import torch

    wanted = network.state_dict()
    missing = [key for key in wanted if key not in state]
    unexpected = [key for key in state if key not in wanted]
    shapes = [
        f"{key} is {list(state[key].shape)}, not {list(wanted[key].shape)}"
        for key in wanted
        if key in state and state[key].shape != wanted[key].shape
    ]
    differs = [_few("missing", missing), _few("unexpected", unexpected), _few("of another shape", shapes)]
    if found := "; ".join(part for part in differs if part):
        raise CheckpointError(f"these are not the weights of {name}: {found}{_guess(state)}")
    for key, tensor in state.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise CheckpointError(f"the weights of {name} are broken: {key} has values that are not finite numbers")


def _few(what: str, keys: list[str]) -> str:
    if not keys:
        return ""
    more = ", …" if len(keys) > _SHOWN else ""
    return f"{len(keys)} {what} ({', '.join(keys[:_SHOWN])}{more})"


def _guess(state: Mapping[str, Tensor]) -> str:
    return next((f"; this looks like {what}" for key, what in _TELLING.items() if key in state), "")


def load_weights(network: nn.Module, path: str | Path, name: str) -> None:
    """Put a checkpoint's numbers into `network` (best made on the meta device), strictly, and set it to inference.

    `name` is what messages call the model. Half-precision files are widened to float32, which takes memory of this
    process's own. Raises OSError, or CheckpointError with a short list of what differs and a guess at what the file is.
    """
    state = read_state(path)
    check_state(state, network, name)
    wide = {key: value.float() if value.is_floating_point() else value for key, value in state.items()}
    network.load_state_dict(wide, assign=True)
    network.eval().requires_grad_(False)
