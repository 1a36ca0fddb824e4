"""How often the errors of measured spectra hold the dense ones: 200 seeds.

    python tests/curvature/coverage.py

For a matrix with outliers and a null space and for networks; about a minute. It fails if a
95% interval holds less than 90 times in a hundred.
"""

import importlib.util
from pathlib import Path

import numpy as np
from scipy.sparse.linalg import aslinearoperator

HERE, SEEDS = Path(__file__).parent, 200


def load(name):
    """A file of this folder as a module."""
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main():
    zoo, tests = load("conftest"), load("test_estimation")
    matrices = {"matrix": (zoo.wishart_like(500, 60, np.random.default_rng(0)), 40)}
    for name in ("convolution", "cross-entropy", "unequal batches", "embedding"):
        model, loss, data = zoo.made(name)
        H, H0 = zoo.dense(model, loss, data)
        matrices[name], matrices[f"{name}, H0"], matrices[f"{name}, H1"] = (
            (M, max(4, len(H) // 10)) for M in (H, H0, H - H0)
        )
    for name, (matrix, steps) in matrices.items():
        e = np.linalg.eigvalsh(matrix)
        e = np.where(np.abs(e) > 1e-10 * np.abs(e).max(), e, 0.0)
        found = tests.coverage(aslinearoperator(matrix), e, SEEDS, steps=steps, starts=4)
        text = "  ".join(f"{quantity} {share:.3f}" for quantity, share in found.items())
        print(f"{name} (P = {len(e)}, {steps} steps): {text}", flush=True)
        assert min(found.values()) >= 0.9


if __name__ == "__main__":
    main()
