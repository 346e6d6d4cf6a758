"""The halves test: how near a generator comes to what a real mouth does.

    python tools/halves.py CLIP.mp4 [CLIP.mp4 ...] [--model rewrite] [--keep FOLDER] [--json]

The first half of each clip, with its sound, is the video; the sound of the second half drives; the second half's real
mouth is the truth. Prints the correlation of aperture and width with it (a fresh mesh of every frame, at lag 0 and at
the best lag within 0.12 s), and what the mere loudness of the sound would have scored as an aperture.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from lipscore import Mouths, against, mouths

from graph.runner import Graph

PIPELINES = Path(__file__).resolve().parents[1] / "pipelines"
#: loudness is taken from windows of this many seconds
_WINDOW = 0.04


def run(name: str, changes: dict[str, Any] | None = None, **inputs: Any) -> None:
    """Run a graph of the project; raises RuntimeError where it fails."""
    report = Graph.load(PIPELINES / f"{name}.yaml").run(changes=changes, **inputs)
    if report.exit_code:
        raise RuntimeError(f"{name} failed: {report.error}")


def halves(clip: str, folder: Path) -> tuple[Path, Path]:
    """Cut a clip in its middle, pictures and sound, without loss; the paths of both parts."""
    import av

    with av.open(clip) as container:
        if not container.streams.audio:
            raise ValueError(f"{clip} has no sound: the halves test needs the person's own")
        middle = float((container.duration or 0) / av.time_base) / 2
    parts = folder / "first.mkv", folder / "second.mkv"
    for part, span in zip(parts, ({"decode.end": middle}, {"decode.start": middle}), strict=True):
        run("transcode", span, video=clip, output=str(part), codec="ffv1")
    return parts


def loudness(path: str, times: Any) -> Any:
    """The logarithm of the sound's power around `times` [n] (seconds), [n]."""
    from stages.media.audio import AudioReader

    with AudioReader(path, 16_000) as reader:
        samples = reader.read(0, int((times[-1] + 1) * 16_000))
    power = np.convolve(samples**2, np.ones(int(_WINDOW * 16_000)) / (_WINDOW * 16_000), mode="same")
    return np.log(np.interp(times, np.arange(len(power)) / 16_000, power) + 1e-6)


def halves_score(clip: str, model: str, folder: Path) -> dict[str, Any]:
    """The scores of one clip; its videos are left in `folder`."""
    first, second = halves(clip, folder)
    run("lipsync", video=str(first), audio=str(second), model=model, output=str(folder / "drawn.mp4"))
    real = mouths(str(second))
    known = np.isfinite(real.measures[:, 0])
    times, truth = real.times[known], real.measures[known]
    loud = np.repeat(loudness(str(second), times)[:, None], 4, axis=1)
    scores: dict[str, Any] = {"clip": Path(clip).name, "model": model}
    scores |= against(mouths(str(folder / "drawn.mp4")), times, truth)
    scores["loudness_best"] = against(Mouths(times, loud, real.landmarks), times, truth)["aperture_best"]
    return scores


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", metavar="CLIP")
    parser.add_argument("--model", default="rewrite", choices=["auto", "rewrite", "warp"])
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where the halves and the drawn video are left")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args()
    for clip in options.clips:
        with tempfile.TemporaryDirectory() as scratch:
            folder = (options.keep or Path(scratch)) / Path(clip).stem
            folder.mkdir(parents=True, exist_ok=True)
            try:
                scores = halves_score(clip, options.model, folder)
            except (OSError, ValueError, RuntimeError) as error:
                print(f"halves: {error}", file=sys.stderr)
                return 1
        print(json.dumps(scores) if options.json else "  ".join(f"{name} {value}" for name, value in scores.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
