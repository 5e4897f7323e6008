"""The encoder-decoder: its two paths against each other, against NumPy, and against torch's gradcheck."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from rnnlit import attention, gru, search
from rnnlit.nn.decoder import State
from rnnlit.nn.seq2seq import EncoderDecoder
from rnnlit.tasks.tokens import PAD, START, STOP
from rnnlit.tasks.tokens_torch import shift
from rnnlit.tasks.translation import ENGLISH, FRENCH, sentences
from rnnlit.tools.train_torch import make_step
from tests.tolerances import DIFFERENCES, TOLERANCE

SOURCES, TARGETS, E, H, A = 8, 7, 3, 4, 5
S, T, B = 6, 5, 2
SOURCE_LENGTHS, TARGET_LENGTHS = [4, 6], [5, 3]
EXACT = TOLERANCE[np.float64]
KINDS = {
    "none": dict(attention=None),
    "none, luong": dict(attention=None, order="luong"),
    "none, lstm": dict(attention=None, cell="lstm", bidirectional=False),
    "additive": dict(attention="additive", attention_size=A),
    "additive, lstm": dict(attention="additive", cell="lstm", attention_size=A),
    "location": dict(attention="location", max_source=S),
    "general, local_p": dict(attention="general", window="local_p", D=2),
    "dot, luong": dict(attention="dot", order="luong", encoder_size=H // 2),
    "general, luong": dict(attention="general", order="luong", bidirectional=False, encoder_size=3),
    "concat, luong, lstm": dict(attention="concat", order="luong", cell="lstm", attention_size=A),
    "general, luong, local_m": dict(attention="general", order="luong", window="local_m", D=1),
    "dot, luong, not fed": dict(attention="dot", order="luong", encoder_size=2, input_feeding=False),
    "general, luong, lstm, not fed": dict(
        attention="general", order="luong", cell="lstm", input_feeding=False
    ),
    "general, luong, local_m, not fed": dict(
        attention="general", order="luong", window="local_m", D=1, input_feeding=False
    ),
    "none, lstm, 2 layers": dict(attention=None, cell="lstm", num_layers=2),
    "additive, 3 layers, reset before": dict(
        attention="additive", attention_size=A, num_layers=3, reset_after=False
    ),
    "general, luong, lstm, 2 layers, norm, peephole": dict(
        attention="general", order="luong", cell="lstm", num_layers=2, layer_norm=True, peephole=True
    ),
    "dot, luong, not fed, 2 layers, norm": dict(
        attention="dot", order="luong", encoder_size=2, input_feeding=False, num_layers=2, layer_norm=True
    ),
}
every_kind = pytest.mark.parametrize("kind", KINDS)
GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


def model(kind, **options):
    torch.manual_seed(0)
    return EncoderDecoder(SOURCES, TARGETS, E, H, dtype=torch.float64, **(KINDS[kind] | options))


def writer(kind):
    """A model whose next token follows from those before, and that seldom stops."""
    net = model(kind).eval()
    with torch.no_grad():
        for weight in net.parameters():
            weight *= 2
        net.output.bias[STOP] -= 3
    return net


def draw(S=S, T=T, B=B, seed=1):
    rng = np.random.default_rng(seed)
    return rng.integers(START, SOURCES, (S, B)), rng.integers(STOP + 1, TARGETS, (T, B))


def gradients(net, loss):
    return torch.autograd.grad(loss, list(net.parameters()), allow_unused=True)


def assert_same(mine, theirs):
    """Two sequences of tensors, or None in both."""
    for a, b in zip(mine, theirs, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            torch.testing.assert_close(a, b, **EXACT)


@every_kind
def test_step_by_step_equals_the_whole(kind):
    net, (source, target) = model(kind), draw()
    whole = net(source, SOURCE_LENGTHS, target)
    state = net.encode(source, SOURCE_LENGTHS)
    tokens = torch.full((B,), START)
    for t in range(T + 1):
        logits, weights, state = net.step(tokens, state)
        assert state.position == t + 1
        torch.testing.assert_close(logits, whole.logits[t], **EXACT)
        assert (weights is None) == (whole.weights is None) == (net.attention is None)
        if weights is not None:
            torch.testing.assert_close(weights, whole.weights[t], **EXACT)
        tokens = torch.tensor(target[min(t, T - 1)])


@every_kind
def test_loss_is_the_mean_over_true_tokens_and_stops(kind):
    net, (source, target) = model(kind), draw()
    state, total = net.encode(source, SOURCE_LENGTHS), 0.0
    tokens = torch.full((B,), START)
    for t in range(T + 1):
        logits, _, state = net.step(tokens, state)
        for b, length in enumerate(TARGET_LENGTHS):
            if t <= length:
                total -= logits[b].log_softmax(0)[STOP if t == length else target[t, b]]
        tokens = torch.tensor(target[min(t, T - 1)])
    want = total / sum(length + 1 for length in TARGET_LENGTHS)
    got = net.loss(source, SOURCE_LENGTHS, target, TARGET_LENGTHS)
    torch.testing.assert_close(got, want, **EXACT)


@every_kind
def test_more_padding_and_what_stands_in_it_change_neither_loss_nor_gradient(kind):
    net, (source, target) = model(kind, max_source=S + 3), draw()
    short = net.loss(source, SOURCE_LENGTHS, target, TARGET_LENGTHS)
    source, target = (np.pad(tokens, ((0, 3), (0, 0))) for tokens in (source, target))
    source[4:, 0], source[6:, 1], target[5:, 0], target[3:, 1] = 10**6, -7, 10**6, START
    long = net.loss(source, SOURCE_LENGTHS, target, TARGET_LENGTHS)
    torch.testing.assert_close(long, short, **EXACT)
    assert_same(gradients(net, long), gradients(net, short))


@every_kind
def test_a_batch_gives_what_each_sentence_gives_alone(kind):
    net, (source, target) = model(kind), draw()
    batch = net(source, SOURCE_LENGTHS, target, TARGET_LENGTHS)
    written = net.decode(source, SOURCE_LENGTHS, max_length=7)
    beams = net.decode(source, SOURCE_LENGTHS, max_length=7, beam=3)
    total = 0
    for b, (s, t) in enumerate(zip(SOURCE_LENGTHS, TARGET_LENGTHS, strict=True)):
        one, its_target = source[:s, b : b + 1], target[:t, b : b + 1]
        alone = net(one, None, its_target)
        torch.testing.assert_close(batch.logits[: t + 1, b], alone.logits[:, 0], **EXACT)
        assert not batch.logits[t + 1 :, b].any()
        if alone.weights is not None:
            torch.testing.assert_close(batch.weights[: t + 1, b, :s], alone.weights[:, 0], **EXACT)
            assert not batch.weights[:, b, s:].any() and not batch.weights[t + 1 :, b].any()
            aligned = net.align(one, None, its_target)
            torch.testing.assert_close(aligned, alone.weights, **EXACT)
        for many, beam in ((written, 1), (beams, 3)):
            (single,) = net.decode(one, max_length=7, beam=beam)
            np.testing.assert_array_equal(many[b].tokens, single.tokens)
            np.testing.assert_allclose(many[b].log_probability, single.log_probability, **EXACT)
        total = total + (t + 1) * net.loss(one, None, its_target)
    mean = total / sum(t + 1 for t in TARGET_LENGTHS)
    torch.testing.assert_close(net.loss(source, SOURCE_LENGTHS, target, TARGET_LENGTHS), mean, **EXACT)


@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_padding_never_has_an_effect(data):
    kind = data.draw(st.sampled_from(sorted(KINDS)))
    S, T, B = (data.draw(st.integers(1, 6)) for _ in "STB")
    lengths = [data.draw(st.lists(st.integers(1, n), min_size=B, max_size=B)) for n in (S, T)]
    source, target = draw(S, T, B, seed=data.draw(st.integers(0, 9)))
    net = model(kind, max_source=S)
    want = [net(source, lengths[0], target, lengths[1])]
    for b in range(B):
        source[lengths[0][b] :, b] = PAD
        target[lengths[1][b] :, b] = PAD
    got = net(torch.tensor(source), torch.tensor(lengths[0]), target, lengths[1])
    assert_same(got, want[0])


@pytest.mark.parametrize("kind", ["additive", "general, local_p", "additive, lstm"])
def test_bahdanaus_weights_do_not_depend_on_the_token_before(kind):
    net, (source, target) = model(kind), draw()
    other = target.copy()
    other[2] = STOP + 1 + (target[2] - STOP) % (TARGETS - STOP - 1)  # y_3 in both sentences
    assert (other[2] != target[2]).all()
    before, after = (net.align(source, SOURCE_LENGTHS, y) for y in (target, other))
    assert torch.equal(before[:4], after[:4])  # y_4, the fourth, is looked for with s_3: y_3 is not in it
    assert ((before[4] - after[4]).abs().amax(-1) > 1e-6).all()


@pytest.mark.parametrize("kind", ["general, luong", "concat, luong, lstm", "dot, luong, not fed"])
def test_luongs_weights_do(kind):
    net, (source, target) = model(kind), draw()
    other = target.copy()
    other[2] = STOP + 1 + (target[2] - STOP) % (TARGETS - STOP - 1)
    before, after = (net.align(source, SOURCE_LENGTHS, y) for y in (target, other))
    assert torch.equal(before[:3], after[:3])
    assert ((before[3] - after[3]).abs().amax(-1) > 1e-6).all()


def test_input_feeding_tells_the_next_step_what_was_attended_to():
    fed, not_fed = (model("general, luong", input_feeding=feeding) for feeding in (True, False))
    for net, changes in ((fed, True), (not_fed, False)):
        state = net.step(torch.full((B,), START), net.encode(draw()[0]))[2]
        logits = net.step(torch.tensor([3, 4]), state)[0]
        if changes:
            other = net.step(torch.tensor([3, 4]), state._replace(fed=state.fed + 0.1))[0]
            assert ((other - logits).abs().amax(-1) > 1e-6).all()
        assert (state.fed is not None) == changes


def array(tensor):
    return tensor.detach().numpy()


def numpy_params(layer, suffix=""):
    return gru.Params(*(array(getattr(layer, f"{name}_l0{suffix}")) for name in gru.Params._fields))


def numpy_encode(net, source):
    """The keys and s_0 from the NumPy modules, for a batch without padding."""
    x = array(net.embed_source.weight)[source]
    ahead = gru.forward(numpy_params(net.encoder), x)
    back = gru.forward(numpy_params(net.encoder, "_reverse"), x[::-1].copy())
    keys = np.concatenate([ahead.h, back.h[::-1]], -1)
    last = np.concatenate([ahead.h_n, back.h_n], -1)
    return keys, np.tanh(last @ array(net.start.weight).T + array(net.start.bias))


def test_bahdanau_from_the_numpy_modules():
    net, (source, target) = model("additive"), draw()
    got = net(source, None, target)
    keys, s = numpy_encode(net, source)
    for t, tokens in enumerate(np.concatenate([np.full((1, B), START), target])):
        y = array(net.embed_target.weight)[tokens]
        run = attention.forward(net.attention.params(), s[None], keys)
        s = gru.step(numpy_params(net.decoder), np.concatenate([y, run.context[0]], -1), s)
        readout = np.concatenate([s, y, run.context[0]], -1)
        logits = readout @ array(net.output.weight).T + array(net.output.bias)
        np.testing.assert_allclose(array(got.logits[t]), logits, **EXACT)
        np.testing.assert_allclose(array(got.weights[t]), run.weights[0], **EXACT)


@pytest.mark.parametrize("window", [None, "local_m", "local_p"])
@pytest.mark.parametrize("feeding", [True, False])
def test_luong_from_the_numpy_modules(feeding, window):
    net = model("general, luong", input_feeding=feeding, window=window, D=1, bidirectional=True)
    source, target = draw()
    got = net(source, None, target)
    keys, s = numpy_encode(net, source)
    combined = np.zeros((B, H))
    for t, tokens in enumerate(np.concatenate([np.full((1, B), START), target])):
        x = array(net.embed_target.weight)[tokens]
        if feeding:
            x = np.concatenate([x, combined], -1)
        s = gru.step(numpy_params(net.decoder), x, s)
        run = attention.forward(net.attention.params(), s[None], keys, window=window, D=1, position=t)
        combined = attention.combine(attention.Combine(array(net.combine.weight)), run.context[0], s)
        logits = combined @ array(net.output.weight).T + array(net.output.bias)
        np.testing.assert_allclose(array(got.logits[t]), logits, **EXACT)
        np.testing.assert_allclose(array(got.weights[t]), run.weights[0], **EXACT)


def torchs_layer(layer):
    """torch's own layer with the same weights."""
    kind = torch.nn.LSTM if layer.mode == "LSTM" else torch.nn.GRU
    sizes = layer.input_size, layer.hidden_size, layer.num_layers
    other = kind(*sizes, bidirectional=layer.bidirectional, dtype=torch.float64)
    other.load_state_dict(layer.state_dict())
    return other


