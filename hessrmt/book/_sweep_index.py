"""What a sweep leaves beside its results: a page with a table, the same as CSV, and plots.

The table has a row for each result. Its columns are the parameters, every number that the chapter
glues into its text, and every finding.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hessrmt.book._results import RECORD, read_record
from hessrmt.book.contents import BookError, Chapter, closest
from hessrmt.book.parameters import Value
from hessrmt.book.reruns import Job
from hessrmt.book.verdicts import read_findings
from hessrmt.files import write_text

__all__ = ["check_plot", "numbers_of", "write_index", "write_page"]

_NUMBER = r"[-+−]?\d[\d,]*\.?\d*(?:e[-+]?\d+)?"
_QUANTITY = re.compile(rf"(?P<value>{_NUMBER})(?P<percent>%)?(?:\s*±\s*(?P<error>{_NUMBER}))?")

_HEAD = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
  :root {{ color-scheme: light dark; font-family: system-ui, sans-serif; line-height: 1.5 }}
  body {{ max-width: 60rem; margin: 2rem auto; padding: 0 1rem }}
  div {{ overflow-x: auto }}
  img {{ max-width: 100%; background: white }}
  table {{ border-collapse: collapse; width: max-content }}
  th, td {{ padding: 0.3rem 1rem 0.3rem 0; text-align: left; border-bottom: 1px solid #8886 }}
  th, td {{ max-width: min(20rem, 36vw); vertical-align: top }}
  th {{ vertical-align: bottom }}
  tr > :first-child {{ position: sticky; left: 0; background: Canvas }}
</style>
<h1>{title}</h1>
"""


def numbers_of(notebook: Path) -> dict[str, str]:
    """Every glued number of an executed notebook by its name, and what became of each claim."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    found = {}
    for output in outputs:
        if name := output.get("metadata", {}).get("scrapbook", {}).get("name"):
            text = "".join(next(iter(output["data"].values())))
            found[name] = text.strip("'")
    for finding in read_findings(notebook):
        name = finding.about
        while name in found:  # a claim may be examined in several respects
            name += "′"
        found[name] = finding.outcome
    return found


def check_plot(name: str, chapter: Chapter) -> None:
    """Refuse to plot what the chapter does not glue.

    Raises
    ------
    BookError
        If there is no such number in the chapter as it is stored.
    """
    known = [key for key, text in numbers_of(chapter.path).items() if _QUANTITY.fullmatch(text)]
    if name not in known:
        raise BookError(
            f"plot must be a number of {chapter.name}, got {name!r}{closest(name, known)}:"
            f" {', '.join(known)}"
        )


def write_index(job: Job, source: str, plot: str | None = None) -> Path:
    """Write, beside the results of a chapter, what there is to say of those that are up to date."""
    folder, chapter = job.target.parent, job.chapter
    records = {file.parent: read_record(file) for file in folder.glob(f"*/{RECORD}")}
    current = {
        place: record for place, record in records.items() if record and record["source"] == source
    }
    given = {name for record in current.values() for name in record["parameters"]}
    columns = [parameter for parameter in chapter.parameters if parameter.name in given]
    rows = []
    for place, record in current.items():
        values = [record["parameters"].get(column.name, column.default) for column in columns]
        result = Job(chapter, {}, place, html=True).result
        kind, file = "notebook", result.notebook
        if result.page and result.page.is_file():
            kind, file = "page", result.page
        link = f'<a href="{_address(file, folder)}">{kind}</a>'
        rows.append((values, f"{record['seconds']} s", link, numbers_of(result.notebook)))
    rows.sort(key=_order)
    names = [column.name for column in columns]
    found = list(dict.fromkeys(name for *_, numbers in rows for name in numbers))
    table = [
        [*(escape(str(v)) for v in values), time, link, *(escape(n.get(k, "")) for k in found)]
        for values, time, link, n in rows
    ]
    rest = ", ".join(f"{p.name} = {p.default}" for p in chapter.parameters if p not in columns)
    picture = ""
    if plot is not None:
        file = folder / f"{plot}.png"
        file.write_bytes(_drawn(plot, names, [(values, n) for values, *_, n in rows]))
        alt = f"{plot} against {names[0]}; the numbers are in the table."
        picture = f'<p><img src="{_address(file, folder)}" alt="{escape(alt)}">\n'
    note = f"<p>At their defaults: {escape(rest)}.\n" if rest else ""
    note += '<p>The table as <a href="numbers.csv">CSV</a>.\n'
    index = folder / "index.html"
    write_page(index, chapter.name, [*names, "time", "result", *found], table, picture + note)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*names, *found])
    writer.writerows([*values, *(n.get(k, "") for k in found)] for values, *_, n in rows)
    write_text(folder / "numbers.csv", _in_utf8(text.getvalue()))
    return index


def write_page(
    index: Path, title: str, heads: list[str], table: list[list[str]], note: str
) -> None:
    """Write a page with a table; its cells and the note after it are HTML."""
    head = "".join(f"<th>{escape(name)}" for name in heads)
    body = "".join("<tr><td>" + "<td>".join(cells) + "\n" for cells in table)
    text = _HEAD.format(title=escape(title))
    text += f"<div>\n<table>\n<tr>{head}\n{body}</table>\n</div>\n{note}"
    write_text(index, _in_utf8(text))


def _drawn(plot: str, names: list[str], rows: list[tuple[list[Value], dict[str, str]]]) -> bytes:
    """A number against the first parameter that takes several values, a line for each other one."""
    from matplotlib.figure import Figure

    swept = [k for k in range(len(names)) if len({str(values[k]) for values, _ in rows}) > 1]
    at, *others = swept or [0]
    lines: dict[str, list[tuple[Any, float, float]]] = {}
    for values, numbers in rows:
        label = ", ".join(f"{names[k]} = {values[k]}" for k in others)
        if match := _QUANTITY.fullmatch(numbers.get(plot, "")):
            x = values[at] if isinstance(values[at], int | float) else str(values[at])
            point = _float(match["value"]), _float(match["error"] or "0")
            lines.setdefault(label, []).append((x, *point))
    figure = Figure(figsize=(6.4, 4.0), dpi=150, layout="constrained", facecolor="white")
    ax = figure.subplots()
    for k, (label, points) in enumerate(lines.items()):
        xs, ys, errors = zip(*points, strict=True)
        ax.errorbar(xs, ys, errors, marker="os^Dv"[k % 5], capsize=3, label=label)
    ax.set(xlabel=names[at] if names else "", ylabel=plot)
    if len(lines) > 1:
        ax.legend(frameon=False)
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()


def _float(text: str) -> float:
    return float(text.replace("−", "-").replace(",", ""))


def _address(file: Path, folder: Path) -> str:
    return quote(os.fsencode(file.relative_to(folder).as_posix()))


def _in_utf8(text: str) -> str:
    return text.encode(errors="surrogateescape").decode(errors="backslashreplace")


def _order(row: tuple[list[Value], str, str, dict[str, str]]) -> list[tuple[str, Any]]:
    return [(type(value).__name__, value) for value in row[0]]
