r"""Proof that a true critical point lies near a computed one: the Newton-Kantorovich theorem.

With :math:`\beta\ge\|H^{-1}\|`, :math:`\eta\ge|H^{-1}\nabla L|` at theta and K a Lipschitz constant
of the Hessian in the ball of radius r around it, :math:`h=\beta K\eta\le\frac12` and
:math:`t = 2\eta/(1+\sqrt{1-2h}) \le r` imply a zero of the gradient within t of theta. There
:math:`\|H(\theta^*)-H(\theta)\|\le Kt<1/\beta`: no eigenvalue changes sign on the way, so that the
critical point is not degenerate and has the index computed at theta.

**The Lipschitz constant** is a bound of the third derivative. For a direction
:math:`(U_1,U_2)` of norms c and s, :math:`c^2+s^2=1`, with :math:`Z=U_1x`,

.. math::
   m\,D^3L &= 3\langle DE, D^2E\rangle + \langle E, D^3E\rangle, \\
   DE &= U_2h+W_2(f'Z), \\
   D^2E &= 2U_2(f'Z)+W_2(f''Z^2), \\
   D^3E &= 3U_2(f''Z^2)+W_2(f'''Z^3),

and :math:`\|Z\|_F\le c\|x\|`, :math:`\max|Z|\le c\max_\mu|x_\mu|`, :math:`|f'|\le1`,
:math:`|f''|\le F_2`, :math:`|f'''|\le F_3` (tanh: :math:`4/3\sqrt3` and 2; linear: 0). A symmetric
trilinear form takes its norm at three equal vectors (Banach 1938), so this bounds it.

**Symmetry.** A linear network does not change under :math:`(W_1,W_2)\to(AW_1,W_2A^{-1})`: its
critical points form manifolds, along which H vanishes. There the theorem is applied on the slice
through theta orthogonal to the tangent T of the orbit. A zero of the projected gradient is one of
the whole gradient while :math:`t<\sigma_{\min}(T)`: for T at the zero the gradient :math:`T_0a` has
:math:`0=|T_0a|^2+\langle(T-T_0)a,T_0a\rangle\ge|T_0a|\,(\sigma_{\min}-t)|a|`.

**Rounding.** The gradient is evaluated in extended precision, with a running bound of its error,
which is added to eta; the error of H and of its eigenvalues is taken to be at most N u times the
Frobenius norm. Ignored is the rounding of these bounds themselves, about 1e-13 of their value.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hessrmt.networks import SingleHiddenLayer

__all__ = ["Certificate", "certify", "hessian_lipschitz"]

Floats = NDArray[np.float64]

# Largest |f''| and |f'''|; |f'| <= 1 for both.
_DERIVATIVES = {"tanh": (4 / (3 * np.sqrt(3)), 2.0), "linear": (0.0, 0.0)}
_CUBIC = 2 / (3 * np.sqrt(3))  # largest c^2 s on the circle
_RADIUS = 1e-3  # of the ball in which the Lipschitz constant holds
# Directions of the orbit shorter than this are not projected out (at the origin there are none).
# The theorem holds whatever is projected out; too few or too many only make it fail.
_ORBIT = 1e-6


class Certificate(NamedTuple):
    """The numbers of the Newton-Kantorovich test at one point."""

    passed: bool
    number: float  # h = beta K eta, at most 1/2 when passed
    distance: float  # a true critical point lies within
    lipschitz: float  # K
    symmetry: int  # directions of the orbit that were projected out


def hessian_lipschitz(
    net: SingleHiddenLayer, theta: Floats, x: Floats, y: Floats, radius: float = _RADIUS
) -> float:
    """Lipschitz constant of the Hessian of the loss in the ball of `radius` around `theta`.

    Parameters
    ----------
    net : SingleHiddenLayer
        With tanh or linear units.
    theta
        Parameters of the network, shape (parameters,).
    x, y
        Data and targets, shapes (n0, m) and (n2, m).
    radius : float
        Of the ball, in the Euclidean norm of the parameters.

    Returns
    -------
    float
        Sound, not sharp: at n = 16, m = 64 about 25 times the worst that power iteration finds.
    """
    second, third = _DERIVATIVES[net.activation]
    W1, W2 = _weights(net, theta)
    h = np.tanh(W1 @ x) if net.activation == "tanh" else W1 @ x
    e = W2 @ h - y
    norm = np.linalg.norm
    sx, column = norm(x, 2), norm(x, axis=0).max()
    # Each quantity grows over the ball by at most the radius times its own derivative.
    W = norm(W2, 2) + radius
    H = norm(h, 2) + radius * sx
    drift = radius * np.hypot(H, W * sx)
    E = norm(e, 2) + drift
    u = np.abs(W2.T @ e).max() + radius * (norm(e, axis=0).max() + drift) + W * drift
    both = 6 * W * sx**2 + 3 * second * (H * W + E) * sx * column
    inner = 3 * second * W**2 * sx**2 * column + third * u * column * sx**2
    return float((6 * H * sx * _CUBIC + both * _CUBIC + inner) / x.shape[1])


def certify(
    net: SingleHiddenLayer, theta: Floats, x: Floats, y: Floats, hessian: Floats
) -> Certificate:
    """Newton-Kantorovich test at one point.

    Parameters
    ----------
    net : SingleHiddenLayer
        With tanh or linear units.
    theta
        Parameters of the network, shape (parameters,).
    x, y
        Data and targets, shapes (n0, m) and (n2, m).
    hessian
        Of the loss at `theta`, shape (parameters, parameters).

    Returns
    -------
    Certificate
    """
    gradient, error = _exact_gradient(net, theta, x, y)
    reach, symmetry = _RADIUS, 0
    H = hessian
    if net.activation == "linear":
        complement, tangent_value, symmetry = _slice(net, theta)
        H, gradient = complement.T @ H @ complement, complement.T @ gradient
        reach = min(reach, 0.5 * tangent_value)
    values, vectors = np.linalg.eigh(H)
    smallest = np.abs(values).min() - len(theta) * np.finfo(float).eps * np.linalg.norm(hessian)
    K = hessian_lipschitz(net, theta, x, y)
    if not smallest > 0:
        return Certificate(False, np.inf, np.inf, K, symmetry)
    eta = float(np.linalg.norm(vectors.T @ gradient / values) * (1 + 1e-6) + error / smallest)
    number = K * eta / float(smallest)
    if number > 0.5:
        return Certificate(False, number, np.inf, K, symmetry)
    distance = 2 * eta / (1 + np.sqrt(1 - 2 * number))
    return Certificate(distance <= reach, number, distance, K, symmetry)


def _weights(net: SingleHiddenLayer, theta: NDArray[np.floating]) -> tuple[NDArray, NDArray]:  # type: ignore[type-arg]
    split = net.n1 * net.n0
    return theta[:split].reshape(net.n1, net.n0), theta[split:].reshape(net.n2, net.n1)


def _exact_gradient(
    net: SingleHiddenLayer, theta: Floats, x: Floats, y: Floats
) -> tuple[Floats, float]:
    """Gradient evaluated in extended precision, and a bound of the norm of its error."""
    wide = np.longdouble
    (W1, W2), x, y = _weights(net, theta.astype(wide)), x.astype(wide), y.astype(wide)
    m = x.shape[1]
    # A sum of k products errs by at most k u times the sum of their sizes, to first order.
    unit = (max(m, net.n0, net.n1, net.n2) + 8) * np.finfo(wide).eps
    z = W1 @ x
    dz = unit * (abs(W1) @ abs(x))
    if net.activation == "tanh":
        h = np.tanh(z)
        slope = 1 - h * h
        dh = dz + unit * abs(h)
        dslope = 2 * abs(h) * dh + unit
    else:
        h, dh = z, dz
        slope, dslope = np.ones_like(z), np.zeros_like(z)
    e = W2 @ h - y
    de = abs(W2) @ (dh + unit * abs(h)) + unit * abs(y)
    u = W2.T @ e
    du = abs(W2.T) @ (de + unit * abs(e))
    g1, g2 = (u * slope) @ x.T / m, e @ h.T / m
    d1 = (du * slope + abs(u) * (dslope + unit * slope)) @ abs(x.T) / m
    d2 = (de @ abs(h.T) + abs(e) @ (dh.T + unit * abs(h.T))) / m
    flat = np.concatenate([g1.ravel(), g2.ravel()]).astype(np.float64)
    error = float(np.sqrt((d1 * d1).sum() + (d2 * d2).sum()))
    # Rounding the result itself to float64.
    return flat, error + float(np.finfo(float).eps * np.linalg.norm(flat))


def _slice(net: SingleHiddenLayer, theta: Floats) -> tuple[Floats, float, int]:
    """Orthonormal complement of the orbit's tangent, its least singular value, its dimension."""
    W1, W2 = _weights(net, theta)
    eye = np.eye(net.n1)
    # d/dA of (A W1, -W2 A), one column an entry (a, b) of A.
    first = np.einsum("ca,bj->cjab", eye, W1).reshape(W1.size, -1)
    second = -np.einsum("ia,bc->icab", W2, eye).reshape(W2.size, -1)
    left, values, _ = np.linalg.svd(np.vstack([first, second]))
    rank = int((values > _ORBIT).sum())
    return left[:, rank:], float(values[rank - 1]) if rank else np.inf, rank
