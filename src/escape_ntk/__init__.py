"""escape-ntk: the NTK, its second-order companion, and the directions that join them.

The paper's main job, a network taught by f_L + f_Q along good directions::

    import escape_ntk as en

    problem = en.dense_plus_sparse_problem(d=20, n=150, m=1000)
    free = en.train(problem)
    kept = en.train(problem, en.Penalties(empirical=10.0))
    print(free.values["test"][-1], kept.values["test"][-1])
    kept.plot("train", "test", "R_2")

``dir(escape_ntk)`` lists what there is; ``help(en.train)`` says how to use it.  Names arrive when
they are asked for: importing this package imports no PyTorch.
"""

import importlib

__version__ = "0.1.0"

_HOMES = {
    "models.data": ("RidgeSum", "Target", "draw_inputs", "draw_target", "published_target"),
    "models.network": ("Activation", "activation", "draw_weights"),
    "models.pairs": ("NetworkFeatures", "PairFeatures", "from_pairs", "to_pairs"),
    "models.modules": ("ModuleFeatures",),
    "kernels.ntk": ("KernelRidge", "empirical_ntk", "infinite_ntk"),
    "kernels.spectrum": ("ntk_spectrum",),
    "risk.constructions": ("represent_target",),
    "risk.generalization": ("gap_bound",),
    "risk.leaks": ("GaussianLeak", "SphereLeak"),
    "risk.problem": ("Problem", "dense_plus_sparse_problem"),
    "risk.projectors": ("PopulationProjector", "TrainingProjector", "spectral_steps"),
    "risk.regularizer": ("Penalties", "RegularizedRisk"),
    "training.curvature": ("lowest_curvature", "perturbed_descent"),
    "training.descent": ("gradient_descent",),
    "training.flow": ("gradient_flow",),
    "training.train": ("train",),
    "training.trajectory": ("Trajectory", "log_times"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}
__all__ = [*sorted(_HOME), "__version__"]


def __getattr__(name: str):
    if name in _HOME:
        return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
