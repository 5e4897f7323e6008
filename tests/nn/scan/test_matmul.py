"""The recurrent product: both ways, forced, against float64; and the probe that chooses."""

import platform

import pytest
import torch

from rnnlit.nn.scan import matmul
from rnnlit.nn.scan.matmul import Product, packing_pays

B, K, N, USES = 5, 192, 352, 100  # weights large enough to be tried
BOTH = pytest.mark.parametrize("packs", [False, True])


def packing_is_there():
    """Whether this build of torch has the operators."""
    try:
        return matmul._pack(torch.ones(2, 3), 4) is not None
    except (AttributeError, RuntimeError):
        return False


@pytest.fixture
def forced(monkeypatch, packs):
    """Choose the way by hand."""
    if packs and not packing_is_there():
        pytest.skip("this build of torch has no packed product")
    monkeypatch.setattr(matmul, "packing_pays", lambda *_: packs)


@pytest.fixture
def cold():
    """Forget what was probed, before and after."""
    packing_pays.cache_clear()
    yield
    packing_pays.cache_clear()


@pytest.mark.skipif(
    not torch.backends.mkldnn.is_available() or platform.machine() not in ("x86_64", "AMD64"),
    reason="needs a build of torch with oneDNN, on x86",
)
def test_the_operators_are_called_as_this_torch_wants_it():
    """Without this, a changed signature would make everything slower, and nothing would say so."""
    packed = matmul._pack(torch.ones(2, 3), 4)
    assert torch.equal(matmul._linear(torch.ones(4, 3), packed), torch.full((4, 2), 3.0))


def draw(dtype=torch.float32):
    g = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=g, dtype=dtype) for shape in ((N, K), (B, K), (B, N))]


@BOTH
@pytest.mark.parametrize("transposed", [False, True])
def test_both_ways_compute_the_product(forced, packs, transposed):
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
def test_both_ways_add_the_bias(forced, packs):
    weight, h, _ = draw()
    bias = torch.linspace(-3, 3, N)
    product = Product(weight, B, USES, bias)
    want = h.double() @ weight.double().t() + bias.double()
    torch.testing.assert_close(product.times(h).double(), want, rtol=0, atol=K * 2**-24 * 10)


@BOTH
def test_the_product_sees_the_weights_of_its_own_time(forced, packs):
    """A packed copy is made for one call of the layer; the next one, after a training step, makes another."""
    weight, h, _ = draw()
    before = Product(weight, B, USES).times(h)
    weight.mul_(2)
    torch.testing.assert_close(Product(weight, B, USES).times(h), 2 * before)


@BOTH
def test_rows_of_a_larger_tensor(forced, packs):
    """The scan hands over a step of (T, B, K) and writes to a step of (T, B, N)."""
    weight, _, _ = draw()
    states, sums = torch.randn(3, B, K), torch.empty(3, B, N)
    product = Product(weight, B, USES)
    product.add(torch.ones(B, N), states[1], out=sums[2])
    torch.testing.assert_close(sums[2], 1 + product.times(states[1]))


def test_the_probe_answers_yes_only_where_the_packed_product_is_quicker(cold, monkeypatch):
    if not packing_is_there():
        pytest.skip("this build of torch has no packed product")
    for slow, answer in (("mm", True), ("packed", False)):
        packing_pays.cache_clear()
        times = iter([1.0, 0.5] * 12 if slow == "mm" else [0.5, 1.0] * 12)
        monkeypatch.setattr(matmul, "_seconds", lambda product, times=times: next(times))
        assert packing_pays(B, N, K, torch.float32, "cpu", 1) is answer


@pytest.mark.parametrize("missing", ["_pack", "_linear"])
@pytest.mark.parametrize("error", [AttributeError, RuntimeError, NotImplementedError])
def test_without_the_operators_torch_mm_does_the_work(cold, monkeypatch, missing, error):
    def gone(*_):
        raise error("'_OpNamespace' 'mkldnn' object has no such attribute")

    monkeypatch.setattr(matmul, missing, gone)
    assert packing_pays(B, N, K, torch.float32, "cpu", 1) is False
    weight, h, _ = draw()
    product = Product(weight, B, USES)
    assert product.packed is None and torch.equal(product.times(h), h @ weight.t())


def test_a_packed_product_that_disagrees_is_not_used(cold, monkeypatch):
    monkeypatch.setattr(matmul, "_pack", lambda weight, batch: weight)
    monkeypatch.setattr(matmul, "_linear", lambda h, packed: h @ packed.t() + 0.01)
    monkeypatch.setattr(matmul, "_seconds", lambda product: 1.0)
    assert packing_pays(B, N, K, torch.float32, "cpu", 1) is False


@pytest.mark.parametrize(
    "size",
    [(B, 8, 8, torch.float32, "cpu"), (B, N, K, torch.float64, "cpu"), (B, N, K, torch.float32, "cuda")],
)
def test_small_double_and_gpu_products_are_not_even_tried(cold, monkeypatch, size):
    monkeypatch.setattr(matmul, "_pack", lambda *_: pytest.fail("it was tried"))
    assert packing_pays(*size, 1) is False


def test_deterministic_algorithms_leave_the_choice_to_nothing(monkeypatch):
    """What is quicker is measured, and the two ways round differently."""
    monkeypatch.setattr(matmul, "packing_pays", lambda *_: pytest.fail("it was asked"))
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        assert Product(draw()[0], B, USES).packed is None
    finally:
        torch.use_deterministic_algorithms(before)


def test_a_few_products_are_not_worth_packing(monkeypatch):
    """A cell takes one product a call."""
    monkeypatch.setattr(matmul, "packing_pays", lambda *_: pytest.fail("it was asked"))
    assert Product(draw()[0], B, 1).packed is None
