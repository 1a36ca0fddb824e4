"""Executions that nbval has compared with what is stored, kept until something changes.

`make test` executes every chapter to compare it. `make book` shows that execution instead of making
it again, as long as chapters, data, this package and the environment are what they were. This
module is what keeps it: a plugin of pytest, ``-p hessrmt.book.executions``.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from hessrmt.book.contents import find_chapter
from hessrmt.book.reruns import source_digest
from hessrmt.files import write_text
from hessrmt.hermetic import PROCESSOR

__all__ = ["compared_execution"]


def compared_execution(chapter: Path) -> dict[str, Any] | None:
    """Return what a chapter's last execution gave when it was what is stored.

    Parameters
    ----------
    chapter : Path
        The notebook, in the folder ``book`` of a checkout.

    Returns
    -------
    dict or None
        The notebook, as its file would be; None if there has been none, or something has changed
        since.
    """
    try:
        kept: dict[str, Any] = json.loads(_place(chapter).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    notebook: dict[str, Any] = kept["notebook"]
    return notebook if kept["state"] == _state(chapter) else None


def _place(chapter: Path) -> Path:
    return chapter.parents[1] / "_build" / "compared" / f"{chapter.stem}.json"


def _state(chapter: Path) -> str:
    """Digest of all that an execution follows from, the file of the chapter included."""
    packages = sorted({f"{d.name} {d.version}" for d in metadata.distributions()})
    processor = [os.environ.get(name, "") for name in PROCESSOR]
    digest = hashlib.sha256(chapter.read_bytes())
    digest.update(source_digest(find_chapter(chapter.stem, chapter.parent)).encode())
    digest.update("\n".join([sys.version, *packages, *processor]).encode())
    return digest.hexdigest()


_states: dict[Path, str] = {}  # before the execution
_outputs: dict[Path, list[Any]] = {}  # of the cells so far
_failed: set[Path] = set()


def pytest_runtest_setup(item: Any) -> None:
    """Remember what a notebook was when its first cell was to run."""
    if item.path not in _states:
        _states[item.path] = _state(item.path)


def pytest_runtest_teardown(item: Any) -> None:
    """Take the outputs of a cell that has run."""
    _outputs.setdefault(item.path, []).append(item.test_outputs)


def pytest_exception_interact(node: Any) -> None:
    """Remember the notebooks in which something went wrong, or is not as it is stored."""
    _failed.add(node.path)


def pytest_sessionfinish() -> None:
    """Keep the notebooks of which every cell gave what is stored."""
    for path in _outputs.keys() - _failed:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
        complete = len(cells) == len(_outputs[path]) and None not in _outputs[path]
        if complete and _state(path) == _states[path]:
            for number, (cell, outputs) in enumerate(zip(cells, _outputs[path], strict=True)):
                cell |= {"outputs": outputs, "execution_count": number + 1}
                for output in outputs:
                    if "execution_count" in output:  # nbval has kernels not count
                        output["execution_count"] = number + 1
            _place(path).parent.mkdir(parents=True, exist_ok=True)
            write_text(_place(path), json.dumps({"state": _states[path], "notebook": notebook}))
