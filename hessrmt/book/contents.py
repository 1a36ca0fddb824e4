"""The book's chapters and the parameters that they can be rerun with.

A chapter declares its parameters in the cell tagged ``parameters``, a line each, with a type and
with a domain in the notation of `hessrmt.validation`::

    phi: float = 0.5  # parameters per scalar target, in (0, 4]
    entries: str = "normal"  # distribution of the entries, one of normal | sign
    phis: list[float] = [0.25, 0.5]  # panels of the figure, each in (0, 4]
"""

from __future__ import annotations

import ast
import difflib
import io
import json
import re
import tokenize
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hessrmt.validation import choice, integer, real

__all__ = ["BookError", "Chapter", "Parameter", "chapters", "find_chapter"]

Value = float | int | str | bool | list[float] | list[int]


class BookError(Exception):
    """What is wrong with a chapter, a parameter or a rerun, in one line for its user."""


def _boolean(name: str, value: Any, domain: str) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be one of {domain}, got {value!r}")
    return value


_CHECKS: dict[str, Callable[[str, Any, str], Any]] = {
    "float": real,
    "int": integer,
    "str": choice,
    "bool": _boolean,
}
_LISTS = {"list[float]": real, "list[int]": integer}


@dataclass(frozen=True)
class Parameter:
    """A parameter of a chapter, as the chapter's parameters cell declares it.

    Examples
    --------
    >>> phi = Parameter("phi", "float", 0.5, "(0, 4]", "parameters per scalar target")
    >>> print(phi)
    phi in (0, 4]
    >>> phi.check(1)
    1.0
    """

    name: str
    type: str
    default: Value
    domain: str
    help: str

    def __str__(self) -> str:
        words = {"float": "in", "int": "in", "str": "one of", "bool": "one of"}
        return f"{self.name} {words.get(self.type, 'each in')} {self.domain}"

    def check(self, value: Any) -> Value:
        """Return `value` as this parameter's type, inside its domain.

        Whole numbers are accepted where a float is meant; NaN and infinities never are.

        Raises
        ------
        TypeError
            If `value` is of another kind.
        ValueError
            If it, or an element of it, is outside the domain.
        """
        if self.type in _CHECKS:
            return _CHECKS[self.type](self.name, value, self.domain)  # type: ignore[no-any-return]
        if not isinstance(value, list | tuple):
            raise TypeError(f"{self.name} must be a list, each in {self.domain}, got {value!r}")
        if not value:
            raise ValueError(f"{self.name} must have elements in {self.domain}, got []")
        return [_LISTS[self.type](self.name, item, self.domain) for item in value]


@dataclass(frozen=True)
class Chapter:
    """A chapter that is a notebook: where it is, its title, and what it can be rerun with.

    `root` is the folder of the book's ``_toc.yml`` and ``_config.yml``.
    """

    root: Path
    path: Path
    title: str
    parameters: tuple[Parameter, ...]

    @property
    def name(self) -> str:
        """The notebook's name without its ending."""
        return self.path.stem

    def check(self, values: Mapping[str, Any]) -> dict[str, Value]:
        """Return checked `values`, in the order in which the chapter declares its parameters.

        Raises
        ------
        BookError
            If there is no such parameter, or its value is of the wrong type or outside its domain.
        """
        known = {parameter.name: parameter for parameter in self.parameters}
        for name in values:
            if name not in known:
                there = "; ".join(map(str, self.parameters)) or "none"
                raise BookError(
                    f"{self.name} has no parameter {name!r}{_closest(name, known)};"
                    f" its parameters: {there}"
                )
        checked = {}
        for parameter in self.parameters:
            if parameter.name not in values:
                continue
            try:
                checked[parameter.name] = parameter.check(values[parameter.name])
            except (TypeError, ValueError) as error:
                raise BookError(str(error)) from error
        return checked


def chapters(book: str | Path | None = None) -> list[Chapter]:
    """List the book's notebooks in the order of its table of contents.

    Parameters
    ----------
    book : str or Path, optional
        The book's folder, which has ``_toc.yml`` in it or beside it. By default the folder
        ``book`` of the checkout that this package is installed from, else ``./book``.

    Returns
    -------
    list of Chapter

    Raises
    ------
    BookError
        If there is no book, or a parameters cell is not as the head of this module has it.
    """
    root = _root(book)
    return [_read(root, path) for path in _notebooks(root)]


