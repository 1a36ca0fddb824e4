r"""The scalar equations behind the limiting law of H0, and their solution.

Let the examples X be n by m with normal entries, :math:`\phi = 2n/m`, :math:`A = f(W_1X)`. H0 has
the non-zero eigenvalues of

.. math:: &K = J^TJ/m = I \otimes A^TA/m + \sum_k w_kw_k^T \otimes D_k C D_k, \\
          &C = X^TX/m,

with :math:`w_k` the columns of W2 and :math:`D_k` the diagonal matrix of slopes f' of unit k. Three
facts close the equations for its Stieltjes transform as n grows:

1. :math:`D_k` is asymptotically free from C and from the partial resolvent g (m by m), so that
   averages over it are those of free probability, with 2 by 2 matrices as scalars: there is a
   symmetric :math:`\omega` with
   :math:`E[(d\,\sigma_x + N)^{-1}] = (N - \omega)^{-1} =: \Gamma` for
   :math:`N = \operatorname{diag}(C^{-1}, g^{-1})`. The lower right corner of Gamma says that
   :math:`D_kCD_k` acts as :math:`Q = \omega_{22} + \omega_{12}^2\, C(1 - \omega_{11}C)^{-1}`.
2. With one Q for all units, K is :math:`W_2W_2^T \otimes Q + I \otimes A^TA/m`, whose two terms
   are block diagonal together: the eigenvalue :math:`\lambda` of :math:`W_2W_2^T`
   (Marchenko-Pastur of ratio 1) is averaged over *classically*.
3. A is replaced by its Gaussian equivalent: rows of covariance
   :math:`\Sigma = c_1^2\,X^TX/n + c_*^2`. A sample covariance then has a deterministic equivalent.

With t the eigenvalue of C, :math:`\tau` its average, :math:`\langle\cdot\rangle` that over
lambda, :math:`c(t) = t/(1-\omega_{11}t)`, :math:`Q(t) = \omega_{22} + \omega_{12}^2c(t)`,
:math:`\Sigma(t) = c_1^2(2/\phi)t + c_*^2`:

.. math::
   r_\lambda(t) &= \frac1{z - \lambda Q(t) - s_\lambda\Sigma(t)}, \\
   s_\lambda &= \frac{\phi/2}{1 - \tau[\Sigma r_\lambda]}, \quad
   \Pi = \langle\lambda r_\lambda\rangle, \\
   G &= \begin{pmatrix} \tau c + \omega_{12}^2\,\tau[c^2\Pi] & \omega_{12}\,\tau[c\,\Pi] \\
        \omega_{12}\,\tau[c\,\Pi] & \tau\Pi \end{pmatrix}, \\
   G &= E_d\big[(d\,\sigma_x + G^{-1} + \omega)^{-1}\big],

and :math:`\langle\tau r_\lambda\rangle` is the Stieltjes transform of K. Derived at a physicist's
level of rigour (not in the paper), and checked against simulation.

They are solved by Newton's method, continued from far up in the upper half-plane down to z. On the
way the solution is recognised by its signs: the imaginary parts of g, of each :math:`s_\lambda`
and of Q(t) are negative, as those of a resolvent and of self-energies are.

The components :math:`r_\lambda` have edges in lambda, and if :math:`\phi \ge 1` or without a
nonlinearity only lambda of the size of z matter as z tends to 0. But :math:`z - \lambda Q` stays in
the upper half-plane, and :math:`r_\lambda` analytic, if lambda has a negative argument and Q a
positive real part. There, and where the scales of the two layers are so far apart that components
of a few lambda would be seen one by one, the average over lambda is taken along a path below the
real axis, from 0 to the upper end, with nodes that get dense where lambda is of the size of z.
(For :math:`\phi < 1` the real part of Q is negative around the gap, and the path is the real axis
itself.) Where a path does not lead to a solution, others are tried.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh_tridiagonal

from hessrmt.hessians._activations import GaussianAverages

__all__ = ["GaussNewtonEquations"]

Real: TypeAlias = NDArray[np.float64]
Complex: TypeAlias = NDArray[np.complex128]

_T_NODES = 48  # averages over t are smooth: more change nothing
_LAMBDA_NODES = 64
_TILT = 0.4  # tangent of half the angle between the path of lambda and the real axis, at 0
_APART = 30.0  # scales of the layers from which on the components of each lambda stand apart
_OTHER_TILTS = (0.0, 0.2, 0.4)
_BATCH = 100_000  # complex numbers in the largest arrays of a pass, which then stay in cache
_FINE = 1e-7  # height over |z| from which Newton's method reaches the real axis itself
_TOLERANCE = 1e-7  # of the last step: by then the error is its square, save at an edge
_SYMMETRIC = np.array([[[1, 0], [0, 0]], [[0, 1], [1, 0]], [[0, 0], [0, 1]]], dtype=np.float64)


class _Rule(NamedTuple):
    """Nodes and weights, both (z, lambda), for averages over the spectrum of W2 W2^T."""

    lam: Complex
    weight: Complex

    def at(self, index: NDArray[np.int_]) -> _Rule:
        """The rule of some of the z."""
        return _Rule(self.lam[index], self.weight[index])


class GaussNewtonEquations:
    """The equations of one law; see the module.

    Parameters
    ----------
    phi : float
        2n/m, positive.
    averages : GaussianAverages
        Of the activation.
    sigma2 : float
        Standard deviation of the entries of sqrt(n) W2, positive.
    """

    def __init__(self, phi: float, averages: GaussianAverages, sigma2: float) -> None:
        self._ratio = phi / 2  # n/m
        self._linear = averages.slopes.size == 1
        self._sigma2 = sigma2
        first_layer = sigma2**2 * averages.slope_moment(2)
        silent = averages.weights[averages.slopes == 0].sum()
        apart = silent < 0.1 and first_layer > _APART * averages.variance
        self.apart = apart and not self._linear
        self._tilt = _TILT if self._linear or phi >= 1 or apart else 0.0
        self._t, self._t_weight = spectrum_of_examples(self._ratio, _T_NODES)
        self._sigma = averages.linear**2 / self._ratio * self._t + averages.nonlinear
        self._slopes, self._slope_weight = averages.slopes, averages.weights
        self._variance = averages.variance
        self._scale = averages.variance + sigma2**2 * averages.slope_moment(2)

    def solve(self, z: Complex) -> Complex:
        """Stieltjes transform of K at `z` (k,), Im z >= 0 and z != 0; limits from above if real.

        Raises
        ------
        RuntimeError
            If Newton's method does not converge at some point, which the message names.
        """
        out = np.empty(z.shape, dtype=np.complex128)
        step = max(1, _BATCH // (_LAMBDA_NODES * self._t.size))
        for i in range(0, z.size, step):
            part = z[i : i + step]
            values, found = self._continued(part, self._tilt)
            for tilt in _OTHER_TILTS:  # the path of lambda that is safe where another is not
                (lost,) = np.nonzero(~found)
                if not lost.size:
                    break
                values[lost], found[lost] = self._continued(part[lost], tilt)
            _require(found, part)
            out[i : i + step] = values
        return out

    # -- continuation ------------------------------------------------------------------------------

    def _continued(self, z: Complex, tilt: float) -> tuple[Complex, NDArray[np.bool_]]:
        """Solve along z + i h, the height h falling by a factor that adapts to each point.

        The second result says where this succeeds.
        """
        height = np.maximum(8 * self._scale, 2 * np.abs(z))
        rule = self._rule(z, tilt)
        omega, s, found = self._top(z + 1j * height, rule)
        stride = np.full(z.shape, 0.3)  # factor by which the height falls
        active = np.flatnonzero(found)
        while active.size:
            here = z[active]
            target = height[active] * stride[active]
            last = target <= _FINE * np.abs(here)
            target[last] = 0.0
            trial_omega, trial_s, good = self._newton(
                here + 1j * target,
                rule.at(active),
                omega[active],
                s[active],
                np.where(last, _TOLERANCE, 1e-5),
                np.where(last, 60, 6),
            )
            moved = active[good]
            omega[moved], s[moved], height[moved] = trial_omega[good], trial_s[good], target[good]
            stride[active] = np.where(good, stride[active] ** 1.3, stride[active] ** 0.4)
            stride[active] = np.maximum(stride[active], 0.01)
            found[active] = stride[active] < 0.99
            active = active[(height[active] > 0) & found[active]]
        G = np.empty(z.shape, dtype=np.complex128)
        (solved,) = np.nonzero(found)
        G[solved] = self._resolvent(z[solved], rule.at(solved), omega[solved], s[solved])[0]
        return G, found

    def _rule(self, z: Complex, tilt: float) -> _Rule:
        """Rule for the Marchenko-Pastur law of ratio 1, the square of a semicircle, at `z` (k,).

        Gauss-Legendre, with lambda = 4 sigma2^2 sin^2 theta and theta = p - i tilt sin(2p)/2: in p
        on the real axis, otherwise in u with p = a sinh(u), so that nodes are as dense as 1/theta
        above a, where lambda is of the size of z.
        """
        v, weight = np.polynomial.legendre.leggauss(_LAMBDA_NODES)
        if tilt:
            a = np.minimum(0.5, np.sqrt(np.abs(z) / self._scale))[:, None]
            reach = np.arcsinh(np.pi / 2 / a)
            u = reach * (1 + v) / 2
            p, dp = a * np.sinh(u), a * np.cosh(u) * reach / 2 * weight
        else:
            p = np.tile(np.pi / 4 * (1 + v), (z.size, 1))
            dp = np.pi / 4 * weight
        theta = p - 0.5j * tilt * np.sin(2 * p)
        d_theta = (1 - 1j * tilt * np.cos(2 * p)) * dp
        return _Rule(
            4 * self._sigma2**2 * np.sin(theta) ** 2, 4 / np.pi * np.cos(theta) ** 2 * d_theta
        )

    def _top(self, z: Complex, rule: _Rule) -> tuple[Complex, Complex, NDArray[np.bool_]]:
        """Solution far from the spectrum, where G is small and omega close to -E d sigma_x."""
        omega = np.zeros((z.size, 3), dtype=np.complex128)  # (11, 12, 22)
        omega[:, 1] = -self._slope_weight @ self._slopes
        variance = self._slope_weight @ (self._slopes + omega[0, 1].real) ** 2
        omega[:, 2] = variance * (self._t_weight @ self._t)
        s = np.full(rule.lam.shape, self._ratio, dtype=np.complex128)
        tolerance = np.full(z.shape, 1e-6)
        return self._newton(z, rule, omega, s, tolerance, np.full(z.shape, 30))

    def _newton(
        self,
        z: Complex,
        rule: _Rule,
        omega: Complex,
        s: Complex,
        tolerance: Real,
        steps: NDArray[np.int_],
    ) -> tuple[Complex, Complex, NDArray[np.bool_]]:
        """Newton's method from (omega, s); the last result says where it found the solution."""
        omega, s = omega.copy(), s.copy()
        good = np.zeros(z.shape, dtype=np.bool_)
        active = np.arange(z.size)
        for step in range(int(steps.max())):
            d_omega, d_s = self._step(z[active], rule.at(active), omega[active], s[active])
            omega[active] += d_omega
            s[active] += d_s
            error = np.maximum(
                np.abs(d_omega).max(axis=1) / (1 + np.abs(omega[active]).max(axis=1)),
                np.abs(d_s / s[active]).max(axis=1),
            )
            good[active] = error < tolerance[active]
            active = active[~good[active] & np.isfinite(error) & (step + 1 < steps[active])]
            if not active.size:
                break
        found = np.flatnonzero(good)
        good[found] = self._is_physical(z[found], rule.at(found), omega[found], s[found])
        return omega, s, good

    def _is_physical(
        self, z: Complex, rule: _Rule, omega: Complex, s: Complex
    ) -> NDArray[np.bool_]:
        g, Q = self._resolvent(z, rule, omega, s)
        slack = 1e-6  # outside the support, on the real axis, imaginary parts are rounding
        return np.asarray(
            (g.imag <= slack * np.abs(g))
            & (s.imag <= slack * np.abs(s)).all(axis=1)
            & (Q.imag <= slack * np.abs(Q).max(axis=1, keepdims=True)).all(axis=1)
        )

    # -- the equations -----------------------------------------------------------------------------

    def _terms(
        self, z: Complex, rule: _Rule, omega: Complex, s: Complex
    ) -> tuple[Complex, Complex, Complex]:
        """c(t) and Q(t), both (z, t), and r (z, lambda, t)."""
        o11, o12, o22 = omega.T[:, :, None]
        c = self._t / (1 - o11 * self._t)
        Q = o22 + o12**2 * c
        r = 1 / (z[:, None, None] - rule.lam[:, :, None] * Q[:, None] - s[:, :, None] * self._sigma)
        return c, Q, r

    def _resolvent(
        self, z: Complex, rule: _Rule, omega: Complex, s: Complex
    ) -> tuple[Complex, Complex]:
        """The Stieltjes transform of K, and Q(t)."""
        if self._linear:
            of_component = self._linear_averages(z, rule, s)[0]
            return np.sum(of_component * rule.weight, axis=1), np.zeros((z.size, 1), complex)
        _, Q, r = self._terms(z, rule, omega, s)
        return np.einsum("zl,zl->z", r @ self._t_weight, rule.weight), Q

    def _step(self, z: Complex, rule: _Rule, omega: Complex, s: Complex) -> tuple[Complex, Complex]:
        """One Newton step for omega (z, 3) and s (z, lambda).

        Each s_lambda is tied to omega alone, so its step is ``at_rest + along @ d_omega``, and
        three equations in three unknowns remain.
        """
        if self._linear:  # omega = -d sigma_x: what remains is one sample covariance per lambda
            first, second = self._linear_averages(z, rule, s)[1:]
            rest = 1 - first
            return np.zeros_like(omega), (self._ratio - s * rest) / (rest - s * second)
        c, _, r = self._terms(z, rule, omega, s)
        o12 = omega[:, 1]
        # Averages over t of powers of c and Sigma with r and r^2, all as two matrix products.
        powers = self._t_weight * c[:, None, :] ** np.arange(5)[:, None]  # (z, 5, t)
        sigma = np.broadcast_to(self._t_weight * self._sigma, (z.size, 1, self._t.size))
        first = r @ np.concatenate([powers[:, :4], sigma], axis=1).mT
        second = (r * r) @ np.concatenate(
            [powers, powers[:, :3] * self._sigma, sigma * self._sigma], axis=1
        ).mT
        weight = rule.weight * rule.lam
        once = np.einsum("zl,zlj->jz", weight, first[:, :, :4])  # tau[c^j Pi]
        twice = np.einsum("zl,zlj->jz", weight * rule.lam, second[:, :, :5])
        with_sigma = second[:, :, 5:8]
        direction = np.stack([o12**2, 2 * o12, np.ones_like(o12)])  # dQ/d omega is this times c^j

        # s (1 - tau[Sigma r]) = phi/2
        rest = 1 - first[:, :, 4]
        slope = rest - s * second[:, :, 8]
        at_rest = (self._ratio - s * rest) / slope
        along = (s * rule.lam / slope)[:, :, None] * with_sigma[:, :, ::-1] * direction.T[:, None]

        # d tau[c^j Pi] at fixed c: by omega directly, and through s.
        through_s = weight[:, :, None] * with_sigma
        d_pi = np.einsum("zlj,zlk->zjk", through_s, along)
        d_pi += np.stack([np.stack([direction[k] * twice[j + 2 - k] for k in range(3)], axis=1)
                          for j in range(3)], axis=1)  # fmt: skip
        pi_at_rest = np.einsum("zlj,zl->zj", through_s, at_rest)

        G = np.stack([powers[:, 1].sum(axis=1) + o12**2 * once[2], o12 * once[1], once[0]], axis=1)
        factor = np.stack([o12**2, o12, np.ones_like(o12)], axis=1)
        dG = factor[:, :, None] * d_pi[:, ::-1]  # (z, entry of G, entry of omega)
        dG[:, 0, 0] += powers[:, 2].sum(axis=1) + 2 * o12**2 * once[3]  # dc = c^2 d omega_11
        dG[:, 0, 1] += 2 * o12 * once[2]
        dG[:, 1, 0] += o12 * once[2]
        dG[:, 1, 1] += once[1]
        d_omega = self._subordination_step(omega, G, dG, factor * pi_at_rest[:, ::-1])
        return d_omega, at_rest + np.einsum("zlk,zk->zl", along, d_omega)

    def _linear_averages(
        self, z: Complex, rule: _Rule, s: Complex
    ) -> tuple[Complex, Complex, Complex]:
        r"""Averages over t, (z, lambda), of r, Sigma r and (Sigma r)^2 if Q is a multiple of t.

        Closed, as those over t/(w - t) are for the Marchenko-Pastur law. They are not smooth where
        1/r vanishes between the eigenvalues 0 and the others, and a rule would be slow.
        """
        per_t = self._variance / self._ratio
        a = self._slopes[0] ** 2 * rule.lam + per_t * s  # 1/r = z - a t
        w, c = z[:, None] / a, self._ratio
        root = np.sqrt(w - (1 - np.sqrt(c)) ** 2) * np.sqrt(w - (1 + np.sqrt(c)) ** 2)
        first = 2 * c / (w - 1 - c + root)  # of t/(w - t)
        second = first * (w - root) / root  # of its square
        return (1 + first) / z[:, None], per_t / a * first, (per_t / a) ** 2 * second

    def _subordination_step(
        self, omega: Complex, G: Complex, dG: Complex, G_at_rest: Complex
    ) -> Complex:
        """Step for omega from G^{-1} = (E_d[(d sigma_x + G^{-1} + omega)^{-1}])^{-1}."""
        inverse = np.linalg.inv(_matrices(G))
        kernel = np.linalg.inv(
            (inverse + _matrices(omega))[:, None] + self._slopes[:, None, None] * _SYMMETRIC[1]
        )
        average_inverse = np.linalg.inv(np.einsum("d,zdij->zij", self._slope_weight, kernel))
        spread = np.einsum("d,zdij,zdkl->zijkl", self._slope_weight, kernel, kernel)

        def change(dG: Complex, d_omega: Complex | Real) -> Complex:
            """Change of the difference of both sides, for changes (z, ..., 2, 2)."""
            d_inverse = -inverse[:, None] @ dG @ inverse[:, None]
            d_average = np.einsum("zijkl,zajk->zail", spread, d_inverse + d_omega)
            seen = average_inverse[:, None] @ d_average @ average_inverse[:, None]
            return np.asarray(d_inverse - seen)

        jacobian = _entries(change(_matrices(dG.mT), _SYMMETRIC)).mT
        offset = change(_matrices(G_at_rest)[:, None], np.zeros((2, 2)))[:, 0]
        residual = _entries(inverse - average_inverse + offset)
        return np.asarray(-np.linalg.solve(jacobian, residual[:, :, None])[:, :, 0])


