"""Executing chapters side by side, and the kernels of another processor."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

ROOT = Path(__file__).resolve().parents[2]


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


script = load(ROOT / "book" / "scripts" / "execute.py")
elsewhere = load(ROOT / "tests" / "elsewhere.py")


def chapter(path, *sources):
    """Write a notebook that has not been executed."""
    cells = [new_markdown_cell("# Title"), *map(new_code_cell, sources)]
    kernel = {"name": "of another", "display_name": "Python 3", "language": "python"}
    notebook = new_notebook(cells=cells, metadata={"kernelspec": kernel})
    path.write_text(nbformat.writes(notebook, indent=1) + "\n", encoding="utf-8")
    return script.read(path)


def executed(folder, **sources):
    """Execute chapters in place, two at a time; the errors."""
    runs = [chapter(folder / f"{name}.ipynb", *cells) for name, cells in sources.items()]
    return script.execute(runs, 2, script.write_in_place)


def texts(path):
    cells = nbformat.read(path, as_version=4).cells
    return ["".join(o.get("text", "") for o in c.outputs) for c in cells if c.cell_type == "code"]


def test_those_that_read_others_come_last_and_errors_name_chapter_and_cell(tmp_path, capsys):
    look = "from pathlib import Path\nprint('found' in Path('first.ipynb').read_text())"
    bad = ("print(1)", "raise ValueError('no\\nmore')", "print(2)")
    errors = executed(tmp_path, audit=[look], first=["print('fo' + 'und')"], bad=bad)
    assert errors == ["bad failed in code cell 2: ValueError: no"]
    assert texts(tmp_path / "bad.ipynb") == ["", "", ""]  # as it was
    assert texts(tmp_path / "first.ipynb") == ["found\n"]
    assert texts(tmp_path / "audit.ipynb") == ["True\n"]
    said = capsys.readouterr().out
    assert said.startswith("Executing ")
    assert "about " in said.splitlines()[0]
    assert said.index("first ") < said.rindex("audit ")


def test_a_kernel_that_dies_is_named(tmp_path):
    errors = executed(tmp_path, dying=["1", "import os; os._exit(1)"])
    assert len(errors) == 1
    assert errors[0].startswith("dying failed in code cell 2: DeadKernelError")


def test_executed_again_an_unchanged_chapter_is_the_same_file(tmp_path):
    """Though the printing comes in pieces, and running times are others."""
    source = (
        "import sys, time\nfor k in range(3):\n    print(k, flush=True)\n    time.sleep(0.1)\n"
        "print(f'{time.perf_counter():.3f} s')\nsys.stdout.flush()\nprint('end')"
    )
    assert executed(tmp_path, timed=[source, "1 + 1"]) == []
    path = tmp_path / "timed.ipynb"
    first = path.read_bytes()
    assert len(json.loads(first)["cells"][1]["outputs"]) == 1
    script.execute([script.read(path)], 1, script.write_in_place)
    assert path.read_bytes() == first
    changed = first.replace(b'"2"', b'"3"')
    assert changed != first
    path.write_bytes(changed)
    script.execute([script.read(path)], 1, script.write_in_place)
    assert path.read_bytes() == first


def test_pages_with_code_are_executed_as_well():
    assert script.read(ROOT / "book" / "notation.md") is None
    run = script.read(ROOT / "book" / "environment.md")
    assert any(cell.cell_type == "code" for cell in run.notebook.cells)


NATIVE = {"OpenBLAS": "Haswell", "torch": "AVX2", "numpy": "X86_V3", "MKL": "AVX2"}
OLD = {"OpenBLAS": "Nehalem", "torch": "DEFAULT", "numpy": "X86_V2", "MKL": "SSE4.2"}


@pytest.mark.parametrize("library", ["OpenBLAS", "torch", "numpy"])
def test_kernels_that_are_the_native_ones_are_refused(library):
    assert elsewhere.refusal("nehalem", NATIVE, OLD) == ""
    assert elsewhere.refusal("nehalem", NATIVE, OLD | {"MKL": "AVX2"}) == ""
    reason = elsewhere.refusal("nehalem", NATIVE, OLD | {library: NATIVE[library]})
    assert reason.startswith(f"nehalem: {library} ({NATIVE[library]}) would compute as always")


def test_nothing_is_run_where_nothing_would_be_shown(monkeypatch, tmp_path, capfd):
    """Variables that change nothing: the real kernels of this machine, asked twice."""
    monkeypatch.setitem(elsewhere.KERNELS, "same", {})
    made = tmp_path / "made"
    command = [sys.executable, "-c", f"open({str(made)!r}, 'w')"]
    assert elsewhere.main("same", *command) == 1
    assert not made.exists()
    out, err = capfd.readouterr()
    assert "kernels of this machine: OpenBLAS " in out
    assert "choose other KERNELS" in err


def test_unknown_kernels_are_refused():
    command = [sys.executable, ROOT / "tests" / "elsewhere.py", "vax", "true"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "usage: python tests/elsewhere.py nehalem|haswell COMMAND\n"
