"""How a campaign lies in its SQLite file, and the digests by which damage to it is noticed.

SQLite checks none of what it reads: a flipped bit is another number. So each row of ``ensembles``,
``shards`` and ``sessions`` carries the SHA-256 of the JSON of its other columns, and a shard
carries, in its column ``contents``, that of its rows in each of the tables with values.

Files of version 1 have no digests. They are read, and brought to this version when a campaign
goes on in them.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from hessrmt.campaigns._shards import Ensemble, Table

__all__ = [
    "APPLICATION",
    "KEYS",
    "SCHEMA",
    "VERSION",
    "VIEWS",
    "constants",
    "digest",
    "seal",
    "sealed",
    "upgrade",
    "value_types",
    "view_statement",
]

APPLICATION = 0x68657373  # "hess": what makes an SQLite file one of ours
VERSION = 2

SCHEMA = """
CREATE TABLE ensembles (
    id INTEGER PRIMARY KEY,
    task TEXT NOT NULL, method TEXT NOT NULL, steps INTEGER NOT NULL,
    n INTEGER NOT NULL, m INTEGER NOT NULL, seed INTEGER NOT NULL,
    shard_size INTEGER NOT NULL, device TEXT NOT NULL,
    wanted INTEGER NOT NULL, digest TEXT NOT NULL DEFAULT '',
    UNIQUE (task, method, steps, n, m, seed)
);
CREATE TABLE sessions (
    id INTEGER PRIMARY KEY,
    command TEXT NOT NULL, workers INTEGER NOT NULL, started REAL NOT NULL, seen REAL NOT NULL,
    digest TEXT NOT NULL DEFAULT ''
);
CREATE TABLE shards (
    ensemble INTEGER NOT NULL REFERENCES ensembles, shard INTEGER NOT NULL,
    session INTEGER NOT NULL REFERENCES sessions,
    seconds REAL NOT NULL, machine TEXT NOT NULL, versions TEXT NOT NULL,
    contents TEXT NOT NULL DEFAULT '', digest TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (ensemble, shard)
) WITHOUT ROWID;
"""

# The views: what they show besides the ensemble's phi, n, m and seed, and what tells apart the
# rows of one ensemble.
VIEWS = {
    "runs": "e.method AS search, e.steps AS max_steps, v.run / e.shard_size AS shard, v.run",
    "snapshots": "e.method AS search, v.run, v.stage",
    "minimisers": "e.method, e.steps, v.run / e.shard_size AS shard, v.run",
}
KEYS = {"runs": ["run"], "snapshots": ["run", "stage"], "minimisers": ["run"]}
_TYPES = {"U": "TEXT", "i": "INTEGER", "u": "INTEGER", "b": "INTEGER", "f": "REAL"}

# What tells apart the rows of a table, and what of a row its digest is of.
_SEALED = {
    "ensembles": ("id", "task, method, steps, n, m, seed, shard_size, device, wanted"),
    "sessions": ("id", "command, workers, started, seen"),
    "shards": ("ensemble, shard", "session, seconds, machine, versions, contents"),
}


def value_types(columns: Table) -> str:
    """The declaration of columns, by the kinds of the arrays."""
    return ", ".join(f'"{name}" {_TYPES[a.dtype.kind]}' for name, a in columns.items())


def view_statement(view: str, columns: Iterable[str]) -> str:
    """The statement that creates a view of its table with these columns."""
    values = ", ".join(f'v."{name}"' for name in columns if name not in KEYS[view])
    order = ", ".join(["v.ensemble", *(f"v.{key}" for key in KEYS[view])])
    return (
        f"CREATE VIEW {view} AS SELECT 2.0 * e.n / e.m AS phi, e.n, e.m, e.seed, "
        f"{VIEWS[view]}, {values} FROM {view}_values AS v JOIN ensembles AS e "
        f"ON e.id = v.ensemble ORDER BY {order}"
    )


def constants(view: str, e: Ensemble) -> dict[str, Any]:
    """What a view shows of every row of an ensemble, before the keys and the values."""
    common: dict[str, Any] = {"phi": 2.0 * e.n / e.m, "n": e.n, "m": e.m, "seed": e.seed}
    match view:
        case "runs":
            return common | {"search": e.method, "max_steps": e.steps}
        case "snapshots":
            return common | {"search": e.method}
        case _:
            return common | {"method": e.method, "steps": e.steps}


def digest(*what: Any) -> str:
    """Digest of text and numbers, as JSON writes them."""
    return sha256(json.dumps(what, separators=(",", ":"), default=repr).encode()).hexdigest()


def seal(db: sqlite3.Connection, table: str, *key: int) -> None:
    """Put beside a row its digest."""
    names, values = _SEALED[table]
    where = " AND ".join(f"{name} = ?" for name in names.split(", "))
    (row,) = db.execute(f"SELECT {names}, {values} FROM {table} WHERE {where}", key)
    db.execute(f"UPDATE {table} SET digest = ? WHERE {where}", (digest(*row), *key))


def sealed(db: sqlite3.Connection, table: str) -> bool:
    """Whether every row of a table is the one that was sealed."""
    names, values = _SEALED[table]
    rows = db.execute(f"SELECT digest, {names}, {values} FROM {table} ORDER BY {names}")
    return all(digest(*row) == found for found, *row in rows)


def upgrade(db: sqlite3.Connection) -> None:
    """Give a file of version 1 the columns of this one, inside a transaction of the caller's.

    Then all rows are to be sealed.
    """
    for table in _SEALED:
        if table == "shards":
            db.execute("ALTER TABLE shards ADD COLUMN contents TEXT NOT NULL DEFAULT ''")
        db.execute(f"ALTER TABLE {table} ADD COLUMN digest TEXT NOT NULL DEFAULT ''")
    db.execute(f"PRAGMA user_version = {VERSION}")