def torchs_cells(layer):
    """A cell of torch for each layer, with the same weights."""
    kind = torch.nn.LSTMCell if layer.mode == "LSTM" else torch.nn.GRUCell
    cells = []
    for weights in torchs_layer(layer).all_weights:
        cells.append(kind(weights[0].shape[1], layer.hidden_size, dtype=torch.float64))
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        cells[-1].load_state_dict(dict(zip(names, weights, strict=True)))
    return cells


@pytest.mark.parametrize("feeding", [True, False])
@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("kind", ["additive", "general, luong"])
def test_several_layers_from_torchs_own(kind, cell, feeding):
    """A loop over steps and layers that is written out, with torch's cells and the reference's attention."""
    L, lstm = 3, cell == "lstm"
    net = model(kind, cell=cell, num_layers=L, bidirectional=True, encoder_size=3, input_feeding=feeding)
    source, target = draw()
    got = net(source, None, target)
    keys, last = torchs_layer(net.encoder)(net.embed_source(torch.tensor(source)))
    starts = [*net.start_below, net.start], [*net.start_cell_below, *([net.start_cell] if lstm else [])]
    assert [len(some) for some in starts] == [L, L if lstm else 0]
    # h_n of torch's layer: (L * 2, B, 3), the two directions of a layer one after the other
    parts = last if lstm else [last]
    both = [[torch.cat([part[2 * k], part[2 * k + 1]], 1) for k in range(L)] for part in parts]
    h = [torch.tanh(start(part)) for start, part in zip(starts[0], both[0], strict=True)]
    c = [start(part) for start, part in zip(starts[1], both[1], strict=True)] if lstm else None
    cells, combined = torchs_cells(net.decoder), torch.zeros(B, H, dtype=torch.float64)

    def attend(query):
        return attention.forward(net.attention.params(), array(query)[None], array(keys))

    for t, tokens in enumerate(np.concatenate([np.full((1, B), START), target])):
        y = x = net.embed_target(torch.tensor(tokens))
        if net.order == "bahdanau":
            run = attend(h[-1])
            context = torch.tensor(run.context[0])
            x = torch.cat([y, context], 1)
        elif feeding:
            x = torch.cat([y, combined], 1)
        for k, one in enumerate(cells):
            if lstm:
                h[k], c[k] = one(x, (h[k], c[k]))
            else:
                h[k] = one(x, h[k])
            x = h[k]
        if net.order == "bahdanau":
            readout = torch.cat([h[-1], y, context], 1)
        else:
            run = attend(h[-1])
            readout = combined = torch.tanh(net.combine(torch.cat([torch.tensor(run.context[0]), h[-1]], 1)))
        torch.testing.assert_close(got.logits[t], net.output(readout), **EXACT)
        np.testing.assert_allclose(array(got.weights[t]), run.weights[0], **EXACT)


