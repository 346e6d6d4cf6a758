"""listen and phones: sound in overlapping pieces, and what is said in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from mouth_files import SPEECH, repeated

from graph.stage import run_stage
from stages.listen import Listen
from stages.phones import Phones

PORTRAIT = SPEECH.with_name("portrait.mp4")


def test_pieces_cover_the_recording_and_overlap(tmp_path: Path) -> None:
    path = repeated(tmp_path / "long.wav", 11)
    sound = soundfile.read(path, dtype="float32")[0]
    packets = run_stage(Listen(str(path)))
    spans = [packet.span for packet in packets]
    assert [span["of"] for span in spans] == ["speech"] * 3
    assert [(span["first"], span["end"]) for span in spans] == [(0, 2000), (2000, 4000), (4000, spans[0]["total"])]
    assert spans[0]["total"] == pytest.approx(len(sound) / 160, abs=1)
    for packet in packets:
        start = packet.span["start"] * 160
        part = sound[start : start + len(packet.samples)]
        assert np.abs(packet.samples[: len(part)] - part).max() < 1e-4
        assert not packet.samples[len(part) :].any()
        assert packet.time == packet.span["first"] * 160 / 16_000
    assert spans[1]["start"] == 1900 and len(packets[1].samples) == 22 * 16_000


def test_going_on_after_a_death_gives_the_same_pieces(tmp_path: Path) -> None:
    path = repeated(tmp_path / "long.wav", 11)
    whole = run_stage(Listen(str(path)))

    class Later(Listen):
        def configure(self):
            self.seek(2)
            return super().configure()

    (last,) = run_stage(Later(str(path)))
    assert last.span == whole[2].span and np.array_equal(last.samples, whole[2].samples)


def test_the_videos_own_sound_comes_after_the_speech(tmp_path: Path) -> None:
    own = repeated(tmp_path / "own.wav", 2)
    packets = run_stage(Listen(str(SPEECH), own=str(own)))
    assert [packet.span["of"] for packet in packets] == ["speech", "own"]
    same = run_stage(Listen(str(SPEECH), own=str(SPEECH)))
    assert [packet.span["of"] for packet in same] == ["speech"]


def test_a_video_without_sound_is_noted() -> None:
    listen = Listen(str(SPEECH), own=str(PORTRAIT))
    assert len(run_stage(listen)) == 1
    assert "no audio" in listen.notes[0] and "own sound" in listen.notes[0]


@pytest.mark.parametrize(("path", "own"), [("none.wav", None), (str(SPEECH), "none.mp4"), (str(PORTRAIT), None)])
def test_what_cannot_be_heard_is_refused(path: str, own: str | None) -> None:
    with pytest.raises(ValueError, match=r"no such|no audio"):
        run_stage(Listen(path, own=own))


def test_a_very_short_recording_is_one_piece(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "click.wav", np.full(80, 0.1), 16_000)
    (packet,) = run_stage(Listen(str(tmp_path / "click.wav")))
    assert packet.span["total"] == 1 and len(packet.samples) == 160
    (heard,) = run_stage(Phones(), [packet.fields()])
    assert heard.phones == [] and heard.voice.shape == (1, 14)


def test_phones_are_told_in_frames_of_the_recording(tmp_path: Path) -> None:
    path = repeated(tmp_path / "long.wav", 6)
    first, second = run_stage(Phones(), [packet.fields() for packet in run_stage(Listen(str(path)))])
    assert first.voice.shape == (2000, 14) and second.voice.shape == (400, 14)
    assert first.phones[0][1] == 0 and first.phones[-1][2] == pytest.approx(2100, abs=5)
    assert second.phones[0][1] == 1900
    shared = {tuple(phone) for phone in first.phones} & {tuple(phone) for phone in second.phones}
    assert shared, "the overlap is recognised alike on both sides"


def test_samples_that_are_missing_are_an_error() -> None:
    span = {"of": "speech", "total": 400, "first": 0, "end": 400, "start": 0}
    with pytest.raises(ValueError, match="less than the span says"):
        run_stage(Phones(), [{"samples": np.zeros(16_000, np.float32), "span": span}])
