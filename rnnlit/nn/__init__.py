"""The face for users of torch: drop-in replacements of torch's recurrent layers and cells.

    from rnnlit.nn import LSTM          # instead of  from torch.nn import LSTM

Constructor arguments, state_dict keys, initialisation and results are torch's, and the plain call runs
torch's own kernels. On top of that, in any combination:

    ================================  ======================================================================
    LSTM(..., forget_bias=1.0)        the forget gate's bias at the start, the sum of torch's two biases
    LSTM(..., chrono=T_max)           biases for memories of up to T_max steps (Tallec & Ollivier 2018)
    orthogonal=True                   orthogonal recurrent weights at the start (Saxe et al. 2014)
    hidden_size=(H0, H1, ...)         another size for each layer; states are then tuples
    GRU(..., reset_after=False)       the reset gate before the product, as Cho et al. (2014) published it
    LSTM(..., peephole=True)          gates that see the cell state (Gers et al. 2002)
    layer_norm=True                   layer normalisation inside the cell (Ba et al. 2016)
    input_dropout=p                   of each layer's input, one mask per sequence (Gal & Ghahramani 2016)
    recurrent_dropout=p               of h on its way into the gates, one mask per sequence (the same)
    output_dropout=p                  of the last layer's output, one mask per sequence
    candidate_dropout=p               of the candidate, a mask per step; LSTM and GRU (Semeniuta et al. 2016)
    weight_drop=p                     of the recurrent weights, one mask per call (Merity et al. 2018)
    zoneout=p, zoneout=(p_h, p_c)     units that keep their old state, a mask per step (Krueger et al. 2017)
    layer(x, lengths=lengths)         padded batches in any order, without packing: zeros after the end, the
                                      true last states, the reverse direction from each sequence's own end
    layer(x, return_all_states=True)  the states of every layer and direction at every step, with gradient
    layer(x, generator=generator)     where all masks of the call are drawn
    layer.kernel(x)                   which way a call takes, and why
    LSTMCell, GRUCell, RNNCell        one step, with forget_bias, chrono, orthogonal, layer_norm, peephole and
                                      reset_after where the layer has them
    a bad argument                    an error that names it, what was expected and what came
    ================================  ======================================================================

p is the probability to drop; what is kept is divided by 1 - p, and nothing is dropped in evaluation. Zoneout
takes its mean there. A layer has torch's state_dict keys, and with layer_norm and peephole those of their own
parameters beside them.

The rule of dispatch. Where the mathematics allows, masks and dropped weights are made before the recurrence,
and torch's fused kernel (oneDNN, cuDNN) runs:

    ================================  ======================================================================
    torch's own call                  nothing is asked for that torch lacks; in evaluation that includes all
                                      that only drops, and lengths that are all T
    our scan, since it is quicker     GRU on the CPU, in float32, from 32 steps on, where torch has no fused
                                      kernel; without gradients only if B H H is 2**22 or more
    on the packed batch               lengths alone, on a GPU; RNN also on the CPU where no gradient is wanted
    torch's kernel, one call for      lengths, return_all_states, input_dropout, output_dropout, weight_drop,
    each layer and direction          a size for each layer, a generator for the dropout between the layers
    our scan (`rnnlit.nn.scan`),      recurrent_dropout, candidate_dropout, in training; zoneout, layer_norm,
    for each layer and direction      peephole, reset_after=False always; an LSTM under CPU autocast to a
                                      precision in which oneDNN has none on this processor
    the scan as a loop of torch's     the same, where operations are recorded or transformed (see below); all
    own operations                    layers and cells under torch.func.vmap, but for proj_size, which fails
                                      there as torch's own does; a batch of 0 sequences
    ================================  ======================================================================

The scan is one autograd function with a closed-form backward pass. Where a second derivative is asked for
(create_graph=True), it runs again as a loop that autograd differentiates.

On an NVIDIA GPU the LSTM's scan has fused kernels, where triton is there, and a scan that comes again with
the same shapes is repeated as a CUDA graph (`rnnlit.nn.gpu`). RNNLIT_TRITON=0 and RNNLIT_GRAPHS=0 in the
environment turn them off; then the scan launches its operations one by one.

Torch's tools. What each does with a layer; with a layer and `lengths` (torch's then gets a packed batch);
with a variant, alone and with lengths ("both"); with a cell, and with a cell that has one of the options:

    ============================= =========== =========== =========== =========== =========== ===========
    tool                          layer       lengths     variant     both        cell        varied cell
    ============================= =========== =========== =========== =========== =========== ===========
    copy.deepcopy                 as torch    as torch    as torch    as torch    as torch    as torch
    pickle                        as torch    as torch    as torch    as torch    as torch    as torch
    torch.save and load           as torch    as torch    as torch    as torch    as torch    as torch
    torch.jit.trace               as torch    as torch    as torch    as torch    as torch    as torch
    torch.jit.trace, another T    as torch    as torch    refused (1) refused (1) none        none
    torch.jit.script              as torch    none        refused (2) none        as torch    refused (2)
    torch.fx.symbolic_trace       as torch    none        as torch    none        as torch    as torch
    torch.compile                 as torch    as torch    as torch    as torch    as torch    as torch
    torch.compile, fullgraph      refused (3) refused (3) refused (3) refused (3) as torch    as torch
    torch.export                  as torch    better      as torch    better      as torch    as torch
    torch.export, strict          as torch    better      as torch    better      as torch    as torch
    torch.export, any B           as torch    better      as torch    better      as torch    as torch
    torch.export, strict, any B   as torch    better      as torch    better      as torch    as torch
    torch.onnx, dynamo=False      as torch    as torch    as torch    as torch    as torch    as torch
    torch.onnx, dynamo=True       as torch    better      as torch    better      as torch    as torch
    torch.func.grad               as torch    better      as torch    better      as torch    as torch
    torch.func.vmap               better      better      better      better      right       right
    vmap over stacked models      better      better      better      better      right       right
    vmap(grad), one by one        better      better      better      better      better      better
    torch.func.jvp                as torch    better      as torch    better      as torch    as torch
    forward mode                  as torch    better      as torch    better      as torch    as torch
    torch.func.jacrev             as torch    better      as torch    better      as torch    as torch
    torch.func.jacfwd             as torch    better      as torch    better      as torch    as torch
    jacobian(vectorize=True)      as torch    as torch    as torch    as torch    as torch    as torch
    is_grads_batched=True         as torch    as torch    as torch    as torch    as torch    as torch
    second derivatives            as torch    as torch    as torch    as torch    as torch    as torch
    checkpoint                    as torch    as torch    as torch    as torch    as torch    as torch
    quantize_dynamic              refused (4) none        refused (4) none        refused (4) refused (4)
    DataParallel's replicas       as torch    as torch    as torch    as torch    as torch    as torch
    hooks                         as torch    as torch    as torch    as torch    as torch    as torch
    weight_norm                   as torch    as torch    as torch    as torch    as torch    as torch
    spectral_norm                 as torch    as torch    as torch    as torch    as torch    as torch
    orthogonal                    as torch    as torch    as torch    as torch    as torch    as torch
    pruning                       as torch    as torch    as torch    as torch    as torch    as torch
    share_memory, frozen          as torch    as torch    as torch    as torch    as torch    as torch
    reset_parameters, same seed   as torch    as torch    as torch    as torch    as torch    as torch
    meta device                   as torch    better      as torch    better      as torch    as torch
    another default device        as torch    as torch    as torch    as torch    as torch    as torch
    autocast to bfloat16          right       right       right       right       right       right
    autocast to float16           right       right       right       right       right       right
    weights in bfloat16           as torch    as torch    as torch    as torch    as torch    as torch
    weights in float16            as torch    as torch    as torch    as torch    as torch    as torch
    writing into results          as torch    as torch    as torch    as torch    as torch    right
    writing into states given     as torch    none        as torch    none        as torch    as torch
    one memory per gradient       as torch    as torch    as torch    as torch    as torch    as torch
    B = 0                         as torch    better      as torch    better      as torch    as torch
    T = 0                         refused (5) refused (5) refused (5) refused (5) none        none
    ============================= =========== =========== =========== =========== =========== ===========

    as torch: the same outcome, and where torch's own fails, its own error. better: right, where torch's own
    fails. right: on every processor and for every cell, where torch's own fails on some. none: there is no
    such thing. Each word stands for runs in `tests/nn/test_matrix.py`, with numbers to compare with.

    (1) "this loop of rnnlit.nn was traced for ... steps, got ..."; options that work outside the recurrence,
        such as weight_drop, are traced for any T.
    (2) "torch.jit.script: ... has no form in TorchScript"; a plain layer or cell gives torch's own module,
        `layer.as_torch()`, in its place.
    (3) "Dynamo does not support RNN, GRU, or LSTM": torch's own words, for its own layers too.
    (4) "quantization swaps torch's own classes alone, and ... would stay as it is"; `layer.as_torch()` in the
        plain layer's place can be quantized.
    (5) "expected at least one time step"; torch refuses it as well.

A tool that records or transforms operations gets the loop of torch's own operations in place of the scan; it
is slower, and torch.compile leaves the scan out of its graphs for that reason, but for a single step.

Beside the layers stand `Bidirectional`, for any two of them; `Attention` with every score and window, and a
class for each (`AdditiveAttention` after Bahdanau, `DotAttention`, `GeneralAttention`, `ConcatAttention`,
`LocationAttention`, `LocalAttention` after Luong); and `EncoderDecoder`, with several layers and the options
above, teacher forcing, greedy and beam search, and the n best.
"""

from rnnlit.attention_torch import (
    AdditiveAttention,
    Attention,
    ConcatAttention,
    DotAttention,
    GeneralAttention,
    LocalAttention,
    LocationAttention,
)
from rnnlit.nn.bidirectional import Bidirectional
from rnnlit.nn.cell import GRUCell, LSTMCell, RNNCell
from rnnlit.nn.gru import GRU
from rnnlit.nn.lstm import LSTM
from rnnlit.nn.rnn import RNN
from rnnlit.nn.seq2seq import EncoderDecoder

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "AdditiveAttention",
    "Attention",
    "Bidirectional",
    "ConcatAttention",
    "DotAttention",
    "EncoderDecoder",
    "GRUCell",
    "GeneralAttention",
    "LSTMCell",
    "LocalAttention",
    "LocationAttention",
    "RNNCell",
]
