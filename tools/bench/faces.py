"""What faces cost: detection, mesh and tracking of one frame, in milliseconds.

    python tools/bench/faces.py [--video FILE] [--frames 150] [--threads 1] [--json]

Without a video, the sample's face is set into frames of 1080×1920. Each stage runs alone, in this process.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import av
import cv2
import numpy as np

from graph.stage import Caps, Packet, Stage, blank_arrays, infer_caps
from stages.detect import Detect
from stages.track import Track

SAMPLE = Path(__file__).parents[2] / "pipelines" / "samples" / "portrait.mp4"


def read(video: Path | None, count: int) -> list[np.ndarray]:
    """Frames of the video, or of the sample set into a large frame that it does not fill."""
    with av.open(str(video or SAMPLE)) as container:
        decoded = zip(range(count), container.decode(video=0), strict=False)
        pictures = [picture.to_ndarray(format="rgb24") for _, picture in decoded]
    if video:
        return pictures
    frames = []
    for picture in pictures:
        frame = np.full((1920, 1080, 3), 110, np.uint8)
        frame[400:1300, 90:990] = cv2.resize(picture, (900, 900), interpolation=cv2.INTER_CUBIC)
        frames.append(frame)
    return frames


def timed(stage: Stage, rows: list[dict], rate: int = 25) -> tuple[list[Packet], np.ndarray]:
    """The packets, and for each the milliseconds that the stage took by the wall clock and of the CPU: [n, 2]."""
    stage.open()
    shapes = {"frame": rows[0]["frame"].shape, "faces": (32, 15)}
    caps = infer_caps(stage, Caps({name: shapes[name] for name in stage.reads}))
    packets, took = [], []
    for index, row in enumerate(rows):
        packet = Packet(index, index / np.float64(rate), row | blank_arrays(stage, caps), stage.writes)
        start = time.perf_counter(), time.process_time()
        stage.process(packet)
        took.append((time.perf_counter() - start[0], time.process_time() - start[1]))
        packets.append(packet)
    stage.close()
    return packets, np.array(took) * 1e3


def quiet(took: np.ndarray, every: int) -> float:
    """The mean in the calmest tenth of the run's groups of `every` frames: what other programs did not take."""
    groups = took[: len(took) // every * every].reshape(-1, every).mean(1)
    return float(np.sort(groups)[: max(len(groups) // 10, 1)].mean())


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--video", type=Path)
    arguments.add_argument("--frames", type=int, default=150)
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--json", action="store_true", help="one object a line")
    given = arguments.parse_args()
    cv2.setNumThreads(given.threads)
    frames = read(given.video, given.frames)
    rows = []
    for every in (1, 5):
        found, detect = timed(Detect(every=every, threads=given.threads), [{"frame": frame} for frame in frames])
        faces = [{"frame": packet.frame, "faces": packet.faces} for packet in found]
        _, track = timed(Track(threads=given.threads), faces)
        both = detect + track
        for name, took in (("detect", detect), ("track", track), ("both", both)):
            figures = dict(zip(("wall_ms", "cpu_ms"), took.mean(0).tolist(), strict=True))
            rows.append({"every": every, "stage": name, **figures, "quiet_ms": quiet(took[:, 0], every)})
    if given.json:
        for row in rows:
            print(json.dumps(row))
        return
    height, width = frames[0].shape[:2]
    print(f"{len(frames)} frames of {width}×{height}, {given.threads} thread(s); milliseconds a frame")
    print(f"{'every':>5} {'stage':<8}{'wall':>8}{'cpu':>8}{'quiet':>8}")
    for row in rows:
        figures = "".join(f"{row[name]:>8.2f}" for name in ("wall_ms", "cpu_ms", "quiet_ms"))
        print(f"{row['every']:>5} {row['stage']:<8}{figures}")


if __name__ == "__main__":
    main()
