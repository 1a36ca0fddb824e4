"""Where the file of a campaign may lie, and where a copy of it may go."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
from hashlib import sha256
from pathlib import Path
from typing import Any

from hessrmt.campaigns._shards import CampaignError

__all__ = ["check_copy", "check_place", "check_record", "connect", "record_path", "shown"]

_BESIDE = ("", "-wal", "-shm", "-journal", ".lock")  # what SQLite and the lock keep at the file
_HEAD = b"SQLite format 3\0"


def connect(file: Path, mode: str) -> sqlite3.Connection:
    """Connect to the file at a resolved path; `mode` is ``ro``, ``rw`` or ``rwc``."""
    uri = f"{file.absolute().as_uri()}?mode={mode}"
    if mode == "ro" and _left_in_wal_mode(file):
        uri += "&immutable=1"  # else SQLite would create files beside it, or fail where it cannot
    # isolation_level=None: transactions begin and end where this package says so.
    return sqlite3.connect(uri, uri=True, timeout=60.0, isolation_level=None)


def _left_in_wal_mode(file: Path) -> bool:
    """Whether a writer was killed and the file has been moved or copied away since."""
    with file.open("rb") as stream:
        wal = stream.read(20)[18:] == b"\2\2"
    return wal and not os.path.exists(f"{file}-wal")


def check_place(path: Path) -> Path:
    """Return where a path leads, unless what is there is surely no campaign to go on with.

    Nothing is created, there or beside it.

    Raises
    ------
    FileNotFoundError
        If there is no folder for it.
    CampaignError
        If it is something else than a regular file of ours, has several names, or is an export.
    """
    file = Path(os.path.realpath(path))
    if not file.parent.is_dir():
        raise FileNotFoundError(
            f"there is no folder {file.parent if path.is_symlink() else path.parent}"
        )
    try:
        found = file.stat()
    except FileNotFoundError:
        return file
    if not stat.S_ISREG(found.st_mode):
        raise CampaignError(f"{path} is not a regular file")
    if found.st_nlink > 1:
        raise CampaignError(
            f"{path} is one of {found.st_nlink} names (hard links) of a file, and a campaign"
            " cannot be kept under several: copy it"
        )
    with file.open("rb") as stream:
        if stream.read(16) not in (b"", _HEAD):
            raise CampaignError(f"{path} is not the file of a campaign")
    if _record(path) is not None:
        raise CampaignError(
            f"{path} is an export, which {record_path(path).name} describes: to go on, copy it"
        )
    return file


def record_path(path: Path) -> Path:
    """Where the record of an export lies."""
    return path.with_suffix(".json")


def _record(path: Path) -> dict[str, Any] | None:
    """The record beside an export, if there is one."""
    beside = record_path(path)
    if not beside.is_file():
        return None
    try:
        record = json.loads(beside.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return None  # it is something else
    named = isinstance(record, dict) and record.get("file") == shown(path.name)
    return record if named and isinstance(record.get("sha256"), str) else None


def check_record(path: Path) -> bool:
    """Compare a file with the digest in the record beside it, and say whether there is one.

    Raises
    ------
    CampaignError
        If they differ.
    """
    record = _record(path)
    if record is None:
        return False
    with path.open("rb") as stream:
        found = sha256()
        while block := stream.read(2**20):
            found.update(block)
    if found.hexdigest() != record["sha256"]:
        raise CampaignError(
            f"{path} is not the file that {record_path(path).name} describes: its sha256 differs"
        )
    return True


def check_copy(source: Path, target: Path) -> Path:
    """Return where a copy of a campaign goes that is to replace nothing but an earlier copy.

    Raises
    ------
    ValueError
        If the copy, or its record, would take the place of the campaign's own file or of what
        belongs to it, in whatever disguise, or of something that is no export.
    FileNotFoundError
        If there is no folder for it.
    """
    if not target.name:
        raise ValueError(f"path must be that of a file, got {target}")
    own = [f"{os.path.realpath(source)}{suffix}" for suffix in _BESIDE]
    record = record_path(target)
    for path in (target, record):
        if os.path.realpath(path) in own or any(_same(path, each) for each in own):
            raise ValueError(f"path must be another file than the campaign's, got {path}")
    if target.suffix.lower() == ".json":
        raise ValueError(f"path must be another file than its record {record}, got {target}")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {target.parent}")
    for path in (target, record):
        if os.path.lexists(path) and not path.is_file():
            raise ValueError(f"path must be a regular file, got {path}")
    known = _record(target) is not None
    if record.exists() and not known:
        raise ValueError(
            f"path must be a name whose record is free, got {target}: {record} is something else"
        )
    if target.exists() and target.stat().st_size and not known:
        raise ValueError(f"path must be new or an earlier export, got {target}, which is neither")
    return Path(os.path.realpath(target))


def _same(one: Path, other: str) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:  # one of them is not there
        return False


def shown(name: str) -> str:
    """A file's name as text, where it is not UTF-8 with escapes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
