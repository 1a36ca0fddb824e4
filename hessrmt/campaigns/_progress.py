"""How far a campaign has come, and where its rows come from."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from hessrmt.campaigns._reading import Reader
from hessrmt.campaigns._shards import CampaignError, Ensemble

__all__ = ["Progress", "progress", "provenance"]


@dataclass(frozen=True)
class Progress:
    """How far an ensemble has come.

    `rate`, in runs per second, is that of the last session in which the ensemble was worked on, all
    workers together, and `seconds_left` follows from it; both are NaN before its first shard. Runs
    made on another kind of machine, or by another version, are others: see `Campaign.run`.
    """

    ensemble: Ensemble
    wanted: int
    done: int
    rate: float
    seconds_left: float
    kinds: dict[str, int]  # runs of each kind; empty for a minimiser
    machines: tuple[str, ...] = ()  # system, processor and kernels; whose runs are in it
    versions: tuple[str, ...] = ()  # of this package and of those that it computes with

    def __str__(self) -> str:
        text = f"{self.ensemble}: {self.done}/{self.wanted} runs"
        if self.done < self.wanted and math.isfinite(self.seconds_left):
            left = timedelta(seconds=round(self.seconds_left))
            text += f", {self.rate:.3g} runs/s, time left {left}"
        parts = [text, *(f"{number} {kind}" for kind, number in self.kinds.items())]
        mixed = {"kinds of machine": self.machines, "versions": self.versions}
        parts += [f"MIXED of {len(e)} {what}" for what, e in mixed.items() if len(e) > 1]
        return ", ".join(parts)


def progress(store: Reader) -> list[Progress]:
    """Say how far each ensemble of a file has come."""
    last = store.read(
        """SELECT s.ensemble, count(*) AS shards, sum(s.session = l.session) AS recent,
        max(t.seen - t.started) AS seconds
        FROM shards AS s JOIN sessions AS t ON t.id = l.session
        JOIN (SELECT ensemble, max(session) AS session FROM shards GROUP BY ensemble) AS l
        ON l.ensemble = s.ensemble GROUP BY s.ensemble"""
    )
    worked = {int(row[0]): row[1:] for row in zip(*last.values(), strict=True)}
    made = store.read("SELECT DISTINCT ensemble, machine, versions FROM shards")
    found = []
    for number, (ensemble, wanted) in store.ensembles().items():
        shards, recent, seconds = worked.get(number, (0, 0, math.nan))
        done = int(shards) * ensemble.shard_size
        # A clock that was set back says nothing.
        rate = float(recent * ensemble.shard_size / seconds) if seconds > 0 else math.nan
        left = (wanted - done) / rate if done < wanted else 0.0
        machines, versions = (
            tuple(sorted(set(made[name][made["ensemble"] == number].tolist())))
            for name in ("machine", "versions")
        )
        kinds = store.kinds(number)
        found.append(Progress(ensemble, wanted, done, rate, left, kinds, machines, versions))
    return found


def provenance(store: Reader) -> dict[str, Any]:
    """Return where the rows of a file come from."""
    sessions = store.read("SELECT DISTINCT command FROM sessions ORDER BY id")
    shards = store.read("SELECT ensemble, seconds, machine, versions FROM shards")
    if len(shards["seconds"]) == 0:
        raise CampaignError("the campaign has no runs yet")
    times = store.read(
        "SELECT sum(max(seen - started, 0)) AS wall, max(seen) AS seen FROM sessions"
    )
    return {
        "commands": sessions["command"].tolist(),
        "versions": sorted(set(shards["versions"].tolist())),
        "machines": sorted(set(shards["machine"].tolist())),
        "wall_seconds": round(float(times["wall"][0])),
        "worker_seconds": round(float(shards["seconds"].sum())),
        "date": datetime.fromtimestamp(float(times["seen"][0]), UTC).date().isoformat(),
        "ensembles": [
            {"phi": str(p.ensemble.phi), **asdict(p.ensemble), "runs": p.done, **p.kinds}
            for p in progress(store)
        ],
    }