def find_chapter(name: str, book: str | Path | None = None) -> Chapter:
    """Return the chapter of that name.

    Parameters
    ----------
    name : str
        Name of the notebook, with or without folder and ``.ipynb``.
    book : str or Path, optional
        As in `chapters`.

    Returns
    -------
    Chapter

    Raises
    ------
    BookError
        If there is none, or as in `chapters`.
    """
    root = _root(book)
    paths = {path.stem: path for path in _notebooks(root)}
    stem = Path(name).name.removesuffix(".ipynb")
    if stem not in paths:
        there = ", ".join(paths) or "none"
        raise BookError(f"there is no chapter {name!r}{_closest(stem, paths)}; chapters: {there}")
    return _read(root, paths[stem])


def toc_files(toc: Any) -> Iterator[str]:
    """Yield the files of a table of contents in its order, without their endings."""
    if isinstance(toc, Mapping):
        yield from (toc[key] for key in ("root", "file") if key in toc)
        toc = list(toc.values())
    if isinstance(toc, list):
        for item in toc:
            yield from toc_files(item)


def literal(path: Path) -> str:
    """`path` for papermill, which reads braces in a path as places for parameters."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _root(book: str | Path | None) -> Path:
    checkout = Path(__file__).resolve().parents[2]
    for place in [checkout / "book", Path("book")] if book is None else [Path(book)]:
        for root in (place.resolve(), place.resolve().parent):
            if place.is_dir() and (root / "_toc.yml").is_file():
                return root
    where = f"at {book}" if book is not None else "here, name its folder"
    raise BookError(f"no book found {where} (the folder has _toc.yml in it or beside it)")


def _notebooks(root: Path) -> list[Path]:
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    paths = [root / f"{file.removesuffix('.ipynb')}.ipynb" for file in toc_files(toc)]
    return [path for path in paths if path.is_file()]


def _read(root: Path, path: Path) -> Chapter:
    try:
        cells = [_Cell(**cell) for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]
        tagged = (cell.source for cell in cells if "parameters" in cell.tags)
        parameters = tuple(_parameter(*declared) for declared in _declared(next(tagged, "")))
    except (SyntaxError, TypeError, ValueError) as error:
        raise BookError(f"{path.name}: {str(error).splitlines()[0]}") from error
    text = "\n".join(cell.source for cell in cells if cell.kind == "markdown")
    heading = re.search(r"^#\s+(.+)$", text, re.MULTILINE)
    return Chapter(root, path, heading[1].strip() if heading else path.stem, parameters)


_COMMENT = re.compile(
    r"(?P<help>.*?)[,;:]?\s*(?:\beach\s+)?\b(?:in|one of)\s+(?P<domain>(?!.*\b(?:in|one of)\s).+)"
)


class _Cell:
    """A cell of a notebook file."""

    def __init__(self, cell_type: str, source: str | list[str], metadata: Any, **_: Any) -> None:
        self.kind, self.source = cell_type, "".join(source)
        self.tags = metadata.get("tags", [])


def _declared(source: str) -> Iterator[tuple[str, str, ast.expr, str]]:
    """Yield name, type, default and comment of each assignment, as papermill finds them."""
    body = ast.parse(source).body
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = {t.start[0]: t.string.lstrip("# ") for t in tokens if t.type == tokenize.COMMENT}
    for line in body:
        comment = comments.get(line.end_lineno or 0, "")
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and line.value:
            yield line.target.id, ast.unparse(line.annotation), line.value, comment
        elif isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
            yield line.targets[0].id, "None", line.value, comment


def _parameter(name: str, kind: str, default: ast.expr, help: str) -> Parameter:
    """Make a parameter of what a cell declares, with its default checked like any value."""
    if kind not in (*_CHECKS, *_LISTS):
        allowed = ", ".join((*_CHECKS, *_LISTS))
        raise TypeError(f"the type of {name} must be one of {allowed}, got {kind}")
    match = _COMMENT.fullmatch(help)
    text, domain = match.groups() if match else (help, "True | False" if kind == "bool" else "")
    if not domain:
        raise ValueError(f"the comment on {name} must end in its domain, got {help!r}")
    value = ast.literal_eval(default)
    checked = Parameter(name, kind, value, domain, text).check(value)
    return Parameter(name, kind, checked, domain, text)


def _closest(name: str, names: Iterable[str]) -> str:
    match = difflib.get_close_matches(name, names, n=1)
    return f" (did you mean {match[0]!r}?)" if match else ""
