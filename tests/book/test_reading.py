"""What a reader has to read through: code that is shown, printed columns, lines that are cut.

The ceilings may only go down. What only a browser can measure is in `make check-pages`.
"""

import json
from pathlib import Path

import pytest

BOOK = Path(__file__).resolve().parents[2] / "book"
CHAPTERS = {p.stem: p for p in sorted(BOOK.glob("*.ipynb"))}
WIDTH = 79  # characters of a line of code that a page 1280 pixels wide shows
BLOCK = 6  # printed lines from which on a table is due
HIDDEN = {"hide-input", "hide-cell", "remove-input", "remove-cell"}
SILENT = {"hide-output", "hide-cell", "remove-output", "remove-cell"}

# Lines of visible code, those of them that are too wide, and printed blocks.
CEILING = (50, 0, 0)
WHOLE = (190, 0)  # visible lines and printed blocks of all chapters


def measure(path):
    """Visible lines, visible lines that are too wide, printed blocks of a chapter."""
    visible, wide, blocks = 0, 0, 0
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] != "code":
            continue
        tags = set(cell["metadata"].get("tags", []))
        lines = "".join(cell["source"]).splitlines()
        if not tags & HIDDEN:
            visible += len(lines)
            wide += sum(len(line) > WIDTH for line in lines)
        if not tags & SILENT:
            printed = ("".join(o["text"]) for o in cell["outputs"] if o["output_type"] == "stream")
            blocks += sum(len(text.splitlines()) >= BLOCK for text in printed)
    return visible, wide, blocks


@pytest.mark.parametrize("name", CHAPTERS)
def test_what_is_shown_stays_below_its_ceiling(name):
    found = measure(CHAPTERS[name])
    named = zip(("visible lines", "wide lines", "printed blocks"), found, CEILING, strict=True)
    assert not [
        f"{what}: {count}, at most {limit}" for what, count, limit in named if count > limit
    ]


@pytest.mark.parametrize("name", CHAPTERS)
def test_parameters_are_shown_as_a_table_and_not_as_code(name):
    cells = json.loads(CHAPTERS[name].read_text(encoding="utf-8"))["cells"]
    tags = [set(cell["metadata"].get("tags", [])) for cell in cells]
    assert [t & HIDDEN for t in tags if "parameters" in t] == [{"hide-input"}]
    tables = [
        t
        for cell, t in zip(cells, tags, strict=True)
        if f'parameter_table("{name}", globals())' in "".join(cell["source"])
    ]
    assert tables == [{"remove-input"}]


def test_the_whole_book_stays_below_its_ceiling():
    visible, _, blocks = (
        sum(column) for column in zip(*map(measure, CHAPTERS.values()), strict=True)
    )
    assert visible <= WHOLE[0]
    assert blocks <= WHOLE[1]