@pytest.mark.parametrize("kind", ["additive", "general, luong", "dot, luong, not fed"])
def test_masks_hold_for_a_sequence_and_are_off_in_evaluation(kind):
    """Two tokens that are the same, with all else that could differ put back: only other masks would show."""
    names = ("recurrent_dropout", "input_dropout", "weight_drop", "output_dropout")
    net, (source, target) = model(kind, num_layers=2, **dict.fromkeys(names, 0.5)), draw()
    tokens = torch.full((B,), START)
    with torch.no_grad():
        state = net.encode(source, SOURCE_LENGTHS)
        assert len(state.masks) == 2
        first, _, after = net.step(tokens, state)
        again = net.step(tokens, after._replace(h=state.h, below=state.below, fed=state.fed))[0]
        torch.testing.assert_close(again, first, **EXACT)
        assert not torch.equal(net.step(tokens, net.encode(source, SOURCE_LENGTHS))[0], first)
        torch.manual_seed(1)
        losses = {net.loss(source, SOURCE_LENGTHS, target, TARGET_LENGTHS).item() for _ in range(3)}
        assert len(losses) == 3
        plain = model(kind, num_layers=2).eval()
        plain.load_state_dict(net.state_dict())
        want = plain.loss(source, SOURCE_LENGTHS, target, TARGET_LENGTHS)
        got = net.eval().loss(source, SOURCE_LENGTHS, target, TARGET_LENGTHS)
        torch.testing.assert_close(got, want, **EXACT)
        assert net.encode(source, SOURCE_LENGTHS).masks == ()


