"""Records → matplotlib figures, chapter by chapter.  Nothing is computed here but means, bands and
positions.

Colours are Okabe and Ito's, the same quantity in the same colour throughout the book; λ runs along
a part of viridis, with λ = 0 in grey.  Every function returns a figure.
"""

from escape_ntk.chapters.cnn.figures import three_models
from escape_ntk.chapters.directions.figures import angles, four_movements, gaps, gram_spectra, leaks
from escape_ntk.chapters.end_to_end.figures import network_over_width, two_phases
from escape_ntk.chapters.joint.figures import explicit_solution, gap_over_samples
from escape_ntk.chapters.landscape.figures import bound_over_width, descent_over_time, escape_times
from escape_ntk.chapters.mlp.figures import loss_over_samples, network_thresholds
from escape_ntk.chapters.ntk_limits.figures import (
    eigenvalues_by_degree,
    live_staircase,
    staircase,
    width_and_laziness,
)
from escape_ntk.chapters.published_figure.figures import (
    figure_panels,
    finals_by_hypothesis,
    flow_over_descent,
    gram_spectrum,
    hypothesis_curves,
    lambda_colour,
    live_overlay,
    own_values,
    shares_over_time,
    what_each_penalty_does,
)
from escape_ntk.chapters.quadntk.figures import alone, construction, frozen_kernel, price, saddle
from escape_ntk.chapters.regularizer.figures import (
    penalty_ablation,
    sensitivity,
    sixteen_settings,
    where_to_cut,
)
from escape_ntk.chapters.sample_complexity.figures import (
    error_map,
    methods_by_dimension,
    thresholds_by_dimension,
)
from escape_ntk.chapters.setup.figures import remainder_orders
from escape_ntk.chapters.your_network.figures import methods_on_your_network, orders_of_remainder

__all__ = [
    "alone",
    "angles",
    "bound_over_width",
    "construction",
    "descent_over_time",
    "eigenvalues_by_degree",
    "error_map",
    "escape_times",
    "explicit_solution",
    "figure_panels",
    "finals_by_hypothesis",
    "flow_over_descent",
    "four_movements",
    "frozen_kernel",
    "gap_over_samples",
    "gaps",
    "gram_spectra",
    "gram_spectrum",
    "hypothesis_curves",
    "lambda_colour",
    "leaks",
    "live_overlay",
    "live_staircase",
    "loss_over_samples",
    "methods_by_dimension",
    "methods_on_your_network",
    "network_over_width",
    "network_thresholds",
    "orders_of_remainder",
    "own_values",
    "penalty_ablation",
    "price",
    "remainder_orders",
    "saddle",
    "sensitivity",
    "shares_over_time",
    "sixteen_settings",
    "staircase",
    "three_models",
    "thresholds_by_dimension",
    "two_phases",
    "what_each_penalty_does",
    "where_to_cut",
    "width_and_laziness",
]
