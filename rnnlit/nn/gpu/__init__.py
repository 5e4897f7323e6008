"""The recurrences on a GPU: fused kernels and CUDA graphs. Off unless asked for; see `rnnlit.nn.gpu.way`."""
