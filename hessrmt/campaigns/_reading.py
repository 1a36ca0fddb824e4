"""Reading the file of a campaign, and noticing damage to it."""

from __future__ import annotations

import json
import math
import os
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import asdict, fields
from itertools import groupby
from numbers import Integral
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from hessrmt.campaigns import _layout as layout
from hessrmt.campaigns._places import check_record, connect
from hessrmt.campaigns._shards import CampaignError, Ensemble, Table

__all__ = ["Reader"]


class Reader:
    """The database of a campaign, opened for reading, as it is at that moment.

    Parameters
    ----------
    path : path-like
        The file. Nothing is created or changed beside it, unless a campaign is writing to it.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    CampaignError
        If the file is something else than the file of a campaign, or damaged.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._db: sqlite3.Connection
        self.path = Path(path)
        if not self.path.is_file():
            raise FileNotFoundError(f"there is no campaign at {self.path}")
        self.has_record = check_record(self.path)
        self._db = connect(Path(os.path.realpath(self.path)), "ro")
        try:
            self._open()
            self._db.execute("BEGIN")  # what is read from here on belongs together
            self._check_seals("ensembles", "shards")
        except BaseException as error:
            self._db.close()
            self._explain(error)
            raise

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.close()
        self._explain(error)

    def ensembles(self) -> dict[int, tuple[Ensemble, int]]:
        """Return by number the ensembles and how many runs each is to have."""
        names = ", ".join(field.name for field in fields(Ensemble))
        rows = self._db.execute(f"SELECT id, wanted, {names} FROM ensembles ORDER BY id")
        return {number: (Ensemble(*values), wanted) for number, wanted, *values in rows}

    def kinds(self, number: int) -> dict[str, int]:
        """Return how many runs of an ensemble are of each kind."""
        if not self._has("runs"):
            return {}
        kind = self._columns("runs").index("kind")
        rows = self._checked("runs", number, self.ensembles()[number][0])
        return dict(sorted(Counter(row[kind] for row in rows).items()))

    def read(self, query: str, values: Any = ()) -> Table:
        """Return the rows of a query as columns; a number that is missing is NaN."""
        cursor = self._db.execute(query, values)
        names = [column[0] for column in cursor.description]
        return _table(names, cursor.fetchall())

    def select(self, view: str, **where: Any) -> Table:
        """Return the rows of a view, in order; conditions that are None are left out.

        A ratio is matched to nine digits, so that 2/3 finds it however it was computed. Every shard
        that is read is compared with its digest.
        """
        if not self._has(view):
            return {}
        columns, keys = self._columns(view), layout.KEYS[view]
        values = [name for name in columns[1:] if name not in keys]
        order = [columns.index(name) for name in (*keys, *values)]
        rows: list[tuple[Any, ...]] = []
        names: list[str] = []
        for number, (ensemble, _) in self.ensembles().items():
            same = layout.constants(view, ensemble)
            shard = [] if view == "snapshots" else ["shard"]
            names = [*same, *shard, *keys, *values]
            if not all(_fits(same[k], v) for k, v in where.items() if k in same):
                continue
            for row in self._checked(view, number, ensemble):
                cells = [row[place] for place in order]
                count = [cells[0] // ensemble.shard_size] if shard else []
                rows.append((*same.values(), *count, *cells))
        for name in set(where) & set(keys):
            place = names.index(name)
            rows = [row for row in rows if _fits(row[place], where[name])]
        return _table(names, rows)

    def check(self) -> tuple[int, int]:
        """Compare everything with its digests; how many shards and rows there are.

        Raises
        ------
        CampaignError
            If something differs, or SQLite finds the file malformed.
        """
        self._check_seals("sessions")
        return self.check_shards()

    def check_shards(self) -> tuple[int, int]:
        """As `check`, without the sessions."""
        ((found,),) = self._db.execute("PRAGMA integrity_check(1)").fetchall()
        if found != "ok":
            raise self._damaged(found.splitlines()[-1])
        self._check_seals("ensembles", "shards")
        rows = 0
        for view in filter(self._has, layout.VIEWS):
            made = self._db.execute("SELECT sql FROM sqlite_master WHERE name = ?", (view,))
            if made.fetchall() != [(layout.view_statement(view, self._columns(view)[1:]),)]:
                raise self._damaged(f"its view {view} is not the one that was made")
            for number, (ensemble, _) in self.ensembles().items():
                rows += len(self._checked(view, number, ensemble))
        return self._one("SELECT count(*) FROM shards"), rows

    def copy_to(self, path: Path) -> None:
        """Write a compact copy, in one plain file that needs no other beside it."""
        self._db.execute("COMMIT")
        self._db.execute("VACUUM INTO ?", (path.absolute().as_uri(),))
        with closing(connect(path, "rw")) as copy:
            copy.execute("PRAGMA journal_mode = DELETE")

    def _checked(self, view: str, number: int, ensemble: Ensemble) -> list[tuple[Any, ...]]:
        """Return the rows of an ensemble in a view's table, after comparing them with the digests.

        Raises
        ------
        CampaignError
            If a shard has other rows than were entered, or rows belong to none.
        """
        rows = self._rows(view, number)
        if self.version < layout.VERSION:
            return rows
        columns = self._columns(view)
        run = columns.index("run")
        if not all(isinstance(row[run], int) for row in rows):
            raise self._damaged(f"a row of {view} has no number")
        stored = self._db.execute(
            "SELECT shard, contents FROM shards WHERE ensemble = ?", (number,)
        )
        wanted = {shard: json.loads(contents).get(view) for shard, contents in stored}
        for shard, group in groupby(rows, lambda row: row[run] // ensemble.shard_size):
            found = layout.digest(columns, asdict(ensemble), list(group))
            if found != wanted.pop(shard, ""):
                raise self._damaged(
                    f"shard {shard} of {ensemble} has other {view} than were entered"
                )
        for shard, there in wanted.items():
            if there:
                raise self._damaged(f"shard {shard} of {ensemble} has lost its {view}")
        return rows

    def _rows(self, view: str, number: int, where: str = "") -> list[tuple[Any, ...]]:
        keys = ", ".join(layout.KEYS[view])
        query = f"SELECT * FROM {view}_values WHERE ensemble = ?{where} ORDER BY {keys}"
        return self._db.execute(query, (number,)).fetchall()

    def _columns(self, view: str) -> list[str]:
        return [row[1] for row in self._db.execute(f"PRAGMA table_info({view}_values)")]

    def _has(self, view: str) -> bool:
        return self._one("SELECT count(*) FROM sqlite_master WHERE name = ?", f"{view}_values") == 1

    def _one(self, query: str, *values: Any) -> int:
        return int(self._db.execute(query, values).fetchone()[0])

    def _open(self) -> None:
        """Refuse other files, and say of which version this one is."""
        try:
            marks = "application_id", "user_version"
            found, self.version = (self._one(f"PRAGMA {mark}") for mark in marks)
        except sqlite3.DatabaseError as error:
            raise CampaignError(f"{self.path} cannot be read as a campaign: {error}") from None
        if found != layout.APPLICATION or self.version not in (1, layout.VERSION):
            raise CampaignError(f"{self.path} is not the file of a campaign, or of another version")

    def _check_seals(self, *tables: str) -> None:
        for table in tables if self.version > 1 else ():
            if not layout.sealed(self._db, table):
                raise self._damaged(f"a row of its table {table} is not the one entered")

    def _damaged(self, what: str) -> CampaignError:
        return CampaignError(f"{self.path} is damaged: {what}")

    def _explain(self, error: BaseException | None) -> None:
        """Raise as a `CampaignError` what SQLite says of a file that it cannot read."""
        if isinstance(error, sqlite3.DatabaseError | UnicodeDecodeError | OverflowError):
            raise CampaignError(f"{self.path} cannot be read as a campaign: {error}") from error


def _fits(found: Any, wanted: Any) -> bool:
    if wanted is None or isinstance(wanted, str):
        return wanted is None or found == wanted
    if isinstance(wanted, Integral):
        return bool(found == int(wanted))  # a float would not tell apart two from 2^53 on
    return math.isclose(found, float(wanted), rel_tol=1e-9)


def _table(names: list[str], rows: list[tuple[Any, ...]]) -> Table:
    columns = zip(*rows, strict=True) if rows else ([] for _ in names)
    return {name: _array(column) for name, column in zip(names, columns, strict=True)}


def _array(values: Any) -> NDArray[Any]:
    if any(isinstance(value, str) for value in values):
        return np.array(values, dtype=np.str_)
    if all(isinstance(value, int) for value in values):
        return np.array(values, dtype=np.int64)
    if any(isinstance(value, int) and abs(value) > 2**53 for value in values):
        return np.array(values, dtype=np.object_)  # no float holds them
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
