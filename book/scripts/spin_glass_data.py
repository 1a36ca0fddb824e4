"""Make the stored tables of the spin-glass chapter.

    python book/scripts/spin_glass_data.py TABLE ...

Tables are minima, early, critical, counts, points, networks, index and annealing. How rows are
added: `tables`.
"""

import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import TypeVar

import tables
import torch
from tables import Group, Table

from hessrmt.spin_glass import (
    Digits,
    anneal_chain,
    count_critical_points,
    end_losses,
    load_digits,
    minima_of_draw,
    minimum_and_saddles,
    searches_of_draw,
    train_group,
)

T = TypeVar("T")

# H, size, draws, starts of each
MINIMA = [
    *((3, 25, 100, 10), (3, 50, 100, 10), (3, 100, 40, 25)),
    *((4, 15, 100, 10), (4, 25, 40, 10), (4, 50, 20, 20), (4, 100, 2, 24)),
    *((3, 250, 20, 50), (3, 500, 4, 32)),
]
# as above, for the minima of another method
EARLY = [(3, 50, 100, 10)]
# H, size, draws, searches of each; steps of descent before a search
CRITICAL = [(3, 50, 4, 40)]
STEPS = (0, 2, 5, 10, 20, 40)
# H, draws of four weights
COUNTS = [(3, 400), (4, 100)]
# H, size
POINTS = [(3, 100)]
# hidden units, initial weights scaled or not, epochs, groups of 25 networks
NETWORKS = [
    *((n, 0, 200, 8) for n in (10, 25, 50, 100, 250)),
    *((n, 0, 1000, 1) for n in (10, 25)),
    *((n, 1, 200, 2) for n in (25, 50, 100, 250)),
    *((500, 0, 200, 8), (500, 1, 200, 2)),
]
# hidden units, networks
INDEX = [(10, 20), (25, 20), (50, 5)]
# hidden units, sweeps, chains
ANNEALING = [(10, 10, 10), (10, 100, 10), (25, 100, 6)]


@cache
def images() -> Digits:
    """The images of all networks."""
    return load_digits(rng=0)


def by_draw(plan: list[Group]) -> list[Group]:
    """A group for each draw: H, size, number of the draw, and starts."""
    return [(H, n, draw, starts) for H, n, draws, starts in plan for draw in range(draws)]


def minima(H: int, size: int, draw: int, starts: int, descend_to: float = 0.03) -> Iterator[str]:
    """Minima of one draw of the couplings."""
    ends, seconds = _timed(lambda: minima_of_draw(H, size, draw, starts, descend_to=descend_to))
    for energy, index, norm in zip(ends.energy, ends.index, ends.gradient_norm, strict=True):
        yield f"{energy:.6f},{index},{norm:.1e},{seconds / starts:.4f}"


def critical(H: int, size: int, draw: int, steps: int, starts: int) -> Iterator[str]:
    """Ends of searches in one draw of the couplings."""
    ends = searches_of_draw(H, size, draw, starts, steps=steps)
    columns = ends.energy, ends.index, ends.gradient_norm, ends.smallest
    for energy, index, norm, smallest in zip(*columns, strict=True):
        yield f"{energy:.6f},{index},{norm:.1e},{smallest:.1e}"


def counts(H: int, draw: int) -> Iterator[str]:
    """The number of critical points of one draw of four weights."""
    yield str(count_critical_points(H, 4, draw))


def points(H: int, size: int) -> Iterator[str]:
    """A minimum and two saddles, a weight a row."""
    for weights in zip(*minimum_and_saddles(H, size, 0).tolist(), strict=True):
        yield ",".join(f"{w:.12f}" for w in weights)


def networks(hidden: int, scaled: int, epochs: int, group: int) -> Iterator[str]:
    """One group of networks."""
    nets, seconds = _timed(
        lambda: train_group(images(), hidden, group, epochs=epochs, scaled=bool(scaled))
    )
    for train, test, error in zip(*end_losses(nets, images()), strict=True):
        yield f"{train:.6f},{test:.6f},{error:.4f},{seconds / len(nets.W1):.4f}"


def index(hidden: int, count: int) -> Iterator[str]:
    """The spectra of the first networks of a size."""
    nets = train_group(images(), hidden, 0)
    x, labels = map(torch.from_numpy, images()[:2])
    for k in range(count):
        spectrum, seconds = _timed(lambda k=k: torch.linalg.eigvalsh(nets.hessian(k, x, labels)))
        below, above = int((spectrum < -1e-3).sum()), int((spectrum > 1e-3).sum())
        zero = len(spectrum) - below - above
        yield f"{below},{zero},{above},{spectrum[0]:.5f},{spectrum[-1]:.4f},{seconds:.2f}"


def annealing(hidden: int, sweeps: int, chain: int) -> Iterator[str]:
    """One chain of simulated annealing."""
    nets, seconds = _timed(lambda: anneal_chain(images(), hidden, sweeps, chain))
    train, test, error = (float(each) for each in end_losses(nets, images()))
    yield f"{train:.6f},{test:.6f},{error:.4f},{seconds:.2f}"


TABLES = {
    "minima": Table(
        "minima of spherical spin glasses: energy per weight, index, norm of the gradient",
        "H,size,draw,energy,index,gradient_norm,seconds",
        3,
        lambda: by_draw(MINIMA),
        minima,
    ),
    "early": Table(
        "minima as before, from the same starts, but Newton steps take over at a norm of 1",
        "H,size,draw,energy,index,gradient_norm,seconds",
        3,
        lambda: by_draw(EARLY),
        lambda *group: minima(*group, descend_to=1.0),
    ),
    "critical": Table(
        "ends of searches for critical points of any index after steps of descent: energy per "
        "weight, number of negative eigenvalues, norm of the gradient, eigenvalue nearest to 0",
        "H,size,draw,steps,energy,index,gradient_norm,smallest",
        4,
        lambda: [
            (H, n, draw, steps, starts)
            for steps in STEPS
            for H, n, draw, starts in by_draw(CRITICAL)
        ],
        critical,
    ),
    "counts": Table(
        "number of critical points of one draw of four weights, w and -w counted as two",
        "H,draw,count",
        2,
        lambda: [(H, draw) for H, draws in COUNTS for draw in range(draws)],
        counts,
    ),
    "points": Table(
        "three critical points of draw 0, a weight a row: a minimum, a saddle that a search found "
        "after twelve steps of descent, one that it found from a random point",
        "H,size,minimum,saddle,high",
        2,
        lambda: list(POINTS),
        points,
    ),
    "networks": Table(
        "losses and test errors of classifiers after descent",
        "hidden,scaled,epochs,group,train,test,error,seconds",
        4,
        lambda: [(*kind, group) for *kind, groups in NETWORKS for group in range(groups)],
        networks,
    ),
    "index": Table(
        "Hessians of the training loss after 200 epochs, networks of group 0: how many "
        "eigenvalues are below -0.001, between, above 0.001; the lowest, the highest; the seconds "
        "are those of the eigenvalues",
        "hidden,negative,zero,positive,lowest,highest,seconds",
        1,
        lambda: list(INDEX),
        index,
    ),
    "annealing": Table(
        "losses and test errors after simulated annealing over weights of three values",
        "hidden,sweeps,chain,train,test,error,seconds",
        3,
        lambda: [(*kind, chain) for *kind, chains in ANNEALING for chain in range(chains)],
        annealing,
    ),
}


def _timed(run: Callable[[], T]) -> tuple[T, float]:
    begun = time.process_time()
    return run(), time.process_time() - begun


if __name__ == "__main__":
    tables.main("spin_glass", TABLES, __doc__)
