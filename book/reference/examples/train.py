"""Gradient flow and descent on one problem, and a measurement of one's own."""

from escape_ntk.risk.problem import dense_plus_sparse_problem
from escape_ntk.risk.regularizer import Penalties
from escape_ntk.training import train as t

assert t.METHODS == ("flow", "descent")
problem = dense_plus_sparse_problem(d=8, n=60, m=200)
size = {"t_end": 200.0, "n_times": 9}
runs = [
    t.train(problem, Penalties(empirical=1.0), method=method, **size)
    for method in t.METHODS
]
ends = [float(run.values["test"][-1]) for run in runs]
assert ends[0] < 0.9 and abs(ends[0] / ends[1] - 1) < 0.01
assert runs[0].times[-1] == runs[1].times[-1] == 200

own = t.train(problem, measure=lambda state: {"size": state.norm()}, **size)
assert own.values["size"][0] == 0 and own.values["size"][-1] > 0
