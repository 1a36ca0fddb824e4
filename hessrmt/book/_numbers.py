"""An extension of Sphinx: chapters have numbers, and so have figures and formulas by chapter.

A chapter's number is its place in the table of contents, so that the chapters on the paper have the
numbers of its sections. The page of a rerun shows the same numbers as the book: which one the
chapter has there is then a setting.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docutils import nodes

from hessrmt.book.contents import chapter_numbers

__all__ = ["setup"]


def setup(app: Any) -> dict[str, bool]:
    """Number the chapters, and what is in them, once all are read."""
    app.add_config_value("hessrmt_numbers", {}, "env")
    app.connect("env-get-updated", _number, priority=900)  # after Sphinx's own numbers
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _number(app: Any, env: Any) -> list[str]:
    numbers = app.config.hessrmt_numbers or chapter_numbers(Path(app.srcdir))
    for page, number in numbers.items():
        if page not in env.tocs:
            continue
        for kind, places in env.toc_fignumbers.get(page, {}).items():
            in_order = sorted(places, key=places.get)
            places = {place: (number, k + 1) for k, place in enumerate(in_order)}
            env.toc_fignumbers[page][kind] = places
        anchors = env.toc_secnumbers[page] = {}
        for reference in env.tocs[page].findall(nodes.reference):
            own = not reference["anchorname"]  # of the page, not of a section in it
            anchors[reference["anchorname"]] = (number,) if own else ()
            if own:
                reference["secnumber"] = (number,)
    return [page for page in numbers if page in env.tocs]
