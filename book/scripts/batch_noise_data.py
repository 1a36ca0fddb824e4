"""Make the stored tables of the chapters on the noise of batches.

    python book/scripts/batch_noise_data.py TABLE ...

Tables are shifts, spectra, goe, resolvent, steps and whole; all of them take about half an
hour. How rows are added: `tables`.
"""

from collections.abc import Iterator
from functools import cache

import numpy as np
import tables
import torch
from scipy import stats
from scipy.linalg import eigvalsh_tridiagonal
from sklearn.datasets import load_digits
from tables import Table

from hessrmt import (
    Curvature,
    MarchenkoPastur,
    Semicircle,
    SingleHiddenLayer,
    extreme_eigenpairs,
    load_images,
    ratio_statistics,
    subordination,
    train,
    unfold,
    wigner,
)
from hessrmt.curvature import (
    DenseLayers,
    damped_steps_of,
    predicted_change,
    whole_predicted_change,
)
from hessrmt.networks import block_average, image_classifier, train_in_batches
from hessrmt.spectra import ks_distance, wigner_surmise_cdf

SEED, IMAGES, BATCHES, EPOCHS = 0, 1000, 40, 30
NETWORKS = ("softmax", "perceptron", "deep", "convolutional", "wide perceptron")
TRACKED, OUTLIERS, SIZES = (1, 2, 3), 9, (10, 32, 100, 320, 1000)
STAGES = ("initial", "trained")
BINS = np.linspace(0, 3, 31)
GOE_RUNS, GOE_SIZE = 49, 450
RESOLVENT_DRAWS = {50: 400, 100: 400, 200: 400, 400: 400, 800: 200, 1600: 40}
PROBLEMS, CURVATURES = ("photographs", "digits"), ("gauss-newton", "kronecker")
DAMPINGS, STEP_SIZES = np.geomspace(1e-3, 30, 37), (4, 16, 64, 256)
WHOLE, WHOLE_SIZE = (25, 23, 22, 21, 19), 64


