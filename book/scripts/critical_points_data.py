"""Make the stored tables of the chapter on critical points.

    python book/scripts/critical_points_data.py TABLE ...

The one table is cuts. A search is chaotic: on another processor it ends elsewhere, so that its
ends are stored and not computed while the page is made. How rows are added: `tables`.
"""

from collections.abc import Iterator

import numpy as np
import tables
from tables import DATA, Table

from hessrmt.critical_points import ends_at_levels

INVERSE_PHIS = (2, 4, 8)
SHARDS = 4  # of sixteen runs
SEED = 1


def levels(inverse_phi: int) -> np.ndarray:
    """Sixteen levels along the paper's curve, spread so that the first few cover it, too."""
    curve = np.genfromtxt(DATA / f"fig6a_phi_1_{inverse_phi}.csv", delimiter=",", names=True)
    ends = np.interp((0, 0.28), curve["index"], curve["mean_energy"])
    return np.linspace(*ends, 16)[7 * np.arange(16) % 16]


def cuts(inverse_phi: int, shard: int) -> Iterator[str]:
    """One shard of runs: where descent and then the search end."""
    ends = ends_at_levels(1 / inverse_phi, 16, levels(inverse_phi), SEED, shard)
    for run in range(16):
        for end in (0, 1):
            values = ends.eigenvalues[end, run]
            near = values[(values >= -0.02) & (values < -1e-7)]
            cells = ends.energy[end, run], np.sum(values < -0.02)
            yield "{},{},{:.7f},{},".format(run, end, *cells) + " ".join(f"{v:.6g}" for v in near)


TABLES = {
    "cuts": Table(
        "runs of n = 16 that descend to levels spread over the paper's curve and are searched from "
        "there; end 0 is that of descent, 1 that of the search; number of eigenvalues below "
        "-0.02, and those from there to -1e-7",
        "inverse_phi,shard,run,end,energy,below,near",
        2,
        lambda: [(p, shard) for p in INVERSE_PHIS for shard in range(1, SHARDS + 1)],
        cuts,
        SEED,
    ),
}

if __name__ == "__main__":
    tables.main("critical_points", TABLES, __doc__)
