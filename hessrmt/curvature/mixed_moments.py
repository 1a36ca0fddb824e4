r"""Are the two parts of a Hessian free? Mixed moments from products with random vectors.

The trace of a word of H0 (A) and H1 (B) is the mean of :math:`\langle v, ABAB\,v\rangle` over
random v (Hutchinson 1990, doi:10.1080/03610919008812866). Products are shared: every word up to
order four is an inner product of two of the six vectors that A and B make of v in two rounds. The
directions in which A and B are largest, which would dominate the noise, are summed exactly and the
random vectors taken in their complement (Meyer et al. 2021, arXiv:2010.09649).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.sparse.linalg import LinearOperator, aslinearoperator
from tqdm import tqdm

from hessrmt.curvature._lanczos import lanczos, nodes
from hessrmt.spectra import MixedMoment, free_moment, mixed_words
from hessrmt.validation import integer

__all__ = ["MeasuredMoment", "hutchinson_moments"]

Real: TypeAlias = NDArray[np.float64]

_DIRECTIONS = 8  # of A and of B that are summed exactly
_STEPS = 24  # of Lanczos' method to find them


@dataclass(frozen=True)
class MeasuredMoment(MixedMoment):
    r"""A mixed moment beside its free value, from products.

    As `hessrmt.MixedMoment`: `difference` is ``moment - free - finite_size``, and the null
    hypothesis that B is in Haar position to A. Its mean is then 0, with what rotation adds to ABAB
    at this size, :math:`\tau(\mathring A^2)\tau(\mathring B^2)\frac{P-2}{(P-1)(P+2)}` with
    traceless parts, as `finite_size`. `error` is its standard error: that of the random vectors
    (jackknife), and the fluctuation of one Haar rotation,
    :math:`2\operatorname{var}(A^p)\operatorname{var}(B^q)/((P-1)(P+2))` as variance for
    :math:`A^pB^q`, to leading order in 1/P for ABAB. `p_value` is two-sided by Student's t.

    Attributes
    ----------
    moment_error : float
        Standard error of `moment` itself.
    """

    moment_error: float = 0.0


def hutchinson_moments(
    h0: Any,
    hessian: Any,
    starts: int = 32,
    rng: Any = None,
    *,
    max_order: int = 4,
    progress: bool = False,
) -> list[MeasuredMoment]:
    r"""Mixed moments of H0 and H1 = H - H0 with their free values, and errors of both.

    Parameters
    ----------
    h0, hessian : LinearOperator or array_like
        Symmetric, of shape (P, P).
    starts : int
        Random vectors, >= 2. From P on all unit vectors are taken, and the moments are exact.
    rng : int, numpy.random.Generator or None
        Seed or generator of the vectors.
    max_order : int
        Longest words, 2 to 4. A vector takes 5 products with H and 5 with H0.
    progress : bool
        Whether to show, on standard error, the vectors done and the time left.

    Returns
    -------
    list of MeasuredMoment
        By order, then alphabetically, with letters A for H0 and B for H1;
        `hessrmt.first_violation` gives the first order that differs.

    Raises
    ------
    TypeError, ValueError
        For arguments outside their domains.

    Examples
    --------
    >>> A, B = np.diag([1.0, -1.0, 2.0]), np.diag([0.0, 1.0, 3.0])
    >>> rows = hutchinson_moments(A, A + B, max_order=2)
    >>> [(r.word, round(r.moment, 3), round(r.free, 3)) for r in rows]  # 5/3 and 2/3 * 4/3
    [('AB', 1.667, 0.889)]
    """
    h0, hessian = aslinearoperator(h0), aslinearoperator(hessian)
    if h0.shape != hessian.shape or h0.shape[0] != h0.shape[1]:
        raise ValueError(f"h0 must have the shape (P, P) of hessian, got {h0.shape}")
    starts = integer("starts", starts, "[2, inf)")
    max_order = integer("max_order", max_order, "[2, 4]")
    rng, size = np.random.default_rng(rng), int(h0.shape[0])
    words = [word for order in range(2, max_order + 1) for word in mixed_words(order)]
    powers = [letter * k for letter in "AB" for k in range(1, 7)]
    if size <= starts + 2 * _DIRECTIONS:
        fixed, free = np.eye(size, dtype=h0.dtype), 0
    else:
        fixed = _directions(h0, hessian, rng)
        free = size - len(fixed)
    vectors = [*fixed, *(_random(fixed, size, rng) for _ in range(starts if free else 0))]
    forms = np.array(
        [
            _quadratic_forms(h0, hessian, v, [*words, *powers])
            for v in tqdm(vectors, disable=not progress, unit="vector")
        ]
    )
    known, random = forms[: len(fixed)].sum(axis=0), forms[len(fixed) :]
    return _rows(words, known, random, size, free)


def _directions(h0: Any, hessian: Any, rng: np.random.Generator) -> Any:
    """Orthonormal rows along which A or B is large; any will do, good ones reduce the noise."""
    h1 = LinearOperator(
        h0.shape, matvec=lambda v: hessian.matvec(v) - h0.matvec(v), dtype=hessian.dtype
    )
    found = []
    for operator in (h0, h1):
        start = rng.standard_normal(h0.shape[0]).astype(h0.dtype)
        alpha: list[float] = []
        beta: list[float] = []

        def step(a: float, b: float, alpha: Any = alpha, beta: Any = beta) -> None:
            alpha.append(a)
            beta.append(b)

        none = np.empty((0, start.size), start.dtype)
        basis = lanczos(operator, start / np.linalg.norm(start), _STEPS, none, step)
        ritz = nodes(np.array(alpha), np.array(beta))
        largest = np.argsort(-np.abs(ritz.places))[:_DIRECTIONS]
        found.append(ritz.vectors[:, largest].T.astype(start.dtype) @ basis)
    return np.linalg.qr(np.concatenate(found).T)[0].T


def _random(fixed: Any, size: int, rng: np.random.Generator) -> Any:
    v = rng.standard_normal(size)
    for _ in range(2):
        v = v - fixed.T @ (fixed @ v)
        v = v / np.linalg.norm(v)
    return v.astype(fixed.dtype)


def _quadratic_forms(h0: Any, hessian: Any, v: Any, words: list[str]) -> Real:
    """<v, w v> of all words: the inner product of what its two halves make of v."""
    of = {"": v}
    for word in ("", "A", "B", "AA", "BB"):
        a, both = h0.matvec(of[word]), hessian.matvec(of[word])
        of["A" + word], of["B" + word] = a, both - a
    halves = [(w[: len(w) // 2][::-1], w[len(w) // 2 :]) for w in words]
    return np.array([float(np.dot(of[left], of[right])) for left, right in halves])


def _rows(
    words: list[str], known: Real, random: Real, size: int, free: int
) -> list[MeasuredMoment]:
    """Estimates with the differences of their parts, and jackknife errors."""

    def parts(mean: Real) -> Real:
        tau = (known + free * mean) / size
        moment, a, b = np.split(tau, [len(words), len(words) + 6])
        value = np.array([float(free_moment(word, a, b)) for word in words])
        finite = np.zeros(len(words))
        if "ABAB" in words and size > 2:
            spread = (a[1] - a[0] ** 2) * (b[1] - b[0] ** 2)
            finite[words.index("ABAB")] = spread * (size - 2) / ((size - 1) * (size + 2))
        return np.stack([moment, value, finite, moment - value - finite])

    n, zero = len(random), np.zeros_like(known)
    mean = random.mean(axis=0) if n else zero
    whole, errors, bias = parts(mean), zero[: len(words)], 0.0
    moment_errors = 1e-13 * np.abs(whole[0]) + np.finfo(float).tiny
    if n:
        left_out = np.array([parts((n * mean - row) / (n - 1)) for row in random])
        centre = left_out.mean(axis=0)
        spread = np.sqrt((n - 1) / n * np.sum((left_out - centre) ** 2, axis=0))
        moment_errors, errors = spread[0], spread[3]
        bias = (n - 1) * (centre[3] - whole[3])  # of products of estimates
    whole[3] -= bias
    tau = (known + free * mean) / size
    rotation = [_fluctuation(w, tau[len(words) : len(words) + 6], tau[-6:], size) for w in words]
    error = np.hypot(errors, rotation) + np.finfo(float).tiny
    z = whole[3] / error
    p_value = 2 * stats.t.sf(np.abs(z), n - 1) if n else 2 * stats.norm.sf(np.abs(z))
    columns = (*whole, error, z, p_value, moment_errors)
    return [
        MeasuredMoment(word, *map(float, row))
        for word, row in zip(words, np.transpose(columns), strict=True)
    ]


def _fluctuation(word: str, a: Real, b: Real, size: int) -> float:
    r"""Standard deviation over Haar rotations of the moment of a word, given both spectra.

    For f of A and g of B, both of mean 0, the variance of :math:`\tau(fg)` is
    :math:`2\tau(f^2)\tau(g^2)/((P-1)(P+2))`. With traceless parts, ABAB is a sum of such terms and
    of :math:`\tau(\mathring A\mathring B\mathring A\mathring B)`, whose variance tends to
    :math:`4\tau(\mathring A^2)^2\tau(\mathring B^2)^2/P^2`.
    """
    a, b = np.append(1.0, a), np.append(1.0, b)

    def covariance(m: Real, p: int, q: int) -> float:
        return float(m[p + q] - m[p] * m[q])

    if word != "ABAB":
        square = 2 * covariance(a, word.count("A"), word.count("A"))
        square *= covariance(b, word.count("B"), word.count("B"))
    else:  # what rotation changes, by two blocks: A (2a B^2 - 4ab B) + A^2 (2b B), of means a, b
        of_a, of_b = ([[covariance(m, p, q) for q in (1, 2)] for p in (1, 2)] for m in (a, b))
        factor = np.array([[-4 * a[1] * b[1], 2 * a[1]], [2 * b[1], 0.0]])
        square = 2 * float(np.sum(np.multiply(of_a, factor @ of_b @ factor.T)))
        square += 4 * (covariance(a, 1, 1) * covariance(b, 1, 1)) ** 2
    return float(np.sqrt(max(square, 0.0) / max((size - 1) * (size + 2), 1)))