@pytest.mark.parametrize("kind", ["additive", "concat, luong, lstm"])
def test_masks_go_with_the_hypotheses(kind):
    net, (source, _) = model(kind, num_layers=2, recurrent_dropout=0.5, output_dropout=0.5), draw()
    state, tokens = net.encode(source, SOURCE_LENGTHS), torch.tensor([3, 4])
    rows = np.array([1, 0, 1])
    want = net.step(tokens, state)[0][rows]
    torch.testing.assert_close(net.step(tokens[rows], state.select(rows))[0], want, **EXACT)


def test_gradient_through_attention_is_the_reference_s():
    """One query, so that dL/d(weights of the score) can come from the backward pass derived by hand."""
    net, source = model("additive"), draw()[0]
    state = net.encode(source)
    keys, query = (x.detach().requires_grad_() for x in (state.memory.keys, state.h))
    weight = torch.randn(B, 2 * H, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    memory = net.attention.prepare(keys.transpose(0, 1))
    context, _ = net._attend(query, state._replace(memory=memory))
    (context * weight).sum().backward()
    params = net.attention.params()
    run = attention.forward(params, array(query)[None], array(keys).transpose(1, 0, 2).copy())
    grads = attention.backward(params, run, dcontext=array(weight)[None])
    np.testing.assert_allclose(query.grad, grads.query[0], **EXACT)
    np.testing.assert_allclose(keys.grad, grads.keys.transpose(1, 0, 2), **EXACT)
    for name, value in grads.params.score._asdict().items():
        np.testing.assert_allclose(net.attention.score[name].grad, value, **EXACT)


@pytest.mark.parametrize(
    "kind", ["none", "none, luong", "additive, lstm", "general, luong", "dot, luong, not fed"]
)
def test_gradients_match_finite_differences(kind):
    """Along random directions of one parameter at a time: the central difference is the gradient times it."""
    net, (source, target), (long, short) = model(kind), draw(S=3, T=2), ([2, 3], [2, 1])
    names = [name for name, _ in net.named_parameters()]

    def loss(*values):
        arguments = (source, long, target, short)
        changed = dict(zip(names, values, strict=True))
        logits = torch.func.functional_call(net, changed, arguments).logits
        write = shift(torch.tensor(target), torch.tensor(short))[1]
        for b, length in enumerate(short):
            write[length + 1 :, b] = PAD
        return cross_entropy(logits.flatten(0, 1), write.flatten(), ignore_index=PAD)

    # The rows of PAD too: the loss does not depend on them, so that 0, torch's gradient for them, is right.
    values = [value.detach().clone().requires_grad_() for value in net.parameters()]
    grads = torch.autograd.grad(loss(*values), values)
    noise, small = torch.Generator().manual_seed(3), 1e-5
    with torch.no_grad():
        for k, (name, value, grad) in enumerate(zip(names, values, grads, strict=True)):
            for direction in torch.randn(3, *value.shape, generator=noise, dtype=torch.float64):
                ahead, behind = (
                    loss(*values[:k], value + step * direction, *values[k + 1 :]) for step in (small, -small)
                )
                got, want = (grad * direction).sum(), (ahead - behind) / (2 * small)
                np.testing.assert_allclose(got, want, **DIFFERENCES, err_msg=name)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "layers" in kind])
