"""Move a model from torch.nn to rnnlit.nn: one import, the same weights, the same numbers, no packing."""

import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnnlit.nn import LSTM

torch.manual_seed(0)
x = torch.randn(50, 8, 16)  # (T, B, I), padded
lengths = torch.tensor([50, 12, 33, 7, 50, 21, 40, 2])  # in any order

# before
before = torch.nn.LSTM(16, 32, num_layers=2, bidirectional=True)
packed, (h_before, _) = before(pack_padded_sequence(x, lengths, enforce_sorted=False))
output_before, _ = pad_packed_sequence(packed)

# after
after = LSTM(16, 32, num_layers=2, bidirectional=True)
after.load_state_dict(before.state_dict())
output, (h, c) = after(x, lengths=lengths)

print(f"outputs differ by at most {(output - output_before).abs().max():.0e}")
print(f"last states differ by at most {(h - h_before).abs().max():.0e}")
print(f"what runs: {after.kernel(x)}")

# and what torch.nn.LSTM does not have
layer = LSTM(16, 32, layer_norm=True, recurrent_dropout=0.2)
output, (h, c) = layer(x, lengths=lengths)
print(f"with layer normalisation and recurrent dropout: {tuple(output.shape)}")
