"""The recurrences of the layers, each as one autograd function with its own backward pass.

torch's fused kernels compute the plain cells alone. A loop over steps computes anything, but autograd then
keeps a graph of a dozen nodes for every step. Here the loop runs without a graph: the gates are saved, the
gradient of a step is written out as in the chapters, and the weights' gradient is one product for a block of
steps. `lstm`, `gru` and `rnn` hold a scan each: its equations, its `Inputs`, forward and backward. `loop` has
the same as torch's own operations, for second derivatives; `steps` and `products` are what the scans share.

    x, h, c, T B I H    as in the chapters; h_{t-1} and c_{t-1} are the old states, h_0 and c_0 the first ones
    sums                W_ih x + b, before the recurrent part is added and the activation is taken
    gates               i f g o of an LSTM, r z n of a GRU, after it
    product             W_hh (m_h h_{t-1})
    new_c, c'           the cell state before zoneout; it is what the output reads
    mask_h, m_h         times h_{t-1} where it is read: masked_h;   mask_g, mask_n: times the candidate
    keep_h, k_h         zoneout: 1 keeps the old state, 0 takes the new one, a number between mixes;
                        keep_c for c
    gain, shift         of a layer normalisation: gain (a - mean) / sqrt(variance + eps) + shift
    da, dh, dc, ...     the gradients of the loss; from outside: what the layers above hand in
    block               steps whose products that need not wait for the recurrence are taken together

Masks are (T, B, H), another one in each step, or (1, B, H), one for the whole sequence, and hold their
scaling; they are constants, without gradient. Nothing here knows of lengths: the caller puts zero where a
sequence has ended.
"""