def test_gradients_of_several_layers_match_differences(kind):
    """Along a random direction of each parameter: all entries of these models would take minutes."""
    net, (source, target), (long, short) = model(kind), draw(S=3, T=2), ([2, 3], [2, 1])
    grads = gradients(net, net.loss(source, long, target, short))
    eps, generator = 1e-5, torch.Generator().manual_seed(5)
    with torch.no_grad():
        for (name, weight), grad in zip(net.named_parameters(), grads, strict=True):
            direction, kept = torch.randn(weight.shape, generator=generator).to(weight), weight.clone()
            if "embed" in name:
                direction[PAD] = 0  # torch's gradient for it is 0, as the loss does not depend on it
            weight.copy_(kept + eps * direction)
            ahead = net.loss(source, long, target, short)
            weight.copy_(kept - eps * direction)
            slope = (ahead - net.loss(source, long, target, short)) / (2 * eps)
            weight.copy_(kept)
            torch.testing.assert_close((grad * direction).sum(), slope, **DIFFERENCES, msg=name)


def test_every_parameter_learns():
    for kind in KINDS:
        net, (source, target) = model(kind), draw()
        grads = gradients(net, net.loss(source, SOURCE_LENGTHS, target, TARGET_LENGTHS))
        for (name, _), grad in zip(net.named_parameters(), grads, strict=True):
            assert grad is not None and grad.any(), (kind, name)


@pytest.mark.parametrize("kind", ["none", "additive", "general, luong", "concat, luong, lstm"])
@pytest.mark.parametrize("beam", [1, 4])
def test_what_is_written_has_the_probability_that_is_said(kind, beam):
    net, (source, _) = writer(kind), draw()
    for b, found in enumerate(net.decode(source, SOURCE_LENGTHS, max_length=6, beam=beam)):
        assert not np.isin(found.tokens, [PAD, START, STOP]).any()
        length = len(found.tokens)
        assert length and (found.finished or length == 6)
        one = source[: SOURCE_LENGTHS[b], b : b + 1]
        logs = net(one, None, found.tokens[:, None]).logits.log_softmax(-1)[:, 0]
        total = sum(logs[t, token] for t, token in enumerate(found.tokens))
        total = total + logs[length, STOP] if found.finished else total
        np.testing.assert_allclose(found.log_probability, total.item(), **EXACT)


def test_a_wide_beam_finds_the_best_of_all_targets():
    net, source = model("additive"), draw()[0][:, :1]
    tokens = range(STOP + 1, TARGETS)
    all_targets = [[], *([a] for a in tokens), *([a, b] for a in tokens for b in tokens)]
    scores = []
    for target in all_targets:
        state, last, total = net.encode(source), START, 0.0
        for token in [*target, STOP]:
            logits, _, state = net.step(torch.tensor([last]), state)
            total, last = total + logits.log_softmax(-1)[0, token].item(), token
        scores.append(total)
    (found,) = net.decode(source, max_length=3, beam=200)
    np.testing.assert_array_equal(found.tokens, all_targets[int(np.argmax(scores))])
    np.testing.assert_allclose(found.log_probability, max(scores), **EXACT)


# A beam whose hypotheses change places: all that the decoder carries has to go with them.

BEAM, STEPS = 3, 5


