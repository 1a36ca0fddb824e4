"""The real chapters, rerun with parameters far from their defaults."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from hessrmt.book import chapters, kernel_manager, rerun

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = {chapter.name: chapter for chapter in chapters(ROOT)}
# Small and at corners: a hard edge, an atom, energies below the critical one, another seed.
RERUNS = {
    "audit": {"chapters": str(ROOT / "book")},
    "assumptions": {
        "dataset": "gaussian",
        "images": 60,
        "hidden": 6,
        "activation": "tanh",
        "steps": 400,
        "rate": 0.2,
        "variance": 1.0,
        "phi": 0.8,
        "epsilon": 0.4,
        "networks": 2,
        "largest": 12,
        "seed": 3,
    },
    "product_wishart": {
        "phi": 0.6,
        "dataset": "photos",
        "runs": 4,
        "widths": [16],
        "networks": 2,
        "seed": 5,
    },
    "random_matrix_primer": {"phi": 0.9, "sigma": 3.0, "n": 200, "seed": 5},
    "batch_noise": {"hidden": 12, "epochs": 5, "batches": 4, "n": 100, "seed": 5},
    "damped_steps": {"side": 3, "epochs": 1, "batches": 10, "seed": 5},
    "spacings": {"hidden": 12, "epochs": 5, "spectra": 4, "seed": 5},
    "gauss_newton_law": {"phi": 0.9, "activation": "linear", "n": 13, "draws": 2, "seed": 5},
    "beyond_freeness": {
        "phi": 0.9,
        "epsilon": 2.0,
        "activation": "tanh",
        "n": 9,
        "networks": 2,
        "seed": 5,
    },
    "vanishing_gradient": {
        "phi": 0.85,
        "activation": "tanh",
        "epsilon": 5.0,
        "n": 9,
        "networks": 2,
        "seed": 5,
    },
    "critical_points": {
        "search": "projected",
        "phi": 0.8,
        "runs": 10,
        "range_max": 0.2,
        "seed": 3,
    },
    "spin_glass": {"H": 4, "size": 12, "draws": 2, "starts": 3, "hidden": 6, "seed": 2},
    "your_network": {"model": "hidden-layer", "probes": 2, "steps": 12, "seed": 4},
    "wishart_plus_wigner": {
        "phi": 0.3,
        "epsilon": 0.01,
        "n": 200,
        "panel_phis": [1.0, 2.0],
        "panel_energies": [0.0, 0.3],
        "seed": 7,
    },
}


def test_every_chapter_is_rerun_here():
    assert set(RERUNS) == set(CHAPTERS)


@pytest.mark.parametrize("name", CHAPTERS)
def test_rerun_with_other_parameters(name, tmp_path):
    chapter = CHAPTERS[name]
    before = chapter.path.read_bytes()
    result = rerun(name, RERUNS[name], out=tmp_path, book=ROOT, html=False)
    outputs = load_notebook_node(str(result.notebook)).cells
    assert any(cell.metadata.get("tags") == ["injected-parameters"] for cell in outputs)
    assert chapter.path.read_bytes() == before


def test_a_bad_value_through_papermill_itself_stops_at_the_check(tmp_path):
    """With one kernel for all chapters, each as far as its check."""
    cells, checks = [], {}
    for name, chapter in CHAPTERS.items():
        bad = {"chapters": "no such"} if name == "audit" else {"seed": -1}
        notebook = parameterize_notebook(load_notebook_node(str(chapter.path)), bad)
        tags = [cell.metadata.get("tags", []) for cell in notebook.cells]
        check = tags.index(["injected-parameters"]) + 1
        while notebook.cells[check].cell_type != "code":
            check += 1
        cells += notebook.cells[: check + 1]
        checks[len(cells) - 1] = name
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    everything = nbformat.v4.new_notebook(cells=cells)
    client = NotebookClient(
        everything,
        allow_errors=True,
        startup_timeout=300,
        resources={"metadata": {"path": str(ROOT / "book")}},
        kernel_manager_class=kernel_manager(tmp_path),
    )
    client.execute()
    code = [(number, cell) for number, cell in enumerate(cells) if cell.cell_type == "code"]
    errors = {n: output for n, cell in code for output in cell.outputs if "ename" in output}
    assert {number: error.ename for number, error in errors.items()} == dict.fromkeys(
        checks, "ValueError"
    )
    for number, name in checks.items():
        said = "seed must be in [0, inf), got -1"
        if name == "audit":
            said = "chapters must be one of here | <folder>, got"
        assert said in errors[number].evalue
