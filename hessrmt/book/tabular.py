"""Tables for people: HTML on a page, Markdown for the PDF, aligned text in a terminal.

Numbers are formatted once, and all three show the same characters, so that a stored notebook can
be compared with another execution. On a narrow page a table scrolls in a box of its own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from numbers import Integral, Real
from typing import Any

import numpy as np

__all__ = ["Table"]

Format = str | Callable[[Any], str]

EMPTY = "–"  # what a cell without a value shows
_MARKUP = re.compile(r"\$(?P<math>[^$]+)\$|`(?P<code>[^`]+)`")


class Table:
    r"""Columns of values under their headings; the first column names the rows.

    Parameters
    ----------
    columns : mapping of str to iterable
        Heading -> values from top to bottom, as many in each column. A value is a number, a truth
        value or a text; None and NaN leave the cell empty. Headings and texts may hold formulas
        between dollar signs and code between backquotes.
    formats : mapping of str to str or callable, optional
        Heading -> how its values are written: a format specification such as ``".4f"``, or what
        makes a text of a value. Texts of the column stay as they are under a specification.
        Otherwise whole numbers are written in full, others with four digits.
    caption : str, optional
        Above the table, and its name for those who cannot see it.

    Raises
    ------
    TypeError, ValueError
        If there is no column, columns differ in length, or a format does not fit; the message
        names the column.

    Examples
    --------
    >>> Table({"φ": [0.25, 0.5], "energy": [0.28125, float("nan")]}, formats={"energy": ".3f"})
    φ     energy
    0.25   0.281
    0.5        –
    """

    def __init__(
        self,
        columns: Mapping[str, Iterable[Any]],
        *,
        formats: Mapping[str, Format] | None = None,
        caption: str = "",
    ) -> None:
        if not isinstance(columns, Mapping) or not columns:
            raise ValueError(f"columns must be a mapping with a heading or more, got {columns!r}")
        formats = formats or {}
        if unknown := formats.keys() - columns.keys():
            raise ValueError(f"formats must name columns, got {sorted(unknown)}")
        self._caption = caption
        self._headings = [str(heading) for heading in columns]
        values = {heading: _listed(heading, column) for heading, column in columns.items()}
        lengths = {heading: len(column) for heading, column in values.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"columns must be of one length, got {lengths}")
        texts = [_texts(h, column, formats.get(h, "")) for h, column in values.items()]
        self._rows = [list(row) for row in zip(*texts, strict=True)]
        # A column of texts is read from the left, numbers are compared from the right.
        self._left = [any(isinstance(v, str) for v in column) for column in values.values()]

    def to_html(self) -> str:
        """Return the table as a piece of HTML, in a box that scrolls."""
        sides = [' class="hessrmt-text"' if left else "" for left in self._left]
        heads = "".join(
            f'<th scope="col"{side}>{_html(heading)}</th>'
            for heading, side in zip(self._headings, sides, strict=True)
        )
        lines = ['<div class="hessrmt-table">', "<table>"]
        lines += [f"<caption>{_html(self._caption)}</caption>"] if self._caption else []
        lines += [f"<thead><tr>{heads}</tr></thead>", "<tbody>"]
        for first, *others in self._rows:
            row = f'<tr><th scope="row"{sides[0]}>{_html(first)}</th>'
            row += "".join(
                f"<td{side}>{_html(text)}</td>"
                for text, side in zip(others, sides[1:], strict=True)
            )
            lines.append(f"{row}</tr>")
        return "\n".join([*lines, "</tbody>", "</table>", "</div>"])

    def to_markdown(self) -> str:
        """Return the table as Markdown, with the caption as a paragraph before it."""
        rules = [":--" if left else "--:" for left in self._left]
        rows = [[_markdown(text) for text in row] for row in [self._headings, *self._rows]]
        lines = [f"| {' | '.join(row)} |" for row in [rows[0], rules, *rows[1:]]]
        return "\n".join([_markdown(self._caption), "", *lines] if self._caption else lines)

    def __repr__(self) -> str:
        rows = [self._headings, *self._rows]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        aligned = [
            "  ".join(
                text.ljust(width) if left or k == 0 else text.rjust(width)
                for k, (text, width, left) in enumerate(zip(row, widths, self._left, strict=True))
            ).rstrip()
            for row in rows
        ]
        return "\n".join([self._caption, *aligned] if self._caption else aligned)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {
            "text/plain": repr(self),
            "text/html": self.to_html(),
            "text/markdown": self.to_markdown(),
        }


def _listed(heading: str, column: Iterable[Any]) -> list[Any]:
    if isinstance(column, str) or not isinstance(column, Iterable):
        raise TypeError(f"columns[{heading!r}] must be a list of values, got {column!r}")
    if isinstance(column, np.ndarray):
        if column.ndim != 1:
            raise ValueError(f"columns[{heading!r}] must be a vector, got shape {column.shape}")
        return list(column.tolist())
    return list(column)


def _texts(heading: str, column: Sequence[Any], form: Format) -> list[str]:
    try:
        return [_text(value, form) for value in column]
    except (TypeError, ValueError) as error:
        raise type(error)(f"formats[{heading!r}] does not fit its column: {error}") from error


def _text(value: Any, form: Format) -> str:
    if value is None or (isinstance(value, Real) and math.isnan(value)):
        return EMPTY
    if callable(form):
        return str(form(value))
    if isinstance(value, str):
        return value
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    text = format(value, form or ("d" if isinstance(value, Integral) else ".4g"))
    # A zero has no sign: which one it gets is decided by rounding, which differs among machines.
    return text.removeprefix("-") if not re.search("[1-9a-z]", text) else text


def _html(text: str) -> str:
    """A cell in HTML: its formulas as MathJax finds them, minus signs as they are printed."""

    def marked(match: re.Match[str]) -> str:
        if match["math"]:
            return f'<span class="math notranslate nohighlight">\\({match["math"]}\\)</span>'
        return f"<code>{match['code']}</code>"

    plain = re.sub(r"(?<![\w.])-(?=[\d.])", "−", text) if not _MARKUP.search(text) else text
    return _MARKUP.sub(marked, escape(plain, quote=False))


def _markdown(text: str) -> str:
    """A cell in Markdown: what is neither formula nor code keeps its characters."""
    parts, end = [], 0
    for match in _MARKUP.finditer(text):
        parts += [_escaped(text[end : match.start()]), match[0].replace("|", r"\|")]
        end = match.end()
    return "".join([*parts, _escaped(text[end:])])


def _escaped(text: str) -> str:
    return re.sub(r"([\\*_<>\[\]|#$`~])", r"\\\1", text)
