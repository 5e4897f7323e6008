"""The scans on a GPU: fused kernels and CUDA graphs, on by default.

Python takes longer to launch the kernels of a step than a GPU to run them. Two things make up for that: an
LSTM has fused kernels (`lstm`, `lstm_triton`), and any scan that comes again with the same shapes is repeated
as a CUDA graph (`graph`, `replay`). `dispatch` chooses; RNNLIT_TRITON=0 and RNNLIT_GRAPHS=0 in the
environment turn them off. A call on the CPU enters none of these modules.

Measured in November 2026, on an NVIDIA H200 with torch 2.11, CUDA 13.0 and triton 3.6. At T=256, B=64,
I=H=512 in float32, forward and backward, an LSTM with zoneout, peepholes or layer normalisation took 0.11 to
0.16 of the time of the scan without both, 0.69 to 0.83 of that of cuDNN's plain LSTM, and 0.06 to 0.07 of
that of a loop over torch's cell (`rnnlit/pages/records/nn_gpu.json`). `make gpu` tests and measures on yours.

The price: the first call waits until the kernels are built, the third until a graph is recorded, and a graph
holds as much memory as the call.
"""
