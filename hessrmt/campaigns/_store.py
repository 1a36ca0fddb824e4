"""The file of a campaign: one SQLite database with its runs, shards and sessions.

An *ensemble* is a set of runs that differ in their random draws alone: one ratio phi, one width,
one search (or one minimiser), one seed. Its runs are made in *shards* of equal size. The rows of
a shard enter in one transaction together with the note that they are there, so that after a
kill at any moment a shard is in the file as a whole or not at all.

Readers find the views ``runs``, ``snapshots`` and ``minimisers``, in which every row says what
it belongs to. Beneath lie ``ensembles``, ``shards``, ``sessions`` (one row for each time that the
campaign was run) and the tables with the values, which name an ensemble by its number only.

While it is written the file is in WAL mode, so that others can read it; at rest it is one plain
file, which can be read where nothing can be written.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from hessrmt.campaigns._shards import CampaignError, Ensemble, Table

__all__ = ["Store"]

_APPLICATION = 0x68657373  # "hess": what makes an SQLite file one of ours
_VERSION = 1
_MARKS = {"application_id": _APPLICATION, "user_version": _VERSION}

_SCHEMA = """
CREATE TABLE ensembles (
    id INTEGER PRIMARY KEY,
    task TEXT NOT NULL, method TEXT NOT NULL, steps INTEGER NOT NULL,
    n INTEGER NOT NULL, m INTEGER NOT NULL, seed INTEGER NOT NULL,
    shard_size INTEGER NOT NULL, device TEXT NOT NULL,
    wanted INTEGER NOT NULL,
    UNIQUE (task, method, steps, n, m, seed)
);
CREATE TABLE sessions (
    id INTEGER PRIMARY KEY,
    command TEXT NOT NULL, workers INTEGER NOT NULL, started REAL NOT NULL, seen REAL NOT NULL
);
CREATE TABLE shards (
    ensemble INTEGER NOT NULL REFERENCES ensembles, shard INTEGER NOT NULL,
    session INTEGER NOT NULL REFERENCES sessions,
    seconds REAL NOT NULL, machine TEXT NOT NULL, versions TEXT NOT NULL,
    PRIMARY KEY (ensemble, shard)
) WITHOUT ROWID;
"""

# The views: what they show besides the ensemble's phi, n, m and seed, and what tells apart the
# rows of one ensemble.
_VIEWS = {
    "runs": "e.method AS search, e.steps AS max_steps, v.run / e.shard_size AS shard, v.run",
    "snapshots": "e.method AS search, v.run, v.stage",
    "minimisers": "e.method, e.steps, v.run / e.shard_size AS shard, v.run",
}
_KEYS = {"runs": ["run"], "snapshots": ["run", "stage"], "minimisers": ["run"]}
_TYPES = {"U": "TEXT", "i": "INTEGER", "u": "INTEGER", "b": "INTEGER", "f": "REAL"}


class Store:
    """The database of a campaign, opened for reading.

    Parameters
    ----------
    path : path-like
        The file. Nothing is created or changed beside it, unless a campaign is writing to it.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    CampaignError
        If the file is something else than the file of a campaign.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise FileNotFoundError(f"there is no campaign at {self.path}")
        self._db = _connect(self.path, "ro")
        try:
            _check(self._db, self.path)
        except BaseException:
            self._db.close()
            raise

    @classmethod
    @contextmanager
    def writing(cls, path: str | os.PathLike[str]) -> Iterator[Store]:
        """Open a file for writing, as its only writer, and create it where there is none.

        Raises
        ------
        CampaignError
            If another process writes to the file, or it is no file of a campaign.
        """
        store = cls.__new__(cls)
        store.path = Path(path)
        _check_place(store.path)
        try:
            # A lock of the operating system: a process that is killed lets go of it.
            lock = FileLock(f"{store.path}.lock").acquire(timeout=0)
        except Timeout:
            raise CampaignError(f"another process runs the campaign {store.path}") from None
        with lock, closing(_connect(store.path, "rwc")) as store._db:
            if store._one("SELECT count(*) FROM sqlite_master") == 0:
                store._create()
            _check(store._db, store.path)
            store._db.execute("PRAGMA journal_mode = WAL")
            try:
                yield store
            finally:
                with suppress(sqlite3.OperationalError):  # somebody reads: it stays in WAL mode
                    store._db.execute("PRAGMA busy_timeout = 0")
                    store._db.execute("PRAGMA journal_mode = DELETE")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # -- writing -----------------------------------------------------------------------------------

    def _create(self) -> None:
        with self._transaction():
            for statement in _SCHEMA.split(";"):
                self._db.execute(statement)
            self._db.execute(f"PRAGMA application_id = {_APPLICATION}")
            self._db.execute(f"PRAGMA user_version = {_VERSION}")

    def find(self, ensemble: Ensemble) -> int | None:
        """Return the number of an ensemble, or None if the file does not have it.

        Raises
        ------
        CampaignError
            If the file has it with other settings: they do not mix.
        """
        values = asdict(ensemble)
        key = " AND ".join(f"{name} = :{name}" for name in values if name not in ensemble.settings)
        row = self._db.execute(
            f"SELECT id, {', '.join(ensemble.settings)} FROM ensembles WHERE {key}", values
        ).fetchone()
        if row is None:
            return None
        number, *settings = row
        for name, old in zip(ensemble.settings, settings, strict=True):
            if old != values[name]:
                raise CampaignError(
                    f"{self.path} has {ensemble} with {name} {old}, which does not mix with "
                    f"{name} {values[name]}: give the same, another seed or another file"
                )
        return int(number)

    def begin_session(
        self, ensembles: Sequence[Ensemble], runs: int, command: str, workers: int
    ) -> tuple[int, list[int]]:
        """Note what is being made from now on.

        Parameters
        ----------
        ensembles : sequence of Ensemble
            What is made.
        runs : int
            How many runs each is to have in the end, at least.
        command : str
            That makes them.
        workers : int
            How many there are.

        Returns
        -------
        session : int
            Number of the session.
        numbers : list of int
            Of the ensembles.
        """
        names = [field.name for field in fields(Ensemble)]
        marks = ", ".join(f":{name}" for name in names)
        insert = f"INSERT INTO ensembles ({', '.join(names)}, wanted) VALUES ({marks}, 0)"
        now, numbers = time.time(), []
        with self._transaction():
            for ensemble in ensembles:
                number = self.find(ensemble)
                if number is None:
                    number = self._insert(insert, asdict(ensemble))
                self._db.execute(
                    "UPDATE ensembles SET wanted = max(wanted, ?) WHERE id = ?", (runs, number)
                )
                numbers.append(number)
            session = self._insert(
                "INSERT INTO sessions (command, workers, started, seen) VALUES (?, ?, ?, ?)",
                (command, workers, now, now),
            )
        return session, numbers

    def shards(self, ensemble: Ensemble) -> set[int]:
        """Return the shards of an ensemble that are there; errors as in `find`."""
        rows = self._db.execute(
            "SELECT shard FROM shards WHERE ensemble = ?", (self.find(ensemble),)
        )
        return {shard for (shard,) in rows}

    def add(
        self,
        number: int,
        shard: int,
        tables: Mapping[str, Table],
        *,
        session: int,
        seconds: float,
        machine: str,
        versions: str,
    ) -> None:
        """Enter the rows of a shard, in one transaction.

        Parameters
        ----------
        number : int
            The ensemble's.
        shard : int
            Which of its shards.
        tables : mapping of str to dict of arrays
            Columns of equal length by the view they belong to. The first shard of all fixes
            which columns there are besides the keys ``run`` and ``stage``.
        session : int
            During which the shard was made.
        seconds : float
            Time that it took its worker.
        machine, versions : str
            Of the worker.

        Raises
        ------
        sqlite3.IntegrityError
            If the shard is there already.
        CampaignError
            If the file has other columns.
        """
        with self._transaction():
            self._db.execute(
                "INSERT INTO shards VALUES (?, ?, ?, ?, ?, ?)",
                (number, shard, session, seconds, machine, versions),
            )
            for view, columns in tables.items():
                self._create_view(view, columns)
                names = ", ".join(f'"{name}"' for name in columns)
                marks = ", ".join("?" for _ in columns)
                rows = zip(*(column.tolist() for column in columns.values()), strict=True)
                self._db.executemany(
                    f"INSERT INTO {view}_values (ensemble, {names}) VALUES ({number}, {marks})",
                    rows,
                )
            self._db.execute("UPDATE sessions SET seen = ? WHERE id = ?", (time.time(), session))

    def _create_view(self, view: str, columns: Table) -> None:
        keys = _KEYS[view]
        types = ", ".join(f'"{name}" {_TYPES[a.dtype.kind]}' for name, a in columns.items())
        values = ", ".join(f'v."{name}"' for name in columns if name not in keys)
        self._db.execute(
            f"CREATE TABLE IF NOT EXISTS {view}_values (ensemble INTEGER NOT NULL REFERENCES "
            f"ensembles, {types}, PRIMARY KEY (ensemble, {', '.join(keys)})) WITHOUT ROWID"
        )
        there = [row[1] for row in self._db.execute(f"PRAGMA table_info({view}_values)")]
        if there != ["ensemble", *columns]:
            changed = ", ".join(sorted({*there[1:]} ^ columns.keys())) or "their order"
            raise CampaignError(
                f"{self.path} has {view} made by another version of hessrmt, which do not mix "
                f"(they differ in: {changed}): use another file"
            )
        self._db.execute(
            f"CREATE VIEW IF NOT EXISTS {view} AS SELECT 2.0 * e.n / e.m AS phi, e.n, e.m, e.seed, "
            f"{_VIEWS[view]}, {values} FROM {view}_values AS v JOIN ensembles AS e "
            f"ON e.id = v.ensemble ORDER BY {', '.join(['v.ensemble', *(f'v.{k}' for k in keys)])}"
        )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # -- reading -----------------------------------------------------------------------------------

    def ensembles(self) -> dict[int, tuple[Ensemble, int]]:
        """Return by number the ensembles and how many runs each is to have."""
        names = ", ".join(field.name for field in fields(Ensemble))
        rows = self._db.execute(f"SELECT id, wanted, {names} FROM ensembles ORDER BY id")
        return {number: (Ensemble(*values), wanted) for number, wanted, *values in rows}

    def kinds(self, number: int) -> dict[str, int]:
        """Return how many runs of an ensemble are of each kind."""
        if not self._has("runs"):
            return {}
        counts = "SELECT kind, count(*) FROM runs_values WHERE ensemble = ? GROUP BY kind"
        return dict(self._db.execute(counts, (number,)).fetchall())

    def read(self, query: str, values: Any = ()) -> Table:
        """Return the rows of a query as columns; a number that is missing is NaN."""
        cursor = self._db.execute(query, values)
        names = [column[0] for column in cursor.description]
        rows = cursor.fetchall()
        columns = zip(*rows, strict=True) if rows else ([] for _ in names)
        return {name: _array(column) for name, column in zip(names, columns, strict=True)}

    def select(self, view: str, **where: Any) -> Table:
        """Return the rows of a view, in order; conditions that are None are left out.

        A number is matched to nine digits, so that 2/3 finds the ratio however it was computed.
        """
        if not self._has(view):
            return {}
        tests, values = [], []
        for name, value in where.items():
            if value is not None:
                text = isinstance(value, str)
                tests.append(f'"{name}" = ?' if text else f'abs("{name}" - ?) < 1e-9')
                values.append(value if text else float(value))
        condition = " AND ".join(tests) or "true"
        return self.read(f"SELECT * FROM {view} WHERE {condition}", values)

    def copy_to(self, path: Path) -> None:
        """Write a compact copy, in one plain file that needs no other beside it."""
        self._db.execute("VACUUM INTO ?", (str(path),))
        with closing(_connect(path, "rw")) as copy:
            copy.execute("PRAGMA journal_mode = DELETE")

    def _has(self, view: str) -> bool:
        return self._one("SELECT count(*) FROM sqlite_master WHERE name = ?", view) == 1

    def _insert(self, statement: str, values: Any) -> int:
        cursor = self._db.execute(statement, values)
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def _one(self, query: str, *values: Any) -> int:
        return int(self._db.execute(query, values).fetchone()[0])


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    # isolation_level=None: transactions begin and end where this module says so.
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=60.0, isolation_level=None
    )


def _check_place(path: Path) -> None:
    """Refuse what is surely no campaign, before anything is created beside it or in it."""
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent}")
    if path.exists():
        with path.open("rb") as file:
            head = file.read(16)
        if head not in (b"", b"SQLite format 3\0"):
            raise CampaignError(f"{path} is not the file of a campaign")


def _check(db: sqlite3.Connection, path: Path) -> None:
    try:
        found = [db.execute(f"PRAGMA {name}").fetchone()[0] for name in _MARKS]
    except sqlite3.DatabaseError as error:
        raise CampaignError(f"{path} cannot be read as a campaign: {error}") from None
    if found != list(_MARKS.values()):
        raise CampaignError(f"{path} is not the file of a campaign, or of another version")


def _array(values: Any) -> NDArray[Any]:
    if any(isinstance(value, str) for value in values):
        return np.array(values, dtype=np.str_)
    if all(isinstance(value, int) for value in values):
        return np.array(values, dtype=np.int64)
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
