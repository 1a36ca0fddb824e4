"""What the page of a rerun says of the rest of the book: "Figure 4.1", "(3.6)", a chapter's title.

Such a page is built without the other chapters, where what it refers to is. Their files say how
each thing is called in the book; `hessrmt.book._links` puts it into the page, and links where the
book has been built.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from hessrmt.book.contents import chapter_numbers, read_yaml, toc_files

__all__ = ["address", "inventory", "references"]

_OPTIONS = r"[^\n]*\n(?:[ \t]*:(?!label|name)\w+:[^\n]*\n)*[ \t]*:(?:label|name):[ \t]*"
_MARK = re.compile(
    rf"""^[ \t]*(?:(?:\([^()\s]+\)=\s*\n)+\s*\#+[ ]+(?P<title>[^\n]+)
    |[`:]{{3,}}\{{(?P<kind>math|figure|prf:\w+)\}}{_OPTIONS}(?P<label>\S+))
    |\$\$[ \t]*\((?P<equation>[^()\s]+)\)[ \t]*$""",
    re.MULTILINE | re.VERBOSE,
)


def references(root: Path, page: Path) -> dict[str, dict[str, list[str]]]:
    """Say how the book calls what can be referred to, and where it is seen from a page.

    Parameters
    ----------
    root : Path
        The folder of ``_toc.yml``.
    page : Path
        The HTML file that refers.

    Returns
    -------
    dict
        Role with its domain, such as ``math:eq`` -> label -> text, address of the page (empty where
        none has been built), and name of the place there.
    """
    found: dict[str, dict[str, list[str]]] = {}
    numbers = chapter_numbers(root)
    for file in toc_files(read_yaml(root / "_toc.yml", texts=True)):
        name = file.removesuffix(".ipynb").removesuffix(".md")
        texts = "\n\n".join(_texts(root / name))
        at = address(root / "_build" / "html" / f"{name}.html", page)
        if heading := re.search(r"^#\s+(.+)$", texts, re.MULTILINE):
            found.setdefault("std:doc", {})[f"/{name}"] = [_plain(heading[1]), at, ""]
        count: Counter[str] = Counter()
        for role, label, text in _marks(texts):
            shown, place = text, label
            if role != "std:ref":
                count[text] += 1
                shown = f"{text} {numbers[name]}.{count[text]}" if name in numbers else text
            if role == "math:eq":
                shown, place = f"({shown.removeprefix('Equation ')})", f"equation-{label}"
            key = label.lower() if role.startswith("std:") else label
            found.setdefault(role, {})[key] = [shown, at, place]
    return found


def inventory(root: Path, page: Path) -> dict[str, list[str]]:
    """Say, as intersphinx wants it, where the built book lists its functions; nothing without one.

    Parameters
    ----------
    root : Path
        The folder of ``_toc.yml``.
    page : Path
        A page at the top of those that refer.
    """
    listed = root / "_build" / "html" / "objects.inv"
    at = address(listed, page)
    return {"book": [at.removesuffix("/objects.inv"), str(listed)]} if at else {}


def address(html: Path, page: Path) -> str:
    """Return where a page lies, as seen from another one; nothing if there is none."""
    if not html.is_file() or html.anchor != page.anchor:
        return ""
    return quote(Path(os.path.relpath(html, page.parent)).as_posix())


def _texts(file: Path) -> Iterator[str]:
    """What a page says, in its order, with a directive in place of a figure that a cell makes."""
    if (page := file.with_name(f"{file.name}.md")).is_file():
        yield page.read_text(encoding="utf-8")
    elif (notebook := file.with_name(f"{file.name}.ipynb")).is_file():
        for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "markdown":
                yield "".join(cell["source"])
            elif name := cell["metadata"].get("mystnb", {}).get("figure", {}).get("name"):
                yield f":::{{figure}}\n:name: {name}\n:::"


def _marks(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield role, label, and the title of a section or the kind of thing that is counted."""
    for match in _MARK.finditer(text):
        if match["title"]:
            labels = re.findall(r"\(([^()\s]+)\)=", match[0])
            yield from (("std:ref", label, _plain(match["title"])) for label in labels)
        elif match["equation"] or match["kind"] == "math":
            yield "math:eq", match["equation"] or match["label"], "Equation"
        elif match["kind"] == "figure":
            yield "std:numref", match["label"], "Figure"
        else:
            yield "prf:ref", match["label"], match["kind"].removeprefix("prf:").capitalize()


def _plain(title: str) -> str:
    """A heading without its marks."""
    return re.sub(r"[`$*]", "", title).strip()
