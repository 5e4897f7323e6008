"""The scans on a GPU: fused kernels and CUDA graphs. Off unless asked for.

Python takes longer to launch the kernels of a step than a GPU to run them. Two things make up for that: an
LSTM without layer normalisation has fused kernels (`lstm`, `lstm_triton`), and any scan that comes again with
the same shapes is repeated as a CUDA graph (`graph`, `replay`). `dispatch` chooses; RNNLIT_TRITON=1 and
RNNLIT_GRAPHS=1 in the environment turn them on. A call on the CPU enters none of these modules.

Written in November 2026, for version 0.1, and not yet run on a GPU. Code here that has not run on one within
two more releases of the book leaves it. `make gpu` tests it on a GPU and measures it.
"""
