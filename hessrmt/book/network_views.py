"""Figures and tables of what has been measured of networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from hessrmt.book.tabular import Table

if TYPE_CHECKING:
    from hessrmt.curvature import Survey

__all__ = ["draw_index", "draw_spectra", "network_tables"]

_ANSWERS = {True: "yes", False: "no", None: "open"}
_NAMES = {"hessian": "H", "h0": "H₀", "h1": "H₁"}


def draw_spectra(ax: Axes, survey: Survey) -> None:
    """Draw the smoothed densities of H, H0 and H1, and the outliers of H as triangles.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where.
    survey : hessrmt.curvature.Survey
        Of the network.
    """
    spectra = survey.spectra
    low = min(s.lowest[0, 0] for s in spectra.values())
    high = max(s.highest[0, 0] for s in spectra.values())
    width = (high - low) / 80
    grid = np.linspace(low - 4 * width, high + 4 * width, 600)
    least = 0.1 / survey.size / width  # a quarter of a single eigenvalue's peak
    for part, name in _NAMES.items():
        ax.semilogy(grid, np.maximum(spectra[part].density(grid, width)[0], least / 10), label=name)
    apart = survey.outliers("hessian").values
    ax.plot(apart, np.full(apart.shape, 1.6 * least), "k^", markersize=6, label="outliers of H")
    ax.set(ylim=(least, 8 / width), ylabel="density")
    ax.legend(loc="upper right")


def draw_index(ax: Axes, survey: Survey, exact: ArrayLike | None = None) -> None:
    """Draw the share of eigenvalues of H below -c, its error, and the free prediction.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where; cut-offs c from a thousandth of the norm of H.
    survey : hessrmt.curvature.Survey
        Of the network.
    exact : array_like, optional
        All eigenvalues of H, to be counted beside.
    """
    cut = survey.norm("hessian") * np.geomspace(1e-3, 1, 25)
    value, error = survey.spectra["hessian"].cdf(-cut)
    free = survey.prediction(-cut)[0]
    ax.fill_between(cut, np.maximum(value - error, 0), value + error, alpha=0.25)
    ax.semilogx(cut, value, label="measured")
    ax.semilogx(cut, free, label="if free")
    if exact is not None:
        counted = np.mean(np.asarray(exact) < -cut[:, None], axis=1)
        ax.semilogx(cut[::3], counted[::3], "ko", label="all eigenvalues")
    ax.set_yscale("symlog", linthresh=2 / survey.size)
    ax.set(ylim=(-0.3 / survey.size, 1), ylabel="share below −c")
    ax.legend(loc="upper right")


def network_tables(surveys: Mapping[str, Survey], outputs: Mapping[str, int]) -> Mapping[str, Any]:
    """Make the tables of a few networks, or of one at several stages.

    Parameters
    ----------
    surveys : dict of str to Survey
        By name.
    outputs : dict of str to int
        By name, how many numbers the model returns for an example.

    Returns
    -------
    dict of str to Table
        "sizes", "assumptions" and "moments".
    """
    from hessrmt.curvature import check_assumptions

    rows = surveys.values()
    sizes: dict[str, list[Any]] = {
        "stage": list(surveys),
        "parameters": [s.size for s in rows],
        "loss": [s.loss for s in rows],
        "norm of H₀": [s.norm("h0") for s in rows],
        "norm of H₁": [s.norm("h1") for s in rows],
        "outliers of H₀": [s.outliers("h0").values.size for s in rows],
        "outputs": [outputs[name] for name in surveys],
    }
    tested = [
        (name, a.text, a.value, a.error, a.expected, _ANSWERS[a.holds])
        for name, s in surveys.items()
        for a in check_assumptions(s)
    ]
    moments = [
        (name, row.word, row.moment, row.free, row.z)
        for name, s in surveys.items()
        for row in s.moments
    ]
    return {
        "sizes": Table(sizes, formats={"loss": ".4f"}),
        "assumptions": Table(
            _columns(tested, "stage", "assumption", "measured", "error", "if it held", "holds"),
            formats={"measured": ".4g", "error": ".3g", "if it held": ".3g"},
        ),
        "moments": Table(
            _columns(moments, "stage", "word", "measured", "if free", "z"),
            formats={"measured": ".2e", "if free": ".2e", "z": ".0f"},
        ),
    }


def _columns(rows: list[Any], *heads: str) -> dict[str, Any]:
    return dict(zip(heads, zip(*rows, strict=True), strict=True))
