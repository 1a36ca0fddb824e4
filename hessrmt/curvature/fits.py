"""Laws held against measured spectra: the free sum of two of them, and fits of a family."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import least_squares

from hessrmt.curvature.spectrum import Spectrum
from hessrmt.laws import SpectralLaw
from hessrmt.spectra import free_sum_cdf
from hessrmt.validation import real_array

__all__ = ["ScaleFit", "fit_scale", "free_prediction_cdf"]

Real: TypeAlias = NDArray[np.float64]


def free_prediction_cdf(a: Spectrum, b: Spectrum, x: ArrayLike) -> tuple[Real, Real]:
    """Distribution function of the free sum of two measured spectra.

    Parameters
    ----------
    a, b : Spectrum
        Of the two parts.
    x : array_like, any shape
        Where.

    Returns
    -------
    value, error : ndarray of float64, the shape of `x`
        The error is that of the random starts alone, by the jackknife: zero for exact spectra, nan
        for one start.

    Raises
    ------
    TypeError, ValueError, RuntimeError
        As `hessrmt.free_sum_cdf`.

    Examples
    --------
    >>> from hessrmt import lanczos_spectrum
    >>> coin = lanczos_spectrum(np.diag([-1.0, 1.0]), rng=0)
    >>> free_prediction_cdf(coin, coin, [-3.0, 1.0])[0].round(4)  # the arcsine law
    array([0.    , 0.6667])
    """
    x = real_array("x", x)

    def of(a: Spectrum, b: Spectrum) -> Real:
        (places_a, masses_a), (places_b, masses_b) = a.quadrature(), b.quadrature()
        return free_sum_cdf(places_a, places_b, x, masses_a=masses_a, masses_b=masses_b)

    variance = _jackknife(a, lambda s: of(s, b)) + _jackknife(b, lambda s: of(a, s))
    return of(a, b), np.broadcast_to(np.sqrt(variance), x.shape)


@dataclass(frozen=True)
class ScaleFit:
    """A fitted law.

    Attributes
    ----------
    law : SpectralLaw
    parameters, errors : dict of str to float
        Values and their uncertainties: of the random starts, and as large as the misfit allows.
    distance : float
        Root mean square difference of the distribution functions over the spectrum: how good it
        is.
    """

    law: SpectralLaw
    parameters: dict[str, float]
    errors: dict[str, float]
    distance: float


def fit_scale(law_family: Callable[..., SpectralLaw], spectrum: Spectrum) -> ScaleFit:
    r"""Fit the positive parameters of a family of laws to a measured spectrum.

    The distribution functions are compared at quantiles of the measured one, and the sum of
    squares is minimised over the logarithms of the parameters. A few outliers have little weight
    in it, unlike in a fit of moments.

    Parameters
    ----------
    law_family : callable
        Such as `hessrmt.MarchenkoPastur`: takes positive parameters, returns a law. Its required
        parameters are fitted, and those with a float as default.
    spectrum : Spectrum
        The measured one.

    Returns
    -------
    ScaleFit

    Raises
    ------
    TypeError, ValueError
        If the family has no parameters to fit, or no law of it is near.

    Examples
    --------
    >>> from hessrmt import MarchenkoPastur, lanczos_spectrum
    >>> law = MarchenkoPastur(0.5, 3.0)
    >>> s = lanczos_spectrum(np.diag(law.ppf((np.arange(400) + 0.5) / 400)), 100, 4, rng=0)
    >>> fit = fit_scale(MarchenkoPastur, s)
    >>> {name: round(value, 2) for name, value in fit.parameters.items()}
    {'phi': 0.5, 'sigma': 3.0}
    """
    if not callable(law_family):
        raise TypeError(f"law_family must be a callable, got {type(law_family).__name__}")
    if not isinstance(spectrum, Spectrum):
        raise TypeError(f"spectrum must be a Spectrum, got {type(spectrum).__name__}")
    given = inspect.signature(law_family).parameters.values()
    names = [p.name for p in given if p.default is p.empty or isinstance(p.default, float)]
    if not names:
        raise ValueError("law_family must have parameters to fit, got none")

    def fitted(s: Spectrum, start: Real) -> Any:
        x = _quantiles(s, np.arange(1, 100) / 100)
        x = np.unique(np.where(np.abs(x) <= s.cutoff, s.cutoff, x))  # an atom at 0: once, above it
        wanted = s.cdf(x)[0]

        def residual(logs: Real) -> Real:
            values = np.exp(np.clip(logs, -30, 30))
            return np.asarray(law_family(**dict(zip(names, values, strict=True))).cdf(x) - wanted)

        return least_squares(residual, start, x_scale=0.1, diff_step=1e-4)

    scale = np.log(max(abs(spectrum.moment(1)[0]), np.sqrt(spectrum.moment(2)[0]) / 2))
    tries = [
        fitted(spectrum, np.array([scale if n == "sigma" else np.log(v) for n in names]))
        for v in (0.3, 1.0, 3.0)
    ]
    best = min(tries, key=lambda fit: float(fit.cost))
    variance = _jackknife(spectrum, lambda s: np.asarray(fitted(s, best.x).x))
    sensitivity = np.linalg.pinv(best.jac)
    misfit = np.linalg.norm(sensitivity, axis=1) * np.linalg.norm(best.fun)
    values, spread = np.exp(best.x), np.sqrt(np.nan_to_num(variance) + misfit**2)
    parameters = dict(zip(names, map(float, values), strict=True))
    errors = dict(zip(names, map(float, values * spread), strict=True))
    distance = float(np.sqrt(np.mean(best.fun**2)))
    return ScaleFit(law_family(**parameters), parameters, errors, distance)


def _quantiles(s: Spectrum, levels: Real) -> Real:
    """Places at which the measured distribution function takes these values."""
    places, masses = s.quadrature()
    order = np.argsort(places)
    above = np.cumsum(masses[order]) - masses[order] / 2
    return np.interp(levels, above, places[order])


def _jackknife(s: Spectrum, statistic: Callable[[Spectrum], Real]) -> Any:
    """Variance over the starts of a spectrum; 0 if it is exact, nan for a single start."""
    n = s.starts
    if n < 2:
        return np.nan if n else 0.0
    others = [replace(s, runs=s.runs[:i] + s.runs[i + 1 :]) for i in range(n)]
    return (n - 1) * np.var([statistic(other) for other in others], axis=0)
