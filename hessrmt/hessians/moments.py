r"""Mixed moments of H0 and H1 of a ReLU network: why the two are not free.

Let the residuals be independent N(0, 2 epsilon), W1 and W2 have entries N(0, 1/n), the m = 2n/phi
examples N(0, 1), and :math:`S_k = XD_kX^T/m` with :math:`D_k` the diagonal 0-1 matrix of the
examples on which unit k is active. Averaged over the residuals, :math:`H_1^2` has the block
:math:`\epsilon\phi\,S_k` on the incoming weights of unit k, where H0 has
:math:`|w_k|^2S_k`: *the same matrix*. With A = H0, B = H1 and tau the normalised trace,

.. math::
   \tau(A) &= \tfrac12, \qquad \tau(BB) = \tfrac12\epsilon\phi, \\
   \tau(ABB) &= (1 + \tfrac\phi2)\,\tau(A)\,\tau(BB), \\
   \tau(ABAB) &= (1 + \phi)\,\tau(A)^2\,\tau(BB)

as n grows at fixed phi. Both factors are 1 for free variables (tau(B) = 0): the parts of the
Hessian are free only as phi tends to 0. From :math:`\tau(S_k^2) = \frac14(1 + \phi)` and
:math:`\tau(S_k) = \frac12` both follow, the first as the mean of the two layers,
:math:`\frac12(\epsilon\phi\,\frac{1+\phi}4 + \frac{\epsilon\phi}2\cdot\frac12)`. Moreover
:math:`\tau((A+B)^3)` exceeds its free value by :math:`3\tau(ABB) - 3\tau(A)\tau(BB) =
\frac38\epsilon\phi^2`. Own results, not in the paper, which assumes freeness (section 5).
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hessrmt.hessians._activations import activation_functions
from hessrmt.validation import real, real_array

__all__ = ["MOMENT_WORDS", "MomentRatio", "limiting_moments", "moment_ratios", "network_moments"]

Real: TypeAlias = NDArray[np.float64]

MOMENT_WORDS = ("A", "BB", "ABB", "ABAB")
"""The moments of this module, in their order; A is H0 and B is H1."""


class MomentRatio(NamedTuple):
    """A mixed moment over its free value, with a standard error."""

    word: str
    ratio: float
    error: float


def limiting_moments(phi: float, epsilon: float) -> Real:
    r"""Moments of `MOMENT_WORDS` as n grows, in the module's formulas.

    The part :math:`(Ef)^2/2` of tau(A) that n eigenvalues of order n carry is included.

    Parameters
    ----------
    phi : float
        2n/m, positive.
    epsilon : float
        Energy, >= 0.

    Returns
    -------
    (4,) ndarray of float64

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain.

    Examples
    --------
    >>> limiting_moments(0.5, 0.4)
    array([0.5   , 0.1   , 0.0625, 0.0375])
    """
    phi, epsilon = real("phi", phi, "(0, inf)"), real("epsilon", epsilon, "[0, inf)")
    square = epsilon * phi / 2
    return np.array([0.5, square, (1 + phi / 2) * square / 2, (1 + phi) * square / 4])


def network_moments(x: ArrayLike, W1: ArrayLike, W2: ArrayLike, epsilon: float) -> Real:
    r"""Moments of `MOMENT_WORDS` of a ReLU network, averaged over its residuals exactly.

    With :math:`V = W_2^TW_2`, :math:`a = AA^T/m` for the activations A, :math:`S_{kl} =
    XD_kD_lX^T/m` and :math:`c_{kl} = X D_l A_k/m`,

    .. math::
       2n^2\,\tau(H_0) &= \textstyle\sum_k V_{kk} \operatorname{tr}S_k + n\operatorname{tr}a, \\
       2n^2\,\tau(H_1^2) &= \tfrac{2\epsilon}m\, 2n \textstyle\sum_k \operatorname{tr}S_k, \\
       2n^2\,\tau(H_0H_1^2) &= \tfrac{2\epsilon}m\, n \textstyle\sum_k \big(V_{kk}
           \operatorname{tr}S_k^2 + a_{kk} \operatorname{tr}S_k\big), \\
       2n^2\,\tau(H_0H_1H_0H_1) &= \tfrac{4\epsilon}m \textstyle\sum_{kl} V_{kl} \big(
           n\, a_{kl} \operatorname{tr}S_{kl}^2 + c_{lk}^TS_{kl}c_{kl}\big),

    which takes n^2 m^2 operations, not the n^6 of products of Hessians.

    Parameters
    ----------
    x : (n, m) array_like
        Examples, one a column.
    W1, W2 : (n, n) array_like
        Layers.
    epsilon : float
        Energy: the residuals are independent N(0, 2 epsilon).

    Returns
    -------
    (4,) ndarray of float64

    Raises
    ------
    TypeError, ValueError
        If an argument has another shape, or is outside its domain.

    Examples
    --------
    >>> network_moments([[1.0]], [[1.0]], [[2.0]], 0.5)  # H0 = [[4, 2], [2, 1]], H1 = e sigma_x
    array([2.5, 1. , 2.5, 8. ])
    """
    x, W1, W2 = real_array("x", x), real_array("W1", W1), real_array("W2", W2)
    epsilon = real("epsilon", epsilon, "[0, inf)")
    if x.ndim != 2 or not x.size:
        raise ValueError(f"x must have shape (n, m), got {x.shape}")
    n, m = x.shape
    for name, W in (("W1", W1), ("W2", W2)):
        if W.shape != (n, n):
            raise ValueError(f"{name} must have shape ({n}, {n}), as x has {n} rows, got {W.shape}")
    f, slope = activation_functions("relu")
    h, d = f(W1 @ x), slope(W1 @ x)
    V, a, gram = W2.T @ W2, h @ h.T / m, x.T @ x / m
    squared = gram**2
    trace, norm = d @ np.diag(gram), np.einsum("km,kp,mp->k", d, d, squared, optimize=True)
    seen = np.empty((n, n, m))  # gram D_k A_l
    straight = np.empty((n, n))  # tr S_kl^2
    for k in range(n):
        both = d[k] * d
        straight[k] = np.sum((both @ squared) * both, axis=1)
        seen[k] = (d[k] * h) @ gram
    crossed = np.einsum("klm,lkm,km,lm->kl", seen, seen, d, d, optimize=True) / m
    noise = 2 * epsilon / m
    traces = np.array(
        [
            np.diag(V) @ trace + n * np.trace(a),
            noise * 2 * n * trace.sum(),
            noise * n * (np.diag(V) @ norm + np.diag(a) @ trace),
            noise * 2 * np.sum(V * (n * a * straight + crossed)),
        ]
    )
    return np.asarray(traces / (2 * n * n))


def moment_ratios(moments: ArrayLike) -> tuple[MomentRatio, MomentRatio]:
    r"""Mean mixed moments over products of means: 1 for free variables, if n is large.

    .. math:: &\frac{\tau(ABB)}{\tau(A)\tau(BB)}, \\
              &\frac{\tau(ABAB)}{\tau(A)^2\tau(BB)}

    Parameters
    ----------
    moments : (draws, 4) array_like
        Of independent networks, at least 3: `network_moments`, or `hessrmt.spectra.mixed_moments`
        of dense Hessians, for `MOMENT_WORDS`.

    Returns
    -------
    tuple of MomentRatio
        For the words ABB and ABAB; standard errors by the jackknife.

    Raises
    ------
    TypeError, ValueError
        If `moments` has another shape, or moments of A or BB are not positive.

    Examples
    --------
    >>> rows = moment_ratios([[1.0, 2.0, 3.0, 2.0]] * 3)
    >>> [(row.word, row.ratio, row.error) for row in rows]
    [('ABB', 1.5, 0.0), ('ABAB', 1.0, 0.0)]
    """
    sample = real_array("moments", moments)
    if sample.ndim != 2 or sample.shape[1] != 4 or len(sample) < 3:
        raise ValueError(f"moments must have shape (draws >= 3, 4), got {sample.shape}")
    if not (sample[:, :2] > 0).all():
        raise ValueError("moments must be positive for the words A and BB")

    def ratios(means: Real) -> Real:
        a, bb, abb, abab = means.T
        return np.stack([abb / (a * bb), abab / (a**2 * bb)], axis=-1)

    draws = len(sample)
    values = ratios(sample.mean(axis=0))
    without_one = ratios((sample.sum(axis=0) - sample) / (draws - 1))
    errors = np.sqrt((draws - 1) * without_one.var(axis=0))
    abb, abab = (
        MomentRatio(word, float(value), float(error))
        for word, value, error in zip(MOMENT_WORDS[2:], values, errors, strict=True)
    )
    return abb, abab
