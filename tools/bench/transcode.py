"""What `transcode.yaml` costs: the whole graph in its processes against ffmpeg and a loop in PyAV, each in turn.

    python tools/bench/transcode.py [VIDEO] [--rounds N] [--stages] [--json]

All three decode and encode with the same settings (x264, veryfast, crf 16), each with as many threads as it takes by
itself. `cpu_s` is what all processes of a run took, which other work on the machine changes less than the clock.
`--stages` adds the parts alone.
Without a video one is made: 1920×1080, 30 fps, 600 frames of a moving gradient with noise.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any

import av
import numpy as np
from running import show

from graph.shares import cores_of_run
from graph.stage import Caps, Packet, blank_arrays, infer_caps
from stages.decode import Decode
from stages.encode import Encode

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = "out.mp4"


def make_clip(path: Path, frames: int = 600, width: int = 1920, height: int = 1080) -> Path:
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


def decoding(video: Path, pixels: Any) -> int:
    """Decode alone."""
    decode = Decode(str(video), pixels=pixels)
    decode.open()
    count = sum(1 for _ in packets_of(decode, infer_caps(decode, Caps())))
    decode.close()
    return count


def in_one_process(video: Path, folder: Path, pixels: Any) -> int:
    """decode → encode in a loop."""
    decode = Decode(str(video), pixels=pixels)
    encode = Encode(str(folder / OUTPUT), audio="source", pixels=pixels)
    decode.cores = encode.cores = cores_of_run()
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
    """The same by ffmpeg's command."""
    target = folder / OUTPUT
    encoder = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "16", "-c:a", "copy"]
    command = ["ffmpeg", "-y", "-v", "error", "-i", str(video), *encoder, str(target)]
    subprocess.run(command, check=True)
    with av.open(str(target)) as container:
        return container.streams.video[0].frames


LOOP = """
import av, sys
with av.open(sys.argv[1]) as source, av.open(sys.argv[2], "w") as target:
    video = source.streams.video[0]
    video.codec_context.thread_count, video.thread_type = 0, "AUTO"
    stream = target.add_stream("libx264", rate=video.average_rate)
    stream.width, stream.height, stream.pix_fmt = video.width, video.height, video.pix_fmt
    stream.codec_context.options = {"preset": "veryfast", "crf": "16"}
    stream.codec_context.thread_count = 0
    for frame in source.decode(video):
        frame.pict_type = 0
        target.mux(stream.encode(frame))
    target.mux(stream.encode(None))
"""


def loop(video: Path, folder: Path) -> int:
    """The same by a loop in PyAV, with the libraries that the graph uses, and no sound."""
    target = folder / OUTPUT
    subprocess.run([sys.executable, "-c", LOOP, str(video), str(target)], check=True)
    with av.open(str(target)) as container:
        return container.streams.video[0].frames


@dataclass
class Taken:
    """What the rounds of one run took: frames, and seconds by the clock and of CPU in each round."""

    frames: int = 0
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def add(self, run: Callable[[], int]) -> None:
        """One round more."""
        began, before = time.perf_counter(), cpu_seconds()
        self.frames = run()
        self.wall.append(time.perf_counter() - began)
        self.cpu.append(cpu_seconds() - before)

    def row(self, name: str, of: Taken | None) -> dict[str, Any]:
        """As it is printed; ratios are to `of`: its seconds by this one's, so that more is better."""
        wall, cpu = median(self.wall), median(self.cpu)
        row = {"name": name, "frames_per_s": round(self.frames / wall, 1), "cpu_s": round(cpu, 2)}
        if of is not None:
            row |= {"speed_ratio": round(median(of.wall) / wall, 3), "cpu_ratio": round(median(of.cpu) / cpu, 3)}
        return row


def cpu_seconds() -> float:
    """CPU of this process and of those it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def main() -> None:
    """Run all in turn and print what each took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path, nargs="?")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stages", action="store_true", help="also the stages alone, and as RGB")
    parser.add_argument("--json", action="store_true", help="one object a line")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        video = (given.video or make_clip(folder / "in.mp4")).resolve()
        runs: dict[str, Callable[[], int]] = {}
        if shutil.which("ffmpeg"):
            runs["ffmpeg"] = lambda: ffmpeg(video, folder)
        else:
            print("there is no ffmpeg here: the ratios are to a loop in PyAV", file=sys.stderr)
        runs["loop in PyAV"] = lambda: loop(video, folder)
        runs["graphrun transcode.yaml"] = lambda: graph(video, folder)
        if given.stages:
            runs["decode, planes"] = lambda: decoding(video, "source")
            runs["decode, RGB"] = lambda: decoding(video, "rgb")
            runs["one process, planes"] = lambda: in_one_process(video, folder, "source")
            runs["one process, RGB"] = lambda: in_one_process(video, folder, "rgb")
        taken = {title: Taken() for title in runs}
        for _ in range(given.rounds):
            for title, run in runs.items():
                taken[title].add(run)
        first = next(iter(taken.values()))
        show([one.row(title, None if one is first else first) for title, one in taken.items()], given.json)


if __name__ == "__main__":
    main()
