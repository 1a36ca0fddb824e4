"""The simulations of the spin-glass chapter, each from numbers that name it.

What a run draws follows from its seed and its numbers alone, so that a chapter can compute again
any row of the tables that `book/scripts/spin_glass_data.py` writes. Energies, settings and sizes
are those of Choromanska, Henaff, Mathieu, Ben Arous & LeCun (2015) where the paper states them.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hessrmt.spin_glass._classifiers import Classifiers, anneal, train_classifiers
from hessrmt.spin_glass.digits import Digits
from hessrmt.spin_glass.simulation import CriticalPoints, SphericalSpinGlass, minimize
from hessrmt.validation import integer

__all__ = ["anneal_chain", "end_losses", "minima_of_draw", "train_group"]

NETWORKS = 25  # in a group
# The paper states no learning rates; these are the best of a handful tried at 25 and 250 units.
# By epochs: the first rate, its factor an epoch, and what is put behind the seed.
RATES: dict[int, tuple[float, float, tuple[int, ...]]] = {
    200: (0.5, 0.98, ()),
    1000: (0.2, 0.996, (2,)),
}
ANNEALING = {"scale": 0.8, "hot": 3e-3, "cold": 3e-5}  # of a handful too


def minima_of_draw(
    H: int, size: int, draw: int, starts: int, *, descend_to: float = 0.03, seed: int = 0
) -> CriticalPoints:
    """Minima of one draw of the couplings, from random points.

    Parameters
    ----------
    H, size : int
        Order of the interaction and Lambda.
    draw : int
        Number of the draw, >= 0.
    starts : int
        Descents; a smaller number gives the first of them.
    descend_to : float
        As in `minimize`.
    seed : int
        The generator is ``numpy.random.default_rng([seed, H, size, draw])``.

    Returns
    -------
    CriticalPoints
        As from `minimize`, to its default gradient norm.

    Raises
    ------
    TypeError, ValueError
        For arguments outside their domains.

    Examples
    --------
    >>> few, more = (minima_of_draw(3, 12, 0, starts) for starts in (2, 4))
    >>> few.w.shape, torch.allclose(few.energy, more.energy[:2])
    (torch.Size([2, 12]), True)
    """
    draw, seed = integer("draw", draw, "[0, inf)"), integer("seed", seed, "[0, inf)")
    rng = np.random.default_rng([seed, H, size, draw])
    glass = SphericalSpinGlass.draw(size, H, rng)
    return minimize(glass, glass.random_points(starts, rng), descend_to=descend_to)


def train_group(
    images: Digits,
    hidden: int,
    group: int,
    *,
    epochs: int = 200,
    scaled: bool = False,
    seed: int = 0,
) -> Classifiers:
    """Train one group of 25 networks by stochastic gradient descent.

    Parameters
    ----------
    images : Digits
        The training images are used.
    hidden : int
        Hidden units.
    group : int
        Number of the group, >= 0.
    epochs : {200, 1000}
        Passes over the images, at a learning rate of 0.5 that falls by the factor 0.98 an epoch,
        or of 0.2 with 0.996.
    scaled : bool
        Divide the initial weights, uniform in [-1, 1], by the root of the number of incoming ones.
    seed : int
        The generator is ``numpy.random.default_rng([seed, hidden, group])``, with 1 behind for
        scaled weights and 2 for 1000 epochs.

    Raises
    ------
    TypeError, ValueError
        For arguments outside their domains.
    """
    group, seed = integer("group", group, "[0, inf)"), integer("seed", seed, "[0, inf)")
    if epochs not in RATES:
        raise ValueError(f"epochs must be one of {sorted(RATES)}, got {epochs!r}")
    rate, decay, behind = RATES[epochs]
    rng = np.random.default_rng([seed, hidden, group, *([1] if scaled else []), *behind])
    inputs = images.x.shape[1]
    nets = Classifiers.draw(NETWORKS, hidden=hidden, inputs=inputs, rng=rng)
    if scaled:
        nets = Classifiers(nets.W1 / inputs**0.5, nets.W2 / hidden**0.5)
    x, labels = torch.from_numpy(images.x), torch.from_numpy(images.labels)
    return train_classifiers(
        nets, x, labels, epochs=epochs, learning_rate=rate, decay=decay, rng=rng
    )


def end_losses(nets: Classifiers, images: Digits) -> tuple[Tensor, Tensor, Tensor]:
    """Training loss, test loss and test error of each network."""
    x, labels, x_test, labels_test = (torch.from_numpy(each) for each in images)
    return nets.loss(x, labels), nets.loss(x_test, labels_test), nets.error(x_test, labels_test)


def anneal_chain(
    images: Digits, hidden: int, sweeps: int, chain: int, *, seed: int = 0
) -> Classifiers:
    """One chain of simulated annealing over weights of three values.

    Parameters
    ----------
    images : Digits
        The training images are used.
    hidden, sweeps : int
        As in `anneal`.
    chain : int
        Number of the chain, >= 0.
    seed : int
        The generator is ``numpy.random.default_rng([seed, hidden, chain, sweeps])``.

    Raises
    ------
    TypeError, ValueError
        For arguments outside their domains.
    """
    chain, seed = integer("chain", chain, "[0, inf)"), integer("seed", seed, "[0, inf)")
    rng = np.random.default_rng([seed, hidden, chain, sweeps])
    return anneal(images.x, images.labels, hidden=hidden, sweeps=sweeps, rng=rng, **ANNEALING)[1]
