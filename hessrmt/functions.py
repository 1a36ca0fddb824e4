"""A function of the reader's own, named FILE.py:NAME or MODULE:NAME.

It is looked for without running anything, called where it is, and what goes wrong in it is told by
the reader's own lines alone.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import importlib.util
import inspect
import linecache
import os
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["call_function", "find_function", "own_lines"]

_FOREIGN = tuple(
    os.path.realpath(place)
    for place in {*sysconfig.get_paths().values(), os.path.dirname(__file__)}
    if os.path.realpath(place) != os.path.realpath(sys.prefix)
)


def find_function(reference: str) -> str:
    """Return a reference that holds in every folder, without running the reader's code.

    Parameters
    ----------
    reference : str
        ``FILE.py:NAME``, the file relative to the current folder, or ``MODULE:NAME``, the module
        in the current folder or where Python finds modules.

    Returns
    -------
    str
        ``FILE.py:NAME`` with the whole path.

    Raises
    ------
    ValueError
        In one sentence: there is no such file, module or name in it, or it is no Python.

    Examples
    --------
    >>> find_function("json.decoder:JSONDecodeError").endswith("decoder.py:JSONDecodeError")
    True
    >>> find_function("json.decoder:JSONDecoderError")
    Traceback (most recent call last):
        ...
    ValueError: json.decoder has no 'JSONDecoderError' (did you mean 'JSONDecodeError'?)
    """
    place, _, name = reference.rpartition(":")
    if not place or not name.isidentifier():
        raise ValueError(f"a function is named FILE.py:NAME or MODULE:NAME, not {reference!r}")
    if place.endswith(".py"):
        path = os.path.abspath(os.path.expanduser(place))
        if not os.path.isfile(path):
            raise ValueError(f"there is no file {place!r}")
    else:
        path = _module_file(place)
    names = _names(path, place)
    if name not in names and "*" not in names:
        close = difflib.get_close_matches(name, names, n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise ValueError(f"{place} has no {name!r}{hint}")
    return f"{path}:{name}"


def call_function(reference: str) -> Any:
    """Call the function that `reference` names, without arguments, and return what it returns.

    The folder of its file is where Python looks for modules first, as for a script.

    Raises
    ------
    ValueError
        If there is no such function, or it takes arguments.
    Exception
        What went wrong in it, as `own_lines` tells it.
    """
    path, _, name = find_function(reference).rpartition(":")
    root, dotted = _root(Path(path))
    where = f"{name} in {os.path.basename(path)}"
    sys.path.insert(0, str(root))
    try:
        with own_lines(reference):
            module = _module(Path(path), dotted)
        function = getattr(module, name, None)
        if not callable(function):
            raise ValueError(f"{where} must be a function, got {type(function).__name__}")
        if not _takes_nothing(function):
            raise ValueError(f"{where} must be callable without arguments")
        with own_lines(reference):
            return function()
    finally:
        sys.path.remove(str(root))
        sys.path.append(str(root))


@contextmanager
def own_lines(reference: str) -> Iterator[None]:
    """Shorten an error to the lines of the reader's function and of the files beside it.

    Parameters
    ----------
    reference : str
        As in `find_function`, or a name without colon, for which this does nothing. Errors that
        none of these lines had a part in go through.

    Raises
    ------
    Exception
        Of the name of the error, its message in one line with the last of these lines.
    """
    try:
        yield
    except (Exception, SystemExit) as error:
        if ":" not in reference:
            raise
        path = find_function(reference).rpartition(":")[0]
        frames = list(_own_frames(error, _root(Path(path))[0]))
        if not frames and not isinstance(error, (SyntaxError, SystemExit)):
            raise
        raise _shortened(error, frames) from None


def _shortened(error: BaseException, frames: list[traceback.FrameSummary]) -> Exception:
    """An error that IPython shows in these lines alone."""
    said = " ".join(str(error).split())
    said = said if len(said) <= 300 else f"{said[:300]} ..."
    if frames:
        last = frames[-1]
        said += f" ({os.path.basename(last.filename)}, line {last.lineno}: {last.line})"
    kind = type(error).__name__
    lines = [f"{kind}: {said}", *traceback.format_list(frames)]

    class Shortened(Exception):
        def _render_traceback_(self) -> list[str]:
            return [line.rstrip("\n") for line in lines]

    Shortened.__name__ = Shortened.__qualname__ = kind
    return Shortened(said)


def _own_frames(error: BaseException, root: Path) -> Iterator[traceback.FrameSummary]:
    inside = os.path.realpath(root) + os.sep
    for frame in traceback.extract_tb(error.__traceback__):
        path = os.path.realpath(frame.filename)
        own = path.startswith(inside) and not path.startswith(_FOREIGN)
        if own and os.path.isfile(path):  # cells of a notebook are none
            linecache.checkcache(frame.filename)
            yield frame


def _module_file(name: str) -> str:
    """Source of a module, found without importing the packages that it is in."""
    spec, places = None, ["", *sys.path]
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        spec = PathFinder.find_spec(".".join(parts[:end]), places)
        if spec is None:
            break
        places = list(spec.submodule_search_locations or ())
    if spec is None or not (spec.origin or "").endswith(".py"):
        raise ValueError(f"there is no module {name!r} in Python here (a file is named FILE.py)")
    return os.path.abspath(str(spec.origin))


def _names(path: str, place: str) -> set[str]:
    """Names that a file defines at its top; a star if it takes all of another."""
    try:
        tree = ast.parse(Path(path).read_bytes())
    except SyntaxError as error:
        raise ValueError(f"{place} is no Python: {error.msg}, line {error.lineno}") from None
    except (ValueError, OSError) as error:
        raise ValueError(f"{place} cannot be read: {error}") from None
    found: set[str] = set()
    blocks = [tree.body]
    while blocks:
        for node in blocks.pop():
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                found.add(node.name)
                continue
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                found |= {alias.asname or alias.name.split(".")[0] for alias in node.names}
            for part in ast.iter_child_nodes(node):
                if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                    found.add(part.id)
                elif isinstance(part, ast.ExceptHandler):
                    blocks.append(part.body)
            blocks += [getattr(node, key, []) for key in ("body", "orelse", "finalbody")]
    return found


def _root(path: Path) -> tuple[Path, str]:
    """Folder that a file's imports start from, and its name as a module from there."""
    names, folder = [path.stem], path.parent
    while (folder / "__init__.py").is_file():
        names.insert(0, folder.name)
        folder = folder.parent
    return folder, ".".join(names)


def _module(path: Path, dotted: str) -> ModuleType:
    there = sys.modules.get(dotted)
    if there is not None and os.path.realpath(there.__file__ or "") == os.path.realpath(path):
        return there
    if there is None and "." in dotted:
        return importlib.import_module(dotted)
    # A file may have the name of a module that something else has imported.
    name = dotted if there is None else f"_own_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _takes_nothing(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind()
    except TypeError:
        return False
    except ValueError:  # a builtin that does not say
        return True
    return True
