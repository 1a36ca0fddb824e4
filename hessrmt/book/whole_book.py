"""The whole book with one set of parameters, each where a chapter has one of that name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hessrmt.book._references import address
from hessrmt.book._sweep_index import write_page
from hessrmt.book.contents import BookError, chapters, closest
from hessrmt.book.reruns import Job, Result, plan_jobs, run_job

__all__ = ["rerun_book"]


def rerun_book(
    parameters: Mapping[str, Any],
    *,
    out: str | Path = "out",
    book: str | Path | None = None,
    html: bool = True,
    progress: bool = False,
) -> tuple[Path, list[Result]]:
    """Rerun every chapter that has one of the parameters, and make a page of the results.

    Parameters
    ----------
    parameters : mapping of str to value
        A chapter is given those that it has: a seed nearly all, φ most.
    out, book, html, progress
        As in `rerun`.

    Returns
    -------
    index : Path
        The page, ``out/index.html``: a row for each chapter, also for those that stay as they are.
    results : list of Result

    Raises
    ------
    BookError
        If no chapter has a parameter of that name, or a value is outside the domain of a chapter
        that has it, before anything has run; or when all is done, if some chapters have failed.
    """
    every = chapters(book)
    known = {parameter.name for chapter in every for parameter in chapter.parameters}
    if unknown := [name for name in parameters if name not in known]:
        hint = closest(unknown[0], known)
        there = ", ".join(sorted(known))
        raise BookError(f"no chapter has a parameter {unknown[0]!r}{hint}: {there}")
    plan: dict[str, Job] = {}
    for chapter in every:
        names = {parameter.name for parameter in chapter.parameters} & parameters.keys()
        own = {name: value for name, value in parameters.items() if name in names}
        if not own:
            continue
        try:
            (job,) = plan_jobs(str(chapter.path), [own], out, book, html)
        except BookError as error:
            raise BookError(f"{chapter.name}: {error}") from error
        plan[chapter.name] = job
    failures = {}
    for name, job in plan.items():
        try:
            run_job(job, {"desc": name} if progress else False)
        except BookError as error:
            failures[name] = str(error)
    top = os.path.realpath(out)
    index = Path(top) / "index.html"
    rows = []
    for chapter in every:
        given, shown = "", "as in the book"
        built = chapter.root / "_build" / "html" / chapter.path.relative_to(chapter.root)
        if at := address(built.with_suffix(".html"), index):
            shown = f'<a href="{at}">{shown}</a>'
        if chapter.name in plan:
            job = plan[chapter.name]
            given = ", ".join(f"{name} = {value}" for name, value in job.values.items())
            page = os.path.relpath(job.result.page or job.result.notebook, top)
            shown = f'<a href="{quote(os.fsencode(Path(page).as_posix()))}">result</a>'
        if chapter.name in failures:
            shown = "failed"
        rows.append([escape(chapter.title), escape(given), shown])
    note = "<p>A chapter has been given the parameters that it has.\n"
    write_page(index, "The book", ["chapter", "parameters", "result"], rows, note)
    if failures:
        first = next(iter(failures.values()))
        raise BookError(f"{len(failures)} of {len(plan)} chapters failed, the first: {first}")
    return index, [job.result for job in plan.values()]
