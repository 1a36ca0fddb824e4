"""Make the stored tables of the spin-glass chapter.

    python book/scripts/spin_glass_data.py TABLE ...

Tables are minima, networks, index and annealing. Each is a file of comma-separated values in
book/data with a .json beside it that says how it was made. Rows are added a group at a time, and
the same command again adds the groups that are missing; to make a table anew, delete it first.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from tqdm import tqdm

from hessrmt.spin_glass import (
    Digits,
    anneal_chain,
    end_losses,
    load_digits,
    minima_of_draw,
    train_group,
)

DATA = Path(__file__).resolve().parents[1] / "data"
Group = tuple[int, ...]
T = TypeVar("T")

# H, size, draws, starts of each
MINIMA = [
    *((3, 25, 100, 10), (3, 50, 100, 10), (3, 100, 40, 25)),
    *((4, 15, 100, 10), (4, 25, 40, 10), (4, 50, 20, 20), (4, 100, 2, 24)),
    *((3, 250, 20, 50), (3, 500, 4, 32)),
]
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


def minima_groups() -> list[Group]:
    """H, size, number of the draw, and starts."""
    return [(H, n, draw, starts) for H, n, draws, starts in MINIMA for draw in range(draws)]


def minima(images: Digits, H: int, size: int, draw: int, starts: int) -> Iterator[str]:
    """Minima of one draw of the couplings."""
    ends, seconds = _timed(lambda: minima_of_draw(H, size, draw, starts))
    for energy, index, norm in zip(ends.energy, ends.index, ends.gradient_norm, strict=True):
        yield f"{energy:.6f},{index},{norm:.1e},{seconds / starts:.4f}"


def networks(images: Digits, hidden: int, scaled: int, epochs: int, group: int) -> Iterator[str]:
    """One group of networks."""
    nets, seconds = _timed(
        lambda: train_group(images, hidden, group, epochs=epochs, scaled=bool(scaled))
    )
    for train, test, error in zip(*end_losses(nets, images), strict=True):
        yield f"{train:.6f},{test:.6f},{error:.4f},{seconds / len(nets.W1):.4f}"


def index(images: Digits, hidden: int, count: int) -> Iterator[str]:
    """The spectra of the first networks of a size."""
    nets = train_group(images, hidden, 0)
    x, labels = torch.from_numpy(images.x), torch.from_numpy(images.labels)
    for k in range(count):
        spectrum, seconds = _timed(lambda k=k: torch.linalg.eigvalsh(nets.hessian(k, x, labels)))
        below, above = int((spectrum < -1e-3).sum()), int((spectrum > 1e-3).sum())
        zero = len(spectrum) - below - above
        yield f"{below},{zero},{above},{spectrum[0]:.5f},{spectrum[-1]:.4f},{seconds:.2f}"


def annealing(images: Digits, hidden: int, sweeps: int, chain: int) -> Iterator[str]:
    """One chain of simulated annealing."""
    nets, seconds = _timed(lambda: anneal_chain(images, hidden, sweeps, chain))
    train, test, error = (float(each) for each in end_losses(nets, images))
    yield f"{train:.6f},{test:.6f},{error:.4f},{seconds:.2f}"


class Table(NamedTuple):
    """What a table holds, and how to make it."""

    what: str
    columns: str
    keys: int  # columns that begin every row of a group, and name it
    groups: Callable[[], list[Group]]
    rows: Callable[..., Iterable[str]]


TABLES = {
    "minima": Table(
        "minima of spherical spin glasses: energy per weight, index, norm of the gradient",
        "H,size,draw,energy,index,gradient_norm,seconds",
        3,
        minima_groups,
        minima,
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


def fill(name: str, folder: Path = DATA) -> None:
    """Add to a table the groups that it lacks."""
    table, path = TABLES[name], folder / f"spin_glass_{name}.csv"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else [table.columns]
    if lines[0] != table.columns:
        raise SystemExit(f"{path.name} must have the columns {table.columns}, got {lines[0]}")
    there = {tuple(int(field) for field in line.split(",")[: table.keys]) for line in lines[1:]}
    missing = [group for group in table.groups() if group[: table.keys] not in there]
    if not missing:
        return
    images = load_digits(rng=0)
    for group in tqdm(missing, desc=name, unit="group", mininterval=10):
        start = ",".join(map(str, group[: table.keys]))
        lines += [f"{start},{row}" for row in table.rows(images, *group)]
        _replace(path, "\n".join(lines) + "\n")
        about = path.with_suffix(".json")
        _replace(about, _provenance(name, about))


def _timed(run: Callable[[], T]) -> tuple[T, float]:
    begun = time.process_time()
    return run(), time.process_time() - begun


def _provenance(name: str, path: Path) -> str:
    """How a table was made, all its sessions: rows may be added on another day or machine."""
    session = {
        "date": date.today().isoformat(),
        "machine": f"{platform.system()} {platform.machine()}, one thread",
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "torch": torch.__version__.split("+")[0],
        },
    }
    sessions = json.loads(path.read_text(encoding="utf-8"))["sessions"] if path.exists() else []
    record = {
        "what": f"{TABLES[name].what}; seconds of one core, shared by the rows of a group",
        "command": f"python book/scripts/spin_glass_data.py {name}",
        "seed": 0,
        "sessions": [*sessions, *([] if session in sessions else [session])],
    }
    return json.dumps(record, indent=1) + "\n"


def _replace(path: Path, text: str) -> None:
    """Write a file at once, so that whatever stops the program leaves whole groups."""
    new = path.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    os.replace(new, path)


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the tables that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("tables", nargs="+", choices=TABLES, metavar="TABLE", help="%(choices)s")
    torch.set_num_threads(1)
    for name in parser.parse_args(arguments).tables:
        fill(name)


if __name__ == "__main__":
    main()
