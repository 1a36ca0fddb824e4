"""Shards: the units of work of a campaign."""

from __future__ import annotations

import platform
import sys
import time
from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_info, threadpool_limits

__all__ = ["CampaignError", "Ensemble", "Shard", "Table", "check_device", "make_shard"]

Table = dict[str, NDArray[Any]]


class CampaignError(RuntimeError):
    """A campaign that cannot go on as asked; the message says why and what would help."""


@dataclass(frozen=True)
class Ensemble:
    """Runs that differ in their random draws alone.

    A file holds an ensemble with one value of each of its settings. These do not make it another
    ensemble, but they change what is drawn or computed.
    """

    task: str  # "search" or "minimise"
    method: str  # which search, or which minimiser
    steps: int  # of the minimiser, or of a search at most
    n: int
    m: int
    seed: int
    shard_size: int
    device: str

    @property
    def phi(self) -> Fraction:
        """Ratio 2n/m, exact."""
        return Fraction(2 * self.n, self.m)

    @property
    def settings(self) -> tuple[str, ...]:
        """Names of the settings."""
        common = ("shard_size", "device")
        return common if self.task == "minimise" else ("steps", *common)

    def __str__(self) -> str:
        steps = f" {self.steps} steps" if self.task == "minimise" else ""
        return f"phi={self.phi} n={self.n} {self.method}{steps} seed={self.seed}"


class Shard(NamedTuple):
    """What a worker made: rows by the view they belong to, and where and in what time."""

    tables: dict[str, Table]
    seconds: float
    machine: str
    versions: str


def check_device(device: str) -> None:
    """Refuse a GPU where there is none, by a `CampaignError`."""
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise CampaignError("there is no CUDA device here: torch finds none")


def make_shard(ensemble: Ensemble, shard: int) -> Shard:
    """Make a shard, here."""
    import torch

    check_device(ensemble.device)
    make = _search if ensemble.task == "search" else _minimise
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        # Here as well as in the environment, which may be that of somebody else's cluster.
        with threadpool_limits(1):
            started = time.process_time()
            tables = make(ensemble, shard)
            seconds = time.process_time() - started
    finally:
        torch.set_num_threads(threads)
    return Shard(tables, seconds, _machine(ensemble.device), _versions())


def _machine(device: str) -> str:
    """What rounding depends on, and chaotic runs with it: processor, and kernels chosen for it."""
    import torch

    kernels = [
        f"{library['internal_api']} {library['architecture']}"
        for library in threadpool_info()
        if "architecture" in library
    ]
    found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", ["baseline"])
    kernels += [f"numpy {found[-1]}", f"torch {torch.backends.cpu.get_cpu_capability()}"]
    parts = [f"{platform.system()} {platform.machine()}", _processor(), *sorted(set(kernels))]
    if device == "cuda":
        parts.append(torch.cuda.get_device_name())
    return ", ".join(parts)


def _processor() -> str:
    """Name of the processor's model, as well as the system knows it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or "unknown processor")


def _versions() -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "torch"))
    return (
        f"hessrmt {version('hessrmt')} of sources {_sources()}, {packages}, "
        f"Python {platform.python_version()}"
    )


def _sources() -> str:
    """Fingerprint of the modules in use: rows made before and after a change can be told apart."""
    modules = sorted(name for name in sys.modules if name.split(".")[0] == "hessrmt")
    files = [sys.modules[name].__file__ for name in modules]
    return sha256(b"".join(Path(file).read_bytes() for file in files if file)).hexdigest()[:12]


def _search(e: Ensemble, shard: int) -> dict[str, Table]:
    from hessrmt.critical_points import STAGES, search_shard

    found = search_shard(
        float(e.phi),
        e.n,
        e.shard_size,
        e.seed,
        shard,
        e.method,
        max_steps=e.steps,
        device=e.device,
    )
    run = _numbers(e, shard)
    snapshots = {
        name.removeprefix("snapshot_"): a.ravel() for name, a in found.items() if a.ndim == 2
    }
    return {
        "runs": {"run": run, **{name: a for name, a in found.items() if a.ndim == 1}},
        "snapshots": {
            "run": run.repeat(len(STAGES)),
            "stage": np.tile(np.array(STAGES), len(run)),
            **snapshots,
        },
    }


def _minimise(e: Ensemble, shard: int) -> dict[str, Table]:
    from hessrmt.critical_points import minimise_shard

    found = minimise_shard(
        float(e.phi), e.n, e.shard_size, e.seed, shard, e.method, e.steps, device=e.device
    )
    return {"minimisers": {"run": _numbers(e, shard), **found}}


def _numbers(e: Ensemble, shard: int) -> NDArray[np.int64]:
    return shard * e.shard_size + np.arange(e.shard_size)
