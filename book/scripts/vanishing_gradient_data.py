"""Make the stored tables of the chapter on vanishing gradient.

    python book/scripts/vanishing_gradient_data.py TABLE ...

The tables are ladder, ensemble and blocks. Ends of searches are chaotic: on another processor they
are others, so that each row is complete in itself. How rows are added: `tables`.
"""

from collections.abc import Iterator
from itertools import chain, pairwise

import ensembles
import numpy as np
import rungs
import tables
from tables import DATA, Group, Table

from hessrmt import Campaign

EXAMPLES = (48, 64, 96, 128, 256, 512)  # phi = 2/3 to 1/16 at n = 16
EDGES = (0.004, 0.06, 0.15, 0.25, 0.34)  # bins of the index
EACH = 12  # runs of a ratio, a bin and a kind, at most
SEED = 0  # of the campaign whose runs are made again


def chosen() -> list[Group]:
    """Runs of the stored campaign, by index: (m, full search, run); every ratio comes first."""
    runs = Campaign(DATA / "critical_points.sqlite").runs(seed=SEED)
    found = []
    for m in EXAMPLES:
        for low, high in pairwise(EDGES):
            near = (runs["n"] == 16) & (runs["m"] == m) & (runs["search"] != "near-linear")
            near &= (runs["index"] >= low) & (runs["index"] < high)
            for certified in (True, False):
                these = np.flatnonzero(near & ((runs["kind"] == "certified") == certified))
                order = np.argsort(runs["run"][these], kind="stable")[:EACH]
                for rank, k in enumerate(these[order]):
                    key = m, int(runs["search"][k] == "full"), int(runs["run"][k])
                    found.append((rank, key))
    return [key for _, key in sorted(found, key=lambda pair: pair[0])]


def ladder(m: int, full: int, run: int) -> Iterator[str]:
    """The end of one search, found again, and the indices that follow from less and less of it."""
    end = rungs.end_of_search(m, "full" if full else "projected", run, SEED)
    yield from rungs.climb(end, np.random.default_rng([SEED, m, full, run, 1]))


def networks() -> list[Group]:
    """Random networks: (ReLU, 1/phi, n, number), the small ones first."""
    plan = {8: 40, 12: 24, 16: 16, 24: 6, 32: 3}
    return [
        (relu, p, n, k)
        for n, count in plan.items()
        for k in range(count)
        for p in (2, 4, 8)
        for relu in ((1, 0) if n < 32 else (1,))
    ]


def wide() -> list[Group]:
    """Networks of which H1 alone is looked at, block by block."""
    plan = {12: 48, 16: 32, 24: 16, 32: 10, 48: 5, 64: 3}
    return [
        (relu, p, n, k)
        for n, count in plan.items()
        for k in range(count)
        for p in (2, 4, 8)
        for relu in (1, 0)
    ]


TABLES = {
    "ladder": Table(
        "ends of searches of the campaign critical_points.sqlite (n = 16, tanh), found again from "
        "(seed, run): energy, index, kind, |grad L|^2, tau(H1^2); measures of the weights; and the "
        "index with ingredients replaced by random ones, each the mean of two draws",
        ",".join(("m,full,run", *rungs.END, *rungs.WEIGHTS, *rungs.RUNGS)),
        3,
        chosen,
        ladder,
        SEED,
    ),
    "ensemble": Table(
        "random networks, residuals independent (projected 0) or projected on the kernel of J (1), "
        "per unit energy: moments of H0 and H1, |grad L|^2, the energy of the first negative "
        "eigenvalue without the exact null directions of H0, and tau(H1^2) compressed to the "
        "lowest 5 % of directions of H0, over tau(H1^2)",
        ",".join(("relu,inverse_phi,n,number,projected", *ensembles.COLUMNS)),
        4,
        networks,
        lambda *group: chain.from_iterable(ensembles.rows(*group)),
        SEED,
    ),
    "blocks": Table(
        "random networks up to n = 64, residuals independent (projected 0) or projected on the "
        "kernel of J (1), per unit energy: tau(H1^2) and tau(H1^4) from the blocks of H1",
        "relu,inverse_phi,n,number,projected,bb,bbbb",
        4,
        wide,
        ensembles.blocks,
        SEED,
    ),
}

if __name__ == "__main__":
    tables.main("vanishing_gradient", TABLES, __doc__)
