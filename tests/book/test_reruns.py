"""Reruns and sweeps of a small book, and what the real chapters must look like for them."""

import ast
import csv
import html
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

import distributed
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

import hessrmt.book.reruns
import hessrmt.book.sweeps
from hessrmt.book import (
    BookError,
    Findings,
    chapters,
    find_chapter,
    rerun,
    rerun_book,
    sweep,
    toc_files,
)

REPOSITORY = Path(__file__).resolve().parents[2]

PROSE = r"""# A small chapter

By {cite:t}`someone1999`, as {eq}`here` and {eq}`another-chapter` say,
{doc}`theory`, {ref}`section-there`, {ref}`those <chapter-there>`, {numref}`figure-there`,
{prf:ref}`theorem-there`, {func}`hessrmt.book.rerun`, {doc}`intro`.

$$\rho(x) = \tfrac{1}{2\pi}\sqrt{4 - x^2}$$ (here)

:::{admonition} Remark
Of {numref}`drawing`.
:::
"""
THEORY = """\
(chapter-there)=
# Ann's theory

```{prf:theorem} Of everything
:label: theorem-there
It has a spectrum.
```

$$1 = 1$$

$$2 = 2$$ (another-chapter)

(section-there)=
## Of $H_0$

:::{figure} absent.png
:alt: Nothing.
:name: figure-there
Nothing.
:::
"""
PARAMETERS = """\
phi: float = 0.5  # parameters per scalar target, in (0, 4]
runs: int = 3  # number of runs in all, in [1, 10]
law: str = "normal"  # law of the entries, one of normal | sign
phis: list[float] = [0.25, 0.5]  # panels of the figure, each in (0, 4]
seeds: list[int] = [1]  # seeds; each in [0, inf)
smooth: bool = False  # draw a smooth curve
trouble: str = "none"  # what goes wrong, one of none | error | death | wait
"""
TROUBLE = """\
import os, time
if trouble == "error":
    raise ValueError("phi is no good\\nat all")
if trouble == "death":
    os._exit(1)
if trouble == "wait":
    time.sleep(60)
"""
DRAWING = """\
from IPython.display import SVG
from myst_nb import glue
glue("twice", 2 * phi, display=False)
SVG('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><circle r="9"/></svg>')
"""


def write_notebook(path, *cells):
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    notebook = new_notebook(cells=cells, metadata=metadata)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
    nbformat.write(notebook, path)


def parameters_cell(source):
    return new_code_cell(source, metadata={"tags": ["parameters"]})


@pytest.fixture
def book(tmp_path, monkeypatch):
    """A book of two notebooks and two pages; the current folder is an empty one."""
    root = tmp_path / "repository"
    book = root / "book"
    shutil.copytree(REPOSITORY / "book" / "_static", book / "_static")
    (book / "_static" / "book.css").touch()
    shutil.copy(REPOSITORY / "_config.yml", root)
    (root / "_toc.yml").write_text(
        "{format: jb-book, root: book/intro, parts: [{caption: All, chapters:"
        " [{file: book/small}, {file: book/theory}, {file: book/plain}, {file: book/literature}]}]}"
    )
    (book / "intro.md").write_text("# Introduction\n")
    (book / "theory.md").write_text(THEORY)
    (book / "literature.md").write_text("# Literature\n\n```{bibliography}\n```\n")
    (book / "references.bib").write_text(
        "@book{someone1999, author={Someone, Ann}, title={Laws}, year={1999}, publisher={P}}\n"
    )
    (book / "data").mkdir()
    (book / "data" / "table.csv").write_text("1\n")
    figure = {"caption": "A *disc*.", "name": "drawing"}
    write_notebook(
        book / "small.ipynb",
        new_markdown_cell(PROSE),
        parameters_cell(PARAMETERS),
        new_code_cell(TROUBLE),
        new_code_cell(DRAWING, metadata={"mystnb": {"figure": figure}}),
        new_markdown_cell("Twice that is {glue:text}`twice`."),
    )
    write_notebook(book / "plain.ipynb", new_markdown_cell("Text only."))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return book


