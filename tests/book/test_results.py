"""Reruns beside what a person keeps: results, links, records, litter; and pages of odd values."""

import html
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

import hessrmt.book.reruns
from hessrmt.book import BookError, chapters, find_chapter, rerun, sweep
from hessrmt.cli import main

PARAMETERS = 'x: float = 0.5  # a number, in (0, 4]\nplace: str = "none"  # one of none | <folder>'


@pytest.fixture
def book(tmp_path, monkeypatch):
    """A book of one chapter, without bibliography; the current folder is an empty one."""
    root = tmp_path / "repository"
    (root / "book" / "data").mkdir(parents=True)
    (root / "book" / "data" / "table.csv").write_text("1\n")
    (root / "_toc.yml").write_text("format: jb-book\nroot: book/tiny\n")
    (root / "_config.yml").write_text("title: t\n")
    write_chapter(root / "book" / "tiny.ipynb")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return root / "book"


def write_chapter(path, code="x"):
    cells = [
        new_markdown_cell("# Tiny", id="a"),
        new_code_cell(PARAMETERS, id="b", metadata={"tags": ["parameters"]}),
        new_code_cell(code, id="c"),
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path.parent.mkdir(exist_ok=True)
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)


@pytest.fixture
def quick(monkeypatch):
    """Replace execution by a copy of the notebook; the jobs that came are listed."""
    ran = []

    def execute(job, notebook, *_):
        ran.append(job.target.name)
        shutil.copy(job.chapter.path, notebook)

    monkeypatch.setattr(hessrmt.book.reruns, "_execute", execute)
    return ran


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# What a person keeps


def test_notes_survive_another_rerun(book, quick):
    place = rerun("tiny", book=book, html=False).notebook.parent
    (place / "notes.md").write_text("mine")
    (place / "plots").mkdir()
    (place / "plots" / "one.png").write_bytes(b"mine")
    (place / "away").symlink_to("/nowhere")
    notebook = (place / "tiny.ipynb").read_text()
    (place / "tiny.ipynb").write_text(notebook.replace("# Tiny", "# Tiny, with my notes"))
    for again in (1, 2):
        write_chapter(book / "tiny.ipynb", code=f"x + {again}")
        rerun("tiny", book=book, html=False)
        assert (place / "notes.md").read_text() == "mine"
        assert (place / "plots" / "one.png").read_bytes() == b"mine"
        assert os.readlink(place / "away") == "/nowhere"
        assert "my notes" in (place / "tiny.kept.ipynb").read_text()
        assert f"x + {again}" in (place / "tiny.ipynb").read_text()
    names = ["away", "notes.md", "plots", "rerun.json", "tiny.ipynb", "tiny.kept.ipynb"]
    assert sorted(p.name for p in place.iterdir()) == names
    assert [p.name for p in place.parent.iterdir()] == ["default"]


def test_a_folder_that_is_no_result_is_kept_as_it_is_within(book, quick):
    place = Path("out/tiny/default")
    place.mkdir(parents=True)
    (place / "rerun.json").write_text("mine")
    (place / "tiny.ipynb").write_text("mine, too")
    rerun("tiny", book=book, html=False)
    assert (place / "rerun.kept.json").read_text() == "mine"
    assert (place / "tiny.kept.ipynb").read_text() == "mine, too"
    assert json.loads((place / "rerun.json").read_text())["chapter"] == "tiny"


