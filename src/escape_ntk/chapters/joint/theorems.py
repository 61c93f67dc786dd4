"""What the statements of the chapter *Joint learning* assume."""

from dataclasses import replace

from escape_ntk.chapters.joint import chapter
from escape_ntk.study import computed_checks as p
from escape_ntk.study.hypotheses import Hypothesis as H
from escape_ntk.study.hypotheses import changed
from escape_ntk.study.recurring_hypotheses import (
    CONSTRUCTION,
    HIGH,
    LABELS,
    LINEAR,
    NEARLY_ODD,
    ON_SPHERE,
    POPULATION,
    SLOPES,
    UNIT_WEIGHTS,
    WIDE,
    below,
    hermite,
)
from escape_ntk.study.theorems import Entry

chapter.assume(
    Entry(
        "thm-joint",
        (
            ON_SPHERE,
            UNIT_WEIGHTS,
            SLOPES,
            *CONSTRUCTION[2:],
            H(
                r"$\zeta_\ell>0$, $\ell\le k$",
                p.positive_eigenvalues(lambda k: range(k + 1)),
                LINEAR,
            ),
            H(
                r"a spectral gap: $\min_{\ell\le k}\zeta_\ell>\max_{\ell>k}\zeta_\ell$",
                p.spectral_gap,
                NEARLY_ODD,
            ),
            H(
                r"$f^*$ of degree $\le k$, and one harmonic of degree $k+1$",
                p.dense_plus_sparse,
                changed(extra_degree=1),
            ),
            replace(POPULATION, words=r"$P_{\le k}$ is the population's projector"),
            hermite(
                1,
                lambda k: range(k),
                r"norms: $\mu_j(\sigma')\ne0$, $j\le k-1$",
            ),
            hermite(2, below, r"norms: $\mu_j(\sigma'')\ne0$, $j\le k-1$, $j\equiv k-1$"),
            WIDE,
            replace(HIGH, words=r"norms: $d\to\infty$"),
        ),
    ),
    Entry(
        "thm-bound",
        (
            replace(ON_SPHERE, words=r"$x_i$ independent, uniform on $S^{d-1}(\sqrt d)$"),
            LABELS,
            H("radii fixed in advance", p.radii_in_advance, changed(radii="fitted")),
        ),
    ),
)