def read_again(net, one, prefix):
    """log p of the token after `prefix`, which is read as a whole: no state is carried, so none is moved."""
    target = np.array([*prefix, STOP + 1])[:, None]  # what is asked for does not depend on the last token
    logs = net(one, None, target).logits[len(prefix), 0].double().log_softmax(0).detach().numpy()
    logs[[PAD, START]] = -np.inf
    return logs


def beam_that_reads_again(net, one):
    """The hypotheses (tokens, log p, finished), best first; and at how many steps they changed places."""
    alive, done, changes = [((), 0.0)], [], 0
    for step in range(STEPS):
        grown = [
            (total + log, (*tokens, token), parent)
            for parent, (tokens, total) in enumerate(alive)
            for token, log in enumerate(read_again(net, one, tokens))
            if log > -np.inf
        ]
        best = sorted(grown, reverse=True)[: BEAM - len(done)]
        done += [(path[:-1], total, True) for total, path, _ in best if path[-1] == STOP]
        alive = [(path, total) for total, path, _ in best if path[-1] != STOP]
        parents = [parent for _, path, parent in best if path[-1] != STOP]
        changes += parents != sorted(parents) and step < STEPS - 1
    done += [(path, total, False) for path, total in alive]
    return sorted(done, key=lambda entry: (not entry[2], -entry[1])), changes


def beam_of(net, source):
    """The same from `rnnlit.search`, with states, for each sentence of the batch."""
    with torch.no_grad():
        state, start = net.encode(source, SOURCE_LENGTHS), np.full(B, START)
        found = search.beam(net.log_probabilities, state, start, STOP, STEPS, BEAM, select=State.select)
    return [[(tuple(h.tokens.tolist()), h.log_probability, h.finished) for h in one] for one in found]


def equal(mine, theirs):
    """Whether two lists of hypotheses are the same, to within rounding."""
    same = [(a[0], a[2]) for a in mine] == [(b[0], b[2]) for b in theirs]
    return same and np.allclose([a[1] for a in mine], [b[1] for b in theirs], **EXACT)


@every_kind
def test_a_beam_is_that_of_a_model_that_reads_each_prefix_again(kind):
    net, (source, _) = writer(kind), draw()
    best = net.decode(source, SOURCE_LENGTHS, max_length=STEPS, beam=BEAM)
    changes = 0
    for b, (length, found) in enumerate(zip(SOURCE_LENGTHS, beam_of(net, source), strict=True)):
        want, changed = beam_that_reads_again(net, source[:length, b : b + 1])
        assert len(want) == BEAM and equal(found, want)
        assert equal([(tuple(best[b].tokens.tolist()), best[b].log_probability, best[b].finished)], want[:1])
        assert len(want[0][0]) > 2
        changes += changed
    assert changes  # otherwise an old order would be right as well


def test_a_length_penalty_ranks_what_the_beam_has_found():
    """By log p / ((5 + steps) / 6)^4 the best is longer than by log p; all have ended by the last step."""
    net, (source, _) = writer("additive, lstm"), draw()
    with torch.no_grad():
        net.output.bias[STOP] += 2
    plain, ranked = (
        net.decode(source, SOURCE_LENGTHS, max_length=STEPS, beam=BEAM, length_penalty=alpha)
        for alpha in (0, 4)
    )
    for b, found in enumerate(beam_of(net, source)):
        assert all(finished for *_, finished in found)
        best = max(found, key=lambda h: h[1] / ((5 + len(h[0]) + 1) / 6) ** 4)
        assert tuple(ranked[b].tokens.tolist()) == best[0]
        assert len(ranked[b].tokens) > len(plain[b].tokens) == len(found[0][0])


@pytest.mark.parametrize("part", ["h", "c", "fed", "memory", "below"])
def test_a_part_of_the_state_that_stays_in_its_order_gives_another_beam(part, monkeypatch):
    """What the test above rests on: in this model every part of the state counts."""
    kind = "none, lstm, 2 layers" if part == "below" else "concat, luong, lstm"
    net, (source, _) = writer(kind), draw()
    right, select = beam_of(net, source), State.select

    def wrong(state, rows):
        order = rows[::-1] if part == "memory" else np.sort(rows)
        return select(state, rows)._replace(**{part: getattr(select(state, order.copy()), part)})

    monkeypatch.setattr(State, "select", wrong)
    assert not all(map(equal, beam_of(net, source), right))


@pytest.mark.parametrize("kind", ["additive", "general, luong", "dot, luong, not fed"])
def test_dropout_meets_both_embeddings_and_what_the_output_reads(kind):
    """By a hook in the place of the mask: with zeros there, neither source nor state has an effect."""
    net, (source, target), met = model(kind, dropout=0.5), draw(), []

    def zeros(module, inputs, output):
        met.append(inputs[0].shape)
        return torch.zeros_like(output)

    net.dropout.register_forward_hook(zeros)
    logits = net(source, None, target).logits
    width = net.output.in_features
    assert met == [(S, B, E), (T + 1, B, E), (T + 1, B, width)]
    torch.testing.assert_close(logits, net.output.bias.expand_as(logits), **EXACT)
    met.clear()
    first, second = (net.encode(tokens) for tokens in (source, source[::-1].copy()))
    assert met == [(S, B, E)] * 2 and torch.equal(first.h, second.h)
    logits, _, _ = net.step(torch.full((B,), START), first)
    assert met[2:] == [(B, E), (B, width)]
    torch.testing.assert_close(logits, net.output.bias.expand_as(logits), **EXACT)


