"""The numbers `tools/parity.py` writes are those of the reference."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "models" / "golden"


def parity(folder, model, inputs, *more):
    np.savez(folder / "in.npz", **inputs)
    command = [sys.executable, str(ROOT / "tools" / "parity.py"), model]
    files = ["--inputs", str(folder / "in.npz"), "--out", str(folder / "out.npz")]
    done = subprocess.run([*command, *files, *more], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(np.load(folder / "out.npz", allow_pickle=False)), done.stderr


@pytest.fixture(scope="module")
def speech():
    """What of the inputs needs no picture: wav, and mel after the draws that come before it."""
    random = np.random.RandomState(1234)
    random.standard_normal((2, 3, 128, 128))
    random.uniform(0, 1, (2, 2, 3, 128, 128))
    wav = np.load(GOLDEN / "diff2lip_audio.npz")["wav"]
    return {"wav": wav, "mel": random.uniform(-4, 4, (2, 80, 16)).astype(np.float32)}


def test_diff2lip_speech(tmp_path, speech):
    found, said = parity(tmp_path, "diff2lip", speech)
    expected = np.load(GOLDEN / "diff2lip_model.npz")
    assert set(found) == {"mel_from_wav", "audio_enc", "style"}
    assert "out: not computed, the inputs lack x, img, ref, t" in said
    np.testing.assert_allclose(found["mel_from_wav"], np.load(GOLDEN / "diff2lip_audio.npz")["mel"], atol=1e-5)
    for name in ("audio_enc", "style"):
        np.testing.assert_allclose(found[name], expected[name], atol=1e-5)


@pytest.fixture(scope="module")
def face():
    random = np.random.RandomState(4321)
    face = random.uniform(0, 1, (2, 6, 96, 96)).astype(np.float32)
    face[:, :3, 48:] = 0
    return {"face": face, "mel": random.uniform(-4, 4, (2, 1, 80, 16)).astype(np.float32)}


@pytest.mark.parametrize(("via", "tolerance"), [("torch", 1e-4), ("onnx", 1e-3)])
def test_wav2lip(tmp_path, face, via, tolerance):
    found, _ = parity(tmp_path, "wav2lip", face, "--via", via)
    expected = np.load(GOLDEN / "wav2lip.npz")
    for name in ("out", "audio_enc"):
        np.testing.assert_allclose(found[name], expected[name], atol=tolerance)


def test_salt_makes_other_weights(tmp_path, face):
    found, _ = parity(tmp_path, "wav2lip", face, "--salt", "x", "--only", "audio_enc")
    assert list(found) == ["audio_enc"]
    assert np.abs(found["audio_enc"] - np.load(GOLDEN / "wav2lip.npz")["audio_enc"]).max() > 0.01
