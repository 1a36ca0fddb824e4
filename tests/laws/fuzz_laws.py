"""Random laws against 50-digit arithmetic and what every distribution must obey.

    python tests/laws/fuzz_laws.py [--laws 20000] [--seed 0]

prints for each kind of law and each check how many laws failed. Nothing of the package but its
public methods is used. The oracle: each part of a law is known by its exact parameters, so
psi(F) = F + R(1/F) is, too; from ``1 / law.stieltjes(x)`` Newton's method goes on in 50 digits. A
root in the open upper half-plane is *the* root, as there is one only for these laws (all are freely
infinitely divisible). The distribution function is then the integral by parts, with logarithms.
"""

import argparse
import warnings
from collections import Counter

import mpmath
import numpy as np

from hessrmt import MarchenkoPastur, ProductWishart, Semicircle

mp = mpmath.mp.clone()
mp.dps = 50
REFUSED = "refused"  # a part has a scale outside [1e-100, 1e100]
CHECKS = (
    REFUSED,
    "raises or warns",
    "support",
    "range",
    "falls",
    "edge",
    "cdf",
    "pdf",
    "ppf",
    "index",
)


class Case:
    """A law and the exact parameters of its parts: drift, variance, (size, rate) pairs."""

    def __init__(self):
        self.build, self.drift, self.variance, self.jumps = [], mp.mpf(0), mp.mpf(0), []

    def add(self, kind, scale, *values):
        values = [float(v) for v in values]
        self.build.append((kind, float(scale), values))
        c = mp.mpf(float(scale))
        if kind is Semicircle:
            self.variance += (c * values[0]) ** 2
        elif kind is MarchenkoPastur:
            phi, sigma = map(mp.mpf, (*values, 1.0)[:2])
            self.jumps.append((c * sigma * phi, 1 / phi))
        else:
            phi = mp.mpf(values[0])
            size = mp.mpf(values[0] * np.sqrt(values[1] / 2))  # as the law takes it, in floats
            self.jumps += [(c * size, 1 / (2 * phi)), (-c * size, 1 / (2 * phi))]

    def law(self):
        total = None
        for kind, scale, values in self.build:
            part = scale * kind(*values)
            total = part if total is None else total + part
        return total

    def __repr__(self):
        return " + ".join(f"{c!r} * {kind.__name__}{tuple(v)}" for kind, c, v in self.build)

    def psi(self, F):
        value = F + self.variance / F + sum(r * s * F / (F - s) for s, r in self.jumps)
        slope = 1 - self.variance / F**2 - sum(r * (s / (F - s)) ** 2 for s, r in self.jumps)
        return value, slope

    def root(self, x, F):
        """The root in the upper half-plane, from a start; None where Newton's method leaves it."""
        F = mp.mpc(F)
        for _ in range(60):
            value, slope = self.psi(F)
            step = (value - x) / slope
            F -= step
            if abs(step) < mp.mpf(10) ** -40 * abs(F):
                return F if F.imag > mp.mpf(10) ** -30 * abs(F) else None
        return None

    def density_and_mass(self, x, F):
        G = 1 / F
        logs = sum(r * mp.arg(1 - s * G) for s, r in self.jumps)
        phase = mp.arg(F) + logs + mp.im(x * G - self.variance / 2 * G**2)
        return F.imag / abs(F) ** 2 / mp.pi, 1 - phase / mp.pi

    def edge(self, F):
        """psi at the critical point near F."""
        F = mp.mpf(F)
        for _ in range(100):
            slope = self.psi(F)[1]
            second = 2 * self.variance / F**3 if self.variance else 0
            second += sum(2 * r * s**2 / (F - s) ** 3 for s, r in self.jumps)
            step = slope / second
            F -= step
            if abs(step) < mp.mpf(10) ** -35 * abs(F):
                break
        return self.psi(F)[0]


def ratio(rng):
    """phi: of order one, very small or large, or next to 1 or 2."""
    kind = rng.integers(4)
    if kind == 0:
        return rng.choice([1.0, 2.0]) * (1 + rng.choice([-1, 1]) * 10 ** rng.uniform(-16, -1))
    return 10 ** rng.uniform(*((-0.7, 0.7), (-2, 2), (-8, 8))[kind - 1])


def random_case(rng, kind):
    """One law of a kind; `kind` is a row of the table."""
    case, scale = Case(), 1.0
    if kind.endswith("scaled"):
        scale = 10 ** (rng.choice([-1, 1]) * rng.uniform(6, 99 if rng.integers(2) else 12))
    if kind.startswith("Marchenko-Pastur"):
        case.add(MarchenkoPastur, scale, ratio(rng))
    elif kind.startswith("Wishart + Wigner"):
        case.add(MarchenkoPastur, scale, ratio(rng))
        case.add(Semicircle, scale, 10 ** rng.uniform(-6, 1))
    elif kind.startswith("Wishart + product"):
        phi = ratio(rng)
        case.add(MarchenkoPastur, scale, phi, 10 ** rng.uniform(-1, 1))
        case.add(ProductWishart, scale, phi, 10 ** rng.uniform(-4, 1))
    else:  # parts of different scales
        for _ in range(rng.integers(2, 4)):
            factor = rng.choice([-1, 1]) * 10 ** rng.uniform(-12, 0)
            part = (MarchenkoPastur, Semicircle, ProductWishart)[rng.integers(3)]
            phi = 10 ** rng.uniform(-1, 1)
            case.add(part, factor, *([1.0] if part is Semicircle else [phi, 1.0]))
    return case


