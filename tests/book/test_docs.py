"""What the pages tell people to type: every command is accepted, every example runs."""

import json
import pkgutil
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import hessrmt.book.reruns
import hessrmt.book.sweeps
import hessrmt.book.whole_book
from hessrmt.book import find_chapter
from hessrmt.campaigns import Campaign
from hessrmt.cli import main

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *BOOK.glob("*.md"), *BOOK.glob("*.ipynb")]


def text_of(page):
    if page.suffix == ".md":
        return page.read_text(encoding="utf-8")
    cells = json.loads(page.read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")


def commands(page, program):
    """The lines, and pieces of code in lines, that begin with a program."""
    pattern = rf"^ {{4,}}(?:\.venv/bin/)?({program} [^\n]*)|`(?:\.venv/bin/)?({program} [^`\n]*)`"
    found = re.findall(pattern, text_of(page), flags=re.M)
    return [(a or b).split("  #")[0].strip() for a, b in found]


COMMANDS = sorted({c for page in PAGES for c in commands(page, "hessrmt")})


def test_the_pages_have_commands():
    assert len(COMMANDS) > 25
    assert {command.split()[1] for command in COMMANDS} == {"list", "rerun", "sweep", "campaign"}


@pytest.fixture
def accepted(tmp_path, monkeypatch):
    """What commands would carry out: nothing is."""
    done = []
    monkeypatch.chdir(tmp_path)
    for folder in ("FOLDER", "out"):
        (tmp_path / folder).mkdir()
    (tmp_path / "mine.sqlite").touch()
    (tmp_path / "mine.py").write_text("def make(): ...", encoding="utf-8")
    monkeypatch.setattr(hessrmt.book.reruns, "run_job", lambda job, progress: done.append(job))
    monkeypatch.setattr(hessrmt.book.sweeps, "run_job", lambda job, progress: done.append(job))
    monkeypatch.setattr(hessrmt.book.whole_book, "run_job", lambda *job: done.append(job))
    monkeypatch.setattr(hessrmt.book.sweeps, "write_index", lambda *_: tmp_path / "index.html")
    for name in ("run", "status", "check", "export"):
        monkeypatch.setattr(Campaign, name, lambda self, *a, **k: done.append(a) or [])
    return done


@pytest.mark.parametrize("command", COMMANDS)
def test_command_is_accepted(command, accepted, capsys):
    arguments = shlex.split(command)[1:]
    if arguments[0] in ("rerun", "sweep", "list"):
        arguments += ["--book", str(ROOT)]
    assert main(arguments) == 0, capsys.readouterr().err
    assert accepted or arguments[0] == "list"


def test_the_error_on_the_page_is_the_error(accepted, capsys):
    shown = re.findall(r"\$ hessrmt (.*)\n +(.*)", text_of(BOOK / "rerunning.md"))
    assert shown
    for command, message in shown:
        assert main([*shlex.split(command), "--book", str(ROOT)]) == 2
        assert capsys.readouterr().err == message + "\n"


def test_papermill_takes_the_parameters(tmp_path):
    (command,) = commands(BOOK / "rerunning.md", "papermill")
    (tmp_path / "out").mkdir()
    (tmp_path / "book").symlink_to(BOOK)
    run = [sys.executable, "-m", "papermill", *shlex.split(command)[1:], "--prepare-only"]
    subprocess.run(run, cwd=tmp_path, check=True, capture_output=True)
    cells = json.loads((tmp_path / "out" / "mine.ipynb").read_text(encoding="utf-8"))["cells"]
    tags = [tag for cell in cells for tag in cell["metadata"].get("tags", [])]
    assert "injected-parameters" in tags


def test_the_examples_run(capsys):
    blocks = re.findall(r"```python\n(.*?)```", text_of(BOOK / "rerunning.md"), re.S)
    assert len(blocks) == 3
    said = []
    for block in blocks:
        exec(compile(block, "rerunning.md", "exec"), {"__name__": "__main__"})
        said.append(capsys.readouterr().out)
    index, distance = re.findall(r"[\d.]+$", said[0], flags=re.M)
    assert 0 < float(index) < 0.5
    assert 0 < float(distance) < 0.3
    own = re.findall(r"^index (?:if free )?([\d.]+)", said[-1], flags=re.M)
    assert all(0.3 < float(value) < 0.5 for value in own), said[-1]
    assert len(own) == 2


def test_chapters_named_on_the_pages_exist():
    named = {name for page in PAGES for name in re.findall(r"book/(\w+)\.ipynb", text_of(page))}
    assert named
    for name in named:
        find_chapter(name, ROOT)


def test_every_chapter_can_set_itself_up_on_colab():
    url = re.search(r"^  url: (\S+)$", (ROOT / "_config.yml").read_text(encoding="utf-8"), re.M)[1]
    for page in PAGES:
        if page.suffix == ".ipynb":
            cells = json.loads(page.read_text(encoding="utf-8"))["cells"]
            first = next(cell for cell in cells if cell["cell_type"] == "code")
            source = "".join(first["source"])
            assert 'if "google.colab" in sys.modules:' in source, page
            assert f'"{url}"' in source, page
            assert "remove-cell" in first["metadata"]["tags"], page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_the_pages_refer_to_is_there_and_documented(page):
    """By the address under which the pages of the API have it, else Sphinx leaves plain text."""
    documented = set()
    for api in BOOK.glob("api_*.md"):
        room = ""
        for kind, name in re.findall(r"^\.\. (\w+):: (\S+)$", text_of(api), re.M):
            room = name if kind == "currentmodule" else room
            documented.add(name if kind == "automodule" else f"{room}.{name}")
    targets = re.findall(r"\{(?:func|class|mod|meth)\}`[^`]*?~?(hessrmt[\w.]+)>?`", text_of(page))
    for target in targets:
        assert {target, target.rpartition(".")[0]} & documented, target
        pkgutil.resolve_name(target)
