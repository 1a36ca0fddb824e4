"""Finished Lanczos runs, in memory or in a file that a later call continues."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Checkpoint"]

Real: TypeAlias = NDArray[np.float64]


class Checkpoint:
    """What a spectrum is estimated from.

    Attributes
    ----------
    first : bool
        Whether the first run, which finds the exact eigenvalues, is done.
    exact, vectors, ends, scale
        What it found: eigenvalues with eigenvectors in rows, all Ritz values with residual norms,
        the largest size of one.
    trace : float
        Its first diagonal element, by which the operator is known again.
    runs : list of (alpha, beta)
        The others.
    """

    def __init__(self, path: Path | None, size: int, dtype: Any, steps: int, seed: int) -> None:
        self.path, self.size, self.dtype, self.steps = path, size, np.dtype(dtype), steps
        self.seed = seed
        self.first, self.scale, self.trace = False, 0.0, 0.0
        self.exact, self.ends = np.empty(0), np.empty((0, 2))
        self.vectors = np.empty((0, size), dtype)
        self.runs: list[tuple[Real, Real]] = []

    @classmethod
    def open(cls, path: Any, operator: Any, steps: int, rng: Any) -> Checkpoint:
        """Continue what the file holds, if it is there and of this operator."""
        seed = int(np.random.default_rng(rng).integers(2**63))
        size, dtype = int(operator.shape[0]), np.dtype(operator.dtype)
        if path is None:
            return cls(None, size, dtype, steps, seed)
        path = Path(path)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            return cls(path, size, dtype, steps, seed)
        try:
            with np.load(path, allow_pickle=False) as file:
                held = dict(file)
            given = [int(held[k]) for k in ("size", "steps", "seed")] + [str(held["dtype"])]
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise ValueError(f"checkpoint must be a file of finished runs: {error}") from None
        wanted = [size, steps, seed if isinstance(rng, int) else given[2], dtype.name]
        for name, a, b in zip(("size", "steps", "seed", "dtype"), given, wanted, strict=True):
            if a != b:
                raise ValueError(f"checkpoint must be of this estimate, its {name} differs")
        store = cls(path, size, dtype, steps, int(given[2]))
        store.first, store.scale = True, float(held["scale"])
        store.exact, store.vectors, store.ends = held["exact"], held["vectors"], held["ends"]
        store.runs = [(held[f"alpha{i}"], held[f"beta{i}"]) for i in range(int(held["runs"]))]
        store.trace = float(held["trace"])
        start = store.start(0, np.empty((0, size), dtype))
        if abs(float(start @ operator.matvec(start)) - store.trace) > 1e-3 * abs(store.trace):
            raise ValueError("checkpoint must be of this operator, a product with it differs")
        return store

    def start(self, number: int, against: Any) -> Any:
        """Unit vector that a run starts from; 0 is the first run."""
        v = np.random.default_rng([self.seed, number]).standard_normal(self.size)
        for _ in range(2):
            v = v - against.T @ (against @ v)
            v = v / np.linalg.norm(v)
        return v.astype(self.dtype)

    def begin(self, exact: Real, vectors: Any, ends: Real, trace: float) -> None:
        """Keep what the first run found."""
        self.exact, self.vectors, self.ends, self.trace = exact, vectors, ends, trace
        self.scale = float(np.abs(ends[:, 0]).max())
        self.first = True
        self._save()

    def add(self, alpha: Real, beta: Real) -> None:
        """Keep a run."""
        self.runs.append((alpha, beta))
        self._save()

    def _save(self) -> None:
        if self.path is None:
            return
        pairs: dict[str, Any] = {f"alpha{i}": a for i, (a, _) in enumerate(self.runs)}
        pairs |= {f"beta{i}": b for i, (_, b) in enumerate(self.runs)}
        names = ("size", "steps", "seed", "scale", "trace", "exact", "vectors", "ends")
        held = {name: getattr(self, name) for name in names}
        beside = self.path.with_name(self.path.name + ".part")
        with beside.open("wb") as file:
            np.savez(file, runs=len(self.runs), dtype=self.dtype.name, **held, **pairs)
        os.replace(beside, self.path)
