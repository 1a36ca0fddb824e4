"""Processes: what ends them, where they write, and what those that they start need not know."""

from __future__ import annotations

import errno
import importlib.metadata
import io
import os
import platform
import shlex
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

__all__ = ["Terminated", "open_streams", "report", "terminable", "unguarded"]


class Terminated(KeyboardInterrupt):
    """What a terminal that closes, or whoever ends the process, has it raise."""


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end a block as Ctrl-C does, so that it can tidy up.

    A signal that is ignored, as by ``nohup``, stays ignored.
    """

    def end(number: int, _: Any) -> None:
        for each in old:  # once is enough: tidying up is not to be interrupted
            signal.signal(each, signal.SIG_IGN)
        raise Terminated

    old = {}
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) == signal.SIG_DFL:
                old[number] = signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


@contextmanager
def unguarded() -> Iterator[None]:
    """Let processes that are started meanwhile not execute the caller's script once more.

    Python does that for the sake of functions which are defined there. Here there are none, and a
    script needs no ``if __name__ == "__main__"``.
    """
    main: dict[str, Any] = vars(sys.modules["__main__"])
    kept: dict[str, Any] = {name: main[name] for name in ("__spec__", "__file__") if name in main}
    main["__spec__"] = None
    main.pop("__file__", None)
    try:
        yield
    finally:
        main.update(kept)


class _Closed(io.TextIOBase):
    """Stands for a standard output that there is none of."""

    def write(self, text: str) -> int:
        raise OSError(errno.EBADF, "the standard output is closed")


def open_streams() -> None:
    """Let every character be written to whatever there is, by its number where it has no sign.

    A closed standard output is one that refuses to be written to, and errors go nowhere when
    theirs is closed. No file that is opened later takes the place of a stream.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # Takes the lowest number that is free, and processes that are started have it, too.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    if sys.stdout is None:
        sys.stdout = _Closed()
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def report(error: BaseException) -> str:
    """Write down an error that nobody has foreseen; one line that says where, and whom to tell."""
    lines = str(error).strip().splitlines()
    what = ": ".join([type(error).__name__, *lines[:1]])
    text = f"{shlex.join(sys.argv)}\nPython {platform.python_version()}, {platform.platform()}\n\n"
    text += "".join(traceback.format_exception(error))
    where = ""
    with suppress(OSError):
        file, name = tempfile.mkstemp(prefix="hessrmt-error-", suffix=".txt")
        with open(file, "w", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(text)
        where = f"; {name} says where"
    address = _address()
    return f"unexpected {what}{where}" + (f", please report it at {address}" if address else "")


def _address() -> str | None:
    """The project's own address for such reports."""
    with suppress(importlib.metadata.PackageNotFoundError):
        urls = importlib.metadata.metadata("hessrmt").get_all("Project-URL") or []
        places = dict(url.split(", ", 1) for url in urls)
        return places.get("Issues")
    return None
