r"""Two searches for points where the gradient of the loss vanishes.

Both minimise :math:`|\nabla L|^2` by the Levenberg-Marquardt method with the exact Hessian J of
their variables: the step s minimises :math:`|Js+g|^2 + \mu|s|^2`, is shortened to a radius, and
the damping follows Nielsen's rule. `FullSearch` moves W1 and W2, as Pennington & Bahri (2017,
section 7) did; `ProjectedSearch` moves W1 with W2 at its least-squares optimum, where the rest of
the gradient is zero and J is the Schur complement (variable projection of Golub & Pereyra 1973).

The whole Hessian is never formed. With :math:`\tau=\sqrt\mu`,
:math:`(H^2+\tau^2)^{-1}H = \mathrm{Re}\,(H+i\tau)^{-1}`, and a complex shift passes through the
elimination of W2: a step of the full search costs one complex system of half the size. Besides,
the condition of H is not squared, and the predicted gradient :math:`Hs+g = -\tau\,\mathrm{Im}\,v`,
:math:`v=(H+i\tau)^{-1}g`, comes for nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from hessrmt.critical_points._backends import Array, damped_solve, shifted_solve, to_numpy
from hessrmt.critical_points.elimination import Point, Surface

__all__ = ["FullSearch", "LevenbergMarquardt", "ProjectedSearch", "SearchResult"]

Runs = NDArray[np.intp]
# Runs per pass: the matrices of one pass stay in the cache of a core; a GPU wants many.
_PASS = {True: 2, False: 256}


class ProjectedSearch:
    """Moves W1 alone; W2 is the least-squares optimum for it."""

    def __init__(self, surface: Surface) -> None:
        self.surface = surface
        self._shape = (-1, surface.net.n1, surface.net.n0)

    def variables(self, theta: Array) -> Array:
        """W1 of the parameters, flat."""
        return theta[:, : self.surface.net.n1 * self.surface.net.n0] * 1.0

    def parameters(self, runs: Runs, v: Array) -> Array:
        """Parameters (runs, parameters) of the network at variables `v`."""
        W2 = self.point(runs, v).W2
        return _concatenate(v, W2.reshape(len(v), -1))

    def point(self, runs: Runs, v: Array) -> Point:
        """Forward pass."""
        return self.surface.point(runs, v.reshape(*self._shape))

    def gradient(self, p: Point) -> Array:
        """Gradient in the variables; the rest of the gradient is zero."""
        return self.surface.gradient(p)[0].reshape(len(p.x), -1)

    def step(self, runs: Runs, p: Point, g: Array, damping: Array) -> tuple[Array, Array, Array]:
        """Steps s, predicted gradients g + J s, and the products J g."""
        S = self.surface.schur(runs, p)
        s = damped_solve(S, g, damping)
        both = S @ _stack(s, g)
        return s, g + both[..., 0], both[..., 1]


class FullSearch:
    """Moves W1 and W2."""

    def __init__(self, surface: Surface) -> None:
        self.surface = surface
        net = surface.net
        self._split, self._n1, self._n0, self._n2 = net.n1 * net.n0, net.n1, net.n0, net.n2

    def variables(self, theta: Array) -> Array:
        """All parameters."""
        return theta * 1.0

    def parameters(self, runs: Runs, v: Array) -> Array:
        """Parameters (runs, parameters) of the network: the variables themselves."""
        return v

    def _blocks(self, v: Array) -> tuple[Array, Array]:
        first = v[:, : self._split].reshape(-1, self._n1, self._n0)
        return first, v[:, self._split :].reshape(-1, self._n2, self._n1)

    def point(self, runs: Runs, v: Array) -> Point:
        """Forward pass."""
        return self.surface.point(runs, *self._blocks(v))

    def gradient(self, p: Point) -> Array:
        """The gradient of the loss."""
        g1, g2 = self.surface.gradient(p)
        return _concatenate(g1.reshape(len(g1), -1), g2.reshape(len(g2), -1))

    def step(self, runs: Runs, p: Point, g: Array, damping: Array) -> tuple[Array, Array, Array]:
        """Steps s, predicted gradients g + H s, and the products H g."""
        surface = self.surface
        tau = damping**0.5
        thin = surface.thin(p)
        values, vectors = _eigh(surface.corner(p))
        # (C + i tau)^-1 = Kr - i Ki, both positive: C is.
        size = values**2 + damping[:, None]
        root_r = vectors * ((values * (values > 0) / size) ** 0.5)[:, None]
        root_i = vectors * ((tau[:, None] / size) ** 0.5)[:, None]
        top = surface.top(runs, p)
        real = top - surface.coupling(p, thin, root_r)
        imaginary = surface.coupling(p, thin, root_i)
        imaginary += tau[:, None, None] * surface.eye(top, self._split)
        g1, g2 = self._blocks(g)
        Kr, Ki = root_r @ root_r.mT, root_i @ root_i.mT
        real_right = g[:, : self._split] - surface.apply(p, thin, g2 @ Kr)
        v1 = shifted_solve(real, imaginary, real_right + 1j * surface.apply(p, thin, g2 @ Ki))
        U = v1.reshape(-1, self._n1, self._n0)
        rest = g2 - surface.apply_transposed(p, thin, U.real)
        rest_i = -surface.apply_transposed(p, thin, U.imag)
        v2 = rest @ Kr + rest_i @ Ki, rest_i @ Kr - rest @ Ki
        s = -_concatenate(v1.real, v2[0].reshape(len(g), -1))
        predicted = -tau[:, None] * _concatenate(v1.imag, v2[1].reshape(len(g), -1))
        h1 = (top @ g[:, : self._split, None])[..., 0] + surface.apply(p, thin, g2)
        h2 = surface.apply_transposed(p, thin, g1) + g2 @ surface.corner(p)
        product = _concatenate(h1, h2.reshape(len(h2), -1))
        return s, predicted, product


def _concatenate(a: Array, b: Array) -> Array:
    if isinstance(a, np.ndarray):
        return np.concatenate([a, b], axis=-1)
    return torch.cat([a, b], dim=-1)


def _stack(a: Array, b: Array) -> Array:
    return np.stack([a, b], -1) if isinstance(a, np.ndarray) else torch.stack([a, b], -1)


def _eigh(C: Array) -> tuple[Array, Array]:
    values, vectors = (np.linalg if isinstance(C, np.ndarray) else torch.linalg).eigh(C)
    return values, vectors


class SearchResult(NamedTuple):
    """Where the searches ended; one entry a run."""

    variables: Array
    grad_norm_sq: NDArray[np.float64]
    steps: NDArray[np.intp]  # taken or refused
    passed: NDArray[np.intp]  # steps until |grad|^2 first was below 1e-6; -1 if never
    curvature: NDArray[np.float64]  # |J g| / |g| at the last step


class LevenbergMarquardt(NamedTuple):
    r"""Minimise :math:`|\nabla L|^2` for a batch of runs.

    The step radius matters most (measured at n = 16, phi = 1/2: 69% of runs pass 1e-6 within 100
    steps with radius 2, 16% with 0.5); the other constants are Nielsen's (1999).
    """

    radius: float = 2.0
    max_steps: int = 200
    tolerance: float = 1e-24  # on |grad|^2
    damping: float = 1e-3  # at the start
    # A run is given up as gradient-flat after five steps in a row with |J g| below
    # `flat` |g|: it sits where |grad|^2 is stationary and the gradient is not zero.
    flat: float = 1e-3
    flat_above: float = 1e-10

    # A trial step may end where numbers overflow; it is refused then.
    @np.errstate(over="ignore", invalid="ignore")
    def __call__(
        self,
        search: ProjectedSearch | FullSearch,
        variables: Array,
        watch: Callable[[Runs, Array, NDArray[np.float64]], None],
    ) -> SearchResult:
        """Run from `variables`; `watch` sees runs, variables and |grad|^2 after each progress."""
        v = variables * 1.0
        everyone = np.arange(len(v))
        g, f = self._gradients(search, everyone, v)
        mu, nu = np.full(len(v), self.damping), np.full(len(v), 2.0)
        steps, passed, flat_steps = (np.full(len(v), k) for k in (0, -1, 0))
        passed[f < 1e-6] = 0
        curvature = np.full(len(v), np.inf)
        watch(everyone, v, f)
        active = everyone[np.isfinite(f) & (f >= self.tolerance)]
        for _ in range(self.max_steps):
            if active.size == 0:
                break
            s, predicted, product = self._steps(search, active, v[active], g[active], mu[active])
            length = _norm(s)
            share = np.minimum(1.0, self.radius / length)
            c = _like(share, s)[:, None]
            v_new = v[active] + c * s
            g_new, f_new = self._gradients(search, active, v_new)
            # g + J (c s) = (1 - c) g + c (g + J s)
            gain = f[active] - _norm((1 - c) * g[active] + c * predicted) ** 2
            ratio = (f[active] - f_new) / np.maximum(gain, 1e-300)
            good = (ratio > 1e-4) & (f_new < f[active])
            steps[active] += 1
            took, left = active[good], active[~good]
            curvature[active] = _norm(product) / np.sqrt(f[active])
            still = (flat_steps[active] + 1) * (curvature[active] < self.flat)
            flat_steps[active] = np.where(good, still, flat_steps[active])
            shrink = np.maximum(0.1, 1 - (2 * np.minimum(ratio[good], 2.0) - 1) ** 3)
            mu[took] = np.maximum(mu[took] * shrink, 1e-20)
            nu[took] = 2.0
            mu[left] = np.minimum(mu[left] * nu[left], 1e8)
            nu[left] *= 2.0
            v[took], g[took], f[took] = v_new[good], g_new[good], f_new[good]
            passed[took] = np.where(
                (passed[took] < 0) & (f[took] < 1e-6), steps[took], passed[took]
            )
            if took.size:
                watch(took, v[took], f[took])
            settled = (flat_steps[active] >= 5) & (f[active] > self.flat_above)
            active = active[(f[active] >= self.tolerance) & ~settled & (nu[active] < 1e9)]
        return SearchResult(v, f, steps, passed, curvature)

    @staticmethod
    def _gradients(
        search: ProjectedSearch | FullSearch, runs: Runs, v: Array
    ) -> tuple[Array, NDArray[np.float64]]:
        g = search.gradient(search.point(runs, v))
        return g, _norm(g) ** 2

    @staticmethod
    def _steps(
        search: ProjectedSearch | FullSearch,
        runs: Runs,
        v: Array,
        g: Array,
        mu: NDArray[np.float64],
    ) -> tuple[Array, ...]:
        """All steps, a few runs at a time."""
        size, parts = _PASS[isinstance(v, np.ndarray)], []
        for i in range(0, len(runs), size):
            part = slice(i, i + size)
            point = search.point(runs[part], v[part])
            parts.append(search.step(runs[part], point, g[part], _like(mu[part], v)))
        join = np.concatenate if isinstance(v, np.ndarray) else torch.cat
        return tuple(join(piece) for piece in zip(*parts, strict=True))


def _norm(vectors: Array) -> NDArray[np.float64]:
    return np.asarray(to_numpy((vectors * vectors).sum(axis=-1)) ** 0.5)


def _like(values: NDArray[np.float64], array: Array) -> Array:
    """`values` as the kind of array that `array` is."""
    if isinstance(array, np.ndarray):
        return values
    return torch.as_tensor(values, dtype=array.dtype, device=array.device)
