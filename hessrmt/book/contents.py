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
import os
import re
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hessrmt.book.parameters import KINDS, Parameter, Value, one_line
from hessrmt.book.places import book_file
from hessrmt.book.tabular import Table

__all__ = [
    "BookError",
    "Chapter",
    "Parameter",
    "Value",
    "chapter_numbers",
    "chapters",
    "closest",
    "find_chapter",
    "literal",
    "parameter_table",
    "read_yaml",
    "toc_files",
]


class BookError(Exception):
    """What is wrong with a chapter, a parameter or a rerun, in one line for its user."""


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
                    f"{self.name} has no parameter {name!r}{closest(name, known)};"
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
    paths = _notebooks(root)
    given = Path(os.fspath(name).removesuffix(".ipynb"))
    found = [path for path in paths if path.stem == given.name and _leads_to(given, path, root)]
    if len(found) > 1:
        which = ", ".join(str(path.relative_to(root)) for path in found)
        raise BookError(f"there are several chapters {name!r}, say with the folder which: {which}")
    if not found:
        stems = [path.stem for path in paths]
        where = "" if given.parent == Path() else " in this book"
        near = closest(given.name, stems)
        there = ", ".join(stems) or "none"
        raise BookError(f"there is no chapter {name!r}{where}{near}; chapters: {there}")
    return _read(root, found[0])


def chapter_numbers(root: Path) -> dict[str, int]:
    """Number the pages up to the last notebook by their places in a table of contents.

    Parameters
    ----------
    root : Path
        The folder of ``_toc.yml``.

    Returns
    -------
    dict
        By file without its ending, as the table of contents names it.
    """
    files = list(toc_files(read_yaml(root / "_toc.yml", texts=True)))
    files = [file.removesuffix(".ipynb").removesuffix(".md") for file in files]
    notebooks = [k for k, file in enumerate(files) if (root / f"{file}.ipynb").is_file()]
    return {file: k + 1 for k, file in enumerate(files[: max(notebooks, default=-1) + 1])}


def parameter_table(name: str, values: Mapping[str, Any] | None = None) -> Table:
    """Show what a chapter can be rerun with, as its parameters cell declares it.

    Parameters
    ----------
    name : str
        Name of the notebook, in the current folder or in the book.
    values : mapping of str to value, optional
        What a rerun has: values that differ from the defaults get a column.

    Returns
    -------
    Table
        Name, meaning, domain and default of each parameter.

    Raises
    ------
    FileNotFoundError, BookError
        If there is no such chapter, or its parameters cell is not as this module wants it.

    Examples
    --------
    >>> print(str(parameter_table("random_matrix_primer", {"phi": 0.25})).splitlines()[1])
    `phi`      ratio n/p of the Wishart matrices  [0.05, 0.95]  0.5      0.25
    """
    path = book_file(f"{name}.ipynb")
    parameters = _read(path.parent, path).parameters
    domains = {p.name: f"each in {p.domain}" if "list" in p.type else p.domain for p in parameters}
    columns = {
        "parameter": [f"`{p.name}`" for p in parameters],
        "meaning": [p.help for p in parameters],
        "domain": list(domains.values()),
        "default": [_written(p.default) for p in parameters],
    }
    here = [_written((values or {}).get(p.name, p.default)) for p in parameters]
    return Table(columns if here == columns["default"] else {**columns, "here": here})


def _written(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _leads_to(given: Path, path: Path, root: Path) -> bool:
    """Whether a name, with a folder or without, is that of a notebook of the book."""
    if given.parent == Path():
        return True
    leads = {os.path.realpath(place / f"{given}.ipynb") for place in (Path(), root)}
    return os.path.realpath(path) in leads


def toc_files(toc: Any) -> Iterator[str]:
    """Yield the files of a table of contents in its order, without their endings."""
    if isinstance(toc, Mapping):
        yield from (toc[key] for key in ("root", "file") if isinstance(toc.get(key), str))
        toc = list(toc.values())
    if isinstance(toc, list):
        for item in toc:
            yield from toc_files(item)


def read_yaml(path: Path, *, texts: bool = False) -> Any:
    """Read a file of the book's settings; with `texts` every value as the text that it is.

    Raises
    ------
    BookError
        If it cannot be read.
    """
    # YAML guesses: a file called 010, no or 1:30 would be a number or a truth value.
    loader = yaml.BaseLoader if texts else yaml.SafeLoader
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
    except (yaml.YAMLError, ValueError, TypeError, LookupError, RecursionError) as error:
        where = f", line {mark.line + 1}" if (mark := getattr(error, "problem_mark", None)) else ""
        reason = getattr(error, "problem", None) or one_line(error)
        raise BookError(f"{path.name}{where} cannot be read: {reason}") from error


def literal(path: Path) -> str:
    """`path` for papermill, which reads braces in a path as places for parameters."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _root(book: str | Path | None) -> Path:
    checkout = Path(__file__).resolve().parents[2]
    for place in [checkout / "book", Path("book")] if book is None else [Path(book)]:
        folder = Path(os.path.realpath(place))
        for root in (folder, folder.parent):
            if folder.is_dir() and (root / "_toc.yml").is_file():
                return root
    where = f"at {book}" if book is not None else "here, name its folder"
    raise BookError(f"no book found {where} (the folder has _toc.yml in it or beside it)")


def _notebooks(root: Path) -> list[Path]:
    try:
        files = list(toc_files(read_yaml(root / "_toc.yml", texts=True)))
    except RecursionError as error:
        raise BookError("_toc.yml is nested too deep") from error
    paths = [root / f"{file.removesuffix('.ipynb')}.ipynb" for file in files]
    return [path for path in paths if path.is_file()]


def _read(root: Path, path: Path) -> Chapter:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise LookupError("it has no cells")
        cells = [_Cell(**cell) for cell in content["cells"]]
        tagged = (cell.source for cell in cells if "parameters" in cell.tags)
        parameters = tuple(_parameter(*declared) for declared in _declared(next(tagged, "")))
    except (SyntaxError, TypeError, ValueError) as error:
        raise BookError(f"{path.name}: {one_line(error)}") from error
    except (AttributeError, LookupError, MemoryError, RecursionError) as error:
        raise BookError(f"{path.name} is not a notebook: {one_line(error)}") from error
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
    if kind not in KINDS:
        allowed = ", ".join(KINDS)
        raise TypeError(f"the type of {name} must be one of {allowed}, got {kind}")
    match = _COMMENT.fullmatch(help)
    text, domain = match.groups() if match else (help, "True | False" if kind == "bool" else "")
    if not domain:
        raise ValueError(f"the comment on {name} must end in its domain, got {help!r}")
    value = ast.literal_eval(default)
    checked = Parameter(name, kind, value, domain, text).check(value)
    return Parameter(name, kind, checked, domain, text)


def closest(name: str, names: Iterable[str]) -> str:
    """Return what to add to a message about a name that is none of these: the nearest of them."""
    match = difflib.get_close_matches(name, names, n=1)
    return f" (did you mean {match[0]!r}?)" if match else ""
