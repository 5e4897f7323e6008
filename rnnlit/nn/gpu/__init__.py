"""The scans on a GPU: fused kernels and CUDA graphs, on by default.

Python takes longer to launch the kernels of a step than a GPU to run them. Two things make up for that: an
LSTM has fused kernels (`lstm`, `lstm_triton`), and any scan that comes again with the same shapes is repeated
as a CUDA graph (`graph`, `replay`). `dispatch` chooses; RNNLIT_TRITON=0 and RNNLIT_GRAPHS=0 in the
environment turn them off. A call on the CPU enters none of these modules.

First run in November 2026, on an NVIDIA H200 with torch 2.11, CUDA 13.0 and triton 3.6. At T=256, B=64,
I=H=512 in float32, forward and backward, an LSTM with recurrent dropout, zoneout or peepholes took 0.12 to
0.14 of the time of the scan without both, 0.71 to 0.73 of that of cuDNN's plain LSTM, and 0.05 to 0.10 of
that of a loop over torch's cell (`benchmarks/results/nn_gpu.json`). `make gpu` tests and measures on yours.
The kernels of layer normalisation were written afterwards and have run in triton's interpreter alone; like
the others, they are compared with the equations before they are used.

The price: the first call waits until the kernels are built, the third until a graph is recorded, and a graph
holds as much memory as the call.
"""
