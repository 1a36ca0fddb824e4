"""Guards over the committed chapters: executed, parameterised, captioned, short."""

import ast
import json
import re
import statistics
from pathlib import Path

import nbformat
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text())
PAGES = [TOC["root"], *(c["file"] for part in TOC["parts"] for c in part["chapters"])]
CHAPTERS = {p.stem: p for p in sorted(BOOK.glob("*.ipynb"))}


@pytest.fixture(params=CHAPTERS, scope="module")
def notebook(request):
    return nbformat.read(CHAPTERS[request.param], as_version=4)


def code_cells(notebook):
    return [c for c in notebook.cells if c.cell_type == "code"]


def markdown(notebook):
    return "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")


def figure_of(cell):
    """Whether the cell shows a picture; glued ones are shown elsewhere."""
    kinds = {kind for o in cell.outputs for kind in o.get("data", {}) if o.output_type != "stream"}
    return "image/png" in kinds


def test_every_chapter_is_in_the_table_of_contents():
    assert {f"book/{name}" for name in CHAPTERS} <= set(PAGES)
    for page in PAGES:
        assert any((ROOT / f"{page}{suffix}").exists() for suffix in (".md", ".ipynb")), page


def test_every_code_cell_is_executed_in_order(notebook):
    nbformat.validate(notebook)
    counts = [c.execution_count for c in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1))
    assert all(c.source.strip() for c in code_cells(notebook))


def test_stored_outputs_hold_no_errors_timestamps_or_paths(notebook):
    assert "papermill" not in notebook.metadata
    for cell in code_cells(notebook):
        assert "execution" not in cell.metadata
        for output in cell.outputs:
            assert output.output_type != "error"
            assert output.get("name") != "stderr", cell.source
    text = json.dumps([c.outputs for c in code_cells(notebook)])
    assert not re.search(r"/(home|root|tmp|work|Users)/", text)


def test_one_parameters_cell_then_its_checks(notebook):
    cells = code_cells(notebook)
    tagged = [k for k, c in enumerate(cells) if "parameters" in c.metadata.get("tags", [])]
    assert len(tagged) == 1
    names = []
    for line in cells[tagged[0]].source.splitlines():
        # name: type = default  # what it is, in DOMAIN
        match = re.fullmatch(
            r"(\w+): (float|int|str|bool|list\[(?:float|int|str)\]) = \S.*  # \w.*, "
            r"(?:each )?(?:in|one of) \S.*",
            line,
        )
        assert match, line
        ast.parse(line)
        names.append(match[1])
    check = ast.parse(cells[tagged[0] + 1].source).body
    assert len(check) == 1
    call = check[0].value
    assert call.func.id == "check_parameters"
    assert [keyword.arg for keyword in call.keywords] == names


def test_stored_results_are_found_from_every_folder(notebook):
    """By `data_file`: papermill runs a chapter where it is called."""
    for cell in code_cells(notebook):
        assert not re.search(r"""["'](\./)?data/""", cell.source), cell.source


def test_cells_are_short(notebook):
    lengths = [len(c.source.splitlines()) for c in code_cells(notebook)]
    assert statistics.median(lengths) <= 8
    assert max(lengths) <= 30


def test_figures_have_caption_name_and_alt_text(notebook):
    names = []
    for cell in filter(figure_of, code_cells(notebook)):
        shown = cell.metadata.get("mystnb", {})
        assert len(shown["figure"]["caption"]) > 30, cell.source
        assert len(shown["image"]["alt"]) > 60, cell.source
        names.append(shown["figure"]["name"])
        assert re.fullmatch(r"fig-[a-z0-9-]+", names[-1])
        if not any("text/html" in o.get("data", {}) for o in cell.outputs):  # those show themselves
            assert cell.source.rstrip().endswith("plt.show()")
        assert not re.search(r"\.(set_title|suptitle)\(", cell.source)  # no title inside the axes
    assert names
    assert len(names) == len(set(names))


def test_chapters_open_and_close_as_agreed(notebook):
    first = notebook.cells[0].source
    text = markdown(notebook)
    assert re.match(r"\(chapter-[a-z-]+\)=\n# ", first)
    assert len(re.findall(r"^# ", re.sub(r"```.*?```", "", text, flags=re.S), re.M)) == 1
    assert "seconds" in text.split("\n## ")[0], "run time"
    assert "pennington17a" in text
    for phrase in ("differ", "Worth trying|worth trying", "eproduced"):
        assert re.search(phrase, text), phrase


def test_every_glued_name_is_used_and_every_used_name_glued(notebook):
    outputs = [o for c in code_cells(notebook) for o in c.outputs]
    made = {o.metadata.scrapbook.name for o in outputs if "scrapbook" in o.get("metadata", {})}
    used = set(re.findall(r"\{glue(?::\w+)?\}\s?`?([\w-]+)(?::[^`]*)?`?", markdown(notebook)))
    assert used == made


def test_citations_are_in_the_bibliography():
    keys = set(re.findall(r"@\w+\{(\w+),", (BOOK / "references.bib").read_text()))
    sources = [p.read_text() for p in (*BOOK.glob("*.md"), *CHAPTERS.values())]
    cited = re.findall(r"\{cite(?::\w+)?\}`([\w,\s]+)`", "\n".join(sources))
    assert {key.strip() for group in cited for key in group.split(",")} <= keys


def test_stored_results_have_their_provenance():
    for path in (BOOK / "data").glob("*"):
        if path.suffix == ".json":
            stored = json.loads(path.read_text())
            provenance = stored.get("provenance", stored)
        else:
            provenance = json.loads(path.with_suffix(".json").read_text())
        sessions = provenance.get("sessions", [provenance])
        assert sessions, path
        assert all("date" in session for session in sessions), path
        assert provenance.keys() & {"command", "commands"}, path
