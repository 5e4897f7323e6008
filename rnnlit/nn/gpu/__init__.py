"""The scans on a GPU: fused kernels and CUDA graphs. Off unless asked for.

Python takes longer to launch the kernels of a step than a GPU to run them. Two things make up for that: an
LSTM without layer normalisation has fused kernels (`lstm`, `lstm_triton`), and any scan that comes again with
the same shapes is repeated as a CUDA graph (`graph`, `replay`). `dispatch` chooses; RNNLIT_TRITON=1 and
RNNLIT_GRAPHS=1 in the environment turn them on. A call on the CPU enters none of these modules.

Written before July 2026; has not run on a GPU as of November 2026 (version 0.1); code here that has not run
on a GPU within two more releases of the book leaves it. `make gpu` tests it on a GPU and measures it.
"""
