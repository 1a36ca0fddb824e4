"""The runs of the spin-glass chapter, and the script that stores them."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from hessrmt.spin_glass import (
    anneal_chain,
    count_critical_points,
    end_losses,
    load_digits,
    minima_of_draw,
    minimum_and_saddles,
    searches_of_draw,
    train_group,
)

BOOK = Path(__file__).resolve().parents[2] / "book"


@pytest.fixture
def images():
    return load_digits(train=100, test=50, rng=0)


@pytest.fixture
def script(monkeypatch, images):
    monkeypatch.syspath_prepend(BOOK / "scripts")
    spec = importlib.util.spec_from_file_location(
        "spin_glass_data", BOOK / "scripts" / "spin_glass_data.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "load_digits", lambda rng: images)
    module.fill = lambda name, folder: module.tables.fill(
        "spin_glass", name, module.TABLES[name], folder
    )
    monkeypatch.setattr(module, "MINIMA", [(3, 8, 2, 3), (4, 5, 1, 2)])
    monkeypatch.setattr(module, "EARLY", [(3, 8, 1, 3)])
    monkeypatch.setattr(module, "CRITICAL", [(3, 8, 1, 3)])
    monkeypatch.setattr(module, "STEPS", (0, 5))
    monkeypatch.setattr(module, "COUNTS", [(3, 2)])
    monkeypatch.setattr(module, "POINTS", [(3, 12)])
    monkeypatch.setattr(module, "NETWORKS", [(3, 0, 200, 1), (3, 1, 200, 1), (3, 0, 1000, 1)])
    monkeypatch.setattr(module, "INDEX", [(3, 2)])
    monkeypatch.setattr(module, "ANNEALING", [(3, 2, 2)])
    return module


def read(path):
    return np.genfromtxt(path, delimiter=",", names=True)


def test_a_stopped_script_continues_and_makes_the_same_rows(script, tmp_path, monkeypatch):
    with monkeypatch.context() as stopped:
        stopped.setattr(script, "MINIMA", [(3, 8, 1, 3)])
        script.fill("minima", tmp_path)
    path = tmp_path / "spin_glass_minima.csv"
    before = path.read_text()
    script.fill("minima", tmp_path)
    assert path.read_text().startswith(before)
    rows = read(path)
    assert rows["draw"].tolist() == [0, 0, 0, 1, 1, 1, 0, 0]
    expected = [minima_of_draw(3, 8, draw, 3).energy for draw in (0, 1)]
    expected.append(minima_of_draw(4, 5, 0, 2).energy)
    np.testing.assert_allclose(rows["energy"], np.concatenate(expected), atol=1e-6)
    done = path.stat().st_mtime_ns
    script.fill("minima", tmp_path)
    assert path.stat().st_mtime_ns == done


def test_every_table_is_made_with_its_provenance(script, images, tmp_path):
    rows = {}
    for name, table in script.TABLES.items():
        script.fill(name, tmp_path)
        rows[name] = read(tmp_path / f"spin_glass_{name}.csv")
        assert ",".join(rows[name].dtype.names) == table.columns
        record = json.loads((tmp_path / f"spin_glass_{name}.json").read_text())
        assert record["command"].split()[-1] == name
        (session,) = record["sessions"]
        assert session["seconds"] > 0
        assert session["kernels"][-1].startswith("torch ")
    networks = rows["networks"]
    assert networks.size == 75
    for k, (scaled, epochs) in enumerate([(0, 200), (1, 200), (0, 1000)]):
        nets = train_group(images, 3, 0, scaled=bool(scaled), epochs=epochs)
        stored = networks[25 * k : 25 * k + 25]
        assert (stored["scaled"] == scaled).all()
        for name, values in zip(("train", "test", "error"), end_losses(nets, images), strict=True):
            np.testing.assert_allclose(stored[name], values, atol=1e-3)
    x, labels = (torch.from_numpy(each) for each in images[:2])
    nets = train_group(images, 3, 0)
    for k, row in enumerate(rows["index"]):
        spectrum = torch.linalg.eigvalsh(nets.hessian(k, x, labels))
        assert row["negative"] == (spectrum < -1e-3).sum()
        assert row["positive"] == (spectrum > 1e-3).sum()
        assert sum(row[name] for name in ("negative", "zero", "positive")) == 330
    early = minima_of_draw(3, 8, 0, 3, descend_to=1.0)
    np.testing.assert_allclose(rows["early"]["energy"], early.energy, atol=1e-6)
    ends = [searches_of_draw(3, 8, 0, 3, steps=steps).energy for steps in (0, 5)]
    np.testing.assert_allclose(rows["critical"]["energy"], np.concatenate(ends), atol=1e-6)
    assert rows["counts"]["count"].tolist() == [count_critical_points(3, 4, k) for k in (0, 1)]
    points = np.stack([rows["points"][name] for name in ("minimum", "saddle", "high")])
    np.testing.assert_allclose(points, minimum_and_saddles(3, 12, 0), atol=1e-6)
    losses = [float(end_losses(anneal_chain(images, 3, 2, k), images)[0]) for k in (0, 1)]
    np.testing.assert_allclose(rows["annealing"]["train"], losses, atol=1e-3)


def test_each_number_names_another_run_with_the_settings_stated(images, monkeypatch):
    module, calls = "hessrmt.spin_glass.runs.", []
    monkeypatch.setattr(module + "train_classifiers", lambda *_, **k: calls.append(k))
    monkeypatch.setattr(module + "anneal", lambda *_, **k: (calls.append(k), 0))
    for change in ({}, {"group": 1}, {"scaled": True}, {"epochs": 1000}, {"seed": 1}):
        train_group(images, 3, **({"group": 0} | change))
    for change in ({}, {"chain": 1}, {"sweeps": 3}, {"seed": 1}):
        anneal_chain(images, 3, **({"chain": 0, "sweeps": 2} | change))
    states = {call["rng"].bit_generator.state["state"]["state"] for call in calls}
    assert len(states) == len(calls) == 9
    settings = [tuple(c[k] for k in ("epochs", "learning_rate", "decay")) for c in calls[:5]]
    assert settings[0] == (200, 0.5, 0.98)
    assert settings[3] == (1000, 0.2, 0.996)
    assert calls[5] | {"rng": 0} == {
        **{"hidden": 3, "sweeps": 2, "rng": 0},
        **{"scale": 0.8, "hot": 3e-3, "cold": 3e-5},
    }
    draws = [minima_of_draw(3, 8, k, 1, seed=s).w for k, s in ((0, 0), (1, 0), (0, 1))]
    assert len({float(w[0, 0]) for w in draws}) == 3


def test_a_table_of_other_columns_is_refused(script, tmp_path):
    (tmp_path / "spin_glass_index.csv").write_text("hidden,negative\n")
    with pytest.raises(SystemExit, match=r"spin_glass_index\.csv must have the columns hidden,neg"):
        script.fill("index", tmp_path)


def test_scaled_weights_have_the_variance_of_their_fan_in(monkeypatch, images):
    """Var W = 1/(3 fan-in): uniform in [-1, 1] has 1/3."""
    monkeypatch.setattr("hessrmt.spin_glass.runs.train_classifiers", lambda nets, *_, **__: nets)
    for scaled, factors in ((False, (1, 1)), (True, (100, 50))):
        nets = train_group(images, 50, 0, scaled=scaled)
        for W, factor in zip(nets, factors, strict=True):
            # 12,500 numbers or more; the variance of W^2 is 4/45
            bound = 4 * np.sqrt(4 / 45 / W.numel()) * 3
            assert abs(3 * factor * float(W.double().var()) - 1) < bound


def test_bad_input_is_named(images):
    with pytest.raises(ValueError, match=r"epochs must be one of \[200, 1000\], got 300"):
        train_group(images, 3, 0, epochs=300)
    with pytest.raises(ValueError, match=r"group must be in \[0, inf\), got -1"):
        train_group(images, 3, -1)
    with pytest.raises(ValueError, match=r"draw must be in \[0, inf\), got -1"):
        minima_of_draw(3, 10, -1, 2)
    with pytest.raises(TypeError, match=r"chain must be an integer"):
        anneal_chain(images, 3, 2, 0.5)
