"""What nbval has executed and compared is shown by `make book`, while nothing has changed."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from jupyter_cache import get_cache
from nbformat.v4 import new_code_cell, new_notebook, new_output

from hessrmt.book import compared_execution

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A book of which nbval has compared two chapters: one is as it is stored, one is not."""
    root = tmp_path_factory.mktemp("checkout")
    (root / "book" / "data").mkdir(parents=True)
    (root / "_toc.yml").write_text("{root: book/same, chapters: [{file: book/other}]}")
    (root / "_config.yml").write_text("execute: {}")
    (root / "book" / "data" / "table.csv").write_text("1\n")
    for name, text in (("same", "2\n"), ("other", "3\n")):
        printed = [new_output("stream", name="stdout", text=text)]
        drawn = "# NBVAL_IGNORE_OUTPUT\nimport os\nos.getpid()"
        cells = [
            new_code_cell(f"print(1 + 1)  # {name}", outputs=printed, execution_count=1),
            new_code_cell(drawn, execution_count=2),
        ]
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        notebook = new_notebook(cells=cells, metadata={"kernelspec": kernel})
        nbformat.write(notebook, root / "book" / f"{name}.ipynb")
    hermetic = [sys.executable, "-I", "-m", "hessrmt.hermetic", sys.executable, "-m", "pytest"]
    options = ["-n", "2", "--dist", "loadscope", "--nbval", "-p", "hessrmt.book.executions"]
    command = [*hermetic, *options, "-p", "no:cacheprovider", "book"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert "1 failed, 3 passed" in done.stdout, done.stdout + done.stderr
    return root


def test_only_what_is_as_it_is_stored_is_kept(checkout):
    first, second = compared_execution(checkout / "book" / "same.ipynb")["cells"]
    assert first["outputs"] == [{"output_type": "stream", "name": "stdout", "text": "2\n"}]
    assert int(second["outputs"][0]["data"]["text/plain"]) > 0
    assert second["outputs"][0]["execution_count"] == second["execution_count"] == 2
    assert compared_execution(checkout / "book" / "other.ipynb") is None
    assert compared_execution(checkout / "book" / "none.ipynb") is None


@pytest.mark.parametrize("name", ["data/table.csv", "same.ipynb"])
def test_a_change_ends_it(checkout, name):
    path, chapter = checkout / "book" / name, checkout / "book" / "same.ipynb"
    before = path.read_bytes()
    path.write_bytes(before + b"\n")
    assert compared_execution(chapter) is None
    path.write_bytes(before)
    assert compared_execution(chapter) is not None


@pytest.mark.parametrize("changed", ["package", "installed", "processor"])
def test_so_does_a_change_of_package_environment_or_processor(checkout, monkeypatch, changed):
    if changed == "package":
        monkeypatch.setattr("hessrmt.book.executions.source_digest", lambda chapter: "another")
    elif changed == "installed":
        monkeypatch.setattr("importlib.metadata.distributions", lambda: [])
    else:
        monkeypatch.setenv("OPENBLAS_CORETYPE", "Nehalem")
    assert compared_execution(checkout / "book" / "same.ipynb") is None


def test_pages_show_it_and_the_other_chapters_are_executed(checkout, monkeypatch, capsys):
    spec = importlib.util.spec_from_file_location("execute", ROOT / "book/scripts/execute.py")
    script = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "execute", script)
    spec.loader.exec_module(script)
    monkeypatch.setattr(script, "ROOT", checkout)
    kept = compared_execution(checkout / "book" / "same.ipynb")
    (checkout / "_build" / "html").mkdir()
    assert script.build(checkout / "_build", 1) == []
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "As make test has executed them: same"
    assert said[1].startswith("Executing other: ")
    shown, other = (
        nbformat.read(checkout / "_build" / "executed" / "book" / f"{name}.ipynb", 4)
        for name in ("same", "other")
    )
    # Jupyter-book finds both by the chapters as they are stored, and executes nothing.
    cache = get_cache(checkout / "_build" / ".jupyter_cache")
    for name in ("same", "other"):
        stored = nbformat.read(checkout / "book" / f"{name}.ipynb", 4)
        assert cache.match_cache_notebook(stored).uri.endswith(f"{name}.ipynb")
    assert [cell.outputs for cell in shown.cells] == [cell["outputs"] for cell in kept["cells"]]
    assert other.cells[0].outputs[0].text == "2\n"
    assert sorted(p.name for p in (checkout / "_build").iterdir()) == [
        ".jupyter_cache",
        "compared",
        "config.yml",
        "executed",
    ]
