"""One problem, trained with and without R_2, and what was learned."""

import torch

from escape_ntk.models.data import (
    dense_plus_sparse,
    draw_inputs,
    random_direction,
    sparse_part,
)
from escape_ntk.models.network import activation, draw_weights
from escape_ntk.risk import problem as p
from escape_ntk.risk.regularizer import Penalties
from escape_ntk.training.flow import gradient_flow

g = torch.Generator().manual_seed(0)
d, n, m = 8, 60, 400
line, square = (
    sparse_part(random_direction(d, g), degree, "sphere") for degree in (1, 2)
)
weights = draw_weights(m, d, g)
X, fresh = (draw_inputs(count, d, "sphere", g) for count in (n, 1000))
act = activation("sigmoid(z-1)")
problem = p.Problem(
    dense_plus_sparse(line, square), weights, act, X, fresh, n_k=d + 1
)
assert problem.law in p.CLOSED_FORMS and problem.leak is problem.leak
assert problem.test.X is fresh and len(problem.features) == len(problem.y) == n

found = {}
for weight in (0.0, 10.0):
    run = gradient_flow(
        problem.risk(Penalties(empirical=weight)),
        problem.zero_state(),
        t_end=2000,
        record_at=[2000],
        observe=problem.losses,
    )
    found[weight] = problem.sizes(run.state) | problem.shares(run.state)
    off = run.values["test"][-1], problem.losses(run.state)["test"]
    assert abs(off[0] - off[1]) < 1e-6
# With R_2 f_L leaves the learnable directions less, and f_Q learns more.
assert found[10.0]["R_2"] < found[0.0]["R_2"]
assert found[10.0]["quadratic_1"] > found[0.0]["quadratic_1"]
assert problem.projector.n_k == d + 1
assert abs(p.mean_square(torch.tensor([3.0, 4.0])) - 12.5) < 1e-6

# The same kind of problem, drawn in one call; all that is measured along a run.
drawn = p.dense_plus_sparse_problem(d=6, n=40, m=100, label_noise=0.5)
assert isinstance(drawn, p.Problem) and "n = 40" in repr(drawn)
measured = drawn.measure(drawn.zero_state())
assert measured["test"] == drawn.losses(drawn.zero_state())["test"]
