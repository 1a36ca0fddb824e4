r"""Are two symmetric matrices freely independent? Rotated sums and mixed moments.

Tests, from coarse to sharp, of the assumption that the two parts H0 and H1 of the Hessian are free
(Pennington & Bahri 2017, section 5): the spectrum of A + B against that of A + Q B Q^T with Q Haar
orthogonal, as in their Figure 2, or against the free sum of the two spectra itself
(`hessrmt.spectra.free_sums`); and "partial freeness" (Chen, Van Voorhis & Edelman 2012,
arXiv:1204.2257), which they leave for future work: the first order at which a mixed moment differs
from its free value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations, pairwise, product
from math import prod
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from hessrmt.spectra.distances import precision
from hessrmt.spectra.ensembles import haar_orthogonal
from hessrmt.validation import generator, integer, real, real_array

__all__ = [
    "MixedMoment",
    "first_violation",
    "free_moment",
    "freeness_test",
    "mixed_moments",
    "mixed_words",
    "rotated_sum_eigenvalues",
]

Real: TypeAlias = NDArray[np.float64]


def rotated_sum_eigenvalues(A: ArrayLike, B: ArrayLike, draws: int, rng: Any = None) -> Real:
    r"""Eigenvalues of :math:`A + Q B Q^T` for independent Haar orthogonal Q.

    They are those of :math:`\operatorname{diag}(a) + Q \operatorname{diag}(b)\, Q^T`, with a and b
    the eigenvalues of A and B: one dense product a draw.

    Parameters
    ----------
    A, B : (n, n) array_like
        Symmetric matrices.
    draws : int
        Number of rotations, >= 1.
    rng : int, numpy.random.Generator or None
        Seed or generator of the rotations.

    Returns
    -------
    (draws, n) ndarray of float64
        Ascending in each row.

    Raises
    ------
    TypeError, ValueError
        If A or B is not symmetric, their shapes differ, or `draws` is not positive.

    Examples
    --------
    >>> rotated_sum_eigenvalues(2 * np.eye(3), np.diag([1.0, 2.0, 3.0]), 1, rng=0).round(9)
    array([[3., 4., 5.]])
    """
    tolerances = np.array([[precision(A)], [precision(B)]])
    A, B = _symmetric_pair("A", A, "B", B, "(n, n)")
    draws = integer("draws", draws, "[1, inf)")
    rng = generator("rng", rng)
    eigs, n = np.linalg.eigvalsh(np.stack([A, B])), len(A)
    size = np.abs(eigs)
    a, b = np.where(size > tolerances * size.max(axis=1, keepdims=True), eigs, 0.0)
    sums = np.empty((draws, n))
    for i in range(draws):
        sums[i] = np.linalg.eigvalsh(np.diag(a) + _rotated(b, rng))
    return sums


def mixed_words(order: int) -> tuple[str, ...]:
    """Words of that length with both letters A and B, one for each different trace.

    Rotation does not change the trace of a product, nor does reversal if the factors are
    symmetric: of these the alphabetically first word is listed.

    Parameters
    ----------
    order : int
        Length of the words, 2 to 12.

    Returns
    -------
    tuple of str

    Raises
    ------
    TypeError, ValueError
        If `order` is outside its domain.

    Examples
    --------
    >>> mixed_words(4)
    ('AAAB', 'AABB', 'ABAB', 'ABBB')
    """
    words = map("".join, product("AB", repeat=integer("order", order, "[2, 12]")))
    return tuple(w for w in words if len(set(w)) == 2 and w == min(_same_trace(w)))


def mixed_moments(A: ArrayLike, B: ArrayLike, words: Sequence[str]) -> Real:
    r"""Mixed moments, normalised traces :math:`\tau(ABB) = \operatorname{tr}(ABB)/n` of words.

    Parameters
    ----------
    A, B : (..., n, n) array_like
        Symmetric matrices, in batches of the same shape.
    words : sequence of str
        Of letters A and B, of any length >= 1.

    Returns
    -------
    (..., words) ndarray of float64

    Raises
    ------
    TypeError, ValueError
        If A or B is not symmetric, their shapes differ, or a word has other letters.

    Examples
    --------
    >>> mixed_moments(np.diag([1.0, 3.0]), np.diag([2.0, 4.0]), ["A", "AB", "ABAB"])
    array([ 2.,  7., 74.])
    """
    A, B = _symmetric_pair("A", A, "B", B, "(..., n, n)")
    if isinstance(words, str):
        raise TypeError(f"words must be a sequence of words, got {words!r}")
    words = [_word(f"words[{i}]", word) for i, word in enumerate(words)]
    moments = np.empty((*A.shape[:-2], len(words)))
    for pair in np.ndindex(A.shape[:-2]):
        factors = {"A": A[pair], "B": B[pair], "": np.eye(A.shape[-1])}

        def of(word: str, factors: dict[str, Real] = factors) -> Real:
            if word not in factors:
                reverse = factors.get(word[::-1])
                factors[word] = of(word[:-1]) @ of(word[-1]) if reverse is None else reverse.T
            return factors[word]

        for i, word in enumerate(words):  # the trace of a product costs no product
            half = (len(word) + 1) // 2
            moments[(*pair, i)] = np.sum(of(word[:half]) * of(word[half:]).T) / A.shape[-1]
    return moments


def free_moment(word: str, moments_a: ArrayLike, moments_b: ArrayLike) -> Real:
    r"""Mixed moment of two freely independent variables, from the moments of each.

    Mixed free cumulants vanish, so in the moment-cumulant formula over non-crossing partitions
    every block is of one letter. Summed over the block that holds the first letter (others of the
    same letter join it or not, and cut the rest of the word :math:`w` into words :math:`w_i`),

    .. math:: \tau(w) = \sum_{\text{blocks}} \kappa_s \prod_{i=1}^{s} \tau(w_i),

    which also gives the cumulants :math:`\kappa_s` of a letter from its moments. For example
    :math:`\tau(ABAB) = \tau(A^2)\tau(B)^2 + \tau(A)^2\tau(B^2) - \tau(A)^2\tau(B)^2`.

    Parameters
    ----------
    word : str
        Of letters A and B, of any length >= 1.
    moments_a, moments_b : (..., k) array_like
        Moments 1 to k, with k at least the number of times the letter occurs.

    Returns
    -------
    (...) ndarray of float64

    Raises
    ------
    TypeError, ValueError
        If the word has other letters, or moments are missing or not finite.

    Examples
    --------
    >>> float(free_moment("ABAB", [1.0, 3.0], [2.0, 5.0]))  # 3*4 + 1*5 - 1*4
    13.0
    """
    word = _word("word", word)
    moments = {"A": real_array("moments_a", moments_a), "B": real_array("moments_b", moments_b)}
    for letter, given in moments.items():
        if given.ndim == 0 or given.shape[-1] < word.count(letter):
            raise ValueError(
                f"moments_{letter.lower()} must hold {word.count(letter)} moments for {word!r}, "
                f"got shape {given.shape}"
            )

    def blocks(w: str, sizes: range) -> Any:
        same = [i for i in range(1, len(w)) if w[i] == w[0]]
        for others in (c for size in sizes for c in combinations(same, size - 1)):
            ends = (0, *others, len(w))
            between = [w[i + 1 : j] for i, j in pairwise(ends)]
            yield cumulant(w[0] * (1 + len(others))) * prod(tau(gap) for gap in between)

    @cache
    def cumulant(power: str) -> Any:
        return tau(power) - sum(blocks(power, range(1, len(power))))

    @cache
    def tau(w: str) -> Any:
        if len(set(w)) < 2:
            return moments[w[0]][..., len(w) - 1] if w else 1.0
        return sum(blocks(w, range(1, w.count(w[0]) + 1)))

    return np.asarray(tau(word))


@dataclass(frozen=True)
class MixedMoment:
    r"""A row of `freeness_test`: one word, with means over the pairs of matrices.

    Attributes
    ----------
    word : str
    moment, free : float
        :math:`\tau(w)`, and its value for free variables with the moments of A and of B.
    finite_size : float
        What Haar rotation at this size adds to the free value.
    difference, error, z : float
        ``moment - free - finite_size``, its standard error, and their quotient.
    p_value : float
        Two-sided, by Student's t.
    """

    word: str
    moment: float
    free: float
    finite_size: float
    difference: float
    error: float
    z: float
    p_value: float


def freeness_test(
    As: ArrayLike, Bs: ArrayLike, max_order: int = 4, rotations: int = 4, rng: Any = None
) -> list[MixedMoment]:
    r"""Compare the mixed moments of a sample of pairs with their free values.

    Each pair is compared with the free value from *its own* moments, and the differences are
    averaged: the fluctuations of the single spectra drop out, which halves the standard error or
    so, and with them the bias of multiplying averages. The null hypothesis is that B, given its
    eigenvalues, is in Haar position to A. Then :math:`\tau(A^p B^q)` has its free value as mean
    at any n, while words of more blocks are off by O(1/n), the size of their noise:
    :math:`\tau(ABAB)` of traceless matrices has mean
    :math:`\tau(A^2)\tau(B^2)\,(n-2)/((n-1)(n+2))`, not 0. For these words the mean difference of
    rotated pairs is subtracted, so that the test is unbiased at any n.

    Parameters
    ----------
    As, Bs : (pairs, n, n) array_like
        Independent pairs of symmetric matrices, at least 2.
    max_order : int
        Longest words, >= 2.
    rotations : int
        Haar rotations per pair for the finite-size term, which add 1/rotations to the variance;
        0 leaves the term out and tests against the limit itself.
    rng : int, numpy.random.Generator or None
        Seed or generator of the rotations.

    Returns
    -------
    list of MixedMoment
        By order, then alphabetically.

    Raises
    ------
    TypeError, ValueError
        If matrices are not symmetric, shapes differ, or there are fewer than 2 pairs.

    Examples
    --------
    >>> A = np.stack([np.diag([1.0, -1.0, 2.0]), np.diag([2.0, 0.0, -1.0])])
    >>> [(row.word, round(row.difference, 3)) for row in freeness_test(A, A, max_order=2)]
    [('AB', 1.556)]
    """
    As, Bs = _symmetric_pair("As", As, "Bs", Bs, "(pairs, n, n)")
    if len(As) < 2:
        raise ValueError(f"As must hold at least 2 pairs, got shape {As.shape}")
    max_order = integer("max_order", max_order, "[2, 12]")
    rotations = integer("rotations", rotations, "[0, inf)")
    rng = generator("rng", rng)
    a, b = np.linalg.eigvalsh(As), np.linalg.eigvalsh(Bs)
    powers = np.arange(1, max_order + 1)
    of_a, of_b = (np.mean(e[..., None] ** powers, axis=1) for e in (a, b))
    words = [word for order in powers[1:] for word in mixed_words(int(order))]
    moment = mixed_moments(As, Bs, words)
    free = np.stack([free_moment(word, of_a, of_b) for word in words], axis=-1)
    finite = np.zeros_like(free)
    several = [i for i, word in enumerate(words) if word.count("AB") > 1]
    if several and rotations:
        for pair in range(len(a)):
            rotated = np.stack([_rotated(b[pair], rng) for _ in range(rotations)])
            fixed = np.broadcast_to(np.diag(a[pair]), rotated.shape)
            reference = mixed_moments(fixed, rotated, [words[i] for i in several])
            finite[pair, several] = reference.mean(axis=0) - free[pair, several]
    difference = moment - free - finite
    sizes = [np.abs(a).max() ** w.count("A") * np.abs(b).max() ** w.count("B") for w in words]
    rounding = 1e-13 * np.array(sizes) + np.finfo(float).tiny  # identical pairs have no spread
    error = np.maximum(np.std(difference, axis=0, ddof=1) / np.sqrt(len(a)), rounding)
    z = difference.mean(axis=0) / error
    p_value = 2 * stats.t.sf(np.abs(z), len(a) - 1)
    columns = (*(v.mean(axis=0) for v in (moment, free, finite, difference)), error, z, p_value)
    return [
        MixedMoment(word, *map(float, row))
        for word, row in zip(words, np.transpose(columns), strict=True)
    ]


def first_violation(rows: Sequence[MixedMoment], level: float = 0.95) -> int | None:
    """First order at which some word differs from its free value, or None.

    With the Bonferroni correction over all rows: if the null hypothesis of `freeness_test` holds,
    an order is reported with probability at most ``1 - level``.

    Parameters
    ----------
    rows : sequence of MixedMoment
        From `freeness_test`.
    level : float
        Confidence, in (0, 1).

    Returns
    -------
    int or None

    Raises
    ------
    TypeError, ValueError
        If `level` is outside its domain.

    Examples
    --------
    >>> A = np.stack([np.diag([1.0, -1.0, 2.0]), np.diag([2.0, 0.0, -1.0])])
    >>> first_violation(freeness_test(A, A, max_order=3))
    2
    """
    level = real("level", level, "(0, 1)")
    return min((len(r.word) for r in rows if r.p_value * len(rows) < 1 - level), default=None)


def _symmetric_pair(
    name_a: str, A: ArrayLike, name_b: str, B: ArrayLike, shape: str
) -> tuple[Real, Real]:
    pair = [real_array(name_a, A), real_array(name_b, B)]
    for name, M, given in zip((name_a, name_b), pair, (A, B), strict=True):
        axes = M.ndim if "..." in shape else 1 + shape.count(",")
        if max(axes, 2) != M.ndim or M.shape[-1] != M.shape[-2] or not M.size:
            raise ValueError(f"{name} must have shape {shape}, got {M.shape}")
        if (gap := np.abs(M - M.mT).max()) > precision(given) * np.abs(M).max():
            raise ValueError(f"{name} must be symmetric, got {name} - {name}^T up to {gap:.3g}")
    if pair[0].shape != pair[1].shape:
        shapes = f"{pair[0].shape}, got {pair[1].shape}"
        raise ValueError(f"{name_b} must have the shape of {name_a}, {shapes}")
    # What single precision left unsymmetric would be too much for doubles later on.
    first, second = (M if np.array_equal(M, M.mT) else (M + M.mT) / 2 for M in pair)
    return first, second


def _word(name: str, word: Any) -> str:
    if not isinstance(word, str) or not word or set(word) - {"A", "B"}:
        raise ValueError(f"{name} must be a word of letters A and B, got {word!r}")
    return word


def _same_trace(word: str) -> list[str]:
    return [w[i:] + w[:i] for w in (word, word[::-1]) for i in range(len(word))]


def _rotated(eigenvalues: Real, rng: np.random.Generator) -> Real:
    Q = haar_orthogonal(eigenvalues.size, rng=rng)
    return (Q * eigenvalues) @ Q.T
