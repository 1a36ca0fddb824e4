r"""Simulated spherical spin glasses: energies, exact Hessians, minima and saddles.

:math:`L(w) = \Lambda^{-(H-1)/2} \sum X_{i_1\dots i_H} w_{i_1} \cdots w_{i_H}` on the sphere
:math:`|w|^2 = \Lambda`. L depends on the couplings X through their symmetric part J alone, and with
J in place of X the H terms of its gradient are one contraction of J with w, H - 1 times. The first
of these is a product of matrices with Lambda^H multiplications for each point; whoever stops one
short of the end has the Hessian. Memory is 8 Lambda^H bytes: 1 GB at Lambda = 500, H = 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from hessrmt.validation import generator, integer, real

__all__ = ["CriticalPoints", "SphericalSpinGlass", "find_critical_points", "minimize"]

_CHUNK = 4_000_000  # numbers in the largest array of one contraction; stays in the cache
_ROWS = 32  # points of one contraction at least: reading the couplings costs more than the cache
_STEP_LENGTH = (
    0.5  # of a Newton step, over sqrt(Lambda): keeps it where the Hessian means something
)


class SphericalSpinGlass:
    r"""One draw of the couplings, and L and its derivatives on the sphere.

    Parameters
    ----------
    couplings : tensor of shape (Lambda, ..., Lambda) with H >= 2 axes, float64
        X; only its symmetric part is kept.

    Raises
    ------
    TypeError, ValueError
        If `couplings` is no float64 tensor of such a shape.

    Notes
    -----
    Points are tensors (..., Lambda) of norm sqrt(Lambda). Gradients and Hessians are Riemannian:
    with P the projector on the tangent space and L homogeneous of degree H,

    .. math:: &\operatorname{grad} L = P\nabla L, \\
              &\operatorname{Hess} L = P\,\nabla^2 L\,P - \tfrac{H L}{\Lambda}\,P .

    Examples
    --------
    >>> glass = SphericalSpinGlass.draw(20, 3, rng=0)
    >>> w = glass.random_points(5, rng=1)
    >>> glass.energy(w).shape, glass.gradient(w).shape, glass.hessian(w).shape
    (torch.Size([5]), torch.Size([5, 20]), torch.Size([5, 20, 20]))
    """

    def __init__(self, couplings: Tensor) -> None:
        if not isinstance(couplings, Tensor) or couplings.dtype != torch.float64:
            raise TypeError(f"couplings must be a float64 tensor, got {couplings!r}")
        if couplings.ndim < 2 or len(set(couplings.shape)) != 1 or couplings.shape[0] < 2:
            raise ValueError(
                f"couplings must have H >= 2 axes of one length >= 2, got {tuple(couplings.shape)}"
            )
        self.H, self.size = couplings.ndim, couplings.shape[0]
        J = couplings
        for axis in range(1, self.H):  # symmetric in the axes up to this one
            J = (J + sum(J.transpose(axis, other) for other in range(axis))) / (axis + 1)
        self._scale = self.size ** (-(self.H - 1) / 2)
        self._J = J.contiguous()

    @classmethod
    def draw(cls, size: int, H: int, rng: Any = None) -> SphericalSpinGlass:
        """Draw independent N(0, 1) couplings; `rng` is a seed, a Generator or None."""
        size = integer("size", size, "[2, inf)")
        H = integer("H", H, "[2, inf)")
        X = generator("rng", rng).standard_normal((size,) * H)
        return cls(torch.from_numpy(X))

    def __repr__(self) -> str:
        return f"SphericalSpinGlass(size={self.size}, H={self.H})"

    def random_points(self, batch: int, rng: Any = None) -> Tensor:
        """Draw points (batch, Lambda) uniformly on the sphere."""
        batch = integer("batch", batch, "[1, inf)")
        w = generator("rng", rng).standard_normal((batch, self.size))
        return self.retract(torch.from_numpy(w))

    def retract(self, w: Tensor) -> Tensor:
        """Scale points back to the sphere."""
        scaled: Tensor = w * (math.sqrt(self.size) / w.norm(dim=-1, keepdim=True))
        return scaled

    def energy(self, w: Tensor) -> Tensor:
        """Energy per weight L/Lambda (...)."""
        self._check(w)
        return (self._contract(w, self.H - 1) * w).sum(dim=-1) / self.size

    def gradient(self, w: Tensor) -> Tensor:
        """Riemannian gradient of L (..., Lambda), orthogonal to w."""
        self._check(w)
        return self._gradient(w)

    def _gradient(self, w: Tensor) -> Tensor:
        return self._tangent(w, self.H * self._contract(w, self.H - 1))[1]

    def hessian(self, w: Tensor) -> Tensor:
        """Riemannian Hessian of L (..., Lambda, Lambda); w is in its kernel."""
        return self._derivatives(w)[2]

    def eigenvalues(self, w: Tensor) -> Tensor:
        """Eigenvalues of the Hessian on the tangent space (..., Lambda - 1), ascending."""
        return _tangent_spectrum(self._derivatives(w)[2], w, vectors=False)[0]

    def _contract(self, w: Tensor, times: int) -> Tensor:
        """J contracted with w so many times, scaled: (..., Lambda) for H - 1 times."""
        J = self._J if w.dtype == torch.float64 else self._J_single
        flat = w.reshape(-1, self.size)
        rows = max(_ROWS, _CHUNK // self.size ** (self.H - 1))
        parts = []
        for chunk in torch.split(flat, rows):
            T = chunk @ J.reshape(self.size, -1)
            for _ in range(times - 1):
                T = (chunk.unsqueeze(1) @ T.reshape(len(chunk), self.size, -1)).squeeze(1)
            parts.append(self._scale * T)
        return torch.cat(parts).reshape(*w.shape[:-1], *[self.size] * (self.H - times))

    @cached_property
    def _J_single(self) -> Tensor:
        return self._J.float()

    def _tangent(self, w: Tensor, ambient: Tensor) -> tuple[Tensor, Tensor]:
        """Energy per weight and tangent part of the gradient, by Euler's theorem."""
        radial = (ambient * w).sum(dim=-1, keepdim=True) / self.size
        return radial.squeeze(-1) / self.H, ambient - radial * w

    def _derivatives(self, w: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Energy per weight, gradient and Hessian, all from one contraction."""
        self._check(w)
        matrix = self._contract(w, self.H - 2) if self.H > 2 else self._scale * self._J
        ambient = self.H * (matrix @ w.unsqueeze(-1)).squeeze(-1)
        energy, gradient = self._tangent(w, ambient)
        # P M P with P = 1 - w w^T/Lambda, and M w known: a symmetric update of rank two.
        inner = self.H * (self.H - 1) * matrix
        outside = (self.H - 1) * ambient / self.size
        twice = (outside * w).sum(dim=-1, keepdim=True) / self.size
        half = (outside - twice * w / 2).unsqueeze(-1) * w.unsqueeze(-2)
        hessian = inner - half - half.mT
        shift = (self.H * energy)[..., None, None]
        P = torch.eye(self.size, dtype=w.dtype) - w.unsqueeze(-1) * w.unsqueeze(-2) / self.size
        return energy, gradient, hessian - shift * P

    def _check(self, w: Tensor) -> None:
        if not isinstance(w, Tensor) or w.dtype != torch.float64:
            raise TypeError(f"w must be a float64 tensor, got {w!r}")
        if w.ndim == 0 or w.shape[-1] != self.size:
            raise ValueError(f"w must have shape (..., {self.size}), got {tuple(w.shape)}")
        norms = w.norm(dim=-1) / math.sqrt(self.size)
        if not bool(((norms - 1).abs() < 1e-6).all()):
            raise ValueError(f"w must have norm sqrt({self.size}), got one of another norm")


@dataclass(frozen=True)
class CriticalPoints:
    """Where searches ended, one entry a start."""

    w: Tensor  # (starts, Lambda)
    energy: Tensor  # per weight
    index: Tensor  # number of negative eigenvalues of the Hessian on the tangent space
    gradient_norm: Tensor  # |grad L|/sqrt(Lambda)
    smallest: Tensor  # the eigenvalue closest to zero in modulus
    steps: Tensor  # evaluations of the gradient


def minimize(
    glass: SphericalSpinGlass,
    start: Tensor,
    *,
    gradient_norm: float = 1e-8,
    descend_to: float = 0.03,
    max_steps: int = 2000,
    progress: bool = False,
) -> CriticalPoints:
    r"""Descend from each start to a minimum.

    Steepest descent with the step :math:`1/(4\sqrt{H(H-1)})`, one over the largest curvature at the
    threshold, until :math:`|\operatorname{grad}L|/\sqrt\Lambda` is `descend_to`; then Newton
    steps with the moduli of the Hessian's eigenvalues, which saddles repel. Descent alone needs
    thousands of steps to leave the last saddle and to settle.

    Parameters
    ----------
    glass : SphericalSpinGlass
        The couplings.
    start : tensor (starts, Lambda)
        Points on the sphere; the result follows from them alone, start by start.
    gradient_norm : float
        Stop at this norm over sqrt(Lambda); about sqrt(H) at random points.
    descend_to : float
        Where the Newton steps take over, at 1e-3 or more: till there the arithmetic is in single
        precision, from there in double. *Which* minimum is found depends on it a little.
    max_steps : int
        Give up after so many steps of either kind.
    progress : bool
        Whether to show the starts done and the time left, on standard error.

    Returns
    -------
    CriticalPoints
        Compare its `gradient_norm` with the one asked for, and its `index` with 0.

    Raises
    ------
    TypeError, ValueError
        For arguments outside their domains.

    Examples
    --------
    >>> glass = SphericalSpinGlass.draw(20, 3, rng=0)
    >>> minima = minimize(glass, glass.random_points(5, rng=1))
    >>> bool((minima.gradient_norm <= 1e-8).all()), minima.index.tolist()
    (True, [0, 0, 0, 0, 0])
    """
    descend_to = real("descend_to", descend_to, "[1e-3, inf)")

    def search(w: Tensor, tolerance: float, limit: int) -> tuple[Tensor, Tensor]:
        w, steps = _descend(glass, w, max(descend_to, tolerance), limit)
        return _newton(glass, w, steps, tolerance, limit)

    return _searches(glass, start, search, gradient_norm, max_steps, progress)


def find_critical_points(
    glass: SphericalSpinGlass,
    start: Tensor,
    *,
    gradient_norm: float = 1e-8,
    max_steps: int = 200,
    progress: bool = False,
) -> CriticalPoints:
    r"""Search from each start for a critical point of any index.

    Levenberg-Marquardt steps on the norm of the gradient,
    :math:`-(\nabla^2L^2 + \mu)^{-1}\,\nabla^2L\,\operatorname{grad}L`, with mu divided by 3 after a
    step that lowers the norm and multiplied by 4 otherwise. Searches that settle at a positive
    norm, where the gradient lies in the kernel of the Hessian, come back as they are.

    Parameters
    ----------
    glass, start, gradient_norm, progress
        As in `minimize`.
    max_steps : int
        Give up after so many steps.

    Returns
    -------
    CriticalPoints
        Those with `gradient_norm` as asked for and `smallest` away from zero are critical points.

    Raises
    ------
    TypeError, ValueError
        For arguments outside their domains.

    Examples
    --------
    >>> glass = SphericalSpinGlass.draw(20, 3, rng=0)
    >>> found = find_critical_points(glass, glass.random_points(10, rng=1), max_steps=60)
    >>> bool((found.gradient_norm <= 1e-8).any())
    True
    """

    def search(w: Tensor, tolerance: float, limit: int) -> tuple[Tensor, Tensor]:
        return _levenberg_marquardt(glass, w, tolerance, limit)

    return _searches(glass, start, search, gradient_norm, max_steps, progress)


def _searches(
    glass: SphericalSpinGlass,
    start: Tensor,
    search: Callable[[Tensor, float, int], tuple[Tensor, Tensor]],
    gradient_norm: float,
    max_steps: int,
    progress: bool,
) -> CriticalPoints:
    """Run a search in chunks that fit the cache, and describe the ends."""
    tolerance = real("gradient_norm", gradient_norm, "(0, inf)")
    max_steps = integer("max_steps", max_steps, "[1, inf)")
    glass._check(start)
    start = start.reshape(-1, glass.size)
    together = max(2 * _ROWS, _CHUNK // glass.size ** (glass.H - 1))
    ends = []
    with tqdm(total=len(start), unit="start", disable=not progress) as bar:
        for chunk in torch.split(start, together):
            w, steps = search(chunk, tolerance, max_steps)
            energy, gradient, hessian = glass._derivatives(w)
            spectrum = _tangent_spectrum(hessian, w, vectors=False)[0]
            norm = gradient.norm(dim=-1) / math.sqrt(glass.size)
            smallest = spectrum.gather(-1, spectrum.abs().argmin(dim=-1, keepdim=True)).squeeze(-1)
            ends.append(
                CriticalPoints(w, energy, (spectrum < 0).sum(dim=-1), norm, smallest, steps)
            )
            bar.update(len(chunk))
    names = [field.name for field in fields(CriticalPoints)]
    return CriticalPoints(**{name: torch.cat([getattr(e, name) for e in ends]) for name in names})


def _descend(
    glass: SphericalSpinGlass, w: Tensor, tolerance: float, limit: int
) -> tuple[Tensor, Tensor]:
    """Descend in single precision, which takes half the time and whose 1e-7 is far below."""
    rate = 1 / (4 * math.sqrt(glass.H * (glass.H - 1)))
    w, steps = w.float(), torch.zeros(len(w), dtype=torch.int64)
    active = torch.arange(len(w))
    for _ in range(limit):
        gradient = glass._gradient(w[active])
        steps[active] += 1
        going = gradient.norm(dim=-1) > tolerance * math.sqrt(glass.size)
        active = active[going]
        if len(active) == 0:
            break
        w[active] = glass.retract(w[active] - rate * gradient[going])
    return glass.retract(w.double()), steps


def _newton(
    glass: SphericalSpinGlass, w: Tensor, steps: Tensor, tolerance: float, limit: int
) -> tuple[Tensor, Tensor]:
    active = torch.arange(len(w))
    for _ in range(limit):
        _, gradient, hessian = glass._derivatives(w[active])
        steps[active] += 1
        going = gradient.norm(dim=-1) > tolerance * math.sqrt(glass.size)
        active, gradient, hessian = active[going], gradient[going], hessian[going]
        if len(active) == 0:
            break
        values, vectors = _tangent_spectrum(hessian, w[active], vectors=True)
        along = (gradient.unsqueeze(-2) @ vectors).squeeze(-2)
        # An eigenvalue that is nearly zero must not hide the others' steps.
        along = along / values.abs().clamp_min(1e-3)
        w[active] = _move(glass, w[active], -along, vectors)
    return w, steps


def _levenberg_marquardt(
    glass: SphericalSpinGlass, w: Tensor, tolerance: float, limit: int
) -> tuple[Tensor, Tensor]:
    w, steps = w.clone(), torch.zeros(len(w), dtype=torch.int64)
    damping = torch.ones(len(w), dtype=torch.float64)
    active = torch.arange(len(w))
    for _ in range(limit):
        here = w[active]
        _, gradient, hessian = glass._derivatives(here)
        steps[active] += 1
        norm = gradient.norm(dim=-1)
        going = norm > tolerance * math.sqrt(glass.size)
        active, here, gradient, norm = active[going], here[going], gradient[going], norm[going]
        if len(active) == 0:
            break
        values, vectors = _tangent_spectrum(hessian[going], here, vectors=True)
        along = (gradient.unsqueeze(-2) @ vectors).squeeze(-2)
        along = along * values / (values**2 + damping[active].unsqueeze(-1))
        there = _move(glass, here, -along, vectors)
        better = glass.gradient(there).norm(dim=-1) < norm
        w[active[better]] = there[better]
        damping[active] *= torch.where(better, 1 / 3, 4.0)
    return w, steps


def _move(glass: SphericalSpinGlass, w: Tensor, along: Tensor, vectors: Tensor) -> Tensor:
    """Take a step given in the eigenbasis, shortened where it is too long."""
    longest = _STEP_LENGTH * math.sqrt(glass.size)
    along = along * (longest / along.norm(dim=-1, keepdim=True)).clamp_max(1.0)
    return glass.retract(w + (vectors @ along.unsqueeze(-1)).squeeze(-1))


def _tangent_spectrum(hessian: Tensor, w: Tensor, *, vectors: bool) -> tuple[Tensor, Tensor]:
    """Eigenvalues (..., Lambda - 1), and eigenvectors as columns, without w's own.

    w is moved above the rest of the spectrum, where it is the last one to come out.
    """
    top = hessian.norm(dim=(-2, -1))[..., None, None] + 1.0
    lifted = hessian + top * w.unsqueeze(-1) * w.unsqueeze(-2) / w.shape[-1]
    if not vectors:
        return torch.linalg.eigvalsh(lifted)[..., :-1], hessian
    values, columns = torch.linalg.eigh(lifted)
    return values[..., :-1], columns[..., :-1]
