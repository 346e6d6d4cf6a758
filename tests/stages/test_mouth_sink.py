"""mouth_path, and the graph that writes a mouth path: what comes out for whom."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mouth_files import ROOT, SPEECH, real_clip, repeated, survey_of, write_survey

from graph import Graph
from graph.stage import run_stage
from models.mouth.articulation import articulate
from models.mouth.path import APERTURE, MouthPath
from models.mouth.speech import Speech
from models.mouth.survey import Survey
from models.mouth.voice import loudness
from stages.heard import HeardAgain
from stages.hearing import Hearing
from stages.listen import Listen
from stages.mouth_path import MouthPathSink
from stages.phones import Phones


def run(output: Path, audio: Path, own: Path | None = None, **parameters: object) -> tuple[MouthPath, MouthPathSink]:
    """listen → phones → mouth_path in a loop."""
    listen = Listen(str(audio), own=None if own is None else str(own))
    heard = run_stage(Phones(), [packet.fields() for packet in run_stage(listen)])
    whose = "none" if own is None else "speech" if own == audio else "own"
    sink = MouthPathSink(str(output), **parameters)
    run_stage(sink, [packet.fields() for packet in heard], stream={"own": whose})
    return MouthPath.read(output), sink


def heard_of(audio: Path) -> Speech:
    from models.mouth.phones import Phone
    from models.mouth.speech import Piece

    pieces = []
    for packet in run_stage(Phones(), [packet.fields() for packet in run_stage(Listen(str(audio)))]):
        phones = [Phone(*phone) for phone in packet.phones]
        pieces.append(Piece(packet.span["first"], packet.span["end"], phones, packet.voice))
    return Speech.of(pieces, packet.span["total"])


def likeness(path: MouthPath, times: np.ndarray, truth: np.ndarray, column: int = APERTURE) -> float:
    """The best correlation within 0.12 s."""
    known = np.isfinite(truth)
    lags = np.arange(-0.12, 0.121, 0.02)
    tracks = [np.interp(times + lag, path.times, path.values[:, column]) for lag in lags]
    return max(float(np.corrcoef(track[known], truth[known])[0, 1]) for track in tracks)


def test_what_was_heard_comes_back_from_its_file(tmp_path: Path) -> None:
    sound = [packet.fields() for packet in run_stage(Listen(str(SPEECH)))]
    phones = [packet.fields() for packet in run_stage(Phones(), sound)]
    sink = Hearing(str(tmp_path / "hearing.npz"))
    run_stage(sink, phones, stream={"own": "none", "speech_frames": 400})
    again = HeardAgain(sink.path)
    found = [packet.fields() for packet in run_stage(again)]
    facts = again.configure().stream
    assert (facts["own"], facts["speech_frames"], facts["packets"]) == ("none", 400, len(phones))
    for one, other in zip(found, phones, strict=True):
        assert (one["span"], one["phones"]) == (other["span"], other["phones"])
        np.testing.assert_array_equal(one["voice"], other["voice"].astype(np.float16))


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04"])
def test_a_file_that_nothing_was_heard_into_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "hearing.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"hearing.npz is no file of hearing.yaml"):
        HeardAgain(str(path)).open()
    np.savez(path, stream=np.zeros(2, np.uint8), pieces=np.zeros(0, np.uint8), voice=np.zeros((3, 14), np.float16))
    with pytest.raises(ValueError, match=r"hearing.npz is no file of hearing.yaml"):
        HeardAgain(str(path)).open()
    with pytest.raises(ValueError, match="no such file"):
        HeardAgain(str(tmp_path / "none.npz")).open()


def test_a_style_is_tried_without_hearing_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHRUN_HOME", str(tmp_path))
    graph = Graph.load(ROOT / "pipelines" / "mouth.yaml")
    first, second = (graph.run(output=str(tmp_path / f"{at}.csv"), style=style) for at, style in enumerate((1.0, 1.5)))
    assert (list(first.first), list(second.first)) == (["hearing"], [])
    small, large = (MouthPath.read(tmp_path / f"{at}.csv").values[:, APERTURE].max() for at in range(2))
    assert large > 1.2 * small


def test_the_sample_through_the_graph(tmp_path: Path) -> None:
    output = tmp_path / "mouth.csv"
    report = Graph.load(ROOT / "pipelines" / "mouth.yaml").run(output=str(output))
    assert report.status == "done" and report.outputs[0]["frames"] == 400
    path = MouthPath.read(output)
    assert len(path) == 400 and path.times[0] == 0
    assert path.values[~path.silent, APERTURE].max() > 0.7 and path.values[path.silent, APERTURE].max() == 0
    assert any("the general map" in note for note in report.notes)


def test_pieces_are_joined_without_seams(tmp_path: Path) -> None:
    long, _ = run(tmp_path / "long.csv", repeated(tmp_path / "long.wav", 6))
    once, _ = run(tmp_path / "once.csv", SPEECH)
    assert len(long) == 2400
    steps = np.abs(np.diff(long.values[:, APERTURE]))
    assert steps[1990:2010].max() <= steps.max() and steps.max() < 0.25
    middle = long.values[800:1200, APERTURE]
    assert np.corrcoef(middle, once.values[:, APERTURE])[0, 1] > 0.8


def test_style_smooth_and_lead_act(tmp_path: Path) -> None:
    usual, _ = run(tmp_path / "a.csv", SPEECH)
    low, _ = run(tmp_path / "b.csv", SPEECH, style=0.5)
    smooth, _ = run(tmp_path / "c.csv", SPEECH, smooth=0.1)
    late, _ = run(tmp_path / "d.csv", SPEECH, lead=-0.2)
    assert low.values[:, APERTURE].mean() < 0.65 * usual.values[:, APERTURE].mean()
    assert np.abs(np.diff(smooth.values[:, 1])).sum() < 0.8 * np.abs(np.diff(usual.values[:, 1])).sum()
    lags = [np.corrcoef(usual.values[60:-60, 1], np.roll(late.values[:, 1], -lag)[60:-60])[0, 1] for lag in range(50)]
    assert int(np.argmax(lags)) == pytest.approx(30, abs=6)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"style": 2.0}, "style is 2, but has to lie between 0.5 and 1.5"),
        ({"smooth": -1.0}, "smooth is -1"),
        ({"lead": 3.0}, "lead is 3"),
        ({"survey": "nowhere"}, "no finished survey"),
        ({"target": "nowhere.csv"}, "no such target"),
        ({"path": "no/such/folder/mouth.csv"}, "there is no folder"),
    ],
)
def test_wrong_parameters_stop_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parameters: dict[str, object], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        MouthPathSink(**{"path": "mouth.csv", **parameters}).open()


def test_a_target_takes_the_place_of_the_map(tmp_path: Path) -> None:
    target = tmp_path / "target.csv"
    target.write_text("start,end,viseme\n0,1,sil\n1,2,aa\n2,2.2,PP\n2.2,3,ou\n3,3.4,sil\n")
    path, sink = run(tmp_path / "mouth.csv", SPEECH, target=str(target))
    assert len(path) == 400 and path.silent[10:80].all() and path.at([1.5]).values[0, APERTURE] > 0.8
    assert path.at([2.06]).closed[0] and path.silent[-30:].all()
    assert any("visemes or phones (Oculus)" in note for note in sink.notes)
    assert any("the target ends at 3.40 s" in note for note in sink.notes)


def test_the_persons_own_way_is_learned_from_the_videos_own_sound(tmp_path: Path) -> None:
    own = repeated(tmp_path / "own.wav", 4)
    speech = heard_of(own)
    frames = np.arange(0, len(speech), 4)
    mouths = articulate(speech)[frames, :2]
    mouths[:, 1] = 1 - mouths[:, 1]  # someone who draws the corners in where others spread them
    survey = write_survey(tmp_path / "survey", mouths)
    path, sink = run(tmp_path / "mouth.csv", SPEECH, own=own, survey=str(survey))
    plain, _ = run(tmp_path / "plain.csv", SPEECH)
    assert any("% learned from" in note and "width" in note for note in sink.notes)
    talking = ~path.silent
    assert np.corrcoef(path.values[talking, 1], plain.values[talking, 1])[0, 1] < -0.5
    assert np.corrcoef(path.values[talking, 0], plain.values[talking, 0])[0, 1] > 0.5


def test_a_sound_that_is_not_the_pictures_is_not_learned_from(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).normal(size=(400, 2))
    kernel = np.hanning(9)
    mouths = np.stack([np.convolve(column, kernel, "same") for column in noise.T], axis=1) / 4 + 0.5
    survey = write_survey(tmp_path / "survey", mouths)
    _, sink = run(tmp_path / "mouth.csv", SPEECH, own=repeated(tmp_path / "own.wav", 4), survey=str(survey))
    assert any("does not tell its picture" in note for note in sink.notes)


def test_halves_of_a_real_clip_follow_the_real_mouth(tmp_path: Path) -> None:
    """The first half is learned from, the sound of the second drives, its real mouth is the truth."""
    import av
    import soundfile

    clip = real_clip("ve_vasa11.mp4")
    samples = np.concatenate([frame.to_ndarray() for frame in av.open(str(clip)).decode(audio=0)], axis=1).mean(axis=0)
    rate = av.open(str(clip)).streams.audio[0].rate
    survey = survey_of(clip, tmp_path / "survey")
    with Survey(survey) as whole:
        table, half = whole.table(), whole.count // 2
        middle = float(table["time"][half])
        landmarks = whole.records(0, half)["landmarks"]
    first, second = tmp_path / "first.wav", tmp_path / "second.wav"
    soundfile.write(first, samples[: int(middle * rate)], rate)
    soundfile.write(second, samples[int(middle * rate) :], rate)
    from models.mouth.survey import SurveyWriter

    writer = SurveyWriter(tmp_path / "half")
    for time, points in zip(table["time"], landmarks, strict=False):
        writer.add(float(time), points, found=bool(np.isfinite(points).all()), cut=False, track=1, presence=1.0)
    writer.finish({})
    path, _ = run(tmp_path / "mouth.csv", second, own=first, survey=str(tmp_path / "half"))
    times, truth = table["time"][half:] - middle, table["measures"][half:, APERTURE]
    reached = likeness(path, times, truth)
    level = loudness(heard_of(second).voice)
    energy = likeness(MouthPath(path.times, np.repeat(level[:, None], 4, 1), path.silent, path.closed), times, truth)
    assert reached >= 0.4 and reached > energy + 0.1


def test_the_general_map_follows_a_real_mouth(tmp_path: Path) -> None:
    clip = real_clip("st_aoc.mp4")
    path, _ = run(tmp_path / "mouth.csv", clip)
    with Survey(survey_of(clip, tmp_path / "survey")) as survey:
        table = survey.table()
    assert likeness(path, table["time"], table["measures"][:, APERTURE]) >= 0.4
    assert likeness(path, table["time"], table["measures"][:, 1], column=1) >= 0.4
