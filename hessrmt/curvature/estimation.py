"""Spectra and extreme eigenvalues of any symmetric operator, from products with vectors alone."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, aslinearoperator, eigsh
from tqdm import tqdm

from hessrmt.curvature._checkpoint import Checkpoint
from hessrmt.curvature._lanczos import lanczos, nodes
from hessrmt.curvature.spectrum import Spectrum
from hessrmt.validation import choice, integer, real

__all__ = ["Eigenpairs", "extreme_eigenpairs", "lanczos_spectrum"]

Real: TypeAlias = NDArray[np.float64]

_EXACT = 32  # eigenvectors that are kept and taken out, at most
_FEWEST = 4  # starts, if their number is not given


def lanczos_spectrum(
    operator: Any,
    steps: int | None = None,
    starts: int | None = None,
    *,
    resolution: float = 0.01,
    error: float = 0.01,
    rng: Any = None,
    progress: bool = False,
    checkpoint: str | Path | None = None,
) -> Spectrum:
    r"""Measure a spectrum by stochastic Lanczos quadrature.

    One run of `steps` products finds the outlying eigenvalues, up to 32, and their eigenvectors;
    `starts` more from random vectors orthogonal to these measure the rest. Where that is no fewer
    products than P, the matrix is built instead, and its spectrum is exact.

    Parameters
    ----------
    operator : LinearOperator or array_like
        Symmetric, of shape (P, P).
    steps : int, optional
        Products of a run, >= 2; by default chosen from `resolution`.
    starts : int, optional
        Random starts, >= 1; by default chosen from `error`, at least 4.
    resolution : float
        Smallest width, in units of the range, for which the smoothed density is to be right
        within a percent: takes about 0.8 / `resolution` steps.
    error : float
        Standard error wanted of the distribution function, :math:`1/\sqrt{2Pn}` for n starts
        where it is 1/2.
    rng : int, numpy.random.Generator or None
        Seed or generator of the starts.
    progress : bool
        Whether to show, on standard error, the products made and the time left.
    checkpoint : str or Path, optional
        A file that holds finished runs. The same call again continues from it, with its random
        numbers; more starts may be asked for.

    Returns
    -------
    Spectrum

    Raises
    ------
    TypeError, ValueError
        For arguments outside their domains, or a checkpoint of another estimate.

    Warns
    -----
    RuntimeWarning
        If Ctrl-C ends the work after at least one run: what is there is returned.

    Notes
    -----
    Memory: ``steps + 32`` vectors of P numbers in the precision of the operator, beside what a
    product takes; at most ``(steps * (starts + 1))**2`` numbers where the matrix is built.

    Examples
    --------
    >>> diagonal = np.linspace(-1, 3, 5000)
    >>> A = LinearOperator((5000, 5000), matvec=lambda v: diagonal * v.ravel(), dtype=float)
    >>> s = lanczos_spectrum(A, steps=40, starts=4, rng=0)
    >>> value, error = s.index()
    >>> bool(abs(value - 0.25) < 2 * error), bool(error < 0.05)
    (True, True)
    """
    operator = _symmetric(operator)
    size = int(operator.shape[0])
    resolution = real("resolution", resolution, "(0, 1]")
    error = real("error", error, "(0, 1]")
    steps = int(np.ceil(0.8 / resolution)) if steps is None else integer("steps", steps, "[2, inf)")
    if starts is None:
        starts = max(_FEWEST, int(np.ceil(0.5 / size / error**2)))
    starts = integer("starts", starts, "[1, inf)")
    bar = tqdm(total=min((starts + 1) * steps, size), disable=not progress, unit="product")
    with bar:
        if size <= (starts + 1) * steps:
            return _built(operator, bar)
        store = Checkpoint.open(checkpoint, operator, steps, rng)
        return _measured(operator, steps, starts, store, bar)


def _measured(operator: Any, steps: int, starts: int, store: Checkpoint, bar: Any) -> Spectrum:
    dtype = operator.dtype
    eps = float(np.finfo(dtype).eps)
    alpha: list[float] = []
    beta: list[float] = []

    def step(a: float, b: float) -> None:
        alpha.append(a)
        beta.append(b)
        bar.update()

    def walk(number: int) -> Any:
        alpha.clear()
        beta.clear()
        start = store.start(number, store.vectors)
        return lanczos(operator, start, steps, store.vectors, step)

    try:
        if not store.first:
            basis = walk(0)
            ritz = nodes(np.array(alpha), np.array(beta))
            scale = float(np.abs(ritz.places).max())
            sharp = np.flatnonzero(ritz.residuals <= max(1e-6, 100 * eps) * scale)
            sharp = sharp[np.argsort(-np.abs(ritz.places[sharp]), kind="stable")][:_EXACT]
            vectors = ritz.vectors[:, sharp].T.astype(dtype) @ basis
            ends = np.stack([ritz.places, ritz.residuals], axis=1)
            store.begin(ritz.places[sharp], vectors, ends, alpha[0])
            del basis
        bar.update(len(store.runs) * steps)
        while len(store.runs) < starts:
            walk(len(store.runs) + 1)
            store.add(np.array(alpha), np.array(beta))
    except KeyboardInterrupt:
        if len(alpha) != len(beta) or (not store.runs and len(alpha) < 2):
            raise
        text = f"{len(store.runs)} of {starts} starts"
        if not store.runs:  # part of the first run is a run, too: from a random start
            text = f"{len(alpha)} of {steps} steps of one start"
            store.runs.append((np.array(alpha), np.array(beta)))
        if not store.first:
            ritz = nodes(np.array(alpha), np.array(beta))
            store.ends = np.stack([ritz.places, ritz.residuals], axis=1)
            store.scale = float(np.abs(ritz.places).max())
        warnings.warn(f"interrupted: the spectrum is of {text}", RuntimeWarning, stacklevel=3)
    runs = tuple(store.runs[:starts])
    return _spectrum(operator, np.sort(store.exact), runs, store.ends, store.scale)


def _spectrum(operator: Any, exact: Any, runs: Any, ends: Real, scale: float) -> Spectrum:
    eps = float(np.finfo(operator.dtype).eps)
    cutoff = (1e-10 if eps < 1e-10 else 1e-5) * scale
    return Spectrum(operator.shape[0], exact, runs, ends, ends[::-1], 50 * eps * scale, cutoff)


def _built(operator: Any, bar: Any) -> Spectrum:
    """The whole matrix and its eigenvalues."""
    size, columns = int(operator.shape[0]), []
    for units in np.split(np.eye(size, dtype=operator.dtype), range(16, size, 16)):
        columns.append(operator.matmat(units.T))
        bar.update(len(units))
    matrix = np.concatenate(columns, axis=1).astype(np.float64)
    exact = np.linalg.eigvalsh((matrix + matrix.T) / 2)
    scale = float(np.abs(exact).max())
    residual = 50 * float(np.finfo(operator.dtype).eps) * scale
    ends = np.stack([exact, np.full(size, residual)], axis=1)
    return _spectrum(operator, exact, (), ends, scale)


class Eigenpairs(NamedTuple):
    r"""Eigenvalues from one end, unit eigenvectors in columns, and residual norms.

    An eigenvalue is within :math:`|Av - \lambda v|` of each value.
    """

    values: Real
    vectors: Real
    residuals: Real


def extreme_eigenpairs(
    operator: Any, count: int, end: str = "largest", *, tol: float = 1e-8, rng: Any = None
) -> Eigenpairs:
    """Find the largest or smallest eigenvalues by ARPACK's Lanczos method.

    Parameters
    ----------
    operator : LinearOperator or array_like
        Symmetric, of shape (P, P).
    count : int
        How many, 1 to P.
    end : {"largest", "smallest"}
        Of the real line.
    tol : float
        Relative accuracy of the eigenvalues, in [0, 1).
    rng : int, numpy.random.Generator or None
        Seed or generator of the start.

    Returns
    -------
    Eigenpairs
        From the end inwards: ``values`` of shape (count,), ``vectors`` of shape (P, count).

    Raises
    ------
    TypeError, ValueError
        For arguments outside their domains.
    RuntimeError
        If the method does not converge.

    Examples
    --------
    >>> extreme_eigenpairs(np.diag([1.0, 5.0, -2.0, 0.0]), 2).values.round(9)
    array([5., 1.])
    """
    operator = _symmetric(operator)
    size = int(operator.shape[0])
    count = integer("count", count, f"[1, {size}]")
    sign = 1 if choice("end", end, "largest | smallest") == "largest" else -1
    tol = real("tol", tol, "[0, 1)")
    if size <= max(4 * count, 32):
        matrix = operator.matmat(np.eye(size, dtype=operator.dtype))
        values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    else:
        start = np.random.default_rng(rng).standard_normal(size).astype(operator.dtype)
        kind = "LA" if sign > 0 else "SA"
        try:
            values, vectors = eigsh(
                operator, count, which=kind, v0=start, tol=tol, ncv=min(size, 3 * count + 10)
            )
        except ArpackNoConvergence as failure:
            found = len(failure.eigenvalues)
            raise RuntimeError(f"{found} of {count} eigenvalues converged, try fewer") from None
    order = np.argsort(-sign * values)[:count]
    values, vectors = values[order].astype(np.float64), vectors[:, order]
    products = operator.matmat(vectors)
    return Eigenpairs(values, vectors, np.linalg.norm(products - vectors * values, axis=0))


def _symmetric(operator: Any) -> Any:
    operator = aslinearoperator(operator)
    shape = tuple(operator.shape)
    if shape[0] != shape[1]:
        raise ValueError(f"operator must have shape (P, P), got {shape}")
    if np.dtype(operator.dtype).kind not in "iuf":
        raise TypeError(f"operator must be real, got {operator.dtype}")
    if np.dtype(operator.dtype).kind != "f":
        return LinearOperator(shape, operator.matvec, matmat=operator.matmat, dtype=np.float64)
    return operator
