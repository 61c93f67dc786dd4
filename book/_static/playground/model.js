/* The joint model f_L + f_Q in pair coordinates (s, t), its regularised risk and its gradient flow:
   what escape_ntk.models.pairs, .risk and .training compute, in double precision, without a library.
   tests/site/test_playground.py holds the two against each other.

   A matrix is a Float64Array, row by row.  A state is (s, t), the p × d matrix s and then t.
   One function around all of it, so that a worker can be made from its text (page.js). */
function playgroundModel() {
  "use strict";

  // --- products ---------------------------------------------------------------------------------

  /* out = A Bᵀ for A (rows × depth) and B (columns × depth), rows ≥ 2 and columns ≥ 4: blocks of
     2 × 4 numbers, which stay in registers; the last block of a row may overlap the one before. */
  function timesTransposed(A, B, rows, columns, depth, out) {
    for (let i0 = 0; i0 < rows; i0 += 2) {
      const i = Math.min(i0, rows - 2);
      for (let j0 = 0; j0 < columns; j0 += 4) {
        const j = Math.min(j0, columns - 4);
        const a0 = i * depth, a1 = a0 + depth;
        const b0 = j * depth, b1 = b0 + depth, b2 = b1 + depth, b3 = b2 + depth;
        let c00 = 0, c01 = 0, c02 = 0, c03 = 0, c10 = 0, c11 = 0, c12 = 0, c13 = 0;
        for (let k = 0; k < depth; k++) {
          const x = A[a0 + k], y = A[a1 + k];
          const p = B[b0 + k], q = B[b1 + k], r = B[b2 + k], s = B[b3 + k];
          c00 += x * p; c01 += x * q; c02 += x * r; c03 += x * s;
          c10 += y * p; c11 += y * q; c12 += y * r; c13 += y * s;
        }
        const o = i * columns + j, u = o + columns;
        out[o] = c00; out[o + 1] = c01; out[o + 2] = c02; out[o + 3] = c03;
        out[u] = c10; out[u + 1] = c11; out[u + 2] = c12; out[u + 3] = c13;
      }
    }
    return out;
  }

  function transposed(A, rows, columns) {
    const out = new Float64Array(A.length);
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < columns; j++) out[j * rows + i] = A[i * columns + j];
    }
    return out;
  }

  function dot(a, b) {
    let sum = 0;
    for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
    return sum;
  }

  const norm = (a) => Math.sqrt(dot(a, a));
  const meanSquare = (a) => dot(a, a) / a.length;
  const minus = (a, b) => a.map((v, i) => v - b[i]);

  // --- what is drawn at random ------------------------------------------------------------------

  /* Normal numbers from a seed, the same in every browser: mulberry32, then Box and Muller.
     Each purpose has a stream of its own: more neurons leave the inputs as they were. */
  function normal(seed, stream) {
    let state = (Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(stream + 1, 0x85ebca6b)) >>> 0;
    const uniform = () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let z = Math.imul(state ^ (state >>> 15), state | 1);
      z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
      return (((z ^ (z >>> 14)) >>> 0) + 0.5) / 4294967296;
    };
    return (count) => Float64Array.from({ length: count }, () =>
      Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()));
  }

  /* Rows of normal numbers, each scaled to this length: uniform on the sphere. */
  function onSphere(draw, rows, d, length) {
    const X = draw(rows * d);
    for (let i = 0; i < rows; i++) {
      const row = X.subarray(i * d, (i + 1) * d), scale = length / norm(row);
      for (let k = 0; k < d; k++) row[k] *= scale;
    }
    return X;
  }

  // --- activations: σ' and σ'' ------------------------------------------------------------------

  const bell = (z) => Math.exp(-z * z) * 2 / Math.sqrt(Math.PI);
  const logistic = (z) => 1 / (1 + Math.exp(1 - z));
  const activations = {
    "sine": [(z) => Math.cos(z + Math.PI / 4), (z) => -Math.sin(z + Math.PI / 4)],
    "sigmoid": [
      (z) => logistic(z) * (1 - logistic(z)),
      (z) => logistic(z) * (1 - logistic(z)) * (1 - 2 * logistic(z)),
    ],
    "erf": [bell, (z) => -2 * z * bell(z)],
    "relu": [(z) => (z > 0 ? 1 : 0), () => 0],
  };

  // --- f_L and f_Q ------------------------------------------------------------------------------

  /* σ'(w_r·x_i)/√m and σ''(w_r·x_i)/(2√m), p × n, at n inputs and the p = m/2 frozen weights. */
  function makeFeatures(X, weights, d, activation) {
    const n = X.length / d, p = weights.length / d, root = Math.sqrt(2 * p);
    const [sigma1, sigma2] = activations[activation];
    const z = timesTransposed(weights, X, p, n, d, new Float64Array(p * n));
    return {
      X, Xt: transposed(X, n, d), n, p, d,
      first: z.map((v) => sigma1(v) / root),
      second: z.map((v) => sigma2(v) / (2 * root)),
      xs: new Float64Array(p * n), xt: new Float64Array(p * n), // s_r·x_i and t_r·x_i
    };
  }

  /* f_L = Σ_r σ'(w_r·x)(t_r·x)/√m and f_Q = Σ_r σ''(w_r·x)(s_r·x)(t_r·x)/(2√m), each (n). */
  function terms(features, state) {
    const { X, n, p, d, first, second, xs, xt } = features;
    timesTransposed(state.subarray(0, p * d), X, p, n, d, xs);
    timesTransposed(state.subarray(p * d), X, p, n, d, xt);
    const linear = new Float64Array(n), quadratic = new Float64Array(n);
    for (let r = 0, at = 0; r < p; r++) {
      for (let i = 0; i < n; i++, at++) {
        linear[i] += first[at] * xt[at];
        quadratic[i] += second[at] * xs[at] * xt[at];
      }
    }
    return { linear, quadratic };
  }

  /* ∇_{(s,t)} Σ_i (a_i f_L + b_i f_Q)(x_i) at the state of the last call of terms. */
  function pullBack(features, a, b) {
    const { Xt, n, p, d, first, second, xs, xt } = features;
    for (let r = 0, at = 0; r < p; r++) {
      for (let i = 0; i < n; i++, at++) {
        const slope = second[at] * b[i], x = xs[at];
        xs[at] = slope * xt[at];
        xt[at] = slope * x + first[at] * a[i];
      }
    }
    const gradient = new Float64Array(2 * p * d);
    timesTransposed(xs, Xt, p, d, n, gradient.subarray(0, p * d));
    timesTransposed(xt, Xt, p, d, n, gradient.subarray(p * d));
    return gradient;
  }

  // --- good directions --------------------------------------------------------------------------

  /* Gram matrix of the features of f_L: (x_i·x_j) Σ_r σ'(w_r·x_i)σ'(w_r·x_j)/m. */
  function gram({ X, n, p, d, first }) {
    const byInput = transposed(first, p, n);
    const K = timesTransposed(byInput, byInput, n, n, p, new Float64Array(n * n));
    const inputs = timesTransposed(X, X, n, n, d, new Float64Array(n * n));
    return K.map((v, i) => v * inputs[i]);
  }

  /* Make the rows of V orthonormal (Gram and Schmidt, twice for accuracy). */
  function orthonormalize(V, rows, n) {
    for (let i = 0; i < rows; i++) {
      const v = V.subarray(i * n, (i + 1) * n);
      for (let pass = 0; pass < 2; pass++) {
        for (let j = 0; j < i; j++) {
          const u = V.subarray(j * n, (j + 1) * n), along = dot(u, v);
          for (let k = 0; k < n; k++) v[k] -= along * u[k];
        }
      }
      const length = norm(v);
      for (let k = 0; k < n; k++) v[k] /= length;
    }
  }

  /* Eigenvalues of a small symmetric matrix, descending, and its eigenvectors as rows: Jacobi. */
  function jacobi(T, b) {
    const A = T.slice(), Q = new Float64Array(b * b);
    for (let i = 0; i < b; i++) Q[i * b + i] = 1;
    const turn = (M, i, j, step, c, s) => { // two rows (step 1) or columns (step b) of M
      const start = (r) => (step === 1 ? r * b : r);
      for (let k = 0; k < b; k++) {
        const one = start(i) + k * step, two = start(j) + k * step, x = M[one], y = M[two];
        M[one] = c * x - s * y;
        M[two] = s * x + c * y;
      }
    };
    for (let sweep = 0; sweep < 30; sweep++) {
      let off = 0;
      for (let i = 0; i < b; i++) {
        for (let j = i + 1; j < b; j++) {
          const a = A[i * b + j];
          if (a === 0) continue;
          off += a * a;
          const tau = (A[j * b + j] - A[i * b + i]) / (2 * a);
          const tan = (tau < 0 ? -1 : 1) / (Math.abs(tau) + Math.hypot(1, tau));
          const c = 1 / Math.hypot(1, tan), s = tan * c;
          turn(A, i, j, 1, c, s);
          turn(A, i, j, b, c, s);
          turn(Q, i, j, 1, c, s);
        }
      }
      if (off <= 1e-30 * dot(A, A)) break;
    }
    const order = [...Array(b).keys()].sort((i, j) => A[j * b + j] - A[i * b + i]);
    const vectors = new Float64Array(b * b);
    order.forEach((i, place) => vectors.set(Q.subarray(i * b, (i + 1) * b), place * b));
    return { values: order.map((i) => A[i * b + i]), vectors };
  }

  /* The first `count` eigenvectors of a symmetric K ≥ 0 as rows: subspace iteration with a few
     vectors to spare, which make it fast where the spectrum has no gap after the last. */
  function topEigenvectors(K, n, count, tolerance = 1e-11, most = 500) {
    const b = Math.max(4, Math.min(n, count + 12));
    let V = normal(0, 0)(b * n), values = [], iterations = 0;
    orthonormalize(V, b, n);
    for (let worst = Infinity; worst > tolerance && iterations < most; iterations++) {
      const KV = timesTransposed(V, K, b, n, n, new Float64Array(b * n));
      const ritz = jacobi(timesTransposed(V, KV, b, b, n, new Float64Array(b * b)), b);
      const rotate = (M) =>
        timesTransposed(ritz.vectors, transposed(M, b, n), b, n, b, new Float64Array(b * n));
      const U = rotate(V), KU = rotate(KV);
      values = ritz.values;
      worst = 0;
      for (let j = 0; j < count; j++) {
        let gap = 0;
        for (let k = j * n; k < (j + 1) * n; k++) gap += (KU[k] - values[j] * U[k]) ** 2;
        worst = Math.max(worst, Math.sqrt(gap) / values[0]);
      }
      if (worst <= tolerance) V = U;
      else orthonormalize(V = KU, b, n);
    }
    return { vectors: V.slice(0, count * n), values: values.slice(0, count), iterations };
  }

  /* f_L(X; P_{>k}W) = (I − U Uᵀ) f_L(X; W), with the kept eigenvectors as the rows of U. */
  function highOutputs(U, f) {
    const n = f.length, high = f.slice();
    for (let start = 0; start < U.length; start += n) {
      const u = U.subarray(start, start + n), along = dot(u, f);
      for (let i = 0; i < n; i++) high[i] -= along * u[i];
    }
    return high;
  }

  // --- the regularised risk ---------------------------------------------------------------------

  /* L = (1/n) Σ_i (y_i − f(x_i))² + λ_2 R_2 with f = f_L + f_Q, f_L or f_Q ("joint", "linear",
     "quadratic") and R_2 = (1/n) Σ_i f_L(x_i; P_{>k}W)². */
  function valueAndGradient({ features, y, model, lambda, kept }, state) {
    const { linear, quadratic } = terms(features, state), n = y.length;
    const useLinear = model !== "quadratic", useQuadratic = model !== "linear";
    const residual = y.map((v, i) =>
      (useLinear ? linear[i] : 0) + (useQuadratic ? quadratic[i] : 0) - v);
    const high = highOutputs(kept, linear);
    const a = residual.map((v, i) => useLinear ? 2 / n * (v + lambda * high[i]) : 0);
    const b = residual.map((v) => useQuadratic ? 2 / n * v : 0);
    const gradient = pullBack(features, a, b);
    return { train: meanSquare(residual), R_2: meanSquare(high), gradient };
  }

  // --- gradient flow: Runge, Kutta and Chebyshev ------------------------------------------------

  const DAMPING = 2 / 13, EPS = 2 ** -52;

  /* Fewest stages s ≥ 2 that are stable for a step h at spectral radius ρ. */
  const stagesFor = (h, rho) =>
    Math.max(2, Math.ceil(Math.sqrt(1 + h * rho * 1.5 / (1 - 2 * DAMPING / 15))));

  /* μ_j, ν_j, μ̃_j, γ̃_j of Sommeijer, Shampine and Verwer (1998), from T_j, T_j' and T_j'' at w_0. */
  function coefficients(s) {
    const w0 = 1 + DAMPING / s ** 2, T = [1, w0], T1 = [0, 1], T2 = [0, 0];
    for (let j = 2; j <= s; j++) {
      T2.push(4 * T1[j - 1] + 2 * w0 * T2[j - 1] - T2[j - 2]);
      T1.push(2 * T[j - 1] + 2 * w0 * T1[j - 1] - T1[j - 2]);
      T.push(2 * w0 * T[j - 1] - T[j - 2]);
    }
    const w1 = T1[s] / T2[s], b = T.map((_, j) => T2[j] / T1[j] ** 2);
    b[0] = b[1] = b[2];
    const mu = [0], nu = [0], muT = [b[1] * w1], gammaT = [0];
    for (let j = 2; j <= s; j++) {
      mu.push(2 * b[j] * w0 / b[j - 1]);
      nu.push(-b[j] / b[j - 2]);
      muT.push(2 * b[j] * w1 / b[j - 1]);
      gammaT.push(-(1 - b[j - 1] * T[j - 1]) * muT[j - 1]);
    }
    return { mu, nu, muT, gammaT };
  }

  /* y(t + h) from y(t) and f = F(y(t)): s − 1 calls of F. */
  function rkcStep(F, y, f, h, s) {
    const { mu, nu, muT, gammaT } = coefficients(s);
    let before = y, now = y.map((v, i) => v + h * muT[0] * f[i]);
    for (let j = 1; j < s; j++) {
      const next = F(now), rest = 1 - mu[j] - nu[j];
      for (let i = 0; i < next.length; i++) {
        next[i] = h * muT[j] * next[i] + mu[j] * now[i] + nu[j] * before[i] + rest * y[i]
          + h * gammaT[j] * f[i];
      }
      [before, now] = [now, next];
    }
    return now;
  }

  /* Root mean square of s and of t. */
  const blockRms = (y) => [y.subarray(0, y.length / 2), y.subarray(y.length / 2)]
    .map((block) => Math.sqrt(meanSquare(block)));

  /* Integrate ẏ = F(y) from y to the last of `times`; observe(time, state) at each of them, by
     cubic interpolation.  Local error ≤ atol + rtol·rms, in rms over s and over t.  Returns how
     it ended, and how often F was called. */
  function flow(F, y, times, observe, { rtol = 1e-3, atol = 1e-5, direction } = {}) {
    const tEnd = times.at(-1), mostStages = Math.max(2, Math.round(Math.sqrt(rtol / (10 * EPS))));
    let calls = 0, recorded = 0, t = 0, steps = 0, sinceRadius = 0, lastError = 0, lastH = 0;
    let v = direction ?? normal(0, 1)(y.length), rho = 0;
    const call = (state) => { calls += 1; return F(state); };
    const end = (outcome) => ({ outcome, calls, steps, time: t, state: y });

    /* ρ = max |eigenvalue| of F'(y), by power iteration on differences of F. */
    function estimateRadius(most) {
      const size = Math.sqrt(EPS) * Math.max(norm(y), 1), length = norm(v);
      v = v.map((x) => x / length);
      let last = 0;
      rho = 0;
      for (let k = 0; k < most; k++) {
        const w = call(y.map((x, i) => x + size * v[i]));
        for (let i = 0; i < w.length; i++) w[i] = (w[i] - f[i]) / size;
        [last, rho] = [rho, norm(w)];
        if (!(rho > 0 && Number.isFinite(rho))) break;
        v = w.map((x) => x / rho);
        if (Math.abs(rho - last) <= 0.01 * rho) break;
      }
      rho *= 1.1;
      sinceRadius = 0;
    }

    let f = call(y);
    estimateRadius(50);
    let h = rho > 0 ? 1 / rho : tEnd;
    const change = minus(call(y.map((x, i) => x + h * f[i])), f), rms = blockRms(y);
    const first = h * Math.max(...blockRms(change).map((c, i) => c / (atol + rtol * rms[i])));
    h = Math.min(tEnd, first > 0 ? h / (10 * Math.sqrt(first)) : tEnd);
    while (times[recorded] <= 0) observe(times[recorded++], y);

    while (t < tEnd) {
      if (!Number.isFinite(rho)) return end("diverged");
      if (h < 1e-12 * Math.max(t, 1)) return end("step underflow");
      h = Math.min(h, tEnd - t);
      let s = stagesFor(h, rho);
      while (s > mostStages) {
        h *= 0.9 * (mostStages / s) ** 2;
        s = stagesFor(h, rho);
      }
      const next = rkcStep(call, y, f, h, s), fNext = call(next);
      const e = y.map((x, i) => 0.8 * (x - next[i]) + 0.4 * h * (f[i] + fNext[i]));
      const [here, there] = [blockRms(y), blockRms(next)];
      let error = Math.max(...blockRms(e).map((x, i) =>
        x / (atol + rtol * Math.max(here[i], there[i]))));
      if (!(error <= 1)) {
        h *= Number.isFinite(error) ? Math.max(0.1, 0.8 * error ** (-1 / 3)) : 0.1;
        if (sinceRadius) estimateRadius(4);
        continue;
      }
      const ends = t + h >= tEnd * (1 - 1e-12);
      while (recorded < times.length && times[recorded] <= (ends ? tEnd : t + h)) {
        const theta = Math.min(1, (times[recorded] - t) / h);
        const a = theta * theta * (3 - 2 * theta), b = theta * (1 - theta) * h;
        observe(times[recorded++], y.map((x, i) => x + a * (next[i] - x)
          + b * ((1 - theta) * f[i] - theta * fNext[i])));
      }
      error = Math.max(error, 1e-8);
      let factor = 0.8 * error ** (-1 / 3);
      if (steps) factor = 0.8 * h / lastH * lastError ** (1 / 3) / error ** (2 / 3);
      t += h;
      [y, f, lastH, lastError] = [next, fNext, h, error];
      h *= Math.min(10, Math.max(0.1, factor));
      steps += 1;
      if (++sinceRadius >= 10) estimateRadius(4);
    }
    return end("reached end");
  }

  // --- a problem of the paper's kind, k = 1 -----------------------------------------------------

  const TESTS = 1000, PLACES = 31, PAIRS = 6, REACH = 3;
  const START = 0.3; // where f_Q trains alone: E|s_r|² = START², t = 0

  const defaults = {
    d: 32, n: 300, m: 600, target: "both", activation: "sine", lambda: 1, model: "joint", seed: 1,
  };

  /* How much of the dense and of the sparse part a target has; its mean square is 1. */
  const MIXES = { both: [Math.SQRT1_2, Math.SQRT1_2], dense: [1, 0], sparse: [0, 1] };

  /* The parts b·x and p_2(β·x) = √((d+2)/(2(d−1))) ((β·x)² − 1) at the rows of X. */
  function parts(X, d, b, beta) {
    const n = X.length / d, scale = Math.sqrt((d + 2) / (2 * (d - 1)));
    const rows = Array.from({ length: n }, (_, i) => X.subarray(i * d, (i + 1) * d));
    return [
      Float64Array.from(rows, (x) => dot(b, x)),
      Float64Array.from(rows, (x) => scale * (dot(beta, x) ** 2 - 1)),
    ];
  }

  /* Inputs along β: at each place z, |z| ≤ 3 and within the sphere, points with β·x = z, in pairs
     z β ± e, so that in their mean what is linear across β is 0; the same few e at each place. */
  function along(beta, d, draw) {
    const X = new Float64Array(PLACES * 2 * PAIRS * d);
    const reach = Math.min(REACH, 0.9 * Math.sqrt(d));
    const places = Array.from({ length: PLACES }, (_, i) => reach * (2 * i / (PLACES - 1) - 1));
    for (let pair = 0; pair < PAIRS; pair++) {
      const e = draw(d), overlap = dot(e, beta);
      e.forEach((v, k) => { e[k] = v - overlap * beta[k]; });
      const length = norm(e);
      places.forEach((z, place) => {
        const scale = Math.sqrt(d - z * z) / length, at = (place * PAIRS + pair) * 2 * d;
        for (let k = 0; k < d; k++) {
          X[at + k] = z * beta[k] + scale * e[k];
          X[at + d + k] = z * beta[k] - scale * e[k];
        }
      });
    }
    return { X, places };
  }

  /* Means over the points of each place. */
  const placeMeans = (f) => Array.from({ length: PLACES }, (_, i) =>
    f.subarray(i * 2 * PAIRS, (i + 1) * 2 * PAIRS).reduce((sum, v) => sum + v, 0) / (2 * PAIRS));

  /* All that a run needs, drawn from settings {d, n, m, target, activation, lambda, model, seed}. */
  function makeProblem({ d, n, m, target, activation, lambda, model, seed }) {
    const root = Math.sqrt(d), mix = MIXES[target];
    const b = onSphere(normal(seed, 10), 1, d, 1), beta = onSphere(normal(seed, 11), 1, d, 1);
    const X = onSphere(normal(seed, 12), n, d, root);
    const fresh = onSphere(normal(seed, 13), TESTS, d, root);
    const weights = onSphere(normal(seed, 14), m / 2, d, 1);
    const line = along(beta, d, normal(seed, 15));
    const mixed = (points) => {
      const [dense, sparse] = parts(points, d, b, beta);
      return dense.map((v, i) => mix[0] * v + mix[1] * sparse[i]);
    };
    const features = makeFeatures(X, weights, d, activation);
    const kept = topEigenvectors(gram(features), n, d + 1).vectors;
    const risk = { features, y: mixed(X), model, kept, lambda: model === "quadratic" ? 0 : lambda };
    const state = new Float64Array(m * d); // W = 0, where f_Q alone would stay for ever
    if (model === "quadratic") {
      state.set(normal(seed, 16)(m / 2 * d).map((v) => START * v / root));
    }
    return {
      risk, state, mix,
      test: { features: makeFeatures(fresh, weights, d, activation), y: mixed(fresh),
        parts: parts(fresh, d, b, beta) },
      line: { features: makeFeatures(line.X, weights, d, activation), places: line.places,
        target: placeMeans(mixed(line.X)) },
    };
  }

  /* The terms that fit: the other one is null. */
  const used = (model, { linear, quadratic }) => ({
    linear: model === "quadratic" ? null : linear,
    quadratic: model === "linear" ? null : quadratic,
  });

  /* What is measured of a state: losses, R_2, what each term has learned of each part,
     E[f p]/E[p²] (1 is all of it), and the fit along β.  Null: no such term, or no such part. */
  function measure({ risk, test, line, mix }, state) {
    const [train, fresh, profile] = [risk, test, line].map(({ features }) =>
      used(risk.model, terms(features, state)));
    const loss = ({ linear, quadratic }, y) => meanSquare(y.map((v, i) =>
      (linear ? linear[i] : 0) + (quadratic ? quadratic[i] : 0) - v));
    const share = (f, j) =>
      f && mix[j] ? dot(f, test.parts[j]) / (mix[j] * dot(test.parts[j], test.parts[j])) : null;
    return {
      train: loss(train, risk.y),
      test: loss(fresh, test.y),
      R_2: train.linear && meanSquare(highOutputs(risk.kept, train.linear)),
      linear_dense: share(fresh.linear, 0), linear_sparse: share(fresh.linear, 1),
      quadratic_dense: share(fresh.quadratic, 0), quadratic_sparse: share(fresh.quadratic, 1),
      profile: {
        linear: profile.linear && placeMeans(profile.linear),
        quadratic: profile.quadratic && placeMeans(profile.quadratic),
      },
    };
  }

  /* ẏ in steps of size 1 on all weights: twice as fast in pair coordinates. */
  const velocity = (risk) => (state) => valueAndGradient(risk, state).gradient.map((v) => -2 * v);

  /* Train from settings.  begin(line) tells the places along β and the target there, report(time,
     measurements) follows at times that are even in log(t + 1). */
  function train(settings, begin, report, { tEnd = 1000, count = 41 } = {}) {
    const problem = makeProblem(settings);
    const times = Array.from({ length: count }, (_, i) => (tEnd + 1) ** (i / (count - 1)) - 1);
    times[count - 1] = tEnd;
    begin({ places: problem.line.places, target: problem.line.target });
    return flow(velocity(problem.risk), problem.state, times, (time, state) =>
      report(time, measure(problem, state)));
  }

  return {
    defaults, makeFeatures, terms, gram, topEigenvectors, highOutputs, valueAndGradient, velocity,
    flow, parts, makeProblem, measure, train,
  };
}
