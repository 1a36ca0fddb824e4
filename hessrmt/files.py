"""Files that are held by one process, and files that are replaced in one step."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

__all__ = ["Lock", "is_held", "replacing", "write_text"]


class Lock:
    """Holds a file until it is closed, or until the process ends, whatever ends it.

    The lock is the operating system's, so that it holds across users, containers and namespaces
    of processes, and nothing stale is left by a process that is killed. The file stays and says
    who held it last.

    Parameters
    ----------
    path : Path
        The file; it is created where there is none.

    Raises
    ------
    BlockingIOError
        If another holds it; the message says who.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Lock(Path(folder, "lock")):
    ...         held = is_held(Path(folder, "lock"))
    ...     print(held, is_held(Path(folder, "lock")))
    True False
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        while True:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                _hold(self._file)
            except OSError as error:
                holder = os.read(self._file, 500).decode(errors="replace").strip()
                os.close(self._file)
                if not isinstance(error, BlockingIOError | PermissionError):
                    raise  # the file system has no locks
                raise BlockingIOError(f"{path} is held by {holder or 'another process'}") from None
            if self.is_there():
                break
            os.close(self._file)  # somebody has removed it since it was opened
        now = datetime.now(UTC).isoformat(" ", "seconds")
        os.ftruncate(self._file, 0)
        os.write(self._file, f"process {os.getpid()} on {platform.node()} since {now}".encode())

    def is_there(self) -> bool:
        """Whether the file that is held is still the one of that name."""
        try:
            return os.path.samestat(os.fstat(self._file), os.stat(self.path))
        except FileNotFoundError:
            return False

    def close(self) -> None:
        """Let go of it."""
        os.close(self._file)

    def __enter__(self) -> Lock:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


if sys.platform == "win32":  # pragma: no cover

    def _hold(file: int) -> None:
        import msvcrt

        os.lseek(file, 2**20, os.SEEK_SET)  # others may read what is written at the beginning
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(file, 0, os.SEEK_SET)

else:

    def _hold(file: int) -> None:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_held(path: Path) -> bool:
    """Whether a process holds the lock on a file; the file is left as it is."""
    try:
        file = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    except PermissionError:
        return True  # another user's, who may be at work
    try:
        _hold(file)
    except (BlockingIOError, PermissionError):
        return True
    finally:
        os.close(file)
    return False


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yield where to write a file that takes the place of `target`, in one step and if complete."""
    with tempfile.TemporaryDirectory(prefix=".", dir=target.parent) as folder:
        part = Path(folder) / "part"
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(target)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a file of text, as UTF-8; who reads it meanwhile finds the old or the new one.

    Raises
    ------
    OSError
        If it cannot be written; what was there is left.
    """
    with replacing(Path(os.path.realpath(path))) as part:
        part.write_text(text, encoding="utf-8")
