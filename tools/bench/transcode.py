"""What `transcode.yaml` costs: the whole graph in its processes, its stages alone, and ffmpeg if there is one.

    python tools/bench/transcode.py [VIDEO] [--json]

Without a video one is made: 1280×720, 30 fps, 300 frames of a moving gradient with noise.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from graph.stage import Caps, Packet, blank_arrays, infer_caps
from stages.decode import Decode
from stages.encode import Encode

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = "out.mp4"


def make_clip(path: Path, frames: int = 300, width: int = 1280, height: int = 720) -> Path:
    """A clip that is neither trivial nor impossible to encode."""
    noise = np.random.default_rng(0).integers(0, 12, (height, 2 * width, 3), dtype=np.uint8)
    x = np.arange(width)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.options = {"preset": "veryfast", "crf": "18"}
        for index in range(frames):
            line = (96 + 80 * np.sin((x + 6 * index) / 90)).astype(np.uint8)
            shift = index * 4 % width
            image = line[None, :, None] + noise[:, shift : shift + width]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def packets_of(decode: Decode, caps: Caps) -> Iterator[Packet]:
    """All packets of an opened source, in one buffer."""
    blank = blank_arrays(decode, caps)
    index = 0
    while decode.produce(packet := Packet(index, Fraction(0), dict(blank), decode.writes)):
        yield packet
        index += 1


def decoding(video: Path, reader: Any) -> int:
    """Decode alone."""
    decode = Decode(str(video), reader=reader)
    decode.open()
    count = sum(1 for _ in packets_of(decode, infer_caps(decode, Caps())))
    decode.close()
    return count


def in_one_process(video: Path, folder: Path) -> int:
    """decode → encode in a loop."""
    decode, encode = Decode(str(video)), Encode(str(folder / OUTPUT), audio="source")
    decode.open()
    encode.open()
    caps = infer_caps(decode, Caps())
    infer_caps(encode, caps)
    for packet in packets_of(decode, caps):
        encode.process(packet)
    [output] = encode.finish()
    decode.close()
    encode.close()
    return output.frames or 0


def graph(video: Path, folder: Path) -> int:
    """The graph with its processes."""
    command = [sys.executable, "-c", "from graph.cli import main; main()", str(ROOT / "pipelines" / "transcode.yaml")]
    report = folder / "run.json"
    arguments = [f"video={video}", f"output={folder / OUTPUT}", "--quiet", "--report", str(report)]
    subprocess.run([*command, *arguments], check=True, cwd=ROOT)
    return int(json.loads(report.read_text())["packets"])


def ffmpeg(video: Path, folder: Path) -> int:
    """The same by ffmpeg, which stays in YUV."""
    target = folder / OUTPUT
    encoder = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "16", "-threads", "2", "-c:a", "copy"]
    command = ["ffmpeg", "-y", "-v", "error", "-threads", "2", "-i", str(video), *encoder, str(target)]
    subprocess.run(command, check=True)
    with av.open(str(target)) as container:
        return container.streams.video[0].frames


def main() -> None:
    """Run each and print frames a second."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path, nargs="?")
    parser.add_argument("--json", action="store_true", help="one object a line")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        video = (given.video or make_clip(folder / "in.mp4")).resolve()
        runs = {
            "decode, pyav": lambda: decoding(video, "pyav"),
            "decode, decord": lambda: decoding(video, "decord"),
            "decode and encode, one process": lambda: in_one_process(video, folder),
            "graphrun transcode.yaml": lambda: graph(video, folder),
        }
        if shutil.which("ffmpeg"):
            runs["ffmpeg"] = lambda: ffmpeg(video, folder)
        for title, run in runs.items():
            began = time.perf_counter()
            try:
                frames = run()
            except ValueError as error:
                print(f"{title}: {error}", file=sys.stderr)
                continue
            seconds = time.perf_counter() - began
            row = {
                "name": title,
                "frames": frames,
                "seconds": round(seconds, 3),
                "frames_per_s": round(frames / seconds, 1),
            }
            print(json.dumps(row) if given.json else f"{title:32} {row['frames_per_s']:8} frames/s, {frames} frames")


if __name__ == "__main__":
    main()
