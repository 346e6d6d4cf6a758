"""Networks with weights made by a formula, and the numbers the reference implementations gave for them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from models.checkpoint import load_weights
from models.diff2lip import Conditions, start_noise
from models.diff2lip import Network as Diff2LipNetwork
from models.synthetic import synthetic_weights
from models.wav2lip import Network as Wav2LipNetwork

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Threads that wait for each other are many times slower than one on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def golden():
    return lambda name: dict(np.load(GOLDEN / f"{name}.npz", allow_pickle=False))


@pytest.fixture(scope="session")
def key_table():
    """Keys and shapes of the official checkpoints."""

    def read(name: str) -> dict[str, str]:
        rows = [line.split("\t") for line in (GOLDEN / f"{name}_state_dict.tsv").read_text().splitlines()[1:]]
        return {row[0]: row[1] for row in rows}

    return read


@pytest.fixture(scope="session")
def diff2lip_file(tmp_path_factory) -> Iterator[Path]:
    """A full-size checkpoint in the form of the official one: a bare state dict in float32."""
    path = tmp_path_factory.mktemp("diff2lip") / "checkpoint.pt"
    with torch.device("meta"):
        blank = Diff2LipNetwork()
    torch.save(synthetic_weights(blank.state_dict()), path)
    yield path
    path.unlink()


@pytest.fixture(scope="session")
def diff2lip(diff2lip_file) -> Diff2LipNetwork:
    with torch.device("meta"):
        network = Diff2LipNetwork()
    load_weights(network, diff2lip_file, "diff2lip")
    return network


@pytest.fixture(scope="session")
def diff2lip_inputs():
    """x, conditions and the frames in 0…1, as the golden numbers were made."""
    random = np.random.RandomState(1234)
    x = torch.from_numpy(random.standard_normal((2, 3, 128, 128)).astype(np.float32))
    image, reference = (
        torch.from_numpy(random.uniform(0, 1, (2, 3, 128, 128)).astype(np.float32)) for _ in range(2)
    )
    speech = torch.from_numpy(random.uniform(-4, 4, (2, 80, 16)).astype(np.float32))
    conditions = Conditions.hide_lower_half(
        frames=image * 2 - 1, references=reference * 2 - 1, speech=speech, noise=start_noise(7)
    )
    return x, conditions, image


@pytest.fixture(scope="session")
def wav2lip_file(tmp_path_factory) -> Iterator[Path]:
    """A checkpoint in the form of the official ones: wrapped, trained in parallel, in torch's old format."""
    path = tmp_path_factory.mktemp("wav2lip") / "wav2lip.pth"
    with torch.device("meta"):
        blank = Wav2LipNetwork()
    state = {f"module.{key}": value for key, value in synthetic_weights(blank.state_dict()).items()}
    wrapped = {"state_dict": state, "optimizer": None, "global_step": 7, "global_epoch": 1}
    torch.save(wrapped, path, _use_new_zipfile_serialization=False)
    yield path
    path.unlink()


@pytest.fixture(scope="session")
def wav2lip(wav2lip_file) -> Wav2LipNetwork:
    with torch.device("meta"):
        network = Wav2LipNetwork()
    load_weights(network, wav2lip_file, "wav2lip")
    return network


@pytest.fixture(scope="session")
def wav2lip_inputs():
    """mel [2, 1, 80, 16] and face [2, 6, 96, 96], as the golden numbers were made."""
    random = np.random.RandomState(4321)
    face = random.uniform(0, 1, (2, 6, 96, 96)).astype(np.float32)
    face[:, :3, 48:] = 0
    return random.uniform(-4, 4, (2, 1, 80, 16)).astype(np.float32), face