@pytest.mark.parametrize("kind", ["additive", "none, lstm, 2 layers"])
def test_the_n_best_are_those_of_all_targets(kind):
    """Every target of two tokens at most is scored by itself, and every start of three without a stop."""
    net, (source, _) = model(kind), draw()
    found = net.n_best(source, SOURCE_LENGTHS, n=9, max_length=3, beam=200)
    assert [len(one) for one in found] == [9, 9]
    tokens = range(STOP + 1, TARGETS)
    for b, length in enumerate(SOURCE_LENGTHS):
        scored = []
        for n in range(4):
            for target in itertools.product(tokens, repeat=n):
                if n == 0:
                    logs = net(source[:length, b : b + 1], None, np.array([[STOP + 1]])).logits[:1]
                else:
                    logs = net(source[:length, b : b + 1], None, np.array(target)[:, None]).logits
                logs = logs[:, 0].log_softmax(-1)
                total = sum(logs[t, token].item() for t, token in enumerate(target))
                if n < 3:
                    total += logs[n, STOP].item()
                scored.append((n == 3, -total, target))
        best = sorted(scored)[:9]
        assert [tuple(h.tokens) for h in found[b]] == [target for _, _, target in best]
        np.testing.assert_allclose([h.log_probability for h in found[b]], [-s for _, s, _ in best], **EXACT)
        assert all(h.finished for h in found[b])


@pytest.mark.parametrize("alpha", [0.0, 2.0])
def test_n_best_begins_with_what_decode_gives_and_is_in_the_order_of_its_scores(alpha):
    net, (source, _) = model("additive"), draw()
    options = dict(max_length=6, beam=5, length_penalty=alpha)
    one = net.decode(source, SOURCE_LENGTHS, **options)
    several = net.n_best(source, SOURCE_LENGTHS, n=3, **options)
    for best, hypotheses in zip(one, several, strict=True):
        assert len(hypotheses) == 3
        np.testing.assert_array_equal(hypotheses[0].tokens, best.tokens)
        assert hypotheses[0].log_probability == best.log_probability
        assert hypotheses == sorted(hypotheses, key=lambda h: (not h.finished, -h.score))
    narrow = net.n_best(source, SOURCE_LENGTHS, n=2, max_length=6)
    beam_of_two = net.n_best(source, SOURCE_LENGTHS, n=2, max_length=6, beam=2)
    assert [[h.score for h in a] for a in narrow] == [[h.score for h in a] for a in beam_of_two]


def test_dropout_is_off_while_decoding_and_back_on_afterwards():
    net, (source, target) = model("additive", dropout=0.5), draw()
    assert net.training
    torch.manual_seed(1)
    losses = {net.loss(source, None, target).item() for _ in range(4)}
    assert len(losses) == 4
    found = [net.decode(source, max_length=5)[0].log_probability for _ in range(4)]
    assert len(set(found)) == 1
    assert torch.equal(net.align(source, None, target), net.align(source, None, target))
    assert net.training
    net.eval()
    net.decode(source, max_length=5)
    assert not net.training
    with pytest.raises(ValueError, match="source"):
        net.train().decode(source[0], max_length=5)
    assert net.training


def test_same_start_as_torchs_layers_and_a_state_dict_that_comes_back():
    net = model("additive")
    other = EncoderDecoder(SOURCES, TARGETS, E, H, dtype=torch.float64, attention_size=A)
    other.load_state_dict(net.state_dict())
    source, target = draw()
    assert torch.equal(net.loss(source, None, target), other.loss(source, None, target))
    assert {"encoder.weight_ih_l0_reverse", "decoder.weight_hh_l0", "attention.score.v"} <= set(
        net.state_dict()
    )
    for embedding in (net.embed_source, net.embed_target):
        assert not embedding.weight[PAD].any()


