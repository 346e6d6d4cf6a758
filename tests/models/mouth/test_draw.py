"""Mouths that are drawn do what the path says, as a fresh mesh sees it, and nothing else changes."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from person import Person, drawn_frame, mesh, meshes, path_of, portrait, survey_of

from models.mouth.cut import cut_out, lower_face
from models.mouth.drawers import open_drawer, suited
from models.mouth.geometry import LOWER_INNER, LOWER_OUTER, TOUCHING, UPPER_OUTER, measure
from models.mouth.path import MouthPath
from models.mouth.schedule import Schedule
from models.mouth.survey import Survey
from models.mouth.warp import speaking_range

COUNT = 50


def wanted() -> MouthPath:
    t = np.arange(COUNT)
    aperture = 0.5 - 0.5 * np.cos(t / 3)
    aperture[20:30] = 0
    closed = (t >= 20) & (t < 30)
    return path_of(np.stack([aperture, 0.5 + 0.4 * np.sin(t / 5), 0.5 + 0 * t, aperture], 1), closed=closed)


def run(model: Any, folder: Any, frames: list[Any], landmarks: Any) -> tuple[list[Any], Any]:
    with Survey(folder) as survey:
        drawer = open_drawer(model, survey, wanted(), Fraction(25))
        out = [drawn_frame(drawer, i, frames[i % len(frames)], landmarks[i % len(frames)]) for i in range(COUNT)]
    return out, measure(meshes(out))


def test_rewrite_follows_the_path(person: Person) -> None:
    # the frames' own mouths must not matter: they speak something else
    frames, landmarks = person.frames[::-1], person.landmarks[::-1]
    _, got = run("rewrite", person.folder, frames, landmarks)
    path = wanted()
    assert np.corrcoef(got[:, 0], path.values[:, 0])[0, 1] >= 0.9
    shut = got[path.closed, 0]
    assert shut[1:-1].max() < np.percentile(got[:, 0], 35)


def test_skin_stays_in_the_light_of_the_frame(person: Person, tmp_path: Any) -> None:
    # the bank's mouths were seen in ever another light, and never quite where they are; the video itself stands still
    random = np.random.default_rng(7)
    gains, off = random.uniform(0.85, 1.1, len(person.frames)), random.normal(0, 2, (len(person.frames), 1, 2))
    lit = [np.clip(frame * gain, 0, 255).astype(np.uint8) for frame, gain in zip(person.frames, gains, strict=True)]
    folder = survey_of(lit, (person.landmarks + off).astype(np.float32), tmp_path)
    outs, _ = run("rewrite", folder, [portrait()], mesh()[None])
    x, y = mesh()[[192, 416], 0].round().astype(int), mesh()[[61, 291], 1].mean().round().astype(int)
    levels = np.array([[out[y - 6 : y + 6, x0 - 6 : x0 + 6].mean() for x0 in x] for out in outs])
    assert levels.std(0).max() < 1.5
    assert len({out[y - 40 : y + 40, x[0] : x[1]].tobytes() for out in outs}) > 20


def test_light_that_plays_along_the_jaw_does_not_play_on_the_face(tmp_path: Any) -> None:
    import cv2

    # neck, collar and the rim of the jaw are lighter or darker in each bank, every side by itself; the face is the same
    frame, points = portrait(), mesh()
    outline = cv2.convexHull(points.round().astype(np.int32))
    face = cv2.fillConvexPoly(np.zeros(frame.shape[:2], np.uint8), outline, 1)
    y, x = np.mgrid[: frame.shape[0], : frame.shape[1]]
    sides = (y > points[152, 1] - 20, x < points[172, 0], x > points[397, 0])
    beyond = [(cv2.erode(face, np.ones((13, 13))) == 0) & side for side in sides]
    random = np.random.default_rng(8)
    outs = []
    for index in range(8):
        shift = np.select(beyond, [float(n) for n in random.uniform(-14, 14, 3)], 0.0)[..., None]
        lit = np.clip(frame + shift, 0, 255).astype(np.uint8)
        with Survey(survey_of([lit] * 2, np.stack([points] * 2), tmp_path / str(index))) as survey:
            drawer = open_drawer("rewrite", survey, path_of(np.zeros((5, 4))), Fraction(25))
            outs.append(drawn_frame(drawer, 0, frame, points).astype(np.float32))
    inner = (cv2.erode(face, np.ones((41, 41))) > 0) & (y > points[2, 1])
    assert np.std(outs, 0)[inner].mean() < 0.4  # told from a line around the mouth: 1.6


def test_warp_opens_and_shuts_a_still(tmp_path: Any) -> None:
    folder = survey_of([portrait()] * 3, np.stack([mesh()] * 3), tmp_path)
    with Survey(folder) as survey:
        choice = suited(survey)
    assert choice.name == "warp" and "hardly opens" in choice.why
    _, got = run("warp", folder, [portrait()], mesh()[None])
    path = wanted()
    assert np.corrcoef(got[:, 0], path.values[:, 0])[0, 1] >= 0.9
    assert got[path.closed, 0][1:-1].max() < 0.03


@pytest.mark.parametrize(("rest", "wide"), [(0.25, 0.31), (0.36, 0.4), (0.42, 0.42)])
def test_a_mouth_at_rest_is_thought_to_move_as_speakers_mouths_do(rest: float, wide: float) -> None:
    reach = speaking_range(np.tile(np.float32([0.002, rest, 0.1, 0.4]), (5, 1)))
    assert reach.low[:2] == pytest.approx([0.002, rest * 0.87]) and reach.high[:2] == pytest.approx([0.102, wide])


def test_warp_shuts_a_mouth_that_is_seen_open(tmp_path: Any) -> None:
    from models.faces.lips import LipMesh

    lips = LipMesh()
    points = lips(portrait(), mesh())
    assert measure(points)[0] > 0.05  # a smile that shows teeth
    folder = survey_of([portrait()] * 3, np.stack([points] * 3), tmp_path)
    outs, _ = run("warp", folder, [portrait()], points[None])
    shut = [measure(lips(outs[index], mesh()))[0] for index in range(22, 28)]
    assert max(shut) < TOUCHING


@pytest.mark.parametrize("model", ["rewrite", "warp"])
def test_lips_that_shut_over_teeth_meet_in_a_shaded_line_and_press_on_p_b_and_m(model: Any, tmp_path: Any) -> None:
    import cv2

    from models.faces.lips import LipMesh

    lips = LipMesh()
    points = lips(portrait(), mesh())
    times = np.arange(20) / 25
    path = MouthPath(times, np.tile(np.float32([0, 0.3, 0, 0]), (20, 1)), times >= 0.5, (times > 0.15) & (times < 0.35))
    with Survey(survey_of([portrait()] * 3, np.stack([points] * 3), tmp_path)) as survey:
        drawer = open_drawer(model, survey, path, Fraction(25))
        outs = [drawn_frame(drawer, index, portrait(), points) for index in (6, 16)]
    found = [lips(out, mesh()) for out in outs]
    assert measure(found[0])[2] < 0.93 * measure(found[1])[2]  # how thick the lips look
    for out, one in zip(outs, found, strict=True):
        grey, line = cv2.cvtColor(out, cv2.COLOR_RGB2GRAY), one[list(LOWER_INNER)][2:-2]
        x = np.arange(int(line[0, 0]), int(line[-1, 0]))
        y = np.interp(x, line[:, 0], line[:, 1]).round().astype(int)
        around = one[[*UPPER_OUTER, *LOWER_OUTER[::-1]]].astype(np.int32)
        red = cv2.fillPoly(np.zeros_like(grey), [around], 1) > 0
        darkest = np.stack([grey[y + off, x] for off in range(-3, 4)]).min(0)
        assert (darkest < 0.85 * np.median(grey[red])).mean() > 0.8


def test_auto_takes_rewrite_where_the_bank_serves(person: Person) -> None:
    with Survey(person.folder) as survey:
        choice = suited(survey)
    assert choice.name == "rewrite" and "60 mouths" in choice.why


@pytest.mark.parametrize("model", ["rewrite", "warp"])
def test_a_drawing_depends_on_the_packet_only_and_marks_what_it_changes(person: Person, model: Any) -> None:
    drawings = []
    for order in (range(6), reversed(range(6))):
        with Survey(person.folder) as survey:
            drawer = open_drawer(model, survey, wanted(), Fraction(25))
            done = {}
            for index in order:
                placement = lower_face(person.landmarks[index], 320)
                crop = np.zeros((320, 320, 3), np.uint8)
                cut_out(person.frames[index], placement, crop)
                done[index] = (crop, drawer.draw(index, index / 25, crop, placement, person.landmarks[index]))
            drawings.append(done)
    for index in range(6):
        crop, drawn = drawings[0][index]
        again = drawings[1][index][1]
        assert np.array_equal(drawn.picture, again.picture) and np.array_equal(drawn.mask, again.mask)
        assert np.array_equal(drawn.picture[drawn.mask == 0], crop[drawn.mask == 0])
        assert (drawn.mask > 0).mean() < 0.7
    assert max((drawn.mask > 0).mean() for _, drawn in drawings[0].values()) > 0.02


def test_lips_come_to_press_and_part_again_smoothly(person: Person) -> None:
    closed = np.zeros(100, bool)
    closed[40:48] = True
    with Survey(person.folder) as survey:
        schedule = Schedule(survey, path_of(np.zeros((100, 4)), 100, closed), Fraction(100))
    presses = [schedule.pressed(index / 100) for index in range(100)]
    assert max(presses[:38] + presses[50:]) == 0 and presses[42:46] == [1] * 4
    assert np.abs(np.diff(presses)).max() <= 0.25


def test_style_widens_the_moves(person: Person) -> None:
    spans = []
    for style in (0.5, 1.0):
        with Survey(person.folder) as survey:
            drawer = open_drawer("warp", survey, wanted(), Fraction(25), style=style)
            out = [drawn_frame(drawer, i, person.frames[0], person.landmarks[0]) for i in range(0, 19, 2)]
        spans.append(np.ptp(measure(meshes(out))[:, 0]))
    assert spans[0] < 0.75 * spans[1]
