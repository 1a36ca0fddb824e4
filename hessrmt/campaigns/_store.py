"""The file of a campaign: one SQLite database with its runs, shards and sessions.

An *ensemble* is a set of runs that differ in their random draws alone: one ratio phi, one width,
one search (or one minimiser), one seed. Its runs are made in *shards* of equal size. The rows of
a shard enter in one transaction together with the note that they are there, so that after a
kill at any moment a shard is in the file as a whole or not at all.

Readers find the views ``runs``, ``snapshots`` and ``minimisers``, in which every row says what
it belongs to. Beneath lie ``ensembles``, ``shards``, ``sessions`` (one row for each time that the
campaign was run) and the tables with the values, which name an ensemble by its number only.

While it is written the file is in WAL mode, so that others can read it. After each shard it is
complete by itself, and at rest nothing is beside it: a copy of this one file lacks nothing.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from hessrmt.campaigns import _layout as layout
from hessrmt.campaigns._places import check_place, connect
from hessrmt.campaigns._reading import Reader
from hessrmt.campaigns._shards import CampaignError, Ensemble, Table
from hessrmt.files import Lock

__all__ = ["Store"]


class Store(Reader):
    """The database of a campaign: opened for reading, or with `writing`."""

    _file: Path  # where the path leads
    _lock: Lock
    _identity: os.stat_result | None  # of the file that was opened
    _entered: int  # shards, since then
    _clock: float  # what the monotonic clock is ahead of the time, in seconds

    @classmethod
    @contextmanager
    def writing(cls, path: str | os.PathLike[str]) -> Iterator[Store]:
        """Open a file for writing, as its only writer, and create it where there is none.

        Raises
        ------
        CampaignError
            If another process writes to the file, it is no file of a campaign, it is damaged, or
            it is removed or replaced before the end.
        """
        store = cls.__new__(cls)
        store.path = Path(path)
        store._file = check_place(store.path)
        store._lock = store._hold()
        try:
            if (there := store._stat()) and there.st_size:
                with cls(store.path) as before:
                    before.check_shards()  # nothing goes on in a damaged file
            with closing(connect(store._file, "rwc")) as store._db:
                if store._one("SELECT count(*) FROM sqlite_master") == 0:
                    store._create()
                store._open()
                store._identity = store._stat()
                if store.version < layout.VERSION:
                    store._upgrade()
                store._db.execute("PRAGMA journal_mode = WAL")
                store._settle()
                known, store._entered = store._one("SELECT count(*) FROM shards"), 0
                try:
                    yield store
                finally:
                    with suppress(sqlite3.OperationalError):  # somebody reads: it stays in WAL mode
                        store._db.execute("PRAGMA busy_timeout = 0")
                        store._db.execute("PRAGMA journal_mode = DELETE")
            store._check_still_there(known + store._entered)
        finally:
            store._lock.close()

    def _create(self) -> None:
        with self._transaction():
            for statement in layout.SCHEMA.split(";"):
                self._db.execute(statement)
            self._db.execute(f"PRAGMA application_id = {layout.APPLICATION}")
            self._db.execute(f"PRAGMA user_version = {layout.VERSION}")

    def _upgrade(self) -> None:
        with self._transaction():
            layout.upgrade(self._db)
            self.version = layout.VERSION
            for (session,) in self._db.execute("SELECT id FROM sessions").fetchall():
                layout.seal(self._db, "sessions", session)
            for number, (ensemble, _) in self.ensembles().items():
                layout.seal(self._db, "ensembles", number)
                for shard in self.shards(ensemble):
                    self._seal_shard(number, ensemble, shard)

    def _hold(self) -> Lock:
        # By where the path leads: a link is no second file.
        try:
            return Lock(Path(f"{self._file}.lock"))
        except BlockingIOError as error:
            raise CampaignError(
                f"another process runs the campaign {self.path}: {error}. "
                "If its machine is lost, remove that lock"
            ) from None

    def _stat(self) -> os.stat_result | None:
        with suppress(FileNotFoundError):
            return os.stat(self._file)
        return None

    def _check_still_there(self, shards: int | None = None) -> None:
        """Notice that the file was removed or replaced, which SQLite does not."""
        now = self._stat()
        there = bool(now and self._identity and os.path.samestat(now, self._identity))
        if there and shards is not None:  # at the end: also what was written over it in place
            try:
                again = Store(self.path)
            except (CampaignError, FileNotFoundError):
                there = False
            else:
                with again:
                    there = again.check_shards()[0] == shards
        if not there:
            raise CampaignError(
                f"{self.path} was removed or replaced while the campaign ran: unless there is a "
                "copy, what had been entered is lost"
            )
        if not self._lock.is_there():
            new = self._hold()
            self._lock.close()
            self._lock = new

    def _settle(self) -> None:
        """Bring what was entered into the file itself, and empty what is beside it."""
        self._db.execute("PRAGMA wal_checkpoint(PASSIVE)")
        self._db.execute("PRAGMA busy_timeout = 0")  # somebody reads: the next time will do
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._db.execute("PRAGMA busy_timeout = 60000")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # -- what writers do -----------------------------------------------------------------------

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
        self._clock = time.monotonic() - now  # which goes on where that of the system jumps
        with self._transaction():
            for ensemble in ensembles:
                number = self.find(ensemble)
                if number is None:
                    number = self._insert(insert, asdict(ensemble))
                self._db.execute(
                    "UPDATE ensembles SET wanted = max(wanted, ?) WHERE id = ?", (runs, number)
                )
                layout.seal(self._db, "ensembles", number)
                numbers.append(number)
            session = self._insert(
                "INSERT INTO sessions (command, workers, started, seen) VALUES (?, ?, ?, ?)",
                (command, workers, now, now),
            )
            layout.seal(self._db, "sessions", session)
        self._settle()
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
            If the file has other columns, or is not there any more.
        """
        self._check_still_there()
        with self._transaction():
            self._db.execute(
                "INSERT INTO shards (ensemble, shard, session, seconds, machine, versions) "
                "VALUES (?, ?, ?, ?, ?, ?)",
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
            self._seal_shard(number, self.ensembles()[number][0], shard)
            seen = time.monotonic() - self._clock
            self._db.execute("UPDATE sessions SET seen = ? WHERE id = ?", (seen, session))
            layout.seal(self._db, "sessions", session)
        self._settle()
        self._entered += 1

    def _seal_shard(self, number: int, ensemble: Ensemble, shard: int) -> None:
        """Put beside a shard the digests of its rows, as they are in the file."""
        size, contents = ensemble.shard_size, {}
        for view in filter(self._has, layout.VIEWS):
            first = shard * size
            rows = self._rows(view, number, f" AND run BETWEEN {first} AND {first + size - 1}")
            if rows:
                contents[view] = layout.digest(self._columns(view), asdict(ensemble), rows)
        self._db.execute(
            "UPDATE shards SET contents = ? WHERE ensemble = ? AND shard = ?",
            (json.dumps(contents), number, shard),
        )
        layout.seal(self._db, "shards", number, shard)

    def _create_view(self, view: str, columns: Table) -> None:
        if not self._has(view):
            self._db.execute(
                f"CREATE TABLE {view}_values (ensemble INTEGER NOT NULL REFERENCES ensembles, "
                f"{layout.value_types(columns)}, "
                f"PRIMARY KEY (ensemble, {', '.join(layout.KEYS[view])})) WITHOUT ROWID"
            )
            self._db.execute(layout.view_statement(view, columns))
        there = self._columns(view)
        if there != ["ensemble", *columns]:
            changed = ", ".join(sorted({*there[1:]} ^ columns.keys())) or "their order"
            raise CampaignError(
                f"{self.path} has {view} made by another version of hessrmt, which do not mix "
                f"(they differ in: {changed}): use another file"
            )

    def _insert(self, statement: str, values: Any) -> int:
        cursor = self._db.execute(statement, values)
        assert cursor.lastrowid is not None
        return cursor.lastrowid
