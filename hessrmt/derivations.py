r"""The results of the theory chapters, derived with sympy.

Each function carries out one derivation and returns its result as a sympy expression in the
symbols below. The book shows them; the tests hold the numerical code against them.
"""

from __future__ import annotations

from functools import cache

import sympy as sp

__all__ = [
    "G",
    "critical_energy",
    "critical_energy_series",
    "epsilon",
    "index_antiderivative",
    "index_prefactor",
    "marchenko_pastur_r",
    "phi",
    "semicircle_r",
    "sigma",
    "wishart_plus_wigner_cubic",
    "z",
]

G, z = sp.symbols("G z")
phi, sigma, epsilon = sp.symbols("phi sigma epsilon", positive=True)


def _r_from_stieltjes(stieltjes: sp.Expr) -> sp.Expr:
    """Solve stieltjes(z) = G for z and subtract 1/G (paper, section 3)."""
    # Isolate the square root and square, so that the equation for z is polynomial.
    (root,) = [a for a in sp.preorder_traversal(stieltjes) if a.is_Pow and a.exp == sp.S.Half]
    s = sp.Dummy()
    (isolated,) = sp.solve(sp.Eq(stieltjes.subs(root, s), G), s)
    solutions = sp.solve(sp.numer(sp.together(isolated**2 - root**2)), z)
    (inverse,) = [f for f in solutions if f.has(G)]
    return sp.factor(sp.together(inverse - 1 / G))


@cache
def semicircle_r() -> sp.Expr:
    r"""R-transform of the semicircle, :math:`\sigma^2 G` (paper, section 3).

    From :math:`G(z) = (z - \sqrt{z^2 - 4\sigma^2})/(2\sigma^2)`.

    Examples
    --------
    >>> semicircle_r()
    G*sigma**2
    """
    return _r_from_stieltjes((z - sp.sqrt(z**2 - 4 * sigma**2)) / (2 * sigma**2))


@cache
def marchenko_pastur_r() -> sp.Expr:
    r"""R-transform of Marchenko-Pastur, :math:`\sigma/(1 - \sigma\phi G)` (paper, section 3).

    From :math:`G(z) = \big(z - \sigma(1-\phi) - \sqrt{(z-\lambda_-)(z-\lambda_+)}\big)
    /(2\sigma\phi z)` with :math:`\lambda_\pm = \sigma(1\pm\sqrt\phi)^2`.

    Examples
    --------
    >>> marchenko_pastur_r()
    -sigma/(G*phi*sigma - 1)
    """
    edges = sp.expand((z - sigma * (1 + sp.sqrt(phi)) ** 2) * (z - sigma * (1 - sp.sqrt(phi)) ** 2))
    return _r_from_stieltjes((z - sigma * (1 - phi) - sp.sqrt(edges)) / (2 * sigma * phi * z))


def _hessian_r() -> sp.Expr:
    """R of the Hessian: Wishart of scale 1 plus Wigner of variance 2 epsilon (equation 17)."""
    return marchenko_pastur_r().subs(sigma, 1) + semicircle_r().subs(sigma, sp.sqrt(2 * epsilon))


@cache
def wishart_plus_wigner_cubic() -> sp.Poly:
    r"""The cubic for G, from R(G) + 1/G = z (paper, equation 18), as a polynomial in G."""
    numerator = sp.numer(sp.together(z - _hessian_r() - 1 / G))
    cubic = sp.Poly(sp.expand(numerator), G)
    return cubic if cubic.coeff_monomial(1) == -1 else -cubic


@cache
def critical_energy() -> sp.Expr:
    r"""The energy where the cubic's discriminant vanishes at z = 0 (paper, equation 21).

    The discriminant is epsilon times a quadratic in epsilon. Its two roots differ in the sign of
    (1 + 8 phi)^(3/2); the one wanted vanishes at phi = 1, where Marchenko-Pastur touches 0.
    """
    discriminant = sp.discriminant(wishart_plus_wigner_cubic().as_expr().subs(z, 0), G)
    free = sp.Symbol("epsilon")  # without the assumption of positivity, which hides both roots
    roots = sp.solve(sp.cancel(discriminant / epsilon).subs(epsilon, free), free)
    (root,) = [r for r in roots if sp.simplify(r.subs(phi, 1)) == 0]
    return sp.collect(sp.expand(root), phi)


def critical_energy_series(order: int = 4) -> sp.Expr:
    r"""Expansion of the critical energy about phi = 1 (paper, equation 22).

    Examples
    --------
    >>> critical_energy_series(4)
    2*(1 - phi)**3/27
    """
    delta = sp.Symbol("delta", positive=True)
    series = sp.series(critical_energy().subs(phi, 1 - delta), delta, 0, order).removeO()
    return series.subs(delta, 1 - phi)


@cache
def index_antiderivative() -> sp.Expr:
    r"""Antiderivative of G with respect to z, as a function of G at z = 0.

    :math:`\int G\,dz = zG - \log G - \int R\,dG`; at z = 0 the first term drops out. The index is
    :math:`1 - \operatorname{Im}(\cdot)/\pi` of the result at the root G with Im G < 0.
    """
    integral = sp.integrate(_hessian_r(), G)
    integral = integral.subs(sp.log(phi * G - 1), sp.log(1 - phi * G))  # zero at G = 0
    return -sp.log(G) - integral


@cache
def index_prefactor() -> sp.Expr:
    r"""alpha0 of the small-index law (paper, equation 20; value not given there), for phi < 1.

    At the critical energy the cubic has a double root g < 0 at z = 0. There
    :math:`z \approx \tfrac12 z''(g)(G-g)^2`, so the density is :math:`\sqrt{2x/|z''|}/\pi` at
    distance x from the edge, which moves with epsilon at the speed
    :math:`\partial z/\partial\epsilon = 2g`. The mass that has crossed 0 is
    :math:`\frac{2}{3\pi}\sqrt{2/|z''|}\,(2|g|(\epsilon-\epsilon_c))^{3/2}`, hence

    .. math:: \alpha_0 = \frac{2(3-s)}{3\pi\sqrt s\,(1+s)}, \qquad s = \sqrt{1+8\phi}.
    """
    s = sp.Symbol("s", positive=True)  # sqrt(1 + 8 phi), which makes everything rational
    in_s = {phi: (s**2 - 1) / 8}
    critical = sp.factor(sp.powdenest(sp.simplify(critical_energy().subs(in_s)), force=True))
    at_zero = wishart_plus_wigner_cubic().as_expr().subs(z, 0).subs(in_s).subs(epsilon, critical)
    (g,) = [root for root, times in sp.roots(sp.Poly(at_zero, G)).items() if times == 2]
    curvature = sp.diff(_hessian_r() + 1 / G, G, 2).subs(in_s).subs(epsilon, critical).subs(G, g)
    square = sp.Rational(4, 9) / sp.pi**2 * 2 / -curvature * (-2 * g * critical) ** 3
    # s < 3 where phi < 1, so that the square root of (s - 3)^2 is 3 - s.
    root = sp.sqrt(sp.factor(square)).replace(sp.Abs, lambda a: -a)
    return root.subs(s, sp.sqrt(1 + 8 * phi))
