"""The chapter on the reader's network: run on a file of these tests, and what it is told."""

import re

import nbformat
import pytest

from hessrmt.cli import main

MINE = """
import torch
from beside import layers


def make():
    torch.manual_seed(0)
    x, y = torch.randn(30, 5), torch.randint(3, (30,))
    data = [(x[:20], y[:20]), (x[20:], y[20:])]
    return layers(), torch.nn.CrossEntropyLoss(reduction="sum"), data


def nan():
    model, loss, data = make()
    data[1][0][3, 2] = float("nan")
    return model, loss, data


def broken():
    return layers(1 / 0)


def pair():
    return make()[:2]
"""
BESIDE = """
from torch import nn


def layers(width=7):
    first = nn.Linear(5, width), nn.BatchNorm1d(width), nn.SiLU()
    return nn.Sequential(*first, nn.Linear(width, 3)).eval()
"""


@pytest.fixture
def rerun(tmp_path, monkeypatch, capsys):
    """Rerun the chapter from a folder with two files in it; exit code, output and errors."""
    (tmp_path / "my files").mkdir()
    (tmp_path / "my files" / "mine.py").write_text(MINE)
    (tmp_path / "my files" / "beside.py").write_text(BESIDE)
    monkeypatch.chdir(tmp_path)

    def run(model):
        small = ["--no-html", "-p", "probes", "2", "-p", "steps", "10"]
        code = main(["rerun", "your_network", "-p", "model", model, *small])
        return code, *capsys.readouterr()

    return run


def test_a_file_of_ones_own(rerun, tmp_path):
    code, out, _ = rerun("my files/mine.py:make")
    assert code == 0
    (path,) = re.findall(r"notebook: (.*)", out)
    cells = nbformat.read(tmp_path / path, as_version=4).cells
    outputs = [o for c in cells if c.cell_type == "code" for o in c.outputs]
    shown = [o["data"] for o in outputs if "data" in o]
    said = next(d["text/markdown"] for d in shown if "Yours" in d.get("text/markdown", ""))
    assert "H₁ is " in said
    sizes = next(d["text/plain"] for d in shown if "outliers of H₀" in d.get("text/plain", ""))
    row = sizes.splitlines()[-1].split()
    assert (row[0], row[1], row[-1]) == ("yours", "80", "3")  # 42 + 14 + 24
    assert sum("image/png" in d for d in shown) == 3


@pytest.mark.parametrize(
    "model, sentence",
    [
        ("my files/mine.py:mak", "my files/mine.py has no 'mak' (did you mean 'make'?)"),
        ("my files/nine.py:make", "there is no file 'my files/nine.py'"),
        ("digit", "model must be one of digits | hidden-layer | <function>, got 'digit'"),
    ],
)
def test_what_is_known_before_anything_runs(rerun, tmp_path, model, sentence):
    code, out, err = rerun(model)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert sentence in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "function, sentence",
    [
        ("broken", "ZeroDivisionError: division by zero (mine.py, line 20: return layers(1 / 0))"),
        ("nan", "ValueError: data must be finite, x of batch 1 holds a NaN or infinity"),
        ("pair", "returns model, loss and data, got a tuple of 2"),
    ],
)
def test_what_the_function_does_wrong(rerun, function, sentence):
    code, out, err = rerun(f"my files/mine.py:{function}")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert sentence in err