@pytest.fixture
def quick(monkeypatch):
    """Replace execution by a copy of the notebook; the jobs that came are listed."""
    ran = []

    def execute(job, notebook, progress):
        ran.append(job.target.name)
        shutil.copy(job.chapter.path, notebook)
        return {}

    monkeypatch.setattr(hessrmt.book.reruns, "_execute", execute)
    return ran


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def code(notebook):
    cells = nbformat.read(notebook, as_version=4).cells
    return [cell for cell in cells if cell.cell_type == "code"]


# The book


def test_chapters_in_order_with_titles_and_parameters(book):
    small, plain = chapters(book)
    assert (small.name, small.title) == ("small", "A small chapter")
    assert (plain.name, plain.title, plain.parameters) == ("plain", "plain", ())
    assert [(p.name, p.type, p.default, p.domain, p.help) for p in small.parameters] == [
        ("phi", "float", 0.5, "(0, 4]", "parameters per scalar target"),
        ("runs", "int", 3, "[1, 10]", "number of runs in all"),
        ("law", "str", "normal", "normal | sign", "law of the entries"),
        ("phis", "list[float]", [0.25, 0.5], "(0, 4]", "panels of the figure"),
        ("seeds", "list[int]", [1], "[0, inf)", "seeds"),
        ("smooth", "bool", False, "True | False", "draw a smooth curve"),
        ("trouble", "str", "none", "none | error | death | wait", "what goes wrong"),
    ]


def test_book_is_found_from_its_folder_or_the_one_above_or_here(book, monkeypatch):
    assert chapters(book) == chapters(book.parent)
    monkeypatch.setattr(
        "hessrmt.book.contents.__file__", "/nowhere/site-packages/hessrmt/book/contents.py"
    )
    monkeypatch.chdir(book.parent)
    assert chapters() == chapters(book)
    monkeypatch.chdir(book.parent.parent / "work")
    with pytest.raises(BookError, match="no book found here, name its folder"):
        chapters()
    with pytest.raises(BookError, match="no book found at elsewhere"):
        chapters("elsewhere")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("phi = 0.5  # ratio, in (0, 4]", "the type of phi must be one of float, int, .*got None"),
        ("phi: complex = 0.5  # in (0, 4]", "the type of phi must be one of .*got complex"),
        ("phi: float = 0.5  # a ratio", "the comment on phi must end in its domain"),
        ("phi: float = 0.5", "the comment on phi must end in its domain"),
        ("phi: float = 0.5  # ratio, in (0, 4], say", "domain must be an interval"),
        ("phi: float = 5.0  # ratio, in (0, 4]", r"phi must be in \(0, 4\], got 5.0"),
        ("phi: float = 1 / 2  # ratio, in (0, 4]", "malformed node or string"),
        ("law: str = 'a'  # law, one of b | c", "law must be one of b | c, got 'a'"),
    ],
)
def test_malformed_parameters_cells(book, line, message):
    write_notebook(book / "small.ipynb", parameters_cell(line))
    with pytest.raises(BookError, match=f"^small.ipynb: {message}"):
        find_chapter("small", book)


def test_a_file_that_is_no_notebook(book):
    (book / "small.ipynb").write_text("{")
    with pytest.raises(BookError, match=r"^small.ipynb: .+$"):
        find_chapter("small", book)