def test_the_names_in_the_state_dict():
    """They stand in files that people have; more layers add names and change none."""
    layers = [f"{name}_l0" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    want = ["embed_source.weight", "embed_target.weight"]
    want += [f"encoder.{name}" for name in layers]
    want += ["start.weight", "start.bias", "start_cell.weight", "start_cell.bias"]
    want += [f"decoder.{name}" for name in layers]
    want += ["attention.score.weight", "combine.weight", "output.weight", "output.bias"]
    options = dict(cell="lstm", bidirectional=False)
    assert list(model("general, luong", **options).state_dict()) == want
    more = set(model("general, luong", **options, num_layers=2).state_dict()) - set(want)
    assert more == {
        *(f"{part}.{name[:-1]}1" for part in ("encoder", "decoder") for name in layers),
        *(f"{part}.0.{name}" for part in ("start_below", "start_cell_below") for name in ("weight", "bias")),
    }


def test_it_learns_a_small_translation():
    torch.manual_seed(0)
    net = EncoderDecoder(len(FRENCH), len(ENGLISH), 8, 32)
    adam = torch.optim.Adam(net.parameters(), lr=5e-3)
    step = make_step(net, adam, lambda net, batch: net.loss(*batch))
    rng = np.random.default_rng(0)
    for _ in range(400):
        step(sentences(int(rng.integers(2, 6)), 32, rng))
    batch = sentences(5, 200, rng)
    found = net.decode(batch.source, batch.source_lengths, max_length=8)
    right = [list(h.tokens) == list(t) for h, t in zip(found, batch.target.T, strict=True)]
    assert np.mean(right) > 0.7  # four seeds: 0.95, 1.0, 1.0, 0.97; a lexicon alone: 6/32


@pytest.mark.gpu
@GPU
@every_kind
def test_gpu_gives_what_the_cpu_gives(kind):
    net, (source, target) = model(kind), draw()
    want = net(source, SOURCE_LENGTHS, target, TARGET_LENGTHS)
    written = net.decode(source, SOURCE_LENGTHS, max_length=6, beam=3)
    net.cuda()
    got = net(source, SOURCE_LENGTHS, target, TARGET_LENGTHS)
    assert_same([x if x is None else x.cpu() for x in got], want)
    again = net.decode(source, SOURCE_LENGTHS, max_length=6, beam=3)
    for a, b in zip(written, again, strict=True):
        np.testing.assert_array_equal(a.tokens, b.tokens)


SOURCE, TARGET = draw()


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: model("additive", order="both"), ValueError, "order: expected bahdanau or luong"),
        (lambda: model("additive", cell="rnn"), ValueError, "cell: expected gru or lstm, got 'rnn'"),
        (lambda: model("none", window="local_m"), ValueError, "window: expected None without attention"),
        (lambda: model("additive", input_feeding="no"), TypeError, "input_feeding: expected True or False"),
        (lambda: model("additive", attention="sum"), ValueError, "score"),
        (lambda: model("additive", num_layers=0), ValueError, "num_layers: expected a positive integer"),
        (lambda: model("additive", bias=True), TypeError, "options: expected some of .* got bias"),
        (lambda: model("additive", peephole=True), TypeError, "peephole"),
        (lambda: model("additive", zoneout=1.0), ValueError, "zoneout: expected a probability"),
        (lambda: model("additive", attention="dot"), ValueError, "dot"),
        (lambda: EncoderDecoder(3, 9, E, H), ValueError, r"vocabularies: .* got \(3, 9\)"),
        (lambda: EncoderDecoder(9, 9, E, 0), ValueError, "hidden_size: expected a positive integer"),
        (lambda: model("none").align(SOURCE, None, TARGET), ValueError, "attention: .* got None"),
        (lambda: model("none").loss([[3]], None, TARGET), TypeError, "source: expected a tensor or an array"),
        (lambda: model("none").loss(SOURCE * 1.0, None, TARGET), TypeError, "source: expected integers"),
        (lambda: model("none").loss(SOURCE[0], None, TARGET), ValueError, r"source: .* got \(2,\)"),
        (lambda: model("none").loss(SOURCE + 8, None, TARGET), ValueError, "source: expected 1 <= token < 8"),
        (lambda: model("none").loss(SOURCE * 0, None, TARGET), ValueError, "is it padding. give lengths"),
        (lambda: model("none").loss(SOURCE, [6, 7], TARGET), ValueError, "source_lengths: .* got 6 to 7"),
        (lambda: model("none").loss(SOURCE, None, TARGET[:, :1]), ValueError, "target: .* with B = 2"),
        (lambda: model("none").loss(SOURCE, None, TARGET - 1), ValueError, "target: expected 3 <= token"),
        (lambda: model("none").loss(SOURCE, None, TARGET, [0, 5]), ValueError, "target_lengths: .* got 0"),
        (lambda: model("none").decode(SOURCE, max_length=5, beam=0), ValueError, "beam: expected a positive"),
        (lambda: model("none").decode(SOURCE, max_length=0), ValueError, "max_length: expected a positive"),
        (lambda: model("none").n_best(SOURCE, n=0, max_length=5), ValueError, "n: expected a positive"),
        (lambda: model("none").n_best(SOURCE, n=3, max_length=5, beam=2), ValueError, "beam: expected at le"),
    ],
)
def test_bad_arguments_are_named(call, error, words):
    with pytest.raises(error, match=words):
        call()
