"""Folders of results: put in place in one step, and never at the cost of what a person keeps there.

A result is put together in a hidden folder beside its place, ``.NAME@XXXXXXXX``, whose file
``lock`` its process holds. What a killed process leaves is removed by the next one.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hessrmt.files import Lock, is_held

__all__ = ["RECORD", "hidden_folder", "put_in_place", "read_record"]

RECORD = "rerun.json"
_LOCK, _EARLIER = "lock", "earlier"


@contextmanager
def hidden_folder(target: Path) -> Iterator[Path]:
    """Yield a hidden folder beside a place, and remove it at the end."""
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_what_killed_processes_left(target.parent)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}@", dir=target.parent))
    try:
        with Lock(folder / _LOCK):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_what_killed_processes_left(place: Path) -> None:
    for folder in place.glob(".*@*"):
        lock = folder / _LOCK
        if is_held(lock) or not (lock.exists() or _is_of_dead_process(folder)):
            continue
        target = folder.with_name(folder.name[1:].rpartition("@")[0])
        if (folder / _EARLIER).is_dir() and not os.path.lexists(target):
            (folder / _EARLIER).rename(target)  # killed between the two moves
        shutil.rmtree(folder, ignore_errors=True)


def _is_of_dead_process(folder: Path) -> bool:
    """Whether a folder without a lock, ``.NAME@HOST@PROCESS``, is of a process that has ended."""
    *name, host, process = folder.name.split("@")
    if not name or host != platform.node() or not process.isdecimal() or os.name != "posix":
        return False
    try:
        os.kill(int(process), 0)  # signal 0 only asks
    except ProcessLookupError:
        return True
    except (OverflowError, PermissionError):  # the second: of another user
        return False
    return False


def put_in_place(target: Path, result: Path, record: dict[str, Any]) -> None:
    """Move a result to its place, with its record and with what a person keeps there.

    That is, each file of an earlier result which no rerun has made, or which has been changed
    since. A changed one that the new result has as well is kept as ``NAME.kept.SUFFIX``.
    """
    files = {name: _digest(result / name) for name in _files(result)}
    text = json.dumps({**record, "files": files}, indent=1) + "\n"
    (result / RECORD).write_text(text, encoding="utf-8")
    earlier = result.parent / _EARLIER
    while True:
        if target.is_dir():
            _keep(target, result)
            target.rename(earlier)
        try:
            result.rename(target)
            return
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
        # Another rerun of the same point has come in between.
        shutil.rmtree(earlier, ignore_errors=True)


def _keep(target: Path, result: Path) -> None:
    record = read_record(target / RECORD) or {}
    made = record.get("files")
    for name in _files(target):
        old, new = target / name, result / name
        if name == RECORD and record:
            continue
        if isinstance(made, dict):
            if made.get(name) == _digest(old):
                continue
        elif record and (name.startswith("html/") or new.exists()):
            continue  # by a version that did not list what it made
        number = 0
        while os.path.lexists(new):
            number += 1
            new = new.with_name(f"{old.stem}.kept{number if number > 1 else ''}{old.suffix}")
        new.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(old, new, follow_symlinks=False)


def _files(folder: Path) -> list[str]:
    """All files in a folder, and links wherever they lead, by their paths in it."""
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    )


def _digest(path: Path) -> str:
    content = os.readlink(path).encode(errors="surrogateescape") if path.is_symlink() else None
    return hashlib.sha256(path.read_bytes() if content is None else content).hexdigest()[:16]


def read_record(path: Path) -> dict[str, Any] | None:
    """Read what was run from a result's record; None if there is none, or it is damaged."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    parts = {"chapter": str, "parameters": dict, "seconds": int | float, "source": str}
    if not isinstance(record, dict):
        return None
    sound = all(isinstance(record.get(name), kind) for name, kind in parts.items())
    return record if sound else None
