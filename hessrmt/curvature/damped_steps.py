r"""Damped steps with the curvature of a batch, and what theory expects of them.

Steps :math:`-(C + d)^{-1}g` with C the Gauss-Newton matrix of a batch, or the Kronecker product of
its two factors, layer by layer. The mean change of the quadratic model is known from the
eigenvalues of the curvature of single examples (`hessrmt.batch_noise.expected_change`).
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hessrmt.batch_noise import (
    DampedInverse,
    damped_inverse,
    expected_change,
    kronecker_damped_inverse,
)
from hessrmt.curvature.dense_layers import DenseLayers
from hessrmt.validation import choice, real, real_array

__all__ = ["damped_steps_of", "predicted_change", "whole_predicted_change"]

Real: TypeAlias = NDArray[np.float64]

_CURVATURES = "gauss-newton | kronecker"


def damped_steps_of(
    layers: DenseLayers, batch: ArrayLike, dampings: ArrayLike, curvature: str = "gauss-newton"
) -> Real:
    """Steps from the gradient of all examples, with the damped curvature of a batch.

    Parameters
    ----------
    layers : DenseLayers
        The network.
    batch : array_like of int
        Its examples.
    dampings : (k,) array_like
        d, > 0.
    curvature : {"gauss-newton", "kronecker"}
        The matrix itself, or the product of two means for each layer, as in K-FAC.

    Returns
    -------
    (k, P) ndarray
        A step for each damping.

    Raises
    ------
    TypeError, ValueError
        For arguments outside their domains.

    Examples
    --------
    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 1, bias=False, dtype=torch.float64))
    >>> x, y = torch.eye(2, dtype=torch.float64), torch.ones(2, 1, dtype=torch.float64)
    >>> layers = DenseLayers(model, "mse", x, y)
    >>> step = damped_steps_of(layers, [0, 1], [1.0])  # the curvature is 1 in both directions
    >>> bool(np.allclose(step, -layers.gradient / 2))
    True
    """
    d, kind = (
        real_array("dampings", dampings, "(0, inf)"),
        choice("curvature", curvature, _CURVATURES),
    )
    if kind == "gauss-newton":
        e, C = np.linalg.eigh(layers.matrix(batch))
        steps: Real = -(C.T @ layers.gradient / (e.clip(0) + d[:, None])) @ C.T
        return steps
    steps = np.zeros((d.size, layers.size))
    for factors in layers.factors(batch):
        (g, U), (a, V) = np.linalg.eigh(factors.left), np.linalg.eigh(factors.right)
        inner = U.T @ layers.gradient[factors.place] @ V
        inner = inner / (np.outer(g, a).clip(0) + d[:, None, None])
        steps[:, factors.place] = -(U @ inner @ V.T)
    return steps


def predicted_change(
    layers: DenseLayers, batch: float, dampings: ArrayLike, curvature: str = "gauss-newton"
) -> Real:
    """Mean change of the quadratic model by such steps, from the curvature of single examples.

    Parameters
    ----------
    layers : DenseLayers
        The network.
    batch : float
        Examples in a batch, > 0.
    dampings, curvature
        As in `damped_steps_of`.

    Returns
    -------
    (k,) ndarray

    Raises
    ------
    TypeError, ValueError
        For arguments outside their domains.

    Examples
    --------
    Two examples, each with curvature in a direction of its own, and a huge batch:

    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 1, bias=False, dtype=torch.float64))
    >>> x, y = torch.eye(2, dtype=torch.float64), torch.ones(2, 1, dtype=torch.float64)
    >>> layers = DenseLayers(model, "mse", x, y)
    >>> step = damped_steps_of(layers, [0, 1], [1.0])
    >>> bool(np.allclose(predicted_change(layers, 1e9, [1.0]), layers.change(step)[0]))
    True
    """
    d, kind = (
        real_array("dampings", dampings, "(0, inf)"),
        choice("curvature", curvature, _CURVATURES),
    )
    if kind == "gauss-newton":
        values, U = np.linalg.eigh(layers.matrix())
        values, g = values.clip(0), U.T @ layers.gradient
        found = [damped_inverse(values, layers.examples, batch, float(x), values) for x in d]
        return np.array([expected_change(inverse, g, values) for inverse in found])
    parts, H = layers.factors(), layers.matrix()
    Q, places = np.zeros_like(H), []
    for k, part in enumerate(parts):
        place = part.place.ravel()
        columns = sum(p.place.size for p in parts[:k]) + np.arange(place.size)
        sides = [np.linalg.eigh(side) for side in (part.left, part.right)]
        Q[np.ix_(place, columns)] = np.kron(sides[0][1], sides[1][1])
        places.append((columns, sides[0][0].clip(0), sides[1][0].clip(0)))
    H, g = Q.T @ H @ Q, Q.T @ layers.gradient
    changes = []
    for x in d:
        inverses = [
            kronecker_damped_inverse(
                (left, part.own_left),
                (right, part.own_right),
                batch,
                float(x),
                np.diag(H)[columns].reshape(left.size, right.size),
            )
            for part, (columns, left, right) in zip(parts, places, strict=True)
        ]
        joined = (
            np.concatenate([np.ravel(x) for x in field]) for field in zip(*inverses, strict=True)
        )
        changes.append(expected_change(DampedInverse(*joined), g, H))
    return np.array(changes)


def whole_predicted_change(
    layers: DenseLayers, batch: float, damping: float, *, step: float = 0.01, rounds: int = 40
) -> float:
    r"""Mean change by a Gauss-Newton step, with the matrix M itself where examples are.

    The fixed point of :math:`M = (\frac1m\sum_i h_i(1 + Mh_i/b)^{-1} + d)^{-1}`, of which
    `predicted_change` takes the mean of M where examples have their curvature. Minutes instead of
    milliseconds.

    Parameters
    ----------
    layers, batch
        As in `predicted_change`.
    damping : float
        d, > 0.
    step : float
        Of the difference that stands for the derivative in the curvature.
    rounds : int
        Of the iteration, at most.

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
        For arguments outside their domains.

    Examples
    --------
    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 1, bias=False, dtype=torch.float64))
    >>> x, y = torch.eye(2, dtype=torch.float64), torch.ones(2, 1, dtype=torch.float64)
    >>> layers = DenseLayers(model, "mse", x, y)
    >>> mean = predicted_change(layers, 1e9, [1.0])[0]
    >>> bool(np.isclose(whole_predicted_change(layers, 1e9, 1.0), mean))
    True
    """
    b, d = real("batch", batch, "(0, inf)"), real("damping", damping, "(0, inf)")
    R, g, A = layers.rows, layers.gradient, layers.matrix()
    flat, eye, unit = R.reshape(-1, layers.size), np.eye(layers.size), np.eye(R.shape[1])

    def seen(t: float, start: Real) -> Real:
        """Mean of h (1 + M h / b)^-1 for the curvature + t A."""
        old = start
        for _ in range(rounds):
            M = np.linalg.inv(old + t * A + d * eye)
            through = (flat @ M).reshape(R.shape) @ R.swapaxes(1, 2)
            fresh: Real = (
                flat.T @ np.linalg.solve(unit + through / b, R).reshape(flat.shape) / len(R)
            )
            if np.abs(fresh - old).max() < 1e-6 * np.abs(fresh).max():
                break
            old = (old + fresh) / 2
        return fresh

    now = seen(0.0, A)
    slope = (seen(step, now) - now) / step
    s = np.linalg.solve(now + d * eye, g)
    return float(-g @ s + s @ (A + slope) @ s / 2)
