"""Diff2Lip's network, conditions and drawing: the numbers of the reference, and inputs that cannot be forgotten."""

import numpy as np
import pytest
import torch

from models.diff2lip import Conditions, Network, Sampler, start_noise
from models.diff2lip.conditions import lower_half
from models.diff2lip.generator import Diff2Lip
from models.diff2lip.pictures import join, to_bytes, to_numbers

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def expected(golden):
    return golden("diff2lip_model")


def test_keys_and_shapes_are_the_official_ones(key_table):
    with torch.device("meta"):
        network = Network()
    state = network.state_dict()
    assert len(state) == 632 and sum(value.numel() for value in state.values()) == 101_670_630
    assert {key: "x".join(map(str, value.shape)) for key, value in state.items()} == key_table("diff2lip")


def test_speech_equals_the_reference(diff2lip, diff2lip_inputs, expected):
    speech = diff2lip_inputs[1].speech
    with torch.inference_mode():
        encoded = diff2lip.audio_encoder(speech)
        np.testing.assert_allclose(encoded, expected["audio_enc"], atol=1e-5)
        np.testing.assert_allclose(diff2lip.style_of(encoded), expected["style"], atol=1e-5)


def test_network_equals_the_reference(diff2lip, diff2lip_inputs, expected):
    x, conditions, _ = diff2lip_inputs
    with torch.inference_mode():
        out = diff2lip(x, torch.from_numpy(expected["t"]), conditions)
    np.testing.assert_allclose(out, expected["out"], atol=1e-4)


def test_work_done_once_changes_no_number_nor_does_the_batch(diff2lip, diff2lip_inputs, expected):
    """`prepare` and `predict`, a frame at a time, against the whole network for two frames at once."""
    x, conditions, _ = diff2lip_inputs
    with torch.inference_mode():
        for frame in range(2):
            prepared = diff2lip.prepare(conditions.part(frame, frame + 1))
            t = torch.tensor([int(expected["t"][frame])])
            noise, deep = diff2lip.predict(x[frame : frame + 1, :, 64:], t, prepared)
            np.testing.assert_allclose(noise[0], expected["out"][frame, :3, 64:], atol=2e-5)
        again, _ = diff2lip.predict(x[1:, :, 64:], t, prepared, deep)
        np.testing.assert_allclose(again, noise, atol=1e-5)


def test_start_noise_is_the_paper_s(expected):
    noise = start_noise(7)
    assert noise.shape == (1, 3, 128, 128)
    np.testing.assert_array_equal(noise.flatten()[:16], expected["noise_first16"])


@pytest.mark.slow
def test_25_steps_equal_the_reference(diff2lip, diff2lip_inputs, expected):
    """The first frame; `tools/parity.py` gives both."""
    _, conditions, image = diff2lip_inputs
    with torch.inference_mode():
        lower = Sampler(diff2lip).sample(conditions.part(0, 1), start_noise(7))
    np.testing.assert_allclose(lower[0], expected["ddim_sample"][0, :, 64:], atol=1e-3)
    picture = to_bytes(join(image[:1] * 2 - 1, lower), "down")
    assert np.abs(picture[0].astype(int) - expected["recon_u8"][0]).max() <= 1


@pytest.mark.slow
def test_batch_of_four_equals_four_batches_of_one(diff2lip, diff2lip_inputs):
    conditions = diff2lip_inputs[1]
    four = Conditions(
        image=conditions.image.repeat(2, 1, 1, 1),
        reference=torch.cat([conditions.reference, conditions.reference.flip(0)]),
        mask=lower_half(4),
        speech=torch.cat([conditions.speech, -conditions.speech]),
    )
    with torch.inference_mode():
        drawn = [Sampler(diff2lip, steps=1, batch=batch).sample(four, start_noise(7)) for batch in (1, 4)]
    np.testing.assert_allclose(drawn[0], drawn[1], atol=1e-5)


SHAPES = {"image": (2, 3, 128, 128), "reference": (2, 3, 128, 128), "mask": (2, 1, 128, 128), "speech": (2, 80, 16)}


def some(**changed):
    return {name: torch.zeros(shape) for name, shape in SHAPES.items()} | changed


@pytest.mark.parametrize("name", SHAPES)
def test_no_condition_can_be_left_out(name):
    left = {key: value for key, value in some().items() if key != name}
    with pytest.raises(TypeError, match=name):
        Conditions(**left)
    with pytest.raises(TypeError, match=f"needs '{name}' as a tensor .* got NoneType"):
        Conditions(**left, **{name: None})
    with pytest.raises(TypeError, match="unexpected"):
        Conditions(**some(), face_frames=torch.zeros(1))


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("speech", torch.zeros(2, 16, 80), r"'speech' has shape \[2, 16, 80\], it takes \[N, 80, 16\]"),
        ("speech", torch.zeros(2, 1, 80, 16), r"'speech' has shape"),
        ("speech", torch.zeros(3, 80, 16), "'speech' is for 3 frames, the others are for 2"),
        ("mask", torch.zeros(2, 3, 128, 128), r"'mask' has shape"),
        ("reference", torch.zeros(2, 3, 96, 96), r"'reference' has shape"),
        ("reference", torch.zeros(2, 3, 128, 128, dtype=torch.uint8), "'reference' is of torch.uint8"),
    ],
)
def test_wrong_shapes_are_named(name, wrong, message):
    with pytest.raises(ValueError, match=message):
        Conditions(**some(**{name: wrong}))


