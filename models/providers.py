"""ONNX Runtime sessions for the network generators, on the hardware a user names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    import onnxruntime

ProviderName = Literal["auto", "cpu", "cuda", "tensorrt", "openvino"]

_RUNTIME = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}


def open_session(
    path: str | Path, provider: str = "auto", threads: int = 0, gpu: int = 0
) -> onnxruntime.InferenceSession:
    """Open a graph on a provider; `auto` is CUDA where a GPU answers, else the CPU; `threads` 0: ONNX Runtime's choice.
    `gpu`: which one, of several.

    Raises ValueError where the file is missing, is no network, or the provider is not there or cannot be used: another
    one is never taken in its place.
    """
    import onnxruntime

    if provider not in get_args(ProviderName):
        raise ValueError(f"provider: {provider!r} is none of {', '.join(get_args(ProviderName))}")
    if not Path(path).is_file():
        raise ValueError(f"no such ONNX file: {path}")
    wanted = _RUNTIME[_choose(provider)]
    if wanted not in onnxruntime.get_available_providers():
        raise ValueError(f"provider: {provider} is not in the ONNX Runtime that is installed")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    try:
        options_of = {} if provider in ("cpu", "openvino") or wanted == _RUNTIME["cpu"] else {"device_id": gpu}
        session = onnxruntime.InferenceSession(str(path), options, providers=[(wanted, options_of)])
    except Exception as error:
        raise ValueError(f"{path} cannot be opened by ONNX Runtime: {str(error).splitlines()[0]}") from error
    if (used := session.get_providers()[0]) != wanted:
        raise ValueError(f"provider: {provider} cannot be used here: ONNX Runtime fell back to {used}")
    return session


def _choose(provider: str) -> str:
    if provider != "auto":
        return provider
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
