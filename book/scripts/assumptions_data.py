"""Make the stored tables of the chapter on the assumptions.

    python book/scripts/assumptions_data.py TABLE ...

Autoencoders: wide ones fit their images so well that what is left depends on the last digits of
the arithmetic. Figure 2: the paper's images are CIFAR-10's, which are not in the repository; the
variable CIFAR10 names a folder with the binary files, without it they are downloaded.
How rows are added: `tables`.
"""

import os
from collections.abc import Iterator

import numpy as np
import tables
import torch
from scipy import stats
from tables import Table
from torch import Tensor

from hessrmt import SingleHiddenLayer, load_images, train
from hessrmt.networks import hessian_parts_with_biases
from hessrmt.spectra import free_sum_cdf, ks_distance, rotated_sum_eigenvalues

WIDTHS = (8, 12, 16, 24, 32, 48)
IMAGES, SEED = 150, 0

# Of Figure 2: how networks are started and trained, and how many of each.
SETTINGS = {0: 10, 1: 4, 2: 4, 3: 4, 4: 4, 5: 4}
HIDDEN, STEPS, RATE, OUTLIERS = 20, 3000, 0.1, 16
HALF = 0.1  # of a bar: the paper draws them so far too far to the right
EDGES = np.arange(-0.3, 20.6, 0.2)  # of bars as the paper draws them, further up than it does
FINE = np.arange(-25, 176) / 50  # of the bulk, for bars drawn elsewhere

Trained = tuple[SingleHiddenLayer, Tensor, float, tuple[np.ndarray, np.ndarray]]


def autoencoders(hidden: int) -> Iterator[str]:
    """Energy of one autoencoder of photographs after training, and |H1| over |H0|."""
    x = torch.from_numpy(load_images("photos", IMAGES, rng=np.random.default_rng(SEED)))
    net = SingleHiddenLayer(n0=16, n1=hidden, n2=16)
    start = net.initialize(1, np.random.default_rng([SEED, 3, hidden]))
    trained = train(net, x, x, start, max_steps=200)
    parts = (part[0].numpy() for part in net.hessian_parts(trained.theta, x, x))
    low, high = (np.abs(np.linalg.eigvalsh(part)).max() for part in parts)
    yield f"{float(trained.energy):.6f},{high / low:.6f}"


def figure2(setting: int, network: int) -> Iterator[str]:
    """One autoencoder of CIFAR-10: numbers, then the counts in the bars of both histograms."""
    rng = np.random.default_rng(network)
    net, x, energy, (H0, H1) = _network(setting, rng)
    P = net.parameters
    A, B = H0[:P, :P], H1[:P, :P]
    values, vectors = np.linalg.eigh(A)
    b, plain, biased = map(np.linalg.eigvalsh, (B, A + B, H0 + H1))
    rotated = rotated_sum_eigenvalues(A, B, 1, rng)[0]
    coupled = (H0[P:, :P] @ (vectors[:, -OUTLIERS:] / np.sqrt(values[-OUTLIERS:]))) ** 2
    first_order = coupled.sum(axis=1) / OUTLIERS
    numbers = (
        energy,
        np.abs(b).max(),
        *(e[-OUTLIERS:].mean() for e in (plain, rotated, biased)),
        first_order[:HIDDEN].sum(),
        first_order[HIDDEN:].sum(),
        ks_distance(plain, lambda t: free_sum_cdf(values, b, t)),
        np.mean(plain < -1e-6),
        np.mean(rotated < -1e-6),
        float(stats.kurtosis(x.numpy(), axis=None)),
    )
    bars = [np.histogram(e + HALF, EDGES)[0] for e in (rotated, biased)]
    yield ",".join([*(f"{n:.5f}" for n in numbers), *(str(n) for n in np.concatenate(bars))])


def bulk(network: int) -> Iterator[str]:
    """The bulk of both spectra of a network of Figure 2, in bins of width 0.02."""
    rng = np.random.default_rng(network)
    net, _, _, (H0, H1) = _network(0, rng)
    P = net.parameters
    rotated = rotated_sum_eigenvalues(H0[:P, :P], H1[:P, :P], 1, rng)[0]
    bins = [np.histogram(e, FINE)[0] for e in (rotated, np.linalg.eigvalsh(H0 + H1))]
    yield ",".join(str(n) for n in np.concatenate(bins))