# Checks before anything runs


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"phi": -1}, "phi must be in (0, 4], got -1.0"),
        ({"phi": float("nan")}, "phi must be in (0, 4], got nan"),
        ({"phi": float("inf")}, "phi must be in (0, 4], got inf"),
        ({"phi": 10**400}, "phi must be in (0, 4], got a number too large"),
        ({"phi": 0.5j}, "phi must be real numbers in (0, 4], got 0.5j"),
        ({"phi": True}, "phi must be real numbers in (0, 4], got True"),
        ({"phi": "half"}, "phi must be real numbers in (0, 4], got 'half'"),
        ({"phi": None}, "phi must be real numbers in (0, 4], got None"),
        ({"phi": [0.5]}, "phi must be one real number in (0, 4], got [0.5]"),
        ({"runs": 2.0}, "runs must be an integer in [1, 10], got 2.0"),
        ({"runs": 11}, "runs must be in [1, 10], got 11"),
        ({"law": "cauchy"}, "law must be one of normal | sign, got 'cauchy'"),
        ({"law": 1}, "law must be one of normal | sign, got 1"),
        ({"phis": 0.5}, "phis must be a list, each in (0, 4], got 0.5"),
        ({"phis": []}, "phis must have elements in (0, 4], got []"),
        ({"phis": [1, 9]}, "phis must be in (0, 4], got 9.0"),
        ({"seeds": [0.5]}, "seeds must be an integer in [0, inf), got 0.5"),
        ({"smooth": 1}, "smooth must be one of True | False, got 1"),
        ({"phi": 1, "rums": 2}, "small has no parameter 'rums' (did you mean 'runs'?); its"
            " parameters: phi in (0, 4]; runs in [1, 10]; law one of normal | sign; phis each in"
            " (0, 4]; seeds each in [0, inf); smooth one of True | False; trouble one of"
            " none | error | death | wait"),
    ],
)  # fmt: skip
def test_bad_parameters_run_nothing_and_write_nothing(book, quick, parameters, message):
    with pytest.raises(BookError) as caught:
        rerun("small", parameters, book=book)
    assert str(caught.value) == message
    with pytest.raises(BookError) as caught:
        sweep("small", {name: [value] for name, value in parameters.items()}, book=book)
    assert str(caught.value) == message
    assert not quick
    assert not list(Path.cwd().iterdir())


def test_unknown_chapter(book):
    with pytest.raises(BookError) as caught:
        rerun("smal", book=book)
    assert str(caught.value) == (
        "there is no chapter 'smal' (did you mean 'small'?); chapters: small, plain"
    )
    with pytest.raises(BookError, match=r"^plain has no parameter 'phi'; its parameters: none$"):
        rerun("plain", {"phi": 1}, book=book)


def test_results_stay_out_of_the_book(book, monkeypatch):
    monkeypatch.chdir(book)
    before = contents(book)
    with pytest.raises(BookError, match="out must be a folder outside of the book, got out"):
        rerun("small", book=book)
    assert contents(book) == before


def test_sweep_needs_values(book):
    for values in ([], 0.5, "normal"):
        with pytest.raises(BookError, match="law must be given a list of values"):
            sweep("small", {"law": values}, book=book)


# Folders of results


def test_folder_names_are_readable_and_deterministic(book, quick):
    def folder(**parameters):
        return rerun("book/small.ipynb", parameters, book=book, html=False).notebook.parent

    assert folder() == Path.cwd() / "out" / "small" / "default"
    assert folder(phi=1, runs=2) == folder(runs=2, phi=1.0)
    assert folder(runs=2, phi=1).name == "phi=1.0,runs=2"
    assert folder(phis=[0.25, 1], smooth=True).name == "phis=0.25_1.0,smooth=True"


def test_folder_names_are_short_and_safe():
    label = hessrmt.book.reruns._label
    long = label({"phis": [i / 7 for i in range(50)]})
    assert re.fullmatch(r"[\w.,=+-]{1,100}", long)
    assert long != label({"phis": [i / 7 for i in range(51)]})
    assert label({"law": "a/b"}) != label({"law": "a_b"}) == "law=a_b"
    assert re.fullmatch(r"law=a_b-\w{12}", label({"law": "a/b"}))


# Execution


