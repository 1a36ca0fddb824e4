"""Runs from given levels, against the pieces they are made of, and the stored table of them."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from hessrmt import descend, find_critical_points
from hessrmt.critical_points import draw_runs, ends_at_levels

BOOK = Path(__file__).resolve().parents[2] / "book"
LEVELS = np.array([0.35, 0.3, 0.28])


def test_energies_and_spectra_are_those_of_descent_and_of_the_search():
    """The index by another way, inertia, and the level reached to what one step of it changes."""
    ends = ends_at_levels(0.5, 4, LEVELS, seed=3, shard=1)
    net, x, y, theta, _ = draw_runs(0.5, 4, 3, seed=3, shard=1)
    descent = descend(net, x, y, theta, LEVELS)
    found = find_critical_points(net, x, y, descent.theta)
    assert (ends.energy[0] <= LEVELS).all()
    np.testing.assert_allclose(ends.energy, [descent.energy, found.energy], rtol=1e-6)
    index = (ends.eigenvalues < -1e-6).mean(axis=-1)
    np.testing.assert_array_equal(index, [found.snapshot_index[:, 0], found.index])
    assert (np.diff(ends.eigenvalues) >= 0).all()


def test_fewer_levels_give_the_first_runs():
    few, more = (ends_at_levels(0.5, 4, LEVELS[:k], seed=0, shard=0) for k in (2, 3))
    np.testing.assert_allclose(few.energy[0], more.energy[0, :2], rtol=1e-6)


def test_levels_are_a_row_of_energies():
    with pytest.raises(ValueError, match=r"levels must be one row of numbers, got the shape \(\)"):
        ends_at_levels(0.5, 4, 0.3, seed=0, shard=0)
    with pytest.raises(ValueError, match=r"levels must be in \[0, inf\)"):
        ends_at_levels(0.5, 4, [-0.3], seed=0, shard=0)


def test_the_stored_table_gives_the_index_at_every_cut(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(BOOK / "scripts")
    path = BOOK / "scripts" / "critical_points_data.py"
    spec = importlib.util.spec_from_file_location("critical_points_data", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert sorted(script.levels(4)) == pytest.approx(
        np.linspace(*np.sort(script.levels(4))[[0, -1]], 16)
    )
    few = ends_at_levels(0.5, 4, np.resize(LEVELS, 16), 1, 1)
    monkeypatch.setattr(script, "ends_at_levels", lambda *_: few)
    rows = [row.split(",") for row in script.cuts(2, 1)]
    assert [row[:2] for row in rows] == [[str(k), str(end)] for k in range(16) for end in (0, 1)]
    for run, end, energy, below, near in rows:
        values = few.eigenvalues[int(end), int(run)]
        assert float(energy) == pytest.approx(few.energy[int(end), int(run)], abs=1e-7)
        kept = np.array(near.split(), dtype=float)
        for cut in (1e-6, 1e-4, 1e-3, 1e-2):
            assert int(below) + np.sum(kept < -cut) == np.sum(values < -cut)
