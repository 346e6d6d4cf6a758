"""Diff2Lip's convolutions against the plain one: the same numbers, and the work that they promise."""

import pytest
import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from models.diff2lip.convolution import GrowingConvolution, RowsConvolution


def plain(block, picture):
    """In twice the precision."""
    return F.conv2d(picture.double(), block.weight.double(), block.bias.double(), padding=1)


def enlarged(picture):
    return F.interpolate(picture, scale_factor=2.0, mode="nearest")


@pytest.mark.parametrize("size", [(64, 64), (128, 128), (68, 64), (132, 40), (4, 1024)])
@pytest.mark.parametrize("count", [1, 2])
def test_sums_of_rows_give_the_numbers_of_the_definition_for_half_the_work(size, count):
    torch.manual_seed(1)
    block, picture = RowsConvolution(96, 32), torch.randn(count, 96, *size)
    with torch.inference_mode():
        block(picture)
        with FlopCounterMode(display=False) as counted:
            drawn = block(picture)
        torch.testing.assert_close(drawn.double(), plain(block, picture), atol=2e-5, rtol=0)
    defined = 2 * 9 * 96 * 32 * count * size[0] * size[1]
    assert counted.get_total_flops() == defined / (2 if size[0] * size[1] >= 64 * 64 else 1)


@pytest.mark.parametrize(
    ("size", "dtype"), [((32, 32), torch.float32), ((66, 64), torch.float32), ((64, 64), "double")]
)
def test_other_pictures_are_convolved_plainly(size, dtype):
    dtype = torch.float64 if dtype == "double" else dtype
    block, picture = RowsConvolution(8, 8).to(dtype), torch.randn(1, 8, *size, dtype=dtype)
    with torch.inference_mode():
        assert torch.equal(block(picture), F.conv2d(picture, block.weight, block.bias, padding=1))


def test_a_growing_picture_takes_four_ninths_of_the_work():
    block, picture = GrowingConvolution(32, 16), torch.randn(1, 32, 40, 40)
    with torch.inference_mode():
        block(picture)
        with FlopCounterMode(display=False) as counted:
            drawn = block(picture)
        torch.testing.assert_close(drawn.double(), plain(block, enlarged(picture)), atol=1e-5, rtol=0)
    assert counted.get_total_flops() == 4 * 2 * 4 * 32 * 16 * 41 * 41


@pytest.mark.parametrize("kind", [RowsConvolution, GrowingConvolution])
def test_torch_compiles_it_as_one_graph(kind):
    block, picture = kind(8, 8).requires_grad_(False), torch.rand(1, 8, 64, 64)
    drawn = torch.compile(block, backend="eager", fullgraph=True)(picture)
    torch.testing.assert_close(drawn, block(picture), atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", [RowsConvolution, GrowingConvolution])
def test_weights_that_come_later_take_effect_everywhere(kind):
    """The kernels that were made once are not those of earlier weights, nor of another precision."""
    block, picture = kind(4, 6), torch.rand(2, 4, 64, 64)
    for scale in (1.0, 3.0):
        block.load_state_dict({"weight": torch.full((6, 4, 3, 3), scale) * torch.rand(3, 3), "bias": torch.rand(6)})
        with torch.inference_mode():
            shown = enlarged(picture) if kind is GrowingConvolution else picture
            torch.testing.assert_close(block(picture).double(), plain(block, shown), atol=1e-4, rtol=0)
    with torch.inference_mode():
        assert block.bfloat16()(picture.bfloat16()).dtype == torch.bfloat16