def _network(setting: int, rng: np.random.Generator) -> Trained:
    """An autoencoder of CIFAR-10, its images, its energy, its Hessian's parts with biases."""
    pool = 1000 if setting == 4 else IMAGES
    images = load_images("cifar10", pool, rng=rng, data_dir=os.environ.get("CIFAR10"))
    x = torch.from_numpy(images[:, :IMAGES])
    net = SingleHiddenLayer(n0=16, n1=HIDDEN, n2=16)
    start = net.initialize((), rng) * (1.0 if setting == 1 else 2**0.5)
    if setting == 3:
        energy, both = _with_trained_biases(net, start, x)
    else:
        theta = _trained(net, start, x, setting)
        energy, both = float(net.energy(theta, x, x)), hessian_parts_with_biases(net, theta, x, x)
    H0, H1 = (part.numpy() for part in both)
    return net, x, energy, (H0, H1)


def _trained(net: SingleHiddenLayer, theta: Tensor, x: Tensor, setting: int) -> Tensor:
    if setting == 2:
        return train(net, x, x, theta[None], max_steps=200).theta[0]
    for _ in range(0 if setting == 5 else STEPS):
        theta = theta - RATE * net.gradient(theta, x, x)
    return theta


def _with_trained_biases(
    net: SingleHiddenLayer, theta: Tensor, x: Tensor
) -> tuple[float, tuple[Tensor, Tensor]]:
    """Biases as weights from a constant input and from a constant hidden unit of ReLU."""
    W1, W2 = net.weights(theta)
    big = SingleHiddenLayer(n0=net.n0 + 1, n1=net.n1 + 1, n2=net.n2)
    V1 = torch.zeros(net.n1 + 1, net.n0 + 1, dtype=x.dtype)
    V1[:-1, :-1], V1[-1, -1] = W1, 1.0
    V2 = torch.cat([W2, torch.zeros_like(W2[:, :1])], dim=1)
    t, inputs = torch.cat([V1.ravel(), V2.ravel()]), torch.cat([x, torch.ones_like(x[:1])])
    place = torch.arange(big.parameters, dtype=torch.float64)
    P1, P2 = big.weights(place)
    parameters = (P1[:-1, :-1], P2[:, :-1], P1[:-1, -1], P2[:, -1])  # not the constant unit's own
    order = torch.cat([block.ravel() for block in parameters]).long()
    moves = torch.zeros_like(t)
    moves[order] = RATE
    for _ in range(STEPS):
        t = t - moves * big.gradient(t, inputs, x)
    H0, H1 = (part[order][:, order] for part in big.hessian_parts(t, inputs, x))
    return float(big.energy(t, inputs, x)), (H0, H1)


NUMBERS = (
    "energy,norm,plain,rotated,biased,from_hidden,from_output,distance,index,index_rotated,kurtosis"
)
BARS = ",".join(f"{kind}{k}" for kind in ("rotated_", "biased_") for k in range(EDGES.size - 1))

TABLES = {
    "autoencoders": Table(
        "one autoencoder of 150 photographs by its hidden units: energy after 200 steps of L-BFGS, "
        "norm of H1 over that of H0",
        "hidden,energy,ratio",
        1,
        lambda: [(hidden,) for hidden in WIDTHS],
        autoencoders,
        SEED,
    ),
    "figure2": Table(
        "autoencoders of 150 images of CIFAR-10, of 2,796 (932 records in each of data_batch_1.bin "
        "to data_batch_3.bin), 20 hidden units. Settings: 0 from He's weights, 3,000 steps of "
        "gradient descent at rate 0.1; 1 from variance 1/n; 2 200 steps of L-BFGS; 3 biases "
        "trained as well; 4 whitened together with 850 others; 5 not trained. Energy, norm of H1, "
        "mean of the sixteen largest eigenvalues of H0 + H1, with H1 rotated, and with biases as "
        "parameters; first-order shift by hidden biases and by output biases; distance to the free "
        "sum, index, index with H1 rotated, excess kurtosis of the images; counts of eigenvalues "
        "plus 0.1 in bars of width 0.2 from -0.3 up, rotated and with biases",
        f"setting,network,{NUMBERS},{BARS}",
        2,
        lambda: [(s, k) for s, count in SETTINGS.items() for k in range(count)],
        figure2,
        SEED,
    ),
    "bulk": Table(
        "the bulk of both spectra of the networks of setting 0 of the table figure2: counts of "
        "eigenvalues in bins of width 0.02 from -0.5 to 3.5, rotated and with biases",
        "network," + ",".join(f"{kind}{k}" for kind in "rb" for k in range(FINE.size - 1)),
        1,
        lambda: [(k,) for k in range(SETTINGS[0])],
        bulk,
        SEED,
    ),
}

if __name__ == "__main__":
    tables.main("assumptions", TABLES, __doc__)
