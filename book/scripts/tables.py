"""Tables that the chapters read instead of making them: files of comma-separated values.

Each has a .json beside it that says how it was made. Rows are added a group at a time, and the
same command again adds the groups that are missing; to make a table anew, delete it first.
"""

import argparse
import json
import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy
import torch
from threadpoolctl import threadpool_info
from tqdm import tqdm

from hessrmt.files import write_text

DATA = Path(__file__).resolve().parents[1] / "data"
Group = tuple[int, ...]


class Table(NamedTuple):
    """What a table holds, and how to make it."""

    what: str
    columns: str
    keys: int  # columns that begin every row of a group, and name it
    groups: Callable[[], list[Group]]
    rows: Callable[..., Iterable[str]]  # of a group, without its keys
    seed: int = 0


def fill(prefix: str, name: str, table: Table, folder: Path = DATA) -> None:
    """Add to a table the groups that it lacks."""
    path = folder / f"{prefix}_{name}.csv"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else [table.columns]
    if lines[0] != table.columns:
        raise SystemExit(f"{path.name} must have the columns {table.columns}, got {lines[0]}")
    there = {tuple(int(field) for field in line.split(",")[: table.keys]) for line in lines[1:]}
    missing = [group for group in table.groups() if group[: table.keys] not in there]
    for group in tqdm(missing, desc=name, unit="group", mininterval=10):
        begun, start = time.perf_counter(), ",".join(map(str, group[: table.keys]))
        lines += [f"{start},{row}" for row in table.rows(*group)]
        write_text(path, "\n".join(lines) + "\n")
        command = f"python book/scripts/{prefix}_data.py {name}"
        about = path.with_suffix(".json")
        write_text(about, _provenance(table, command, about, time.perf_counter() - begun))


def main(
    prefix: str, tables: Mapping[str, Table], what: str, arguments: Sequence[str] | None = None
) -> None:
    """Make the tables that the command line names."""
    parser = argparse.ArgumentParser(description=what.split("\n")[0])
    parser.add_argument("tables", nargs="+", choices=tables, metavar="TABLE", help="%(choices)s")
    torch.set_num_threads(1)
    for name in parser.parse_args(arguments).tables:
        fill(prefix, name, tables[name])


def kernels() -> list[str]:
    """The linear algebra that runs, by library and processor."""
    pools = threadpool_info()
    blas = {f"{p['internal_api']} {p['architecture']}" for p in pools if p.get("architecture")}
    return [*sorted(blas), f"torch {torch.backends.cpu.get_cpu_capability()}"]


def session() -> dict[str, Any]:
    """When, on what kind of machine and with which versions something is made."""
    return {
        "date": date.today().isoformat(),
        "machine": f"{platform.system()} {platform.machine()}, one thread",
        "kernels": kernels(),
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scipy": scipy.__version__,
            "torch": torch.__version__.split("+")[0],
        },
    }


def _provenance(table: Table, command: str, path: Path, seconds: float) -> str:
    """How a table was made, all its sessions: rows may be added on another day or machine."""
    this = session()
    sessions = json.loads(path.read_text(encoding="utf-8"))["sessions"] if path.exists() else []
    for earlier in sessions:
        if {k: v for k, v in earlier.items() if k != "seconds"} == this:
            this = earlier
            break
    else:
        sessions.append(this)
    this["seconds"] = round(this.get("seconds", 0.0) + seconds, 2)
    record = {"what": table.what, "command": command, "seed": table.seed, "sessions": sessions}
    return json.dumps(record, indent=1) + "\n"
