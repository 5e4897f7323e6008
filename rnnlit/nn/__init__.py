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
    for each layer and direction      peephole, reset_after=False always
    ================================  ======================================================================

The scan is one autograd function with a closed-form backward pass. Where a second derivative is asked for
(create_graph=True), it runs again as a loop that autograd differentiates.

On a GPU the scan launches its kernels one by one. RNNLIT_TRITON=1 and RNNLIT_GRAPHS=1 in the environment turn
on fused kernels for the LSTM and CUDA graphs, which are checked on the CPU but have not run on a GPU yet
(`rnnlit.nn.gpu.way`; `benchmarks/nn_gpu.py` checks and measures them).

Beside the layers stand `Bidirectional`, for any two of them; `Attention` with every score and window, and a
class for each (`AdditiveAttention` after Bahdanau, `DotAttention`, `GeneralAttention`, `ConcatAttention`,
`LocationAttention`, `LocalAttention` after Luong); and `EncoderDecoder`, with teacher forcing, greedy and
beam search.
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
