"""The products of the scans: both ways against float64; sums and gradients by blocks of steps."""

import platform

import numpy as np
import pytest
import torch
from torch.nn.functional import layer_norm, linear

from rnnlit.nn.scan import products
from rnnlit.nn.scan.products import PACKING, Product, Sums, SumsGradient, WeightGradient
from rnnlit.tools.private_torch import pack, packed_linear
from tests.tolerances import TOLERANCE

B, K, N, USES = 5, 192, 352, 100  # weights large enough to be packed
BOTH = pytest.mark.parametrize("packs", [False, True])


@pytest.fixture
def chosen(packs):
    """Choose the way by the switch."""
    if packs and pack(torch.ones(2, 3), 4) is None:
        pytest.skip("this build of torch has no packed product")
    with PACKING.set(packs):
        yield


@pytest.mark.skipif(
    not torch.backends.mkldnn.is_available() or platform.machine() not in ("x86_64", "AMD64"),
    reason="needs a build of torch with oneDNN, on x86",
)
def test_the_operators_are_called_as_this_torch_wants_it():
    """Without this, a changed signature would turn packing off, and nothing would say so."""
    packed = pack(torch.ones(2, 3), 4)
    assert torch.equal(packed_linear(torch.ones(4, 3), packed), torch.full((4, 2), 3.0))


def draw(dtype=torch.float32):
    g = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=g, dtype=dtype) for shape in ((N, K), (B, K), (B, N))]


@BOTH
@pytest.mark.parametrize("transposed", [False, True])
def test_both_ways_compute_the_product(chosen, packs, transposed):
    weight, h, a = draw()
    if transposed:  # as the backward pass hands it over: a view that is not contiguous
        weight = weight.t().contiguous().t()
    product = Product(weight, B, USES)
    assert (product.packed is not None) == packs
    want = h.double() @ weight.double().t()
    # K products of size 1 in float32: an error of K times 2**-24 at most, and far less as a rule
    tolerance = dict(rtol=0, atol=K * 2**-24 * 10)
    torch.testing.assert_close(product.times(h).double(), want, **tolerance)
    out = torch.empty(B, N)
    assert product.add(a, h, out=out) is out
    torch.testing.assert_close(out.double(), a.double() + want, **tolerance)


@BOTH
def test_both_ways_add_the_bias(chosen, packs):
    weight, h, _ = draw()
    bias = torch.linspace(-3, 3, N)
    product = Product(weight, B, USES, bias)
    want = h.double() @ weight.double().t() + bias.double()
    torch.testing.assert_close(product.times(h).double(), want, rtol=0, atol=K * 2**-24 * 10)


@BOTH
def test_the_product_sees_the_weights_of_its_own_time(chosen, packs):
    """A packed copy is made for one call of the layer; the next one, after a training step, makes another."""
    weight, h, _ = draw()
    before = Product(weight, B, USES).times(h)
    weight.mul_(2)
    torch.testing.assert_close(Product(weight, B, USES).times(h), 2 * before)


@BOTH
def test_rows_of_a_larger_tensor(chosen, packs):
    """The scan hands over a step of (T, B, K) and writes to a step of (T, B, N)."""
    weight, _, _ = draw()
    states, sums = torch.randn(3, B, K), torch.empty(3, B, N)
    product = Product(weight, B, USES)
    product.add(torch.ones(B, N), states[1], out=sums[2])
    torch.testing.assert_close(sums[2], 1 + product.times(states[1]))


@pytest.mark.parametrize(
    "weight",
    [torch.ones(2, 3, dtype=torch.float64), torch.ones(2, 3, device="meta")],
    ids=["float64", "another device"],
)
def test_what_cannot_be_packed_is_left_to_torch_mm(weight):
    assert pack(weight, B) is None


