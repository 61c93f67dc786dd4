"""Figures of the chapter *Setup*."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from escape_ntk.display.style import COLOURS, Run, in_style, new_axes, power_law


@in_style
def remainder_orders(sizes: Sequence[Run], scales: Sequence[Run]) -> Figure:
    """Remainder against the size of the movement; and at the scale m^{−1/4}, against m."""
    figure, axes = new_axes(2, 3.3)
    x = sizes[0].arrays["size"]
    power_law(axes[0], x, [r.arrays["first_order"] for r in sizes], COLOURS["linear"], "$f-f_L$", 2)
    power_law(
        axes[0],
        x,
        [r.arrays["second_order"] for r in sizes],
        COLOURS["remainder"],
        "$f-f_L-f_Q$",
        3,
    )
    axes[0].set(xlabel="rms movement of a neuron", ylabel="rms over inputs")
    m = scales[0].arrays["width"]
    power_law(
        axes[1],
        m,
        [r.arrays["remainder_same"] for r in scales],
        COLOURS["quadratic"],
        "all signs equal",
        -0.25,
    )
    power_law(
        axes[1],
        m,
        [r.arrays["remainder_random"] for r in scales],
        COLOURS["remainder"],
        "random signs",
        -0.5,
    )
    axes[1].set(xlabel="width $m$", ylabel="rms remainder", ylim=(0.003, 1.2))
    axes[0].legend(loc="lower right")
    axes[1].legend(loc="lower left")
    return figure