@pytest.mark.parametrize("moment", ["before", "between", "after"])
def test_a_kill_while_a_result_is_put_in_place_loses_nothing(book, quick, moment, tmp_path):
    place = rerun("tiny", book=book, html=False).notebook.parent
    (place / "notes.md").write_text("mine")
    code = f"""
        import os, signal, shutil
        from pathlib import Path
        import hessrmt.book.reruns as reruns
        count = 0
        rename = Path.rename
        def deadly(self, target):
            global count
            if count == {["before", "between", "after"].index(moment)}:
                os.kill(os.getpid(), signal.SIGKILL)
            count += 1
            rename(self, target)
            if count == 2:
                os.kill(os.getpid(), signal.SIGKILL)
        Path.rename = deadly
        reruns._execute = lambda job, notebook, *_: shutil.copy(job.chapter.path, notebook) and None
        reruns.rerun("tiny", book={str(book)!r}, html=False)
        """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True)
    assert done.returncode == -9, done.stderr
    write_chapter(book / "other.ipynb")
    (book.parent / "_toc.yml").write_text(
        "format: jb-book\nroot: book/tiny\nchapters: [{file: book/other}]\n"
    )
    rerun("tiny", {"x": 1.0}, book=book, html=False)  # tidies up
    assert sorted(p.name for p in place.parent.iterdir()) == ["default", "x=1.0"]
    assert (place / "notes.md").read_text() == "mine"
    assert (place / "tiny.ipynb").is_file()


def test_the_work_of_a_live_process_is_left_whatever_its_number(book, quick, monkeypatch):
    """As in another namespace of processes, or on another host, where numbers mean nothing."""
    code = f"""
        import shutil, sys, time
        import hessrmt.book.reruns as reruns
        def execute(job, notebook, *_):
            shutil.copy(job.chapter.path, notebook)
            print("working", flush=True)
            sys.stdin.readline()
        reruns._execute = execute
        reruns.rerun("tiny", book={str(book)!r}, html=False)
        """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as working:
        working.stdout.readline()
        (hidden,) = Path("out/tiny").glob(".*")
        monkeypatch.setattr(os, "kill", None)  # is not asked
        rerun("tiny", {"x": 1.0}, book=book, html=False)
        assert hidden.is_dir()
        working.communicate(b"\n")
    assert working.returncode == 0
    assert sorted(p.name for p in Path("out/tiny").iterdir()) == ["default", "x=1.0"]


def test_two_reruns_of_one_point_at_once(book, quick, monkeypatch):
    put = hessrmt.book.reruns.put_in_place

    def late(target, result, record):
        monkeypatch.setattr(hessrmt.book.reruns, "put_in_place", put)
        rerun("tiny", book=book, html=False)
        put(target, result, record)

    monkeypatch.setattr(hessrmt.book.reruns, "put_in_place", late)
    rerun("tiny", book=book, html=False)
    assert [p.name for p in Path("out/tiny").iterdir()] == ["default"]
    assert sorted(p.name for p in Path("out/tiny/default").iterdir()) == [
        "rerun.json",
        "tiny.ipynb",
    ]


# Paths


@pytest.mark.parametrize("link", ["out", "out/tiny", "out/tiny/default"])
def test_results_do_not_reach_the_book_by_a_link(link, book, quick):
    before = contents(book.parent)
    Path(link).parent.mkdir(parents=True, exist_ok=True)
    Path(link).symlink_to(book)
    with pytest.raises(BookError, match=r"out must be a folder outside of the book|in the way"):
        rerun("tiny", book=book, html=False)
    assert contents(book.parent) == before
    assert not quick


def test_what_is_in_the_way_is_named(book, quick):
    Path("out/tiny").mkdir(parents=True)
    Path("out/tiny/default").write_text("mine")
    with pytest.raises(BookError, match="default is in the way"):
        rerun("tiny", book=book, html=False)
    assert Path("out/tiny/default").read_text() == "mine"


def test_a_path_is_that_chapter_or_none(book, quick, tmp_path, monkeypatch):
    write_chapter(tmp_path / "elsewhere" / "tiny.ipynb")
    for name in ("/nowhere/tiny.ipynb", str(tmp_path / "elsewhere" / "tiny.ipynb"), "data/tiny"):
        with pytest.raises(BookError, match=rf"^there is no chapter '{name}' in this book"):
            rerun(name, book=book, html=False)
    assert not quick
    monkeypatch.chdir(book)
    for name in ("tiny", "tiny.ipynb", "book/tiny", "./tiny", "../book/tiny.ipynb"):
        assert find_chapter(name, book).path == book / "tiny.ipynb"
    assert find_chapter(str(book / "tiny.ipynb"), book).path == book / "tiny.ipynb"