def _matrices(entries: Complex) -> Complex:
    """Symmetric 2 by 2 matrices (..., 2, 2) from their entries (..., 3) = (11, 12, 22)."""
    return np.asarray(np.einsum("...k,kij->...ij", entries, _SYMMETRIC))


def _entries(matrices: Complex) -> Complex:
    return matrices[..., [0, 0, 1], [0, 1, 1]]


def _require(good: NDArray[np.bool_], z: Complex) -> None:
    if not good.all():
        raise RuntimeError(f"the equations of the law of H0 do not converge at z = {z[~good][0]}")


def spectrum_of_examples(ratio: float, nodes: int) -> tuple[Real, Real]:
    """Rule for the spectrum of C = X^T X/m with X n by m, ratio = n/m, its atom at 0 apart.

    A Gauss rule for the whole would put a node close to the atom, not on it. Nonzero eigenvalues
    are those of a Wishart matrix of ratio below 1.
    """
    if ratio > 1:  # m by m, of full rank
        t, weight = marchenko_pastur_rule(1 / ratio, nodes)
        return ratio * t, weight
    t, weight = marchenko_pastur_rule(ratio, nodes)
    return np.append(0.0, t), np.append(1 - ratio, ratio * weight)


def marchenko_pastur_rule(ratio: float, nodes: int) -> tuple[Real, Real]:
    """Gauss rule for the Marchenko-Pastur law of mean 1 and ratio <= 1.

    Its orthogonal polynomials are Chebyshev's but for the first: their three-term recurrence has
    the coefficients 1, 1 + ratio, 1 + ratio, ... and ratio, ratio, ... (Golub & Welsch 1969).
    """
    diagonal = np.full(nodes, 1 + ratio)
    diagonal[0] = 1.0
    points, vectors = eigh_tridiagonal(diagonal, np.full(nodes - 1, np.sqrt(ratio)))
    return np.maximum(points, 0.0), vectors[0] ** 2
