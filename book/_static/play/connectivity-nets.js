// Three small networks in plain arithmetic: what they expect next, and by backpropagation through time how far
// that depends on each character before. H units, K characters; a character comes as its number k, one-hot.
// The same in NumPy: rnnlit/pages/connectivity.py; the tests compare both with torch.
const rlNets = (() => {
  const sigmoid = (a) => 1 / (1 + Math.exp(-a));

  // An array of whole numbers of 8 bits, times its unit.
  const decoded = ({ shape, unit, int8 }) => {
    const bytes = Int8Array.from(atob(int8), (byte) => byte.charCodeAt(0));
    return { rows: shape[0], columns: shape[1] ?? 1, values: Float64Array.from(bytes, (q) => q * unit) };
  };

  // W x + b
  const affine = (W, x, b) => {
    const y = Float64Array.from(b.values);
    for (let i = 0; i < W.rows; i++)
      for (let j = 0; j < W.columns; j++) y[i] += W.values[i * W.columns + j] * x[j];
    return y;
  };

  // W^T y
  const transposed = (W, y) => {
    const x = new Float64Array(W.columns);
    for (let i = 0; i < W.rows; i++)
      for (let j = 0; j < W.columns; j++) x[j] += W.values[i * W.columns + j] * y[i];
    return x;
  };

  // W x + b for the one-hot x of the character k: a column of W
  const column = (W, k, b) => b.values.map((value, i) => value + W.values[i * W.columns + k]);

  // Each cell: `step` gives what is kept of a step, the new state h (and c) in it. `back` takes that and the
  // gradient for h (and c), and gives what arrives at the sums: `a` of W_ih x, and at the state before.
  const cells = {
    rnn: {
      step(p, k, before) {
        const x = column(p.weight_ih, k, p.bias_ih), y = affine(p.weight_hh, before.h, p.bias_hh);
        return { h: x.map((a, i) => Math.tanh(a + y[i])) };
      },
      back(p, { h }, { dh }) {
        const a = dh.map((d, i) => d * (1 - h[i] ** 2));
        return { a, dh: transposed(p.weight_hh, a) };
      },
    },

    lstm: {
      step(p, k, before) {
        const x = column(p.weight_ih, k, p.bias_ih), y = affine(p.weight_hh, before.h, p.bias_hh);
        const H = before.h.length, a = x.map((value, i) => value + y[i]), start = before.c;
        const [i, f, g, o] = [0, H, 2 * H, 3 * H].map((from) => a.subarray(from, from + H).map(sigmoid));
        for (let n = 0; n < H; n++) g[n] = Math.tanh(a[2 * H + n]);
        const c = start.map((value, n) => f[n] * value + i[n] * g[n]);
        return { h: c.map((value, n) => o[n] * Math.tanh(value)), c, i, f, g, o, start };
      },
      back(p, { c, i, f, g, o, start }, { dh, dc }) {
        const H = dh.length, a = new Float64Array(4 * H), passed = new Float64Array(H);
        for (let n = 0; n < H; n++) {
          const tanh = Math.tanh(c[n]), d = dc[n] + dh[n] * o[n] * (1 - tanh ** 2);
          a[n] = d * g[n] * i[n] * (1 - i[n]);
          a[H + n] = d * start[n] * f[n] * (1 - f[n]);
          a[2 * H + n] = d * i[n] * (1 - g[n] ** 2);
          a[3 * H + n] = dh[n] * tanh * o[n] * (1 - o[n]);
          passed[n] = d * f[n];
        }
        return { a, dh: transposed(p.weight_hh, a), dc: passed };
      },
    },

    gru: {
      step(p, k, before) {
        const x = column(p.weight_ih, k, p.bias_ih), y = affine(p.weight_hh, before.h, p.bias_hh);
        const H = before.h.length, start = before.h, q = y.subarray(2 * H);
        const [r, z] = [0, H].map((from) => start.map((_, n) => sigmoid(x[from + n] + y[from + n])));
        const candidate = start.map((_, n) => Math.tanh(x[2 * H + n] + r[n] * q[n]));
        const h = start.map((value, n) => (1 - z[n]) * candidate[n] + z[n] * value);
        return { h, r, z, candidate, q, start };
      },
      back(p, { r, z, candidate, q, start }, { dh }) {
        const H = dh.length, a = new Float64Array(3 * H);
        for (let n = 0; n < H; n++) {
          a[2 * H + n] = dh[n] * (1 - z[n]) * (1 - candidate[n] ** 2);
          a[n] = a[2 * H + n] * q[n] * r[n] * (1 - r[n]);
          a[H + n] = dh[n] * (start[n] - candidate[n]) * z[n] * (1 - z[n]);
        }
        // The recurrent product stands inside the reset.
        const inside = a.map((d, n) => (n < 2 * H ? d : d * r[n - 2 * H]));
        const through = transposed(p.weight_hh, inside);
        return { a, dh: through.map((d, n) => d + dh[n] * z[n]) };
      },
    },
  };

  // The network from its stored arrays.
  const network = (kind, arrays) => {
    const p = Object.fromEntries(Object.entries(arrays).map(([name, array]) => [name, decoded(array)]));
    return { cell: cells[kind], p, H: p.weight_hh.columns };
  };

  // Read characters (their numbers): what is kept of each step.
  const read = (net, numbers) => {
    let kept = { h: new Float64Array(net.H), c: new Float64Array(net.H) };
    return numbers.map((k) => (kept = net.cell.step(net.p, k, kept)));
  };

  // p(k) of each character k after a step.
  const expected = (net, { h }) => {
    const logits = affine(net.p.weight, h, net.p.bias), top = Math.max(...logits);
    const e = logits.map((value) => Math.exp(value - top)), sum = e.reduce((a, b) => a + b, 0);
    return e.map((value) => value / sum);
  };

  // || d log p(k | x_1 ... x_t) / d x_s || for each s from 1 to t; t is the length of `steps`.
  const connections = (net, steps, k) => {
    const p = expected(net, steps[steps.length - 1]);
    const dlogits = p.map((value, j) => (j === k ? 1 : 0) - value);
    let back = { dh: transposed(net.p.weight, dlogits), dc: new Float64Array(net.H) };
    const norms = new Float64Array(steps.length);
    for (let s = steps.length - 1; s >= 0; s--) {
      back = net.cell.back(net.p, steps[s], back);
      norms[s] = Math.hypot(...transposed(net.p.weight_ih, back.a));
    }
    return norms;
  };

  return { network, read, expected, connections };
})();