def test_rerun_with_a_page(book):
    """One page of the book is built, theory, and there is a list of functions."""
    built = book.parent / "_build" / "html"
    (built / "book").mkdir(parents=True)
    (built / "book" / "theory.html").touch()
    listed = zlib.compress(b"hessrmt.book.rerun py:function 1 book/api.html#$ -\n")
    head = b"# Sphinx inventory version 2\n# Project: A\n# Version: 1\n# ... using zlib.\n"
    (built / "objects.inv").write_bytes(head + listed)
    before = contents(book.parent)
    result = rerun("small", {"phi": 2, "law": "sign"}, book=book)
    place = Path("out/small/phi=2.0,law=sign").resolve()
    assert result.notebook == place / "small.ipynb"
    assert code(result.notebook)[1].source == '# Parameters\nphi = 2.0\nlaw = "sign"\n'
    assert all(cell.execution_count for cell in code(result.notebook))
    assert sorted(path.name for path in place.iterdir()) == ["html", "rerun.json", "small.ipynb"]
    assert [path.name for path in place.parent.iterdir()] == [place.name]
    record = json.loads((place / "rerun.json").read_text())
    assert (record["chapter"], record["parameters"]) == ("small", {"phi": 2.0, "law": "sign"})
    assert record["versions"]["python"] == platform.python_version()
    assert contents(book.parent) == before

    page = result.page.read_text()
    assert result.page == place / "html" / "book" / "small.html"
    assert "<title>A small chapter &#8212; phi = 2.0, law = sign</title>" in page
    text = html.unescape(re.sub(r"<[^>]+>", "", page))
    assert '# Parameters\nphi = 2.0\nlaw = "sign"' in text.replace("\xa0", " ")
    assert "Twice that is 4.0." in text
    assert "Figure 2.1 A disc." in re.sub(r"\s+", " ", text)
    flat = re.sub(r"\s+", " ", text)
    assert "By Someone [1999], as (2.1) and (3.1) say, Ann’s theory, Of H_0, those," in flat
    assert "those, Figure 3.1, Theorem 3.1, hessrmt.book.rerun(), Introduction." in flat
    links = re.findall(r'<a class="reference [^>]*href="([^"#]*)(#[^"]*)?"', page)
    ends = [((result.page.parent / name).resolve(), anchor) for name, anchor in links]
    assert {anchor for end, anchor in ends if end == built / "book" / "theory.html"} == {
        "",
        "#equation-another-chapter",
        "#section-there",
        "#chapter-there",
        "#figure-there",
        "#theorem-there",
    }
    assert (built / "book" / "api.html", "#hessrmt.book.rerun") in ends
    assert not [end for end, _ in ends if end.stem == "intro"]
    for link in re.findall(r"<(?:script|link|img|iframe)\b[^>]*?(?:src|href)=\"([^\"]+)\"", page):
        assert not re.match(r"(\w+:)?//", link)
        assert (result.page.parent / re.sub(r"[?#].*", "", link)).is_file()


def test_a_failing_cell_leaves_the_earlier_result_and_the_book(book):
    before = contents(book.parent)
    place = Path("out/small/trouble=error").resolve()
    place.mkdir(parents=True)
    (place / "earlier").write_text("kept")
    with pytest.raises(BookError) as caught:
        rerun("small", {"trouble": "error"}, book=book)
    assert str(caught.value) == (
        "small failed in code cell 3: ValueError: phi is no good"
        f" (notebook: {Path('out/small/trouble=error.failed.ipynb')})"
    )
    assert [cell.execution_count for cell in code(f"{place}.failed.ipynb")] == [1, 2, 3, None]
    assert contents(place) == {place / "earlier": b"kept"}
    assert len(list(place.parent.iterdir())) == 2
    assert contents(book.parent) == before


def test_a_dying_kernel(book):
    with pytest.raises(BookError, match=r"^small failed in code cell 3: DeadKernelError: Kernel"):
        rerun("small", {"trouble": "death"}, book=book)


