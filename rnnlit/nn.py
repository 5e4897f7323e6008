"""The face for users of torch: drop-in replacements of torch's recurrent layers.

    from rnnlit.nn import LSTM          # instead of  from torch.nn import LSTM

Constructor arguments, state_dict keys, initialisation and results are torch's, and the plain call runs
torch's own kernels. On top of that:

    ================================  ======================================================================
    LSTM(..., forget_bias=1.0)        the forget gate's bias at the start, the sum of torch's two biases
    LSTM(..., chrono=T_max)           biases for memories of up to T_max steps (Tallec & Ollivier 2018)
    GRU(..., reset_after=False)       the reset gate before the product, as Cho et al. (2014) published it
    layer(x, lengths=lengths)         padded batches in any order, without packing: zeros after the end, the
                                      true last states, the reverse direction from each sequence's own end
    layer(x, return_all_states=True)  the states of every layer and direction at every step, with gradient
    a bad argument                    an error that names it, what was expected and what came
    ================================  ======================================================================
"""

from rnnlit.gru_torch import GRU
from rnnlit.lstm_torch import LSTM
from rnnlit.rnn_torch import RNN

__all__ = ["GRU", "LSTM", "RNN"]
