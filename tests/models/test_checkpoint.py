"""Only whole, right and finite weights get into a network; processes share one copy of them."""

import multiprocessing
import re
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from models.checkpoint import CheckpointError, check_state, file_format, load_weights, read_state
from models.diff2lip import Network as Diff2LipNetwork
from models.wav2lip import Network as Wav2LipNetwork


def blank(network_type):
    with torch.device("meta"):
        return network_type()


def equal(network, state):
    return all(torch.equal(value.float(), state[key].float()) for key, value in network.state_dict().items())


def test_the_official_form_of_diff2lip_loads(diff2lip_file, diff2lip):
    state = torch.load(diff2lip_file, weights_only=True)
    assert len(state) == 632 and equal(diff2lip, state)
    assert not diff2lip.training and not any(parameter.requires_grad for parameter in diff2lip.parameters())


def test_every_form_of_file_gives_the_same_weights(wav2lip, tmp_path):
    state = wav2lip.state_dict()
    torch.save(state, tmp_path / "bare.pt")
    torch.save({"model": state}, tmp_path / "wrapped.pt")
    torch.save({f"module.{key}": value for key, value in state.items()}, tmp_path / "parallel.pt")
    torch.save(state, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    save_file(state, tmp_path / "weights.safetensors")
    for path in tmp_path.iterdir():
        network = blank(Wav2LipNetwork)
        load_weights(network, path, "wav2lip")
        assert equal(network, state), path.name


def test_half_precision_is_widened(wav2lip, tmp_path):
    half = {key: value.half() if value.is_floating_point() else value for key, value in wav2lip.state_dict().items()}
    torch.save(half, tmp_path / "half.pt")
    network = blank(Wav2LipNetwork)
    load_weights(network, tmp_path / "half.pt", "wav2lip")
    assert equal(network, half)
    assert {value.dtype for value in network.parameters()} == {torch.float32}


def test_another_model_s_weights_are_refused_with_a_guess(wav2lip_file, diff2lip_file):
    with pytest.raises(CheckpointError) as refusal:
        load_weights(blank(Diff2LipNetwork), wav2lip_file, "diff2lip")
    message = str(refusal.value)
    assert message.startswith("these are not the weights of diff2lip: ") and len(message) < 600
    assert re.search(r"\d+ missing \(time_embed.0.weight, .*…\); \d+ unexpected \(face_encoder_blocks", message)
    assert message.endswith("this looks like a Wav2Lip checkpoint")
    with pytest.raises(CheckpointError, match="this looks like a Diff2Lip checkpoint"):
        load_weights(blank(Wav2LipNetwork), diff2lip_file, "wav2lip")


def test_shapes_that_differ_are_named(diff2lip):
    state = dict(diff2lip.state_dict())
    state["out.2.weight"] = state["out.2.weight"][:3]
    with pytest.raises(CheckpointError, match=r"1 of another shape \(out.2.weight is \[3, 128, 3, 3\], not \[6, 128"):
        check_state(state, diff2lip, "diff2lip")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_none_are_refused(wav2lip, value):
    state = {key: tensor.clone() for key, tensor in wav2lip.state_dict().items()}
    state["output_block.1.weight"].view(-1)[5] = value
    with pytest.raises(CheckpointError, match=r"broken: output_block.1.weight has values that are not finite"):
        check_state(state, wav2lip, "wav2lip")


@pytest.mark.parametrize("share", [0.5, 0.999])
def test_half_a_file_is_named(wav2lip, tmp_path, share):
    torch.save(wav2lip.state_dict(), tmp_path / "whole.pt")
    save_file(wav2lip.state_dict(), tmp_path / "whole.safetensors")
    torch.save(wav2lip.state_dict(), tmp_path / "whole.pth", _use_new_zipfile_serialization=False)
    for name in ("whole.pt", "whole.safetensors", "whole.pth"):
        whole = tmp_path / name
        part = tmp_path / f"part-of-{name}"
        part.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * share)])
        with pytest.raises(CheckpointError, match="damaged"):
            read_state(part)


def test_what_is_no_checkpoint_is_named(tmp_path):
    (tmp_path / "page.pt").write_text("<!DOCTYPE html><title>Virus scan warning</title>")
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(CheckpointError, match="is a web page, not weights"):
        file_format(tmp_path / "page.pt")
    with pytest.raises(CheckpointError, match="is no file of weights that is known here"):
        file_format(tmp_path / "text.pt")
    torch.save([1, 2, 3], tmp_path / "list.pt")
    with pytest.raises(CheckpointError, match="holds no state dict"):
        read_state(tmp_path / "list.pt")
    with pytest.raises(OSError):
        read_state(tmp_path / "nothing.pt")


class Trap:
    """Runs code when it is unpickled."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self):
        return shutil.copyfile, (str(self.witness.parent / "bait"), str(self.witness))


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_file_is_not_run(tmp_path, zipped):
    (tmp_path / "bait").write_text("x")
    witness = tmp_path / "was_run"
    state = {"weight": torch.zeros(1), "trap": Trap(witness)}
    torch.save(state, tmp_path / "t.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match="more than tensors, which is refused"):
        read_state(tmp_path / "t.pt")
    assert not witness.exists()


def _resident(path: str, loaded, measured, answers) -> None:
    """Load, touch every number, and tell how much of the weights is this process's alone or shared, in bytes."""
    network = blank(Wav2LipNetwork)
    before = _anonymous()
    load_weights(network, path, "wav2lip")
    total = float(sum(parameter.sum() for parameter in network.parameters()))
    loaded.wait()
    answers.put((total, _anonymous() - before, _mapped(path)))
    measured.wait()


def _anonymous() -> int:
    """Bytes of memory that is of no file, and so of nobody else."""
    fields = dict(line.split(":") for line in Path("/proc/self/smaps_rollup").read_text().splitlines()[1:])
    return int(fields["Anonymous"].split()[0]) * 1024


def _mapped(path: str) -> int:
    """This process's proportional share of the file, in bytes."""
    total, inside = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            inside = line.endswith(path)
        elif inside and line.startswith("Pss:"):
            total += int(line.split()[1]) * 1024
    return total


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux's account of memory")
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_three_processes_hold_one_copy(wav2lip, tmp_path, suffix):
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pt":
        torch.save(wav2lip.state_dict(), path)
    else:
        save_file(wav2lip.state_dict(), path)
    context = multiprocessing.get_context("spawn")
    loaded, measured, answers = context.Barrier(3), context.Barrier(4), context.Queue()
    workers = [context.Process(target=_resident, args=(str(path), loaded, measured, answers)) for _ in range(3)]
    for worker in workers:
        worker.start()
    found = [answers.get(timeout=60) for _ in workers]
    measured.wait()
    for worker in workers:
        worker.join()
    size = path.stat().st_size
    assert len({total for total, _, _ in found}) == 1
    assert all(private < 0.5 * size for _, private, _ in found), "a copy of its own, beyond what an allocator keeps"
    shared = sum(proportional for _, _, proportional in found)
    assert 0.9 * size < shared < 1.1 * size, "the three together hold the file once"
