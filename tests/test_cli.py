"""The command line: what it prints, where, and with which exit code."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

import hessrmt.book.reruns
import hessrmt.book.sweeps
from hessrmt.book import Result, Text
from hessrmt.cli import main
from hessrmt.optional import install_command

PARAMETERS = """\
u: float = -1.5  # energy per spin, in (-inf, 0]
size: int = 10  # number of spins, in [2, 100]
law: str = "normal"  # law of the couplings, one of normal | sign
levels: list[float] = [0.5, 1.0]  # lines of the figure, each in (0, 4]
"""


@pytest.fixture
def book(tmp_path, monkeypatch):
    """A book of one notebook beside the current folder, which is empty."""
    book = tmp_path / "repository" / "book"
    book.mkdir(parents=True)
    (book.parent / "_toc.yml").write_text("{format: jb-book, root: book/glass}")
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [
        new_markdown_cell("# Spin glasses", id="a"),
        new_code_cell(PARAMETERS, id="b", metadata={"tags": ["parameters"]}),
        new_code_cell("assert size < 50, 'too large'", id="c"),
    ]
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    nbformat.write(new_notebook(cells=cells, metadata=metadata), book / "glass.ipynb")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return str(book)


@pytest.fixture
def calls(monkeypatch):
    """The arguments with which the commands call the library, which does nothing."""
    calls = []

    def rerun(*arguments, **options):
        calls.append((arguments, options))
        return Result(Path("out/x.ipynb").resolve(), Path("out/html/x.html").resolve())

    def sweep(*arguments, **options):
        calls.append((arguments, options))
        return Path("out/index.html").resolve(), [None, None]

    monkeypatch.setattr(hessrmt.book, "rerun", rerun)
    monkeypatch.setattr(hessrmt.book, "sweep", sweep)
    return calls


def test_list(book, capsys):
    assert main(["list", "--book", book]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "glass: Spin glasses",
        "   u      float       -1.5       (-inf, 0]     energy per spin",
        "   size   int         10         [2, 100]      number of spins",
        "   law    str         normal     normal | sign law of the couplings",
        "   levels list[float] [0.5, 1.0] (0, 4]        lines of the figure",
        "",
    ]


def test_values_are_handed_on_as_they_were_typed(calls):
    """Their parameters read them: ``tests/book/test_parameters.py`` has how."""
    assert main(["rerun", "glass", "-p", "u", "-.5", "-p", "law", " 010 # yes"]) == 0
    assert main(["sweep", "glass", "-p", "u", "-1.5,-1e-3", "-p", "levels", "[1, 2],[3],"]) == 0
    (((_, given), _), ((_, grid), _)) = calls
    assert given == {"u": "-.5", "law": " 010 # yes"}
    assert grid == {"u": ["-1.5", "-1e-3"], "levels": ["[1, 2]", "[3]"]}
    for values in (given.values(), *grid.values()):
        assert {type(value) for value in values} == {Text}


def test_options_and_output(calls, capsys):
    options = ["--out", "there", "--book", "here", "--no-html", "--progress"]
    assert main(["rerun", "glass", *options]) == 0
    assert main(["sweep", "glass", "-p", "u", "0", "--jobs", "3", "--force", *options]) == 0
    assert main(["rerun", "glass"]) == 0
    given = {"out": "there", "book": "here", "html": False, "progress": True}
    assert [options for _, options in calls] == [
        given,
        {**given, "jobs": 3, "force": True, "plot": None, "scheduler": None},
        {"out": "out", "book": None, "html": True, "progress": sys.stderr.isatty()},
    ]
    assert capsys.readouterr().out.splitlines() == [
        f"notebook: {Path('out/x.ipynb')}",
        f"page:     {Path('out/html/x.html')}",
        f"2 runs: {Path('out/index.html')}",
        f"notebook: {Path('out/x.ipynb')}",
        f"page:     {Path('out/html/x.html')}",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("rerun glas", "there is no chapter 'glas' (did you mean 'glass'?); chapters: glass"),
        ("rerun glass -p u 0.5", "u must be in (-inf, 0], got 0.5"),
        ("rerun glass -p u nan", "u must be in (-inf, 0], got nan"),
        ("rerun glass -p u 1j", "u must be real numbers in (-inf, 0], got '1j'"),
        ("rerun glass -p u true", "u must be real numbers in (-inf, 0], got 'true'"),
        ("rerun glass -p size 3.0", "size must be an integer in [2, 100], got 3.0"),
        ("rerun glass -p levels [1", "levels must be a list, each in (0, 4], got '[1'"),
        ("rerun glass -p u -1 -p u -2", "u is given twice"),
        ("sweep glass -p size 3,1", "size must be in [2, 100], got 1"),
        ("sweep glass -p size ,", "size must be given a list of values, got []"),
        ("list --book nowhere", "no book found at nowhere (the folder has _toc.yml in it or"
            " beside it)"),
    ],
)  # fmt: skip
def test_errors_take_one_line(book, capsys, arguments, message):
    where = [] if "--book" in arguments else ["--book", book, "--no-html"]
    assert main([*arguments.split(), *where]) == 2
    assert capsys.readouterr() == ("", f"hessrmt: {message}\n")
    assert not list(Path.cwd().iterdir())


@pytest.mark.parametrize(
    "arguments",
    ["", "run", "rerun", "rerun glass -p u", "rerun glass -p u=1", "sweep glass",
     "sweep glass -p u 0 --jobs 0", "sweep glass -p u 0 --jobs two"],
)  # fmt: skip
def test_malformed_commands(capsys, arguments):
    with pytest.raises(SystemExit) as caught:
        main(arguments.split())
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("usage: hessrmt")


def test_interruption(monkeypatch, capsys):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(hessrmt.book, "rerun", interrupt)
    assert main(["rerun", "glass"]) == 130
    assert capsys.readouterr().err == "hessrmt: interrupted\n"


def test_a_full_disk(book, monkeypatch, capsys):
    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(hessrmt.book.reruns, "run_job", fail)
    assert main(["rerun", "glass", "--book", book]) == 2
    assert capsys.readouterr().err == "hessrmt: [Errno 28] No space left on device\n"


def test_without_the_extra(monkeypatch, capsys):
    monkeypatch.delattr(hessrmt.book, "rerun", raising=False)
    monkeypatch.delitem(sys.modules, "hessrmt.book.reruns", raising=False)
    monkeypatch.setitem(sys.modules, "papermill", None)
    assert main(["list"]) == 0
    assert "random_matrix_primer" in capsys.readouterr().out
    assert main(["rerun", "spin_glass"]) == 2
    command = install_command("book")
    expected = f"hessrmt: rerun needs papermill: {command}\n"
    assert capsys.readouterr().err == expected
    monkeypatch.setitem(sys.modules, "yaml", None)
    assert main(["list"]) == 2
    assert capsys.readouterr().err == f"hessrmt: pyyaml is needed: {command}\n"


def test_the_command_itself(book):
    """One process each: exit codes, and one line on standard error with nothing around it."""

    def run(*arguments):
        code = "import sys; from hessrmt.cli import main; sys.exit(main())"
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True
        )
        return done.returncode, done.stdout, done.stderr

    place = Path("out/glass")
    assert run("rerun", "glass", "-p", "size", "1", "--book", book) == (
        2, "", "hessrmt: size must be in [2, 100], got 1\n"
    )  # fmt: skip
    assert not place.exists()
    assert run("rerun", "glass", "-p", "size", "60", "--book", book, "--no-html") == (
        2, "", "hessrmt: glass failed in code cell 3: AssertionError: too large"
        f" (notebook: {place / 'size=60.failed.ipynb'})\n"
    )  # fmt: skip
    code, out, err = run("rerun", "glass", "-p", "size", "6", "--book", book, "--no-html",
        "--progress")  # fmt: skip
    assert (code, out) == (0, f"notebook: {place / 'size=6' / 'glass.ipynb'}\n")
    assert re.search(r"glass: 100%.*4/4 \[\d\d:\d\d<\d\d:\d\d, ", err)


@pytest.mark.parametrize("buffered", [True, False])
def test_the_reader_leaves(book, buffered):
    """As `head` does: with output in one piece at the end, or line by line."""
    reader, writer = os.pipe()
    os.close(reader)
    code = "import sys; from hessrmt.cli import main; sys.exit(main())"
    arguments = ["-c", code, "list", "--book", book]
    command = [sys.executable, *([] if buffered else ["-u"]), *arguments]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


def test_start_is_quick():
    code = "import sys, hessrmt.cli; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"numpy", "scipy", "sympy", "torch", "matplotlib", "papermill", "yaml"}
    assert not heavy & set(done.stdout.split())