def test_forward_names_what_does_not_fit():
    with torch.device("meta"):
        network = Network()
    conditions = Conditions(**some())
    with pytest.raises(ValueError, match="'x' is for 1 frames, the others are for 2"):
        network(torch.zeros(1, 3, 128, 128), torch.zeros(1), conditions)
    with pytest.raises(ValueError, match=r"'t' has shape \[1\]"):
        network(torch.zeros(2, 3, 128, 128), torch.zeros(1), conditions)
    with pytest.raises(ValueError, match="the mask is 1 in rows 64 to 127"):
        network.prepare(conditions)


def test_drawing_never_waits_to_look_at_a_number():
    """On a GPU each look at a value waits for all that was begun; tensors on `meta` have none to look at."""
    with torch.device("meta"), torch.inference_mode():
        pictures, noise = torch.zeros(2, 3, 128, 128), torch.zeros(1, 3, 128, 128)
        speech = torch.zeros(2, 80, 16)
        given = Conditions.hide_lower_half(frames=pictures, references=pictures, speech=speech, noise=noise)
        for solver in ("ddim", "dpm++", "unipc"):
            sampler = Sampler(Network(), steps=3, solver=solver, reuse=2, warm_start=0.4)
            assert sampler.sample(given, noise).shape == (2, 3, 64, 128)
        with pytest.raises(NotImplementedError):
            Network().prepare(Conditions(**some()))


def test_hidden_half_is_noise_and_the_rest_is_the_frame():
    frames, noise = torch.rand(2, 3, 128, 128), start_noise(1)
    given = Conditions.hide_lower_half(
        frames=frames, references=torch.zeros(2, 3, 128, 128), speech=torch.zeros(2, 80, 16), noise=noise
    )
    assert torch.equal(given.image[:, :, :64], frames[:, :, :64])
    assert torch.equal(given.image[:, :, 64:], noise[:, :, 64:].expand(2, -1, -1, -1))


def test_bytes_survive_when_rounded_and_63_of_256_lose_one_when_cut_off():
    every = np.zeros((1, 128, 128, 3), np.uint8)
    every[0, :, :, 0] = np.arange(128 * 128).reshape(128, 128) % 256
    numbers = to_numbers(every)
    np.testing.assert_array_equal(to_bytes(numbers), every)
    lost = every[0, 0, :, 0].astype(int) - to_bytes(numbers, "down")[0, 0, :, 0]
    second = every[0, 1, :, 0].astype(int) - to_bytes(numbers, "down")[0, 1, :, 0]
    assert np.concatenate([lost, second]).sum() == 63


def some_pictures(seed, count=1):
    return np.random.default_rng(seed).integers(0, 256, (count, 128, 128, 3), np.uint8)


def test_draws_only_the_lower_half(diff2lip):
    crops, references = some_pictures(1), some_pictures(2)
    generator = Diff2Lip(diff2lip, device=CPU, steps=1)
    drawn = generator.draw(crops, references, np.zeros((1, 80, 16), np.float32))
    assert drawn.shape == crops.shape and drawn.dtype == np.uint8
    np.testing.assert_array_equal(drawn[:, :64], crops[:, :64])
    assert (drawn[:, 64:] != crops[:, 64:]).mean() > 0.9
    other = generator.draw(crops, references, np.full((1, 80, 16), 2, np.float32))
    assert (other != drawn).any(), "speech makes no difference"
    about = generator.about()
    assert about["model"] == "diff2lip" and about["steps"] == 1 and about["licence"] == "CC BY-NC 4.0"


def test_what_is_no_number_is_never_given_out(diff2lip):
    speech = np.full((1, 80, 16), np.nan, np.float32)
    with pytest.raises(ValueError, match="not a number"):
        Diff2Lip(diff2lip, device=CPU, steps=1).draw(some_pictures(1), some_pictures(2), speech)


def test_pictures_of_another_size_are_refused(diff2lip):
    small = np.zeros((1, 96, 96, 3), np.uint8)
    with pytest.raises(ValueError, match=r"uint8 \[N, 128, 128, 3\], got uint8 \[1, 96, 96, 3\]"):
        Diff2Lip(diff2lip, device=CPU).draw(small, small, np.zeros((1, 80, 16), np.float32))
