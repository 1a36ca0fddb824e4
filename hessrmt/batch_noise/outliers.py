r"""Outliers and resolvents of a matrix under freely independent noise.

The Hessian of a loss on a batch is modelled as :math:`H_b = A + s X`: the true Hessian A, a bulk
and finitely many outliers :math:`\theta_j`, plus noise X in general position to it, scaled by
s(b) (Baskerville et al. 2022). With R the R-transform of X and :math:`G_A` the Stieltjes
transform of the bulk, the noise moves a point :math:`\theta` off the spectrum of A to

.. math:: \Psi(\theta) = \theta + s R\big(s\,G_A(\theta)\big),

and the subordination function :math:`\omega` inverts it: in matrix form, in the mean,
:math:`(z - A - sX)^{-1} \approx (\omega(z) - A)^{-1}` (Biane 1998). A pole of the right-hand side
at an outlier is a pole of the left-hand side at :math:`\Psi(\theta)`, as long as that lies outside
the bulk of the sum. For A with no bulk, :math:`G_A(\theta) = 1/\theta`, this is the transition of
Baik, Ben Arous & Péché (2005).

Everything is computed in F = 1/G (see `hessrmt.laws._transforms`): with :math:`\psi_A` the inverse
of :math:`F_A` and :math:`\psi` that of the sum, :math:`\Psi = \psi\circ F_A` and
:math:`\omega = \psi_A\circ F`, and the critical points of :math:`\psi` are known from the edges of
the sum.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hessrmt.laws import SpectralLaw
from hessrmt.validation import choice, real, real_array

__all__ = ["outlier_overlap", "outlier_position", "outlier_threshold", "subordination"]

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]


def outlier_position(
    theta: ArrayLike, noise: SpectralLaw, scale: float = 1.0, *, bulk: SpectralLaw | None = None
) -> Real:
    r"""Where the noise moves outliers :math:`\theta` of a matrix.

    .. math:: \lambda = \theta + s R(s\,G_A(\theta))
              = \theta + s\kappa_1 + \frac{s^2\kappa_2}\theta + \frac{s^3\kappa_3}{\theta^2} + \dots

    with the free cumulants of the noise; the series is that of a bulk at zero.

    Parameters
    ----------
    theta : array_like of float, any shape
        Outliers of A, outside the spectrum of its bulk, of either sign.
    noise : SpectralLaw
        Law of X.
    scale : float
        The factor s, >= 0.
    bulk : SpectralLaw, optional
        Law of A without its outliers; all at zero unless given.

    Returns
    -------
    ndarray of float64, the shape of `theta`
        The outliers of A + s X; nan for those that have merged with its bulk.

    Raises
    ------
    TypeError, ValueError
        For arguments outside their domains, a `theta` inside the bulk included.

    Examples
    --------
    Under a semicircle of standard deviation s an outlier moves to theta + s^2/theta if it is
    beyond s:

    >>> from hessrmt import Semicircle
    >>> outlier_position([-2.0, 0.5, 1.0], Semicircle(), scale=0.8)
    array([-2.32,   nan,  1.64])
    """
    F, total, _ = _outliers(theta, noise, scale, bulk)
    value, _ = total._transform.psi(F.astype(np.complex128))
    return np.where(_separate(F, total), value.real, np.nan)[()]


def outlier_overlap(
    theta: ArrayLike, noise: SpectralLaw, scale: float = 1.0, *, bulk: SpectralLaw | None = None
) -> Real:
    r"""Squared overlap of the eigenvectors of outliers with and without noise.

    .. math:: \langle v, u\rangle^2 = \frac1{\omega'(\lambda)}
              = 1 + s^2 R'(s\,G_A(\theta))\,G_A'(\theta),

    the residue of the resolvent (Benaych-Georges & Nadakuditi 2011 for a bulk at zero).

    Parameters
    ----------
    theta, noise, scale, bulk
        As in `outlier_position`.

    Returns
    -------
    ndarray of float64, the shape of `theta`
        Between 0 and 1; 0 for outliers that have merged with the bulk.

    Raises
    ------
    TypeError, ValueError
        As in `outlier_position`.

    Examples
    --------
    >>> from hessrmt import Semicircle
    >>> outlier_overlap([0.5, 1.0, 2.0], Semicircle(), scale=0.8).round(6)  # 1 - s^2/theta^2
    array([0.  , 0.36, 0.84])
    """
    F, total, bulk = _outliers(theta, noise, scale, bulk)
    (_, slope), (_, before) = (law._transform.psi(F.astype(np.complex128)) for law in (total, bulk))
    return np.where(_separate(F, total), (slope / before).real, 0.0)[()]


def outlier_threshold(
    noise: SpectralLaw,
    scale: float = 1.0,
    *,
    bulk: SpectralLaw | None = None,
    side: str = "right",
) -> float:
    r"""The outlier that the noise moves exactly to the edge of the bulk.

    Outliers of A beyond it stay outside the bulk of A + s X, those before it merge. It is the
    outermost critical point of :math:`\Psi`: at it the overlap vanishes.

    Parameters
    ----------
    noise, scale, bulk
        As in `outlier_position`.
    side : {"right", "left"}
        Which edge: outliers above the bulk, or below it.

    Returns
    -------
    float
        In the unit of the bulk. Noise that is not centred may make it negative on the right, or
        positive on the left. Without noise it is the edge of the bulk.

    Raises
    ------
    TypeError, ValueError
        For arguments outside their domains.

    Examples
    --------
    >>> from hessrmt import MarchenkoPastur
    >>> [outlier_threshold(MarchenkoPastur(0.25), side=side) for side in ("left", "right")]
    [-0.25, 0.75]
    """
    side = choice("side", side, "right | left")
    total, bulk = _laws(noise, scale, bulk)
    gaps = total._transform.gaps
    if len(gaps) == 1:  # a point mass, whose F is the distance from it
        return total.mean()
    F = gaps[-1].low if side == "right" else gaps[0].high
    return float(bulk._transform.psi(np.array(F, dtype=np.complex128))[0].real)


def subordination(
    z: ArrayLike, noise: SpectralLaw, scale: float = 1.0, *, bulk: SpectralLaw | None = None
) -> Complex:
    r"""The function :math:`\omega` with :math:`(z - A - sX)^{-1} \approx (\omega(z) - A)^{-1}`.

    .. math:: &z = \omega + s R(s\,G_A(\omega)), \\
              &G_{A+sX}(z) = G_A(\omega(z)) .

    At z = -d below the spectrum :math:`-\omega(-d)` is the *effective damping* of an inverse that
    is damped by d: the mean of :math:`(A + sX + d)^{-1}` is :math:`(A - \omega(-d))^{-1}`.

    Parameters
    ----------
    z : array_like of complex, any shape
        On the real axis the result is the limit from the upper half-plane.
    noise, scale, bulk
        As in `outlier_position`.

    Returns
    -------
    ndarray of complex128, the shape of `z`

    Raises
    ------
    TypeError, ValueError
        For arguments outside their domains.

    Examples
    --------
    Noise on a damped inverse takes away damping, here one quarter of it:

    >>> from hessrmt import Semicircle
    >>> float(-subordination(-2.0, Semicircle(), scale=np.sqrt(0.75)).real.round(6))
    1.5
    """
    total, bulk = _laws(noise, scale, bulk)
    with np.errstate(divide="ignore", invalid="ignore"):
        F = np.asarray(1 / total.stieltjes(z))  # 0 at an atom
        return np.asarray(bulk._transform.psi(F)[0])[()]


def _laws(
    noise: SpectralLaw, scale: float, bulk: SpectralLaw | None
) -> tuple[SpectralLaw, SpectralLaw]:
    """The laws of A + s X and of A."""
    for name, law in (("noise", noise), ("bulk", noise if bulk is None else bulk)):
        if not isinstance(law, SpectralLaw):
            raise TypeError(f"{name} must be a SpectralLaw, got {law!r}")
    scaled = real("scale", scale, "[0, inf)") * noise
    return (scaled, SpectralLaw([0.0])) if bulk is None else (bulk + scaled, bulk)


def _outliers(
    theta: ArrayLike, noise: SpectralLaw, scale: float, bulk: SpectralLaw | None
) -> tuple[Real, SpectralLaw, SpectralLaw]:
    """F of the bulk at the outliers, which is that of the sum at their images; the two laws."""
    theta = real_array("theta", theta)
    total, bulk = _laws(noise, scale, bulk)
    inside = np.zeros(theta.shape, dtype=bool)
    for low, high in (*bulk.support(), *((place, place) for place, _ in bulk.atoms())):
        inside |= (theta >= low) & (theta <= high)
    if inside.any():
        first = float(theta[inside].flat[0])
        raise ValueError(f"theta must be outside the spectrum of bulk, got {first!r}")
    return np.asarray((1 / bulk.stieltjes(theta)).real), total, bulk


def _separate(F: Real, total: SpectralLaw) -> NDArray[np.bool_]:
    """Whether F belongs to a point off the continuous spectrum of the sum."""
    apart = np.zeros(F.shape, dtype=bool)
    for gap in total._transform.gaps:
        apart |= (gap.low < F) & (gap.high > F)
    return apart
