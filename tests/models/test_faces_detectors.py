"""Every detector's outputs become the faces that were put into them, in pixels of the frame."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from onnx_made import made_network, seeing_network

from models.faces.detectors import DETECTORS, open_detector
from models.onnx import open_network

HEIGHT, WIDTH = 320, 640
#: the frame is twice as large as the network's input, plus what the letterbox leaves black
FRAME = np.zeros((2 * HEIGHT, 2 * WIDTH, 3), np.uint8)

#: in pixels of the input: box, and points as fractions of it; the second overlaps the first and scores less
BOXES = np.array([[100, 60, 180, 160], [106, 66, 184, 164], [400, 180, 440, 220]], np.float32)
SCORES = np.array([0.9, 0.8, 0.7], np.float32)
PLACES = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]], np.float32)
POINTS = BOXES[:, None, :2] + PLACES * (BOXES[:, None, 2:] - BOXES[:, None, :2])
WANTED = [0, 2]


def logit(p):
    return np.log(p / (1 - p))


def centre_cell(box, stride):
    """Column and row of the cell that holds the middle of a box."""
    return int((box[0] + box[2]) / 2 // stride), int((box[1] + box[3]) / 2 // stride)


def blazeface(size, layers):
    """Six points a face: the fourth is between the corners of the mouth. The canvas is square, the frame centred."""
    rows = sum((size // stride) ** 2 * anchors for stride, anchors in layers)
    values, scores = np.zeros((1, rows, 16)), np.full((1, rows, 1), -20.0)
    scale, top = size / WIDTH, (size - HEIGHT * size / WIDTH) / 2
    for number, (box, five) in enumerate(zip(BOXES, POINTS, strict=True)):
        stride, anchors = layers[number % len(layers)]
        start = sum((size // s) ** 2 * a for s, a in layers[: number % len(layers)])
        six = np.stack([*five[:3], (five[3] + five[4]) / 2, box[:2], box[2:]]) * scale + [0, top]
        box = box * scale + [0, top, 0, top]
        column, row = centre_cell(box, stride)
        column += number % 2
        at = start + (row * (size // stride) + column) * anchors + anchors - 1
        anchor = np.array([column + 0.5, row + 0.5]) * stride
        values[0, at] = np.concatenate([(box[:2] + box[2:]) / 2 - anchor, box[2:] - box[:2], (six - anchor).ravel()])
        scores[0, at] = logit(SCORES[number])
    return {"regressors": values, "classificators": scores}, [1, 3, size, size]


def scrfd():
    outputs = {}
    for place, stride in enumerate((8, 16, 32)):
        cells = (HEIGHT // stride) * (WIDTH // stride)
        score, sides, points = np.zeros((cells * 2, 1)), np.zeros((cells * 2, 4)), np.zeros((cells * 2, 10))
        for number in range(3):
            if number != place:
                continue
            column, row = centre_cell(BOXES[number], stride)
            at = (row * (WIDTH // stride) + column) * 2 + 1
            centre = np.array([column, row]) * stride
            score[at] = SCORES[number]
            sides[at] = np.concatenate([centre - BOXES[number, :2], BOXES[number, 2:] - centre]) / stride
            points[at] = ((POINTS[number] - centre) / stride).ravel()
        outputs |= {f"score_{stride}": score, f"bbox_{stride}": sides, f"kps_{stride}": points}
    return outputs, [1, 3, "height", "width"]


def retinaface():
    sizes = {8: (16, 32), 16: (64, 128), 32: (256, 512)}
    rows = sum((HEIGHT // stride) * (WIDTH // stride) * 2 for stride in sizes)
    moves, classes, points = np.zeros((1, rows, 4)), np.tile([0.99, 0.01], (1, rows, 1)), np.zeros((1, rows, 10))
    for number, (stride, anchor) in enumerate(((16, 1), (16, 0), (8, 1))):
        box = BOXES[number]
        start = 0 if stride == 8 else (HEIGHT // 8) * (WIDTH // 8) * 2
        column, row = centre_cell(box, stride)
        at = start + (row * (WIDTH // stride) + column) * 2 + anchor
        side, centre = sizes[stride][anchor], (np.array([column, row]) + 0.5) * stride
        moves[0, at, :2] = ((box[:2] + box[2:]) / 2 - centre) / side / 0.1
        moves[0, at, 2:] = np.log((box[2:] - box[:2]) / side) / 0.2
        points[0, at] = ((POINTS[number] - centre) / side / 0.1).ravel()
        classes[0, at] = 1 - SCORES[number], SCORES[number]
    return {"loc": moves, "conf": classes, "landms": points}, [1, 3, "height", "width"]


def s3fd():
    """The canvas is as large as a multiple of 128 asks for; classes come before their softmax."""
    height, width = math.ceil(HEIGHT / 128) * 128, WIDTH
    outputs = {}
    for place, stride in enumerate((4, 8, 16, 32, 64, 128)):
        classes, moves = (np.zeros((1, planes, height // stride, width // stride)) for planes in (2, 4))
        classes[0, 0] = 9
        for number in range(3):
            if number != place:
                continue
            box = BOXES[number]
            column, row = centre_cell(box, stride)
            centre = (np.array([column, row]) + 0.5) * stride
            moves[0, :2, row, column] = ((box[:2] + box[2:]) / 2 - centre) / (4 * stride) / 0.1
            moves[0, 2:, row, column] = np.log((box[2:] - box[:2]) / (4 * stride)) / 0.2
            classes[0, :, row, column] = 3, 3 + logit(SCORES[number])
        outputs |= {f"cls{place}": classes, f"reg{place}": moves}
    return outputs, [1, 3, "height", "width"]


def yunet():
    outputs = {}
    for place, stride in enumerate((8, 16, 32)):
        cells = (HEIGHT // stride) * (WIDTH // stride)
        columns_of = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
        of = {kind: np.zeros((1, cells, columns)) for kind, columns in columns_of.items()}
        box, five = BOXES[place], POINTS[place]
        column, row = centre_cell(box, stride)
        at = row * (WIDTH // stride) + column
        of["cls"][0, at], of["obj"][0, at] = SCORES[place] ** 2 / 0.9, 0.9
        of["bbox"][0, at, :2] = (box[:2] + box[2:]) / 2 / stride - [column, row]
        of["bbox"][0, at, 2:] = np.log((box[2:] - box[:2]) / stride)
        of["kps"][0, at] = (five / stride - [column, row]).ravel()
        outputs |= {f"{kind}_{stride}": value for kind, value in of.items()}
    return outputs, [1, 3, HEIGHT, WIDTH]


def centerface():
    h, w = HEIGHT // 4, WIDTH // 4
    heat, sizes, offsets, marks = (np.zeros((1, planes, h, w)) for planes in (1, 2, 2, 10))
    for box, score in zip(BOXES, SCORES, strict=True):
        centre, sides = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
        column, row = centre_cell(box, 4)
        heat[0, 0, row, column] = score
        sizes[0, :, row, column] = np.log(sides[::-1] / 4)
        offsets[0, :, row, column] = (centre / 4 - [column, row] - 0.5)[::-1]
        marks[0, :, row, column] = PLACES[:, ::-1].ravel()
    return {"heat": heat, "scale": sizes, "offset": offsets, "marks": marks}, [1, 3, "height", "width"]


def yolo_face():
    output = np.zeros((1, 20, 8400))
    for number, at in enumerate((17, 400, 8000)):
        box = BOXES[number]
        output[0, :4, at] = np.concatenate([(box[:2] + box[2:]) / 2, box[2:] - box[:2]])
        output[0, 4, at] = SCORES[number]
        output[0, 5:, at] = np.concatenate([POINTS[number], np.ones((5, 1))], 1).ravel()
    return {"output0": output}, [1, 3, HEIGHT, WIDTH]


MADE = {
    "blazeface": lambda: blazeface(192, [(4, 1)]),
    "blazeface_short": lambda: blazeface(128, [(8, 2), (16, 6)]),
    "scrfd": scrfd,
    "retinaface": retinaface,
    "s3fd": s3fd,
    "yunet": yunet,
    "centerface": centerface,
    "yolo_face": yolo_face,
}


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("networks")

    def write(name: str) -> Path:
        outputs, shape = MADE[name]()
        return made_network(folder / f"{name}.onnx", outputs, shape)

    return {name: write(name) for name in MADE}


def opened(name, path, **options):
    """Without the trial run of `open_detector`: these networks give outputs of one size whatever they are shown."""
    return DETECTORS[name](open_network(path, "cpu"), **options)


def test_every_detector_is_tested():
    assert set(MADE) == set(DETECTORS)


@pytest.mark.parametrize("name", MADE)
def test_decodes_what_was_put_in(name, networks):
    faces = opened(name, networks[name])(FRAME)
    assert faces.dtype == np.float32
    assert faces.shape == (2, 15)
    # the frame is twice the input; pixel 0 of the frame has its centre half a pixel from its edge
    boxes, points = 2 * BOXES[WANTED] - 0.5, 2 * POINTS[WANTED] - 0.5
    tolerance = 0.05
    if "blazeface" in name:
        weights = SCORES[:2, None] / SCORES[:2].sum()
        boxes[0] = 2 * (BOXES[:2] * weights).sum(0) - 0.5
        points[0] = 2 * (POINTS[:2] * weights[..., None]).sum(0) - 0.5
        middle = (faces[:, 11:13] + faces[:, 13:15]) / 2
        np.testing.assert_allclose(middle, points[:, 3:].mean(1), atol=tolerance)
        assert (faces[:, 11] < faces[:, 13]).all()
        points = points[:, :3]
    np.testing.assert_allclose(faces[:, :4], boxes, atol=tolerance)
    np.testing.assert_allclose(faces[:, 4], SCORES[WANTED], atol=1e-3)
    if name == "s3fd":
        assert np.isnan(faces[:, 5:]).all()
    else:
        found = faces[:, 5:].reshape(2, 5, 2)[:, : points.shape[1]]
        np.testing.assert_allclose(found, points, atol=tolerance)


def test_several_frames_in_one_run_each_have_their_own_faces(tmp_path):
    network = open_network(seeing_network(tmp_path / "yolo.onnx", *MADE["yolo_face"]()), "cpu")
    assert network.takes_several
    detector = DETECTORS["yolo_face"](network)
    black, white = FRAME, np.full_like(FRAME, 255)
    frames = [black, white, black, white, white]
    found = detector.each(frames)
    assert [len(faces) for faces in found] == [0, 2, 0, 2, 2]
    for frame, faces in zip(frames, found, strict=True):
        np.testing.assert_array_equal(faces, detector(frame))


def test_a_network_of_one_picture_sees_several_one_by_one(networks):
    detector = opened("scrfd", networks["scrfd"])
    assert not detector.network.takes_several
    assert [len(faces) for faces in detector.each([FRAME, FRAME])] == [2, 2]


@pytest.mark.parametrize("name", MADE)
def test_thresholds(name, networks):
    assert len(opened(name, networks[name], score=0.75)(FRAME)) == 1
    assert len(opened(name, networks[name], score=0.95)(FRAME)) == 0
    assert len(opened(name, networks[name], nms=0.95)(FRAME)) == 3


def test_retinaface_of_insightface_has_the_outputs_of_scrfd(tmp_path):
    outputs, _ = scrfd()
    path = made_network(tmp_path / "det_10g.onnx", outputs, [1, 3, HEIGHT, WIDTH])
    faces = open_detector("retinaface", weights=path, device="cpu")(FRAME)
    np.testing.assert_allclose(faces[:, :4], 2 * BOXES[WANTED] - 0.5, atol=0.05)


def test_probabilities_are_not_put_through_softmax_again(tmp_path):
    outputs, shape = s3fd()
    for place in range(6):
        raised = np.exp(outputs[f"cls{place}"])
        outputs[f"cls{place}"] = raised / raised.sum(1, keepdims=True)
    faces = opened("s3fd", made_network(tmp_path / "s3fd.onnx", outputs, shape))(FRAME)
    np.testing.assert_allclose(faces[:, 4], SCORES[WANTED], atol=1e-3)


def test_yunet_agrees_with_opencv(networks):
    import cv2

    reference = cv2.FaceDetectorYN.create(str(networks["yunet"]), "", (WIDTH, HEIGHT), 0.5, 0.3, 50)
    _, rows = reference.detect(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    rows = rows[np.argsort(-rows[:, 2] * rows[:, 3])]
    faces = opened("yunet", networks["yunet"])(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    np.testing.assert_allclose(faces[:, :2] + 0.5, rows[:, :2], atol=1e-2)
    np.testing.assert_allclose(faces[:, 2:4] - faces[:, :2], rows[:, 2:4], atol=1e-2)
    np.testing.assert_allclose(faces[:, 5:] + 0.5, rows[:, 4:14], atol=1e-2)
    np.testing.assert_allclose(faces[:, 4], rows[:, 14], atol=1e-3)


def test_an_odd_frame_comes_back_in_its_own_pixels(networks):
    """A tall frame in a wide input is bounded by its height, and lies at the left, or in the middle."""
    frame = np.zeros((960, 301, 3), np.uint8)
    scale = HEIGHT / 960
    faces = opened("yolo_face", networks["yolo_face"])(frame)
    np.testing.assert_allclose(faces[0, 1::2][:2], BOXES[0, 1::2] / scale - 0.5, atol=0.1)
    assert faces[0, 0] == pytest.approx(BOXES[0, 0] * 301 / round(301 * scale) - 0.5, abs=0.1)


def test_at_most_32_the_largest(tmp_path):
    output = np.zeros((1, 20, 100))
    for at in range(40):
        output[0, :5, at] = [(at % 8) * 70 + 40, (at // 8) * 60 + 30, 10 + at, 10 + at, 0.9]
    path = made_network(tmp_path / "many.onnx", {"output": output}, [1, 3, HEIGHT, WIDTH])
    faces = opened("yolo_face", path)(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    sides = faces[:, 2] - faces[:, 0]
    assert len(faces) == 32
    np.testing.assert_allclose(sides, np.arange(49, 17, -1), atol=0.01)


def test_weights_that_do_not_fit_are_refused(networks, tmp_path):
    with pytest.raises(ValueError, match="does not have the outputs of yunet"):
        open_detector("yunet", weights=networks["centerface"], device="cpu")
    with pytest.raises(ValueError, match="leave out size 320"):
        open_detector("blazeface", size=320, device="cpu")
    with pytest.raises(ValueError, match="multiple of 32"):
        open_detector("centerface", weights=networks["centerface"], size=100, device="cpu")
    with pytest.raises(ValueError, match="no weights of yunet"):
        open_detector("yunet")
    text = tmp_path / "text.onnx"
    text.write_text("this is no network")
    with pytest.raises(ValueError, match=r"text\.onnx cannot be opened"):
        open_detector("scrfd", weights=text, device="cpu")
