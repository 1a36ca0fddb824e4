r"""The scalar equations behind the limiting law of the full Hessian, and their solution.

H acts on pairs (unit k, input) and (output i, unit k); with the Jacobian kept apart, a third and a
fourth space appear, (unit k, example) and (output i, example). W2 leads from k to i, the residuals
E from i to the example, the activations A from k to the example, each with a spectator. The slopes
are free from the examples, as they are for H0 (`hessrmt.hessians.GaussNewtonLaw`), and singular
vectors of W2 diagonalise its part: an average over :math:`\lambda` and another over
:math:`\lambda'`, both Marchenko-Pastur of ratio 1, remain, *classical* ones. With c = n/m = phi/2,
t an eigenvalue of :math:`X^TX/m`, tau its average, :math:`\langle\cdot\rangle` those over lambda,
:math:`\Sigma = c_1^2t/c + c_*^2` and :math:`c(t) = t/(z - \omega_{11}t)`:

.. math::
   q(t) &= \omega_{22} + \omega_{12}^2\,c(t), \qquad
   G_3(\lambda,\lambda') = \frac1{z - s(\lambda) - s'(\lambda') - X_3(\lambda,\lambda')}, \\
   a_2(\lambda,t) &= 1 - c\,\Sigma\,\langle G_3(\lambda,\cdot)\rangle - X_2(\lambda,t), \qquad
   a_1(\lambda,t) = 2\epsilon c\,\langle G_3(\cdot,\lambda)\rangle + X_1(\lambda,t), \\
   Q &= a_1 + \lambda/a_2, \qquad G_1 = \frac q{1 - qQ}, \qquad
   G_2 = \frac1{a_2 - \lambda q/(1 - q a_1)}, \\
   s(\lambda) &= \tau[\Sigma\,G_2(\lambda)], \qquad s'(\lambda) = 2\epsilon\,\tau[G_1(\lambda)], \\
   \Pi &= \Big\langle\frac Q{1 - qQ}\Big\rangle, \qquad
   G = \begin{pmatrix} \tau c + \omega_{12}^2\,\tau[c^2\Pi] & \omega_{12}\,\tau[c\,\Pi] \\
        \omega_{12}\,\tau[c\,\Pi] & \tau\Pi \end{pmatrix}, \\
   G &= E\Big[\Big(\begin{pmatrix} -v f'' & f' \\ f' & 0 \end{pmatrix}
        + G^{-1} + \omega\Big)^{-1}\Big],
   \qquad v \sim N(0, 2\epsilon).

X1 to X3 are the first crossing of E with A, put in self-consistently. With
:math:`a(\lambda,\mu) = \tau[\Sigma^2G_2(\lambda)G_2(\mu)]` and
:math:`b(\lambda',\mu') = 4\epsilon^2\,\tau[G_1(\lambda')G_1(\mu')]` they are derivatives of

.. math:: \tfrac{c^2}2\big\langle a(\lambda,\mu)\,b(\lambda',\mu')\,G_3(\lambda,\lambda')
          G_3(\lambda,\mu')G_3(\mu,\lambda')G_3(\mu,\mu')\big\rangle .

The transform of H is half the sum of those of the two layers,
:math:`\langle\langle1/(z - tM)\rangle\rangle` over the eigenvalues t of :math:`XX^T/m`, with
:math:`M = \omega_{11} + \omega_{12}^2Q/(1 - \omega_{22}Q)`, and
:math:`\langle\langle G_3\rangle\rangle`. Derived at a physicist's level of rigour, not in the
paper, and *not exact*: higher crossings of E with A are left out, which are expected to count from
the 8th moment on.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import wofz

from hessrmt.hessians._activations import gaussian_averages
from hessrmt.hessians._anderson import anderson
from hessrmt.hessians._gauss_newton_equations import spectrum_of_examples

__all__ = ["FullHessianEquations"]

Real: TypeAlias = NDArray[np.float64]
Complex: TypeAlias = NDArray[np.complex128]
Numbers: TypeAlias = NDArray[Any]  # complex, or real where all is real, as at z = 0 in a gap

_NODES = 10  # Gauss nodes of lambda for the crossings: 24 of them move densities by 1e-4 at most
_MANY_NODES, _FEW_EXAMPLES = 32, 0.06  # at small c the law is a mixture in which single nodes show
_T_NODES = 20
_BATCH = 48  # points side by side, whose arrays stay in cache
_TOGETHER = 7  # points that begin at one solution
_FINE = 1e-6  # height over |z| from which the iteration reaches the real axis itself
_FINEST = 1e-11  # height that counts as none, where that fails: next to an edge
_AT_EDGE = 4e-6  # height that stands where the iteration stalls: within 1e-6 of an edge
_ROUGH = 1e-4  # tolerance on the way
_ROUGH_AT_ATOM = 1e-7  # the same where 0 is an atom: small omegas next to it decide on the branch
_TOLERANCE = 1e-9
_STEPS = 60
_LAST_STEPS = 400  # near an edge convergence is slow


class _Blocks(NamedTuple):
    """Terms of the equations: (z, 1 or lambda, t), but G3 (z, lambda, lambda'), omega (z, 1)."""

    o11: Numbers
    o12: Numbers
    o22: Numbers
    c: Numbers
    q: Numbers
    G3: Numbers
    Q: Numbers
    G1: Numbers
    G2: Numbers


class FullHessianEquations:
    """The equations for one phi and activation, at any energy; see the module.

    Parameters
    ----------
    phi : float
        2n/m, in (0, 2].
    activation : str
        ``"relu"``, ``"tanh"`` or ``"linear"``.
    crossing : bool
        Whether the first crossing of E with A is put in; if not, X1 to X3 are 0.

    Attributes
    ----------
    atom_mass : float
        Mass at 0 at any energy: half the share of a unit's inputs that its examples do not reach.
    """

    def __init__(self, phi: float, activation: str, crossing: bool = True) -> None:
        self.ratio, self.crossing = phi / 2, crossing
        averages = gaussian_averages(activation, 1.0)
        self._slopes, self._weights = averages.slopes, averages.weights
        self._bends = np.zeros_like(self._slopes)
        if activation == "tanh":  # |f''| = 2 |f| f' and f^2 = 1 - f'; v is symmetric
            self._bends = 2 * self._slopes * np.sqrt(np.maximum(1 - self._slopes, 0.0))
        self.mean_square_bend = float(self._weights @ self._bends**2)
        self._scale = averages.variance + averages.slope_moment(2)
        nodes = _NODES if self.ratio > _FEW_EXAMPLES else _MANY_NODES
        self._lam, self._lam_weight, waves = _marchenko_pastur_rule(nodes)
        _, self._weight, coarse = _marchenko_pastur_rule(_NODES)
        # Between functions of lambda on both rules, by polynomials of degree below _NODES.
        self._restrict = coarse.T @ (waves[:_NODES] * self._lam_weight)
        self._extend = waves[:_NODES].T @ (coarse * self._weight)
        self._t, self._t_weight = spectrum_of_examples(self.ratio, _T_NODES)
        # A unit may be active on fewer examples than inputs; at phi = 1 by rounding only.
        missing = 1 - 2 * float(self._weights[self._slopes != 0].sum()) / phi
        self.atom_mass = missing / 2 if missing > 1e-9 else 0.0
        self._rough = _ROUGH_AT_ATOM if self.atom_mass > 0 and not crossing else _ROUGH
        self._sigma = averages.linear**2 / self.ratio * self._t + averages.nonlinear

    def solve(self, z: Complex, epsilon: float, near: bool = True) -> Complex:
        """Stieltjes transform of H at `z` (k,), Im z >= 0; limits from above if real.

        Parameters
        ----------
        z : (k,) ndarray of complex128
            Points.
        epsilon : float
            Energy, >= 0.
        near : bool
            Whether to come down to each `z` from far above. Otherwise points are taken a few at a
            time, the largest first, and the rest begins at the last solution: for points that lead
            from far away along a line off the axis.

        Raises
        ------
        RuntimeError
            If the iteration does not converge at some point, which the message names.
        """
        out = np.empty(z.shape, dtype=np.complex128)
        if near:
            for i in range(0, z.size, _BATCH):
                part = z[i : i + _BATCH]
                out[i : i + _BATCH] = self.resolvent(part, epsilon, self.continued(part, epsilon))
            return out
        inwards = np.argsort(-np.abs(z), kind="stable")
        start = self._start(z[inwards[:1]], epsilon)
        for i in range(0, z.size, _TOGETHER):
            rows = inwards[i : i + _TOGETHER]
            begin = np.repeat(start, rows.size, axis=0)
            unknowns, solved = self._iterate(z[rows], epsilon, begin, _TOLERANCE, _STEPS)
            if not solved.all():
                unknowns[~solved] = self.continued(z[rows[~solved]], epsilon)
            out[rows] = self.resolvent(z[rows], epsilon, unknowns)
            start = unknowns[-1:]
        return out

    def continued(self, z: Complex, epsilon: float) -> Complex:
        """Unknowns at `z`, along z + i h with the height h falling by a factor for each point."""
        scale = self._scale + 2 * np.sqrt(epsilon * self.ratio)
        height = np.maximum(8 * scale, 2 * np.abs(z))
        high = z + 1j * height
        unknowns, good = self._iterate(high, epsilon, self._start(high, epsilon), self._rough, 200)
        _require(good, z)
        height /= np.maximum(np.abs(z), 1e-3 * scale)  # from here on in units of this
        unit = np.imag(high - z) / height
        stride, barred = np.full(z.shape, 0.3), np.zeros(z.shape, dtype=np.bool_)
        active = np.arange(z.size)
        while active.size:
            here = z[active]
            target = height[active] * stride[active]
            target[(target <= _FINE) & ~barred[active]] = 0.0
            low = target <= _FINE
            trial, good = self._iterate(
                here + 1j * target * unit[active],
                epsilon,
                unknowns[active],
                np.where(low, _TOLERANCE, self._rough),
                _LAST_STEPS if low.any() else _STEPS,
            )
            moved = active[good]
            unknowns[moved], height[moved] = trial[good], target[good]
            barred[active[~good & (target == 0)]] = True
            stride[active] = np.where(good, stride[active] ** 1.3, stride[active] ** 0.4)
            stride[active] = np.clip(stride[active], 0.02, None)
            stalled = stride[active] >= 0.995
            at_edge = stalled & (height[active] <= _AT_EDGE)
            height[active[at_edge]] = 0.0
            _require(~stalled | at_edge, here)
            active = active[height[active] > _FINEST]
        return unknowns

    def resolvent(self, z: Complex, epsilon: float, unknowns: Complex) -> Complex:
        """The Stieltjes transform of H (k,)."""
        p = self._blocks(z, epsilon, unknowns)
        o11, o12, o22 = (o[:, :, None] for o in (p.o11, p.o12, p.o22))
        M = o11 + o12**2 * p.Q / (1 - o22 * p.Q)
        inputs = self._t > 0  # X X^T/m is n by n, its eigenvalues those of X^T X/m but for zeros
        first = (1 / (z[:, None, None] - (self._t * M)[:, :, inputs])) @ self._t_weight[inputs]
        second = p.G3 @ self._lam_weight
        return np.asarray((first / self.ratio + second) @ self._lam_weight / 2)

    # -- the iteration -----------------------------------------------------------------------------

    def _start(self, z: Complex, epsilon: float) -> Complex:
        """Unknowns far from the spectrum; (omega 11, 12, 22), s, s', X3, X2, X1 in a row."""
        n, size = self._lam.size, _NODES * (_NODES + 2 * self._t.size)
        unknowns = np.zeros((z.size, 3 + 2 * n + size), dtype=np.complex128)
        unknowns[:, 1] = -self._weights @ self._slopes
        unknowns[:, 2] = 0.1 * self.ratio / z
        unknowns[:, 3 : 3 + n] = self._t_weight @ self._sigma
        unknowns[:, 3 + n : 3 + 2 * n] = (epsilon * self.ratio / z)[:, None]
        return unknowns

    def _iterate(
        self, z: Complex, epsilon: float, start: Complex, tolerance: float | Real, most: int
    ) -> tuple[Complex, NDArray[np.bool_]]:
        r"""Fixed point at `z`, and whether it was found and can be the physical one.

        The transform of a law has :math:`-\operatorname{Im}G \ge |G|^2\operatorname{Im}z`
        (Jensen).
        """
        with np.errstate(all="ignore"):  # iterates may run away: not finite is not good
            unknowns, good = anderson(
                lambda rows, u: self.step(z[rows], epsilon, u),
                start,
                np.broadcast_to(tolerance, z.shape),
                most,
            )
            g = self.resolvent(z, epsilon, unknowns)
            excess = g.imag + z.imag * np.abs(g) ** 2
        slack = np.maximum(10 * np.broadcast_to(tolerance, z.shape), 1e-5)
        return unknowns, good & (excess <= slack * np.abs(g))

    # -- the equations -----------------------------------------------------------------------------

    def _blocks(self, z: Numbers, epsilon: float, unknowns: Numbers) -> _Blocks:
        n, c = self._lam.size, self.ratio
        o11, o12, o22 = (unknowns[:, i, None] for i in range(3))
        s, s_prime = unknowns[:, 3 : 3 + n], unknowns[:, 3 + n : 3 + 2 * n]
        crossings = unknowns[:, 3 + 2 * n :]
        square = crossings[:, : _NODES**2].reshape(-1, _NODES, _NODES)
        X3 = self._extend @ square @ self._extend.T
        rest = crossings[:, _NODES**2 :].reshape(-1, 2, _NODES, self._t.size)
        X2, X1 = self._extend @ rest[:, 0], self._extend @ rest[:, 1]
        on = self._t > 0  # c(0) = 0, at z = 0 too
        c_t = self._t / np.where(on, z[:, None] - o11 * self._t, 1.0)
        q = (o22 + o12**2 * c_t)[:, None]
        G3 = 1 / (z[:, None, None] - s[:, :, None] - s_prime[:, None] - X3)
        a2 = 1 - c * self._sigma * (G3 @ self._lam_weight)[:, :, None] - X2
        a1 = 2 * epsilon * c * (self._lam_weight @ G3)[:, :, None] + X1
        lam = self._lam[:, None]
        Q = a1 + lam / a2
        return _Blocks(
            o11, o12, o22, c_t, q, G3, Q, q / (1 - q * Q), 1 / (a2 - lam * q / (1 - q * a1))
        )

    def step(self, z: Numbers, epsilon: float, unknowns: Numbers) -> Numbers:
        """The right-hand sides of the equations, in the order of the unknowns (z, unknowns)."""
        p, t_weight = self._blocks(z, epsilon, unknowns), self._t_weight
        o11, o12, o22 = p.o11[:, 0], p.o12[:, 0], p.o22[:, 0]
        Pi = self._lam_weight @ (p.Q / (1 - p.q * p.Q))
        G11 = p.c @ t_weight + o12**2 * ((p.c**2 * Pi) @ t_weight)
        G12 = o12 * ((p.c * Pi) @ t_weight)
        omega = self._subordination(epsilon, (G11, G12, Pi @ t_weight), (o11, o12, o22))
        s, s_prime = p.G2 @ (t_weight * self._sigma), 2 * epsilon * (p.G1 @ t_weight)
        rows = [*(o[:, None] for o in omega), s, s_prime, *self._crossings(epsilon, p)]
        return np.concatenate(rows, axis=1)

    def _subordination(
        self,
        epsilon: float,
        G: tuple[Numbers, Numbers, Numbers],
        omega: tuple[Numbers, Numbers, Numbers],
    ) -> tuple[Numbers, Numbers, Numbers]:
        """New omega (11, 12, 22): G^{-1} + omega less the inverse of the average.

        Over v the average is that of 1/(zeta - v f''), the Faddeeva function.
        """
        G11, G12, G22 = G
        det = G11 * G22 - G12**2
        x, y, w = G22 / det + omega[0], omega[1] - G12 / det, G11 / det + omega[2]
        side = (y[:, None] + self._slopes) / w[:, None]
        zeta = x[:, None] - side**2 * w[:, None]
        inverse = 1 / np.where(zeta == 0, 1e-300, zeta)
        if self._bends.any() and epsilon > 0:
            curved = self._bends * np.sqrt(2 * epsilon) > 1e-12
            width = self._bends[curved] * np.sqrt(2 * epsilon)
            place = zeta[:, curved] / (np.sqrt(2) * width)
            below = place.imag < -1  # the solution is not there, but an iterate may be
            mean = wofz(np.where(below, place.conj(), place)) * np.sqrt(np.pi / 2) / (1j * width)
            inverse[:, curved] = np.where(below, mean.conj(), mean)
        A = inverse @ self._weights
        B = -(side * inverse) @ self._weights
        C = 1 / w + (side**2 * inverse) @ self._weights
        det = A * C - B**2
        return x - C / det, y + B / det, w - A / det

    def _crossings(self, epsilon: float, p: _Blocks) -> tuple[Numbers, Numbers, Numbers]:
        """X3, X2 and X1 on the coarse rule, each (z, all its entries)."""
        c, w, size, n = self.ratio, self._weight, len(p.G3), _NODES
        if not self.crossing:
            none = np.zeros((size, n * self._t.size), p.G3.dtype)
            return np.zeros((size, n * n), p.G3.dtype), none, none
        G1, G2 = self._restrict @ p.G1, self._restrict @ p.G2
        G3 = self._restrict @ p.G3 @ self._restrict.T
        a = (G2 * (self._t_weight * self._sigma**2)) @ G2.mT * w  # (lambda, mu), times w(mu)
        b = 4 * epsilon**2 * (G1 * self._t_weight) @ G1.mT * w[:, None]  # times w(lambda')
        pairs = G3[:, :, None] * G3[:, None]  # (lambda, mu, lambda')
        flat = pairs.reshape(size, n * n, n)
        through = (flat @ b).reshape(pairs.shape)  # lambda' summed: (lambda, mu, mu')
        X3 = 2 * c**2 * np.einsum("zijk,zjk->zik", a[..., None] * through, G3)
        X2 = c**3 * self._sigma**2 * (((through * pairs) @ w * w) @ G2)
        mixed = (flat * (w[:, None] * a).reshape(size, n * n, 1)).mT @ flat
        X1 = 4 * epsilon**2 * c**3 * ((mixed * w) @ G1)
        return X3.reshape(size, -1), X2.reshape(size, -1), X1.reshape(size, -1)


def _marchenko_pastur_rule(nodes: int) -> tuple[Real, Real, Real]:
    """Gauss's rule for the law of ratio 1, and its orthonormal polynomials (degree, node).

    With lambda = 4 cos^2 theta they are sin((2k + 1) theta)/sin(theta).
    """
    angle = np.arange(1, nodes + 1) * np.pi / (2 * nodes + 1)
    waves = np.sin((2 * np.arange(nodes)[:, None] + 1) * angle) / np.sin(angle)
    return 4 * np.cos(angle) ** 2, 4 / (2 * nodes + 1) * np.sin(angle) ** 2, waves


def _require(good: NDArray[np.bool_], z: Complex) -> None:
    if not good.all():
        raise RuntimeError(f"the equations of the law of H do not converge at z = {z[~good][0]}")
