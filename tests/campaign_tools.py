"""Campaigns without searches: rows as a worker might have made them."""

import numpy as np

from hessrmt import Campaign
from hessrmt.campaigns._shards import Ensemble
from hessrmt.campaigns._store import Store

MADE = {"seconds": 1.0, "machine": "a machine", "versions": "hessrmt 0"}
ENSEMBLE = Ensemble("search", "projected", 200, 3, 12, 0, 2, "cpu")
STAGES = np.array(["descent", "final"])


def rows(shard):
    """What a worker might have made, the same each time."""
    rng = np.random.default_rng(shard)
    run = np.arange(2 * shard, 2 * shard + 2)
    return {
        "runs": {
            "run": run,
            "kind": np.array(["certified", "escaping"]),
            "energy": rng.random(2),
            "distance": np.array([rng.random(), np.nan]),
            "steps": rng.integers(200, size=2),
        },
        "snapshots": {
            "run": run.repeat(2),
            "stage": np.tile(STAGES, 2),
            "energy": rng.random(4),
        },
    }


def enter(store, shards, ensemble=ENSEMBLE, **made):
    session, (number,) = store.begin_session([ensemble], 20, "command", 1)
    for shard in shards:
        store.add(number, shard, rows(shard), session=session, **{**MADE, **made})


def make(path, shards=range(4)):
    with Store.writing(path) as store:
        enter(store, shards)
    return Campaign(path)