@pytest.mark.parametrize("missing", ["_reorder_linear_weight", "_linear_pointwise"])
@pytest.mark.parametrize("error", [RuntimeError, TypeError, None])
def test_without_the_operators_torch_mm_does_the_work(monkeypatch, missing, error):
    """They are absent, or another version of torch wants other arguments."""

    class Namespace:
        def __getattr__(self, name):
            if name == missing and error is None:
                raise AttributeError(name)
            return fails if name == missing else lambda *_: torch.ones(2, 3)

    def fails(*_):
        raise error("expected other arguments")

    monkeypatch.setattr(torch.ops, "mkldnn", Namespace())
    weight, h, _ = draw()
    with PACKING.set(True):
        product = Product(weight, B, USES)
    assert product.packed is None and torch.equal(product.times(h), h @ weight.t())


def test_packing_is_off_unless_asked_for_and_for_many_products_of_large_weights(monkeypatch):
    monkeypatch.setattr(products, "pack", lambda weight, batch: weight)
    weight = draw()[0]
    assert Product(weight, B, USES).packed is None
    with PACKING.set(True):
        assert Product(weight, B, USES).packed is weight
        assert Product(weight, B, products.FEWEST_USES - 1).packed is None  # a cell takes one product a call
        assert Product(weight[:, :8], B, USES).packed is None


T, I = 5, 3
BLOCKS = [(0, 2), (2, 4), (4, 5)]


@pytest.mark.parametrize("sizes", [(), (4,), (1, 3)], ids=["no gain", "one part", "two parts"])
@pytest.mark.parametrize("bias", [True, False])
def test_sums_and_their_gradients_by_blocks(sizes, bias):
    """As torch computes them for all steps at once; a gain has a bias beside it."""
    g = torch.Generator().manual_seed(0)
    shapes = [(T, 2, I), (4, I), (4,), (4,), (T, 2, 4)]
    x, weight, b, gain, da = (torch.randn(s, generator=g, dtype=torch.float64) for s in shapes)
    bias, gain = bias or bool(sizes), gain if sizes else None
    leaves = [x, weight, *([b] if bias else []), *([gain] if sizes else [])]
    for leaf in leaves:
        leaf.requires_grad_()
    want = linear(x, weight, b if bias and not sizes else None)
    if sizes:
        split = zip(want.split(sizes, -1), gain.split(sizes), b.split(sizes), strict=True)
        want = torch.cat([layer_norm(a, a.shape[-1:], one, shift) for a, one, shift in split], -1)
    gradients = torch.autograd.grad((want * da).sum(), leaves)
    with torch.no_grad():
        given = x, weight, b if bias else None, BLOCKS
        sums = Sums(*given, True, gain, sizes)
        ours = torch.cat([sums.block(start, end) for start, end in BLOCKS])
        back = SumsGradient(*given, (True,) * 4, sums.saved, gain, sizes)
        for start, end in reversed(BLOCKS):
            back.add(da[start:end], start, end)
    torch.testing.assert_close(ours, want, **TOLERANCE[np.float64])
    found = [one for one in (back.dx, back.dweight.total, back.dbias, back.dgain) if one is not None]
    torch.testing.assert_close(found, list(gradients), **TOLERANCE[np.float64])
    unwanted = SumsGradient(*given, (False,) * 4, sums.saved, gain, sizes)
    unwanted.add(da[4:], 4, 5)
    assert unwanted.dx is unwanted.dweight.total is unwanted.dbias is unwanted.dgain is None


def test_weight_gradient_is_the_sum_of_outer_products():
    dy, seen = torch.arange(16.0).reshape(4, 2, 2), torch.arange(24.0).reshape(4, 2, 3)
    want = sum(torch.outer(dy[t, b], seen[t, b]) for t in range(4) for b in range(2))
    gradient = WeightGradient(torch.ones(2, 3), True)
    for block in (slice(0, 3), slice(3, 4)):
        gradient.add(dy[block], seen[block])
    assert torch.equal(gradient.total, want)
    rows = WeightGradient(torch.ones(5, 3), True)
    rows.add(dy, seen, slice(1, 3))
    assert torch.equal(rows.total[1:3], want) and not rows.total[[0, 3, 4]].any()
    assert WeightGradient(torch.ones(2, 3), False).total is None