def test_chapters_of_one_name_are_told_apart(book):
    write_chapter(book.parent / "other" / "tiny.ipynb")
    (book.parent / "_toc.yml").write_text(
        "format: jb-book\nroot: book/tiny\nchapters: [{file: other/tiny}]\n"
    )
    with pytest.raises(
        BookError, match=r"several chapters 'tiny', .*: book/tiny.ipynb, other/tiny"
    ):
        find_chapter("tiny", book.parent)
    assert find_chapter("other/tiny", book.parent).path == book.parent / "other" / "tiny.ipynb"


@pytest.mark.parametrize(
    "command",
    ["list --book LOOP", "rerun tiny --book LOOP", "rerun tiny --book BOOK --out LOOP",
     "rerun tiny --book BOOK --out LOOP/x", "rerun tiny --book BOOK -p place LOOP"],
)  # fmt: skip
def test_links_in_a_circle_are_one_line(command, book, quick, capsys):
    Path("LOOP").symlink_to("LOOP")
    assert main([word.replace("BOOK", str(book)) for word in command.split()]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not quick


# Records and sources


@pytest.mark.parametrize(
    "record",
    [b"", b"{", b"[]", b"null", b"3", b"\xff\xfe", b'{"source": 1}', b"[" * 10**5,
     b'{"chapter": "tiny", "parameters": [], "seconds": 1, "source": "x"}'],
    ids=range(9),
)  # fmt: skip
def test_a_damaged_record_is_a_result_to_be_made_again(record, book, quick):
    sweep("tiny", {"x": [1, 2]}, book=book, html=False)
    Path("out/tiny/x=1.0/rerun.json").write_bytes(record)
    quick.clear()
    index, _ = sweep("tiny", {"x": [2]}, book=book, html=False)
    assert "x=1.0" not in index.read_text()
    sweep("tiny", {"x": [1, 2]}, book=book, html=False)
    assert quick == ["x=1.0"]


def test_only_sources_make_a_result_old(book, quick):
    def ran():
        quick.clear()
        sweep("tiny", {"x": [1]}, book=book, html=False)
        return quick == ["x=1.0"]

    data = book / "data"
    assert ran()
    for name in (".DS_Store", "._table.csv", "Thumbs.db", "desktop.ini", "table.csv~", ".table.swp",
                 "table.sqlite-wal", "c.sqlite.lock", "x.tmp", "~$table.csv"):  # fmt: skip
        (data / name).write_text("litter")
    for name in (".ipynb_checkpoints", "__pycache__", "__MACOSX"):
        (data / name).mkdir()
        (data / name / "table.csv").write_text("litter")
    assert not ran()
    for change in (
        lambda: (data / "table.csv").write_text("2\n"),
        lambda: (data / "table.csv").rename(data / "other.csv"),
        lambda: (data / "more.npy").write_bytes(b""),
        lambda: (data / "more.npy").unlink(),
    ):
        change()
        assert ran()
        assert not ran()


# Settings of the book


@pytest.mark.parametrize(
    "toc",
    ["\tformat: jb-book", "root: [" * 3000, "root: !!timestamp 2020-99-99\nformat: [", "a: *b",
     "\xff", "root: \x00", "{", "- [" + "[" * 5000],
    ids=range(8),
)  # fmt: skip
def test_a_table_of_contents_that_cannot_be_read_is_one_line(toc, book, capsys):
    (book.parent / "_toc.yml").write_bytes(toc.encode("latin-1"))
    assert main(["list", "--book", str(book)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("hessrmt: _toc.yml")
    assert len(error.splitlines()) == 1
    assert len(error) < 300


@pytest.mark.parametrize("name", ["2024", "010", "1:30", "yes", "null", "1e3", "2020-01-01"])
def test_files_are_found_by_what_is_written(name, book):
    write_chapter(book / f"{name}.ipynb")
    (book.parent / "_toc.yml").write_text(f"format: jb-book\nroot: {name}\n")
    shutil.move(book.parent / "_toc.yml", book / "_toc.yml")
    assert [chapter.name for chapter in chapters(book)] == [name]


def notebooks():
    yield "", "Expecting value"
    yield "[]", "is not a notebook"
    yield "{}", "is not a notebook"
    yield '{"cells": [3]}', ""
    yield '{"cells": [{"cell_type": "code", "source": "", "metadata": null}]}', "is not a notebook"
    yield '{"cells": ' + "[" * 10**5, "is not a notebook"
    nested = "x: float = " + "(" * 300 + "1" + ")" * 300
    cell = {"cell_type": "code", "source": nested, "metadata": {"tags": ["parameters"]}}
    yield json.dumps({"cells": [cell]}), "too many nested parentheses"


@pytest.mark.parametrize(("text", "message"), list(notebooks()), ids=range(7))
def test_a_damaged_notebook_is_one_line(text, message, book, capsys):
    (book / "tiny.ipynb").write_text(text)
    assert main(["list", "--book", str(book)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("hessrmt: tiny.ipynb")
    assert message in error
    assert len(error.splitlines()) == 1


def test_a_page_of_a_book_without_bibliography_shows_values_as_text(book, tmp_path):
    folder = tmp_path / "<b>bold</b> & <script>alert(1)</script>"
    folder.mkdir(parents=True)
    result = rerun("tiny", {"place": str(folder)}, book=book)
    pages = list((result.notebook.parent / "html").rglob("*.html"))
    assert result.page in pages
    for page in pages:
        text = page.read_text()
        assert "<b>bold" not in text
        assert "<script>alert" not in text
    title = re.search("<title>(.*)</title>", result.page.read_text())[1]
    assert html.unescape(title) == f"Tiny — place = {folder}"


def test_settings_that_cannot_be_read_are_one_line(book, quick):
    for text in ("\ttitle: x", "title: !!timestamp 2020-99-99", "[]", "title: " + "[" * 5000):
        (book.parent / "_config.yml").write_text(text)
        with pytest.raises(BookError, match=r"^_config.yml") as error:
            rerun("tiny", book=book)
        assert len(str(error.value).splitlines()) == 1


def test_a_script_needs_no_guard(book, tmp_path):
    path = os.pathsep.join(map(os.path.abspath, sys.path))
    (tmp_path / "work" / "mine.py").write_text(
        "from hessrmt.book import sweep\nprint('started')\n"
        f"sweep('tiny', {{'x': [1.0, 2.0]}}, book={str(book)!r}, html=False, jobs=2)\n"
    )
    done = subprocess.run(
        [sys.executable, "mine.py"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "started\n", "")
    assert len(list(Path("out/tiny").glob("x=*/rerun.json"))) == 2


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_a_sweep_that_is_asked_to_end_tidies_up(book):
    write_chapter(book / "tiny.ipynb", code="import time; time.sleep(60)")
    code = "import sys; from hessrmt.cli import main; sys.exit(main())"
    words = ["sweep", "tiny", "-p", "x", "1,2,3", "--jobs", "2", "--no-html", "--book", str(book)]
    command = [sys.executable, "-c", code, *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        while len(list(Path("out/tiny").glob(".*/result/*.ipynb"))) < 2:
            assert running.poll() is None
            time.sleep(0.1)
        running.terminate()
        assert running.communicate(timeout=50)[1] == "hessrmt: interrupted\n"
    assert running.returncode == 130
    assert not list(Path("out/tiny").glob(".*"))