KINDS = (
    "Marchenko-Pastur",
    "Marchenko-Pastur, scaled",
    "Wishart + Wigner",
    "Wishart + Wigner, scaled",
    "Wishart + product Wishart",
    "Wishart + product Wishart, scaled",
    "sums over 12 decades",
)


def grid(law):
    """Each interval by angles, by ulps and geometrically from its ends; geometrically from 0."""
    points = [np.array([-1e-300, 0.0, 1e-300])]
    for low, high in law.support():
        width = high - low
        points.append((low + high) / 2 - width / 2 * np.cos(np.linspace(0, np.pi, 33)))
        steps = width * 10.0 ** -np.arange(1, 17)
        ulps = np.arange(-3, 4)
        points += [low + steps, high - steps, low - steps, high + steps, np.sign(low) * steps]
        points += [low + ulps * np.spacing(low), high + ulps * np.spacing(high)]
    return np.unique(np.concatenate(points))


def failures(case, rng):
    """Names of the checks that the law fails."""
    bad = set()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            law = case.law()
            edges = np.ravel(law.support())
            x = grid(law)
            cdf, pdf, q = law.cdf(x), law.pdf(x), np.sort(rng.random(5))
            places, index = law.ppf(q), law.index()
            G_edges = np.array([law.stieltjes(edge) for edge in edges])
    except Exception as error:
        return {REFUSED if "the scale of a law must be in" in str(error) else "raises or warns"}
    scale = float(max([abs(s) for s, _ in case.jumps] + [mp.sqrt(case.variance)]))
    if (np.diff(edges) < 0).any() or not np.isfinite(edges).all():
        bad.add("support")
    if (cdf < 0).any() or (cdf > 1).any() or np.isnan(pdf).any() or (pdf < 0).any():
        bad.add("range")
    if pdf[(x < edges[0]) | (x > edges[-1])].any():
        bad.add("range")
    # A place known to rounding moves the distribution by this much (x is exact only at 0).
    rounding = 4e-16 * np.maximum(np.abs(x), 0.0)
    loose = 1e-14 + np.where(np.isfinite(pdf), pdf, 0.0) * rounding
    if (np.diff(cdf) < -np.maximum(loose[1:], loose[:-1])).any():
        bad.add("falls")
    if not 0 <= index <= 1 or abs(index - float(law.cdf(np.nextafter(0.0, -1.0)))) > 1e-13:
        bad.add("index")

    # Edges: to rounding of the scale, to that of themselves for one Marchenko-Pastur law.
    alone = len(case.jumps) == 1 and not case.variance
    for edge, G in zip(edges, G_edges, strict=True):
        if G != 0 and np.isfinite(G):
            exact = case.edge(1 / complex(G).real)
            slack = 1e-13 * abs(exact) if alone else 8e-15 * scale + 4e-15 * abs(exact)
            if abs(mp.mpf(edge) - exact) > slack:
                bad.add("edge")

    # Density and distribution at random places inside, among them close to the ends and to 0.
    for low, high in law.support():
        inner = low + (high - low) * rng.random(2)
        inner = np.append(inner, low + (high - low) * 10 ** rng.uniform(-12, -2))
        if low <= 0 < high:
            inner = np.append(inner, high * 10 ** rng.uniform(-18, -8))
        for point in inner[(inner > low) & (inner < high)]:
            F = case.root(mp.mpf(point), 1 / complex(law.stieltjes(point)))
            if F is None:
                bad.add("pdf")
                continue
            density, mass = case.density_and_mass(mp.mpf(point), F)
            # What moving x by rounding of the larger of x and the scale does, unless x is close
            # to 0, where all is relative for one Marchenko-Pastur law.
            shift = 8e-16 * (abs(point) if alone else max(abs(point), scale))
            slope = 1 / abs(case.psi(F)[1] * F**2)  # |dG/dx|
            if abs(mass - mp.mpf(float(law.cdf(point)))) > 2e-14 + 4 * shift * density:
                bad.add("cdf")
            if abs(density - mp.mpf(float(law.pdf(point)))) > 1e-12 * density + 4 * shift * slope:
                bad.add("pdf")
    slack = 64e-16 * np.maximum(np.abs(places), 1e-300)
    around = law.cdf(places - slack) - 1e-13, law.cdf(places + slack) + 1e-13
    if (around[0] > q).any() or (around[1] < q).any() or (np.diff(places) < 0).any():
        bad.add("ppf")
    return bad


def table(laws, seed):
    """Failures by kind and check, and the first law of each."""
    counts, first = Counter(), {}
    for number in range(laws):
        rng = np.random.default_rng([seed, number])
        kind = KINDS[number % len(KINDS)]
        case = random_case(rng, kind)
        bad = failures(case, rng)
        for check in bad:
            counts[kind, check] += 1
            first.setdefault((kind, check), f"law {number}: {case}")
        counts[kind, "laws"] += 1
        counts[kind, "any"] += bool(bad - {REFUSED})
    return counts, first


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--laws", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    counts, first = table(options.laws, options.seed)
    columns = ("laws", "any", *CHECKS)
    print(f"{'':34}" + "".join(f"{c:>9.8}" for c in columns))
    for kind in KINDS:
        print(f"{kind:34}" + "".join(f"{counts[kind, c]:9}" for c in columns))
    total = [sum(counts[kind, c] for kind in KINDS) for c in columns]
    print(f"{'total':34}" + "".join(f"{t:9}" for t in total))
    for (kind, check), law in sorted(first.items()):
        print(f"{kind}, {check}: {law}")


if __name__ == "__main__":
    main()