@cache
def digits(side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The first images of scikit-learn, averaged and standardised as a whole, and their classes."""
    images, labels = load_digits(return_X_y=True)
    x = block_average(images[:IMAGES].reshape(-1, 8, 8), side)
    x = torch.from_numpy((x - x.mean()) / x.std()).flatten(1)
    return x, torch.from_numpy(labels[:IMAGES])


@cache
def classifier(network: int, stage: int) -> torch.nn.Module:
    """A network before or after training."""
    kind, hidden = NETWORKS[network], 100 if network == 4 else 10
    model = image_classifier(kind.removeprefix("wide "), 8, hidden=hidden, rng=SEED)
    return train_in_batches(model, *digits(8), epochs=EPOCHS, rng=SEED) if stage else model


def curvature(network: int, stage: int, rows: np.ndarray) -> Curvature:
    """That of a network on a batch."""
    x, labels = digits(8)
    return Curvature(classifier(network, stage), "cross-entropy", [(x[rows], labels[rows])])


def shifts(network: int, b: int) -> Iterator[str]:
    """Displacements of the largest eigenvalues less their first order, a batch a row."""
    rng = np.random.default_rng([SEED, 0, network, b])
    whole = curvature(network, 1, np.arange(IMAGES))
    U = extreme_eigenpairs(whole.hessian, OUTLIERS, tol=1e-10, rng=0).vectors
    for batch in range(BATCHES):
        H = curvature(network, 1, rng.integers(IMAGES, size=b)).hessian
        largest = extreme_eigenpairs(H, OUTLIERS, tol=1e-6, rng=0).values
        moved = largest - np.sum(U * (H @ U), axis=0)
        yield f"{batch}," + ",".join(f"{d:.5g}" for d in moved)


def local_statistics(spectra: np.ndarray) -> tuple[list[float], np.ndarray]:
    """Mean ratios of neighbouring spacings, and unfolded spacings, without null eigenvalues."""
    kept = spectra[:, (np.abs(spectra) > 1e-9 * np.abs(spectra).max()).all(axis=0)]
    r, low = (ratio_statistics(part) for part in (kept, kept[:, : kept.shape[1] // 5]))
    others = (np.delete(kept, i, axis=0) for i in range(len(kept)))
    s = [np.diff(unfold(row, rest)[10:-10]) for row, rest in zip(kept, others, strict=True)]
    null = 1 - kept.shape[1] / spectra.shape[1]
    raw = ratio_statistics(spectra).mean
    return [r.mean, r.standard_error, low.mean, low.standard_error, raw, null], np.ravel(s)


def spectra(network: int, stage: int) -> Iterator[str]:
    """Local statistics of exact Hessians on batches of 64."""
    rng = np.random.default_rng([SEED, 1, network, stage])
    found = []
    for _ in range(4 if network == 4 else BATCHES):
        H = curvature(network, stage, rng.integers(IMAGES, size=64))
        found.append(np.linalg.eigvalsh(H.hessian @ np.eye(H.size)))
    ratios, s = local_statistics(np.array(found))
    far = [ks_distance(s, law) for law in (wigner_surmise_cdf, stats.expon.cdf)]
    counts = np.histogram(s, BINS)[0]
    yield ",".join([*(f"{v:.4f}" for v in (*ratios, *far)), str(s.size), *map(str, counts)])


def goe(run: int) -> Iterator[str]:
    """Distance to the surmise of as many spectra of GOE matrices, by the same way."""
    rng = np.random.default_rng([SEED, 2, run])
    chi = np.sqrt(rng.chisquare(np.arange(GOE_SIZE - 1, 0, -1), (BATCHES, GOE_SIZE - 1)))
    diagonal = rng.normal(0, np.sqrt(2), (BATCHES, GOE_SIZE))
    found = [eigvalsh_tridiagonal(d, e) for d, e in zip(diagonal, chi, strict=True)]
    yield f"{ks_distance(local_statistics(np.array(found))[1], wigner_surmise_cdf):.4f}"


def resolvent(size: int) -> Iterator[str]:
    """Mean squares of the resolvent's errors, for A + Wigner at a local and at a global distance.

    All of it follows from the eigenvalues and the squares of the eigenvectors' entries: of
    G = V diag(1/(z - e)) V^T the diagonal, and the sum of squares of all elements.
    """
    rng, bulk = np.random.default_rng([SEED, 4, size]), MarchenkoPastur(0.5)
    A = bulk.ppf((np.arange(size) + 0.5) / size)
    points = 1 + 1j * np.array([size**-0.5, 1.0])
    limits = [1 / (subordination(z, Semicircle(), 1.0, bulk=bulk) - A) for z in points]
    found = []
    for _ in range(RESOLVENT_DRAWS[size]):
        e, V = np.linalg.eigh(np.diag(A) + wigner(size, rng=rng))
        row = []
        for z, limit in zip(points, limits, strict=True):
            own = (V**2) @ (1 / (z - e)) - limit
            outside = np.sum(np.abs(z - e) ** -2.0) - np.sum(np.abs(own + limit) ** 2)
            row += [np.mean(np.abs(own) ** 2), outside / (size**2 - size), np.abs(own.mean()) ** 2]
        found.append(row)
    mean = np.mean(found, axis=0)
    error = np.std(found, axis=0, ddof=1) / np.sqrt(len(found))
    yield f"{len(found)}," + ",".join(f"{v:.4g}" for v in np.ravel(np.transpose([mean, error])))


class HalfSquares(torch.nn.Module):
    """Half the squared error, the mean over examples."""

    reduction = "mean"

    def forward(self, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Value on a batch."""
        return ((z - y) ** 2).sum(dim=1).mean() / 2


@cache
def problem(which: int) -> DenseLayers:
    """A network in the middle of training."""
    if PROBLEMS[which] == "digits":
        x, labels = digits(4)
        start = image_classifier("deep", 4, rng=SEED)
        return DenseLayers(
            train_in_batches(start, x, labels, epochs=5, rng=SEED), "cross-entropy", x, labels
        )
    x = torch.from_numpy(load_images("photos", IMAGES, rng=SEED))
    net = SingleHiddenLayer(n0=16, n1=10, n2=16, activation="tanh")
    theta = train(net, x, x, net.initialize(rng=SEED)[None], max_steps=10).theta[0]
    sides = torch.nn.Linear(16, 10, bias=False), torch.nn.Linear(10, 16, bias=False)
    model = torch.nn.Sequential(sides[0], torch.nn.Tanh(), sides[1]).double()
    torch.nn.utils.vector_to_parameters(theta, model.parameters())
    return DenseLayers(model, HalfSquares(), x.T, x.T)


def steps(which: int, method: int, b: int) -> Iterator[str]:
    """Changes of the quadratic model and of the loss by damped steps, a damping a row."""
    rng = np.random.default_rng([SEED, 3, which, method, b])
    layers, kind = problem(which), CURVATURES[method]
    batches = (rng.integers(IMAGES, size=b) for _ in range(BATCHES))
    runs = [layers.change(damped_steps_of(layers, batch, DAMPINGS, kind)) for batch in batches]
    columns = [DAMPINGS, predicted_change(layers, b, DAMPINGS, kind)]
    for x in np.transpose(runs, (1, 0, 2)):
        mean, scale = x.mean(axis=0), np.sqrt(len(x))
        excess = x - x[:, [np.argmin(mean)]]  # over the best damping, and whether within two errors
        near = excess.mean(axis=0) <= 2 * excess.std(axis=0, ddof=1) / scale
        columns += [mean, x.std(axis=0, ddof=1) / scale, near.astype(float)]
    for row in np.transpose(columns):
        yield ",".join(f"{v:.5g}" for v in row)


def whole(index: int) -> Iterator[str]:
    """Mean change for the photographs with the matrix M itself where examples are."""
    yield f"{whole_predicted_change(problem(0), WHOLE_SIZE, float(DAMPINGS[index])):.5g}"


TABLES = {
    "shifts": Table(
        "displacements of the nine largest eigenvalues of the Hessian of a batch, less their first "
        f"order, with {BATCHES} batches of b digits drawn with replacement; networks by their "
        f"place in {', '.join(NETWORKS)}",
        "network,b,batch," + ",".join(f"d{k + 1}" for k in range(OUTLIERS)),
        2,
        lambda: [(network, b) for b in SIZES for network in TRACKED],
        shifts,
        SEED,
    ),
    "spectra": Table(
        f"spacings of exact Hessians on {BATCHES} batches of 64 digits (4 of the last network), "
        f"null eigenvalues left out; networks by their place in {', '.join(NETWORKS)}; stage 0 "
        "before and 1 after training: mean ratio with standard error, of the lowest fifth too, raw "
        "mean ratio, share of null eigenvalues, distance of unfolded spacings to Wigner's surmise "
        "and to the exponential law, their number and histogram in 30 bins from 0 to 3",
        "network,stage,ratio,error,low,low_error,raw,null,surmise,exponential,spacings,"
        + ",".join(f"c{k}" for k in range(BINS.size - 1)),
        2,
        lambda: [(network, stage) for network in range(len(NETWORKS)) for stage in (0, 1)],
        spectra,
        SEED,
    ),
    "goe": Table(
        f"distance to Wigner's surmise of the unfolded spacings of {BATCHES} GOE matrices of size "
        f"{GOE_SIZE}",
        "run,distance",
        1,
        lambda: [(run,) for run in range(GOE_RUNS)],
        goe,
        SEED,
    ),
    "resolvent": Table(
        "errors of the resolvent of A + Wigner (variance 1/n, A diagonal with the quantiles of "
        "Marchenko-Pastur, ratio 1/2) against its limit at 1 + i eta, eta = n^-1/2 (local) and 1 "
        "(global): mean squares of diagonal elements, of others and of the normalised trace, each "
        "with its standard error",
        "n,draws,"
        + ",".join(
            f"{where}_{part}{error}"
            for where in ("local", "global")
            for part in ("diagonal", "other", "trace")
            for error in ("", "_error")
        ),
        1,
        lambda: [(size,) for size in RESOLVENT_DRAWS],
        resolvent,
        SEED,
    ),
    "steps": Table(
        "mean change by one damped step with the curvature of a batch of b, predicted and over "
        f"{BATCHES} batches, for the quadratic model and for the loss: mean, standard error and "
        "whether it is within two errors of the best damping; problems by their place in "
        f"{', '.join(PROBLEMS)}, curvatures in {', '.join(CURVATURES)}",
        "problem,curvature,b,damping,predicted,quadratic,error,near,loss,loss_error,loss_near",
        3,
        lambda: [(p, c, b) for p in (0, 1) for c in (0, 1) for b in STEP_SIZES],
        steps,
        SEED,
    ),
    "whole": Table(
        f"mean change predicted for the photographs, b = {WHOLE_SIZE}, with the matrix M itself in "
        "the formula, by the place of the damping among those of steps",
        "damping,change",
        1,
        lambda: [(index,) for index in WHOLE],
        whole,
        SEED,
    ),
}

if __name__ == "__main__":
    tables.main("batch_noise", TABLES, __doc__)
