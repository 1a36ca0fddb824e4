"""Where the program writes: streams that are narrow, closed or full, and errors nobody foresaw."""

import email.message
import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

import hessrmt.book
from hessrmt.cli import main
from hessrmt.processes import terminable, unguarded

ROOT = Path(__file__).resolve().parents[1]
CODE = "import sys; from hessrmt.cli import main; sys.exit(main())"


@pytest.fixture
def book(tmp_path):
    """A book whose chapter has a Greek letter in a comment."""
    (tmp_path / "_toc.yml").write_text("{format: jb-book, root: tiny}")
    source = "x: float = 0.5  # the ratio Λ, in (0, 4]"
    cells = [
        new_markdown_cell("# Größe der Λ", id="a"),
        new_code_cell(source, id="b", metadata={"tags": ["parameters"]}),
    ]
    nbformat.write(new_notebook(cells=cells), tmp_path / "tiny.ipynb")
    return tmp_path


def run(*words, shell="", **more):
    command = [sys.executable, "-c", CODE, *map(str, words)]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONUTF8"} | more
    if shell:
        command = ["sh", "-c", f'exec "$@" {shell}', "sh", *command]
    return subprocess.run(command, env=environment, capture_output=True)


@pytest.mark.parametrize(
    ("settings", "encoding"),
    [
        ({"PYTHONIOENCODING": "latin-1"}, "latin-1"),
        ({"PYTHONIOENCODING": "cp1252"}, "cp1252"),
        ({"PYTHONIOENCODING": "ascii"}, "ascii"),
        ({"PYTHONIOENCODING": "ascii:strict"}, "ascii"),
        ({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, "ascii"),
        ({"PYTHONIOENCODING": "utf-8"}, "utf-8"),
    ],
)
def test_a_sign_that_a_terminal_lacks_is_its_number(settings, encoding, book):
    done = run("list", "--book", book, **settings)
    assert (done.returncode, done.stderr) == (0, b"")
    shown = "Größe der Λ".encode(encoding, errors="backslashreplace")
    assert done.stdout.splitlines()[0] == b"tiny: " + shown
    done = run("rerun", "tiny", "-p", "x", "Λ", "--book", book, **settings)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("shell", "code", "error"),
    [
        (">&-", 2, b"hessrmt: [Errno 9] the standard output is closed\n"),
        ("<&- >&-", 2, b"hessrmt: [Errno 9] the standard output is closed\n"),
        ("2>&-", 0, b""),
        (">&- 2>&-", 2, b""),
        (">/dev/full", 2, b"hessrmt: [Errno 28] No space left on device\n"),
        (">/dev/full 2>&1", 2, b""),
    ],
)
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_streams_that_are_closed_or_full(shell, code, error, book):
    done = run("list", "--book", book, shell=shell)
    assert (done.returncode, done.stderr) == (code, error)
    assert bool(done.stdout) == (code == 0)


def test_an_error_that_nobody_foresaw(monkeypatch, capsys, tmp_path):
    """One line, a file with the traceback, and the address of the project's own metadata."""

    def fail(_):
        raise ZeroDivisionError("a \udce9\nb")

    written = email.message.Message()
    with (ROOT / "pyproject.toml").open("rb") as file:
        urls = tomllib.load(file)["project"]["urls"]
    for name, url in urls.items():
        written["Project-URL"] = f"{name}, {url}"
    monkeypatch.setattr(importlib.metadata, "metadata", {"hessrmt": written}.get)
    monkeypatch.setattr(hessrmt.book, "chapters", fail)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert main(["list"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    found = re.fullmatch(
        r"hessrmt: unexpected ZeroDivisionError: a \\udce9; "
        r"(\S+) says where, please report it at (\S+)",
        line,
    )
    assert found[2] == urls["Issues"]
    assert Path(found[1]).parent == tmp_path
    text = Path(found[1]).read_text()
    assert "Traceback" in text
    assert "in fail" in text
    assert sys.argv[0] in text
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    assert main(["list"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("hessrmt: unexpected ZeroDivisionError: a \\udce9, please report it at ")


def test_a_caller_is_as_before():
    """The module that runs, and the signals, which the program sets for its own time only."""
    import signal

    before = [signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT)]
    main_module = dict(vars(sys.modules["__main__"]))
    with terminable(), unguarded(), unguarded():
        assert "__file__" not in vars(sys.modules["__main__"])
    assert [signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT)] == before
    assert dict(vars(sys.modules["__main__"])) == main_module
