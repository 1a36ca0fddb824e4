r"""The results of the theory chapters, derived with sympy.

Each function carries out one derivation and returns its result as a sympy expression in the
symbols below. The book shows them; the tests hold the numerical code against them. What holds for
both models of the Hessian takes the model as an argument: the function that returns its R.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

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
    "product_wishart_r",
    "saturation_energy",
    "semicircle_r",
    "sigma",
    "wishart_plus_product_wishart_quartic",
    "wishart_plus_product_wishart_r",
    "wishart_plus_wigner_cubic",
    "wishart_plus_wigner_r",
    "z",
]

Model = Callable[[], sp.Expr]

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


def _s_transform(r: sp.Expr, w: sp.Symbol) -> sp.Expr:
    """S(w) from R(G): w S(w) is the inverse function of G R(G)."""
    (inverse,) = sp.solve(sp.Eq(G * r, w), G)
    return sp.factor(inverse / w)


@cache
def product_wishart_r() -> sp.Expr:
    r"""R-transform of the product-Wishart law (paper, equation 28).

    H1 has the off-diagonal block :math:`B = \hat e\hat x^T/m` with :math:`\hat e, \hat x` of n
    rows and m/2 columns, variances :math:`2\epsilon` and 1. Up to null eigenvalues, B B^T has the
    spectrum of the product of :math:`\hat e^T\hat e/m` and :math:`\hat x^T\hat x/m`, each of size
    m/2: Marchenko-Pastur of ratio :math:`1/\phi` with mean eigenvalue :math:`\epsilon\phi` and
    :math:`\phi/2`, whose S-transforms multiply. Three steps lead to H1:

    - the generating function of moments, :math:`\psi(u) = \sum_k m_k u^k`, has the inverse
      function :math:`w S(w)/(1+w)`;
    - B B^T has size n instead of m/2, which divides :math:`\psi` by :math:`\phi`;
    - H1 has the eigenvalues :math:`\pm\sqrt\lambda`, so its :math:`\psi` at 1/z, which is zG - 1,
      is that of B B^T at 1/z^2.

    Examples
    --------
    >>> product_wishart_r()
    -G*epsilon*phi/(G**2*epsilon*phi**2 - 2)
    """
    w = sp.Symbol("w")
    unit = _s_transform(marchenko_pastur_r().subs(phi, 1 / phi), w)
    s = unit.subs(sigma, epsilon * phi) * unit.subs(sigma, phi / 2)
    inverse_square = (w * s / (1 + w)).subs(w, phi * (z * G - 1))
    (inverse,) = sp.solve(sp.numer(sp.factor(inverse_square - 1 / z**2)), z)
    return sp.factor(inverse - 1 / G)


@cache
def wishart_plus_wigner_r() -> sp.Expr:
    """R of the Hessian: Wishart of scale 1 plus Wigner of variance 2 epsilon (equation 17)."""
    return marchenko_pastur_r().subs(sigma, 1) + semicircle_r().subs(sigma, sp.sqrt(2 * epsilon))


@cache
def wishart_plus_product_wishart_r() -> sp.Expr:
    """R of the Hessian: Wishart of scale sigma plus product Wishart (equation 29)."""
    return marchenko_pastur_r() + product_wishart_r()


def _polynomial(model: Model) -> sp.Poly:
    """The equation for G, from R(G) + 1/G = z, as a polynomial in G."""
    numerator = sp.numer(sp.together(z - model() - 1 / G))
    polynomial = sp.Poly(sp.expand(numerator), G)
    return polynomial if polynomial.coeff_monomial(1).is_negative else -polynomial


@cache
def wishart_plus_wigner_cubic() -> sp.Poly:
    r"""The cubic for G, from R(G) + 1/G = z (paper, equation 18), as a polynomial in G."""
    return _polynomial(wishart_plus_wigner_r)


@cache
def wishart_plus_product_wishart_quartic() -> sp.Poly:
    r"""The quartic for G, from R(G) + 1/G = z (paper, equation 30), as a polynomial in G."""
    return _polynomial(wishart_plus_product_wishart_r)


@cache
def _merging_energies(model: Model) -> tuple[sp.Expr, ...]:
    """The energies at which two roots G merge at z = 0: zeros of the discriminant there.

    Both polynomials are cubics at z = 0, with a discriminant that is epsilon times a quadratic in
    epsilon.
    """
    discriminant = sp.discriminant(_polynomial(model).as_expr().subs(z, 0), G)
    free = sp.Symbol("epsilon")  # without the assumption of positivity, which hides both roots
    energies = sp.solve(sp.cancel(discriminant / epsilon).subs(epsilon, free), free)
    return tuple(sp.factor(energy).replace(_is_square_root, _factored_root) for energy in energies)


def _is_square_root(expr: sp.Expr) -> bool:
    return bool(expr.is_Pow and expr.exp == sp.S.Half)


def _factored_root(root: sp.Expr) -> sp.Expr:
    """Write the root of -(-p)^k, k odd, as p^(k/2), which sympy leaves multiplied out."""
    constant, factors = sp.factor_list(root.base)
    if constant == -1 and len(factors) == 1 and factors[0][1] % 2 == 1:
        ((base, power),) = factors
        return (-base) ** sp.Rational(power, 2)
    return root


def _positive_energy(model: Model, ratio: sp.Rational) -> sp.Expr:
    """The one merging energy that is positive at phi = `ratio`."""
    at = {phi: ratio, sigma: 1}
    (energy,) = [e for e in _merging_energies(model) if e.subs(at).is_positive]
    return energy


@cache
def critical_energy(model: Model = wishart_plus_wigner_r) -> sp.Expr:
    r"""The energy where the discriminant vanishes at z = 0 (paper, equations 21 and 32).

    It has two zeros besides epsilon = 0, which differ in the sign of a square root. For phi < 1
    one of them is positive.
    """
    energy = _positive_energy(model, sp.Rational(1, 2))
    # A polynomial in phi and the root is read best by powers of phi, a fraction as it is.
    polynomial = sp.denom(sp.together(energy)).is_number
    return sp.collect(sp.expand(energy), phi) if polynomial else energy


@cache
def saturation_energy() -> sp.Expr:
    r"""Energy from which on the index of Wishart + product Wishart is 1/(2 phi), for 1 < phi < 2.

    It is the other zero of the discriminant of equation 32: there 0 leaves the support again.
    """
    return _positive_energy(wishart_plus_product_wishart_r, sp.Rational(3, 2))


def critical_energy_series(order: int = 4, model: Model = wishart_plus_wigner_r) -> sp.Expr:
    r"""Expansion of the critical energy about phi = 1 (paper, equations 22 and 33).

    Examples
    --------
    >>> critical_energy_series(4)
    2*(1 - phi)**3/27
    >>> critical_energy_series(4, wishart_plus_product_wishart_r)
    8*sigma**2*(1 - phi)**3/27
    """
    delta = sp.Symbol("delta", positive=True)
    series = sp.series(critical_energy(model).subs(phi, 1 - delta), delta, 0, order).removeO()
    return series.subs(delta, 1 - phi)


@cache
def index_antiderivative(model: Model = wishart_plus_wigner_r) -> sp.Expr:
    r"""Antiderivative of G with respect to z, as a function of G at z = 0.

    :math:`\int G\,dz = zG - \log G - \int R\,dG`; at z = 0 the first term drops out. The index is
    :math:`1 - \operatorname{Im}(\cdot)/\pi` of the result at the root G with Im G < 0, all
    logarithms on their principal branches.
    """
    integral = sp.integrate(model(), G)
    # Constants chosen so that each logarithm is zero at G = 0.
    normalised = integral.replace(sp.log, lambda p: sp.log(sp.expand(p / p.subs(G, 0))))
    return -sp.log(G) - normalised


class _Parameter(NamedTuple):
    """A parameter t that makes phi and the square root s in the critical energy rational."""

    phi: sp.Expr
    s: sp.Expr
    gap: sp.Expr  # the zero at phi = 1
    in_phi: tuple[sp.Expr, sp.Expr, sp.Expr]  # t, s and gap


def _parameter(model: Model, t: sp.Symbol) -> _Parameter:
    if model is wishart_plus_wigner_r:
        s = sp.sqrt(1 + 8 * phi)
        return _Parameter((t**2 - 1) / 8, t, 3 - t, (s, s, 3 - s))
    # The conic s^2 = 1 + 16 phi - 8 phi^2, cut by the lines phi = t (1 + s).
    s = sp.sqrt(1 + 16 * phi - 8 * phi**2)
    ratio, root = 2 * t * (1 + 8 * t) / (1 + 8 * t**2), (1 + 16 * t - 8 * t**2) / (1 + 8 * t**2)
    return _Parameter(ratio, root, 1 - ratio, (phi / (1 + s), s, 1 - phi))


@cache
def index_prefactor(model: Model = wishart_plus_wigner_r) -> sp.Expr:
    r"""alpha0 of the small-index law (paper, equations 20, 31; not given there), for phi < 1.

    At the critical energy the polynomial has a double root g < 0 at z = 0. There
    :math:`z \approx \tfrac12 z''(g)(G-g)^2`, so the density is :math:`\sqrt{2x/|z''|}/\pi` at
    distance x from the edge, which moves with epsilon at the speed
    :math:`v = \partial R/\partial\epsilon` at g. The mass that has crossed 0 is
    :math:`\frac{2}{3\pi}\sqrt{2/|z''|}\,(|v|(\epsilon-\epsilon_c))^{3/2}`, hence

    .. math:: \alpha_0 &= \frac{2(3-s)}{3\pi\sqrt s\,(1+s)}, \quad s = \sqrt{1+8\phi}, \\
              \alpha_0 &= \frac{2(1-\phi)(1+s)}{3\pi\sqrt s\,(1+s+8\phi)}, \quad
              s = \sqrt{1+16\phi-8\phi^2},

    for Wishart + Wigner and Wishart + product Wishart.
    """
    t = sp.Symbol("t", positive=True)
    p = _parameter(model, t)
    energy = critical_energy(model).replace(
        lambda e: e.is_Pow and e.exp.is_Rational and e.exp.q == 2,
        lambda e: p.s ** (2 * e.exp),  # the radicands are all s^2
    )
    critical = sp.factor(energy.subs({phi: p.phi, sigma: 1}))
    r = model().subs({phi: p.phi, sigma: 1})
    at_zero = sp.Poly(sp.numer(sp.together((r + 1 / G).subs(epsilon, critical))), G)
    (g,) = sp.solve(sp.gcd(at_zero, at_zero.diff(G)), G)  # the double root
    g = sp.factor(g)  # keeps the next lines short
    curvature = sp.diff(r + 1 / G, G, 2).subs(epsilon, critical).subs(G, g)
    speed = sp.diff(r, epsilon).subs(epsilon, critical).subs(G, g)
    square = sp.Rational(4, 9) / sp.pi**2 * 2 / -curvature * (-speed * critical) ** 3
    # The square is (gap)^2/s times the square of something positive.
    rest = sp.sqrt(sp.factor(square * p.s / p.gap**2))
    t_, s_, gap_ = p.in_phi
    return sp.factor(rest.subs(t, t_)) * gap_ / sp.sqrt(s_)