def test_a_kernel_that_does_not_start_says_why(book, tmp_path, monkeypatch):
    (tmp_path / "ipykernel.py").write_text("raise SystemExit('no kernel today')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(BookError, match=r"^small failed to start: RuntimeError: Kernel died"):
        rerun("small", book=book)
    assert Path("out/small/default.failed.log").read_text() == "no kernel today\n"


def test_success_removes_what_was_left_of_failures(book, quick):
    folder = Path("out/small")
    killed = subprocess.Popen([sys.executable, "-c", ""])
    killed.wait()
    ours = folder / f".other@{platform.node()}@{killed.pid}"
    running = folder / f".other@{platform.node()}@{os.getppid()}"
    for path in (ours, running):
        path.mkdir(parents=True)
    for leftover in ("default.failed.ipynb", "default.failed.log"):
        (folder / leftover).touch()
    rerun("small", book=book, html=False)
    assert {path.name for path in folder.iterdir()} == {"default", running.name}


@pytest.mark.parametrize("failure", [KeyboardInterrupt, BookError])
def test_an_earlier_result_stays_until_the_new_one_is_complete(book, quick, monkeypatch, failure):
    place = rerun("small", book=book, html=False).notebook.parent
    before = contents(place)

    def fail(*_):
        raise failure

    monkeypatch.setattr(hessrmt.book.reruns, "_make_page", fail)
    with pytest.raises(failure):
        rerun("small", book=book)
    assert contents(place) == before
    assert not list(place.parent.glob(".*"))


def test_a_page_that_cannot_be_built(book, quick):
    (book.parent / "_config.yml").write_text("sphinx: {config: {extensions: [no_such_thing]}}")
    with pytest.raises(BookError, match=r"^small ran, but its page could not be built, see out"):
        rerun("small", book=book)
    assert "no_such_thing" in Path("out/small/default.failed.log").read_text()
    assert Path("out/small/default.failed.ipynb").is_file()


# Sweeps


def test_sweep_does_what_is_missing(book, quick):
    grid = {"phi": [0.5, 1, 1.0], "law": ["normal", "sign"]}

    def ran(**options):
        quick.clear()
        sweep("small", grid, book=book, html=False, **options)
        return quick

    everything = [f"phi={phi},law={law}" for phi in (0.5, 1.0) for law in ("normal", "sign")]
    assert ran() == everything
    assert ran() == []
    shutil.rmtree("out/small/phi=1.0,law=normal")
    assert ran() == ["phi=1.0,law=normal"]
    assert ran(force=True) == everything
    (book / "data" / "table.csv").write_text("2\n")
    assert ran() == everything
    write_notebook(book / "small.ipynb", parameters_cell(PARAMETERS), new_code_cell("1"))
    assert ran() == everything
    write_notebook(
        book / "small.ipynb", parameters_cell(PARAMETERS), new_code_cell("1", execution_count=7)
    )
    assert ran() == []  # executed again in place, the chapter is what it was


def test_pages_wanted_later_are_made(book, quick, monkeypatch):
    sweep("small", {"phi": [1, 2]}, book=book, html=False)

    def make_page(job, notebook, site):
        page = notebook.parent / job.result.page.relative_to(job.target)
        page.parent.mkdir(parents=True)
        page.touch()
        theme = notebook.parent / "html" / "_static" / "sub"
        theme.mkdir(parents=True)
        (theme / "same").write_text("theme")
        (theme / "own").write_text(job.target.name)

    monkeypatch.setattr(hessrmt.book.reruns, "_make_page", make_page)
    index, results = sweep("small", {"phi": [1, 2]}, book=book)
    assert len(quick) == 4
    assert all(result.page.is_file() for result in results)
    first, second = (result.notebook.parent / "html" / "_static" / "sub" for result in results)
    assert (first / "same").samefile(second / "same")
    assert (second / "own").read_text() == "phi=2.0"
    assert 'href="phi%3D2.0/html/book/small.html">page' in index.read_text()


def test_index_tables_all_results_that_are_up_to_date(book, quick):
    rerun("small", {"runs": 1}, book=book, html=False)
    (book / "data" / "table.csv").write_text("2\n")
    sweep("small", {"phi": [3, 0.5]}, book=book, html=False)
    index, results = sweep("small", {"phi": [3], "law": ["sign"]}, book=book, html=False)
    assert [result.notebook.parent.name for result in results] == ["phi=3.0,law=sign"]
    assert index == Path("out/small/index.html").resolve()
    rows = re.findall(r"<tr><td>([^<]*)<td>([^<]*)<td>[\d.]+ s<td><a", index.read_text())
    assert rows == [("0.5", "normal"), ("3.0", "normal"), ("3.0", "sign")]
    assert "At their defaults: runs = 3, phis = [0.25, 0.5]" in index.read_text()


def glued(name, text):
    """A cell that has given the text a number."""
    data = {"application/papermill.record/text/plain": f"'{text}'"}
    output = nbformat.v4.new_output(
        "display_data", data, metadata={"scrapbook": {"name": name, "mime_prefix": ""}}
    )
    return nbformat.v4.new_code_cell(f"glue({name!r})", outputs=[output])


def test_index_and_csv_have_every_glued_number_and_finding(book, monkeypatch):
    def execute(job, notebook, progress):
        content = nbformat.read(job.chapter.path, as_version=4)
        phi = job.values["phi"]
        findings = Findings()
        findings.add("eq 2", f"off by {phi:g}", phi < 2)
        data, metadata = findings._repr_mimebundle_()
        output = nbformat.v4.new_output("display_data", data, metadata=metadata)
        content.cells += [glued("small-slope", f"{phi / 2:.2f} ± 0.10"), glued("small-word", "ten")]
        content.cells.append(nbformat.v4.new_code_cell("findings", outputs=[output]))
        nbformat.write(content, notebook)
        return {}

    chapter = book / "small.ipynb"
    stored = nbformat.read(chapter, as_version=4)
    stored.cells += [glued("small-slope", "0.50 ± 0.10"), glued("small-word", "ten")]
    nbformat.write(stored, chapter)
    monkeypatch.setattr(hessrmt.book.reruns, "_execute", execute)
    for name in ("small-word", "slope"):
        with pytest.raises(BookError, match=f"^plot must be a number of small, got '{name}'"):
            sweep("small", {"phi": [1]}, book=book, html=False, plot=name)
    with pytest.raises(BookError, match=r"got 'small-slop' \(did you mean 'small-slope'\?\):"):
        sweep("small", {"phi": [1]}, book=book, html=False, plot="small-slop")
    index, _ = sweep("small", {"phi": [2, 1]}, book=book, html=False, plot="small-slope")
    with index.with_name("numbers.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["phi"] for row in rows] == ["1.0", "2.0"]
    assert [row["small-slope"] for row in rows] == ["0.50 ± 0.10", "1.00 ± 0.10"]
    assert [row["eq 2"] for row in rows] == ["holds; off by 1", "does not hold; off by 2"]
    page = index.read_text(encoding="utf-8")
    assert "<th>small-slope" in page
    assert "<td>does not hold; off by 2" in page
    assert '<img src="small-slope.png" alt="small-slope against phi' in page
    assert index.with_name("small-slope.png").read_bytes().startswith(b"\x89PNG")


def test_sweep_on_a_scheduler_gives_the_same(book):
    with pytest.raises(BookError, match=r"^no scheduler answers at nonsense: "):
        sweep("small", {"phi": [1]}, book=book, html=False, scheduler="nonsense")
    grid = {"phi": [1, 2], "trouble": ["none"]}
    _, here = sweep("small", grid, book=book, html=False, out="here")
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as c:
        address = c.scheduler_address
        _, there = sweep("small", grid, book=book, html=False, out="there", scheduler=address)
    for one, other in zip(here, there, strict=True):
        cells = [[c.get("outputs") for c in code(r.notebook)] for r in (one, other)]
        assert cells[0] == cells[1]
        assert one.notebook.parent.name == other.notebook.parent.name
    tables = [Path(place, "small", "numbers.csv").read_text() for place in ("here", "there")]
    assert tables[0] == tables[1]
    assert tables[0].startswith("phi,trouble")


def test_whole_book_gives_chapters_the_parameters_that_they_have(book, quick):
    with pytest.raises(
        BookError, match=r"^no chapter has a parameter 'psi' \(.* 'phi'\?\): law, phi"
    ):
        rerun_book({"psi": 1}, book=book, html=False)
    with pytest.raises(BookError, match=r"^small: phi must be in "):
        rerun_book({"phi": -1}, book=book, html=False)
    assert not quick
    index, (result,) = rerun_book({"phi": 1}, book=book, html=False)
    assert quick == ["phi=1.0"]
    assert result.notebook.is_file()
    page = index.read_text(encoding="utf-8")
    assert index == Path("out/index.html").resolve()
    assert '<td>phi = 1.0<td><a href="small/phi%3D1.0/small.ipynb">' in page
    assert page.count("<td>as in the book") == 1
    built = book.parent / "_build" / "html" / "book" / "plain.html"
    built.parent.mkdir(parents=True)
    built.touch()
    page = rerun_book({"phi": 1}, book=book, html=False)[0].read_text(encoding="utf-8")
    (address,) = re.findall('<td><a href="([^"]*)">as in the book', page)
    assert (index.parent / address).resolve() == built


def test_whole_book_says_which_chapter_has_failed(book):
    with pytest.raises(BookError, match=r"^1 of 1 chapters failed, the first: small failed in "):
        rerun_book({"trouble": "error"}, book=book, html=False)
    page = Path("out/index.html").read_text(encoding="utf-8")
    assert "<td>trouble = error<td>failed" in page


def test_sweep_in_processes_goes_on_after_a_failure(book, capsys):
    grid = {"phi": [1, 2], "trouble": ["none", "error"]}
    with pytest.raises(BookError, match=r"^2 of 4 runs failed, the first: phi=..0,trouble=error: "):
        sweep("small", grid, book=book, html=False, jobs=2, progress=True)
    names = {path.name for path in Path("out/small").iterdir()}
    runs = {f"phi={phi}.0,trouble=none" for phi in (1, 2)}
    failed = {f"phi={phi}.0,trouble=error.failed.ipynb" for phi in (1, 2)}
    assert names == {"index.html", "numbers.csv"} | runs | failed
    assert re.search(r"4/4 \[\d\d:\d\d<", capsys.readouterr().err)


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_sweep_resumes(book, quick, sent):
    """Two processes, stopped when a first run is done and another waits."""
    values = {"phi": [1, 2], "trouble": ["none", "wait"]}
    texts = [f"-p {name} {','.join(map(str, items))}" for name, items in values.items()]
    command = "import sys; from hessrmt.cli import main; sys.exit(main())"
    arguments = f"sweep small {' '.join(texts)} --no-html --jobs 2 --book".split()
    process = subprocess.Popen(
        [sys.executable, "-c", command, *arguments, book],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    done = Path("out/small/phi=1.0,trouble=none")
    deadline = time.monotonic() + 60
    while not done.is_dir() and time.monotonic() < deadline:
        time.sleep(0.1)
    if sent == signal.SIGINT:
        os.killpg(process.pid, sent)  # as a terminal does on Ctrl-C
        assert process.communicate(timeout=30)[1] == "hessrmt: interrupted\n"
        assert process.returncode == 130
        assert not list(done.parent.glob(".*"))
    else:
        process.kill()
        process.communicate(timeout=30)  # returns when the workers have gone as well
    sweep("small", values, book=book, html=False)
    assert done.name not in quick
    assert {"phi=1.0,trouble=wait", "phi=2.0,trouble=wait"} <= set(quick)


# The real chapters


def real_chapters():
    import yaml

    toc = yaml.safe_load((REPOSITORY / "_toc.yml").read_text())
    paths = [REPOSITORY / f"{file}.ipynb" for file in toc_files(toc)]
    return [path for path in paths if path.is_file()]


@pytest.mark.parametrize("path", real_chapters(), ids=lambda path: path.stem)
def test_chapter_declares_and_checks_its_parameters(path):
    """The parameters cell is typed, described, complete; the next one checks the same domains."""
    cells = code(path)
    tagged = [i for i, cell in enumerate(cells) if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1, "one cell is tagged parameters"
    chapter = find_chapter(path.stem, REPOSITORY)
    lines = ast.parse(cells[tagged[0]].source).body
    assert all(isinstance(line, ast.AnnAssign) for line in lines)
    assert [line.target.id for line in lines] == [p.name for p in chapter.parameters]
    assert all(parameter.help for parameter in chapter.parameters)

    calls = [
        node
        for node in ast.walk(ast.parse(cells[tagged[0] + 1].source))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("check_parameters")
    ]
    assert len(calls) == 1, "the next cell calls check_parameters"
    assert ast.unparse(calls[0].args[0]) == "globals()"
    checked = {keyword.arg: ast.literal_eval(keyword.value) for keyword in calls[0].keywords}
    declared = {p.name: p.domain for p in chapter.parameters if p.type != "bool"}
    assert checked == declared
