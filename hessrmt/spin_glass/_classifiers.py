r"""Many small classifiers trained at once, as in the experiments of Choromanska et al. (2015).

One hidden layer of ReLU units, no biases, a softmax and its cross-entropy:
:math:`W_2 \max(W_1 x, 0)` are the logits. An ensemble is one pair of tensors, W1 (networks, n1, n0)
and W2 (networks, classes, n1); all networks take a step together, each with its own images.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from hessrmt.validation import generator, integer, real

__all__ = ["Classifiers", "anneal", "train_classifiers"]

CLASSES = 10
_TOGETHER = 2_000_000  # weights trained together: they and the activations stay in the cache


class Classifiers(NamedTuple):
    """An ensemble of networks of one size.

    Examples
    --------
    >>> nets = Classifiers.draw(4, hidden=5, inputs=9, rng=0)
    >>> nets.loss(torch.ones(3, 9), torch.tensor([0, 1, 2])).shape
    torch.Size([4])
    """

    W1: Tensor  # (networks, n1, n0)
    W2: Tensor  # (networks, classes, n1)

    @classmethod
    def draw(cls, networks: int, *, hidden: int, inputs: int, rng: Any = None) -> Classifiers:
        """Draw all weights uniformly from [-1, 1], in float32."""
        networks = integer("networks", networks, "[1, inf)")
        hidden = integer("hidden", hidden, "[1, inf)")
        rng = generator("rng", rng)
        shapes = (networks, hidden, inputs), (networks, CLASSES, hidden)
        return cls(*(torch.from_numpy(rng.uniform(-1, 1, s)).float() for s in shapes))

    def logits(self, x: Tensor) -> Tensor:
        """Logits (networks, m, classes) for images (m, n0) or (networks, m, n0)."""
        return torch.relu(x.to(self.W1.dtype) @ self.W1.mT) @ self.W2.mT

    def loss(self, x: Tensor, labels: Tensor) -> Tensor:
        """Mean cross-entropy (networks,) over the images."""
        logits = self.logits(x)
        right = logits.gather(-1, labels.expand(logits.shape[:-1]).unsqueeze(-1)).squeeze(-1)
        return (logits.logsumexp(dim=-1) - right).mean(dim=-1)

    def error(self, x: Tensor, labels: Tensor) -> Tensor:
        """Fraction of wrong answers (networks,)."""
        return (self.logits(x).argmax(dim=-1) != labels).double().mean(dim=-1)

    def hessian(self, which: int, x: Tensor, labels: Tensor) -> Tensor:
        r"""Hessian of the loss of one network, over W1 and then W2, row by row.

        With p the softmax, J_i the derivative of the logits, s the active units and d = p - y,

        .. math:: H = \frac1m\sum J^{\mathsf T}(\operatorname{diag} p - pp^{\mathsf T})J
                  + \frac1m\sum\sum_i d_i\,\nabla^2\mathrm{logit}_i ,

        whose second term couples :math:`(W_1)_{ab}` and :math:`(W_2)_{ia}` by
        :math:`d_i s_a x_b` and nothing else.
        """
        W1, W2 = self.W1[which], self.W2[which]
        x = x.to(W1.dtype)
        m, (n1, n0) = len(x), W1.shape
        z = x @ W1.T
        h, active = torch.relu(z), (z > 0).to(z.dtype)
        p = (h @ W2.T).softmax(dim=-1)
        # diag(p) - p p^T = A A^T with A = diag(sqrt p) - p sqrt(p)^T, one column a class
        split = n1 * n0
        H = W1.new_zeros((split + CLASSES * n1, split + CLASSES * n1))
        root = p.sqrt()
        for k in range(CLASSES):
            column = -p * root[:, k : k + 1]
            column[:, k] += root[:, k]
            first = ((column @ W2) * active).unsqueeze(2) * x.unsqueeze(1)
            second = column.unsqueeze(2) * h.unsqueeze(1)
            rows = torch.cat([first.flatten(1), second.flatten(1)], dim=1)
            H.addmm_(rows.T, rows, alpha=1 / m)
        d = p - F.one_hot(labels, CLASSES)
        cross = torch.einsum("mi,ma,mb->iab", d, active, x) / m
        corner = H[split:, :split].view(CLASSES, n1, n1, n0)
        corner.diagonal(dim1=1, dim2=2).add_(cross.permute(0, 2, 1))
        H[:split, split:] = H[split:, :split].T
        return H


def train_classifiers(
    nets: Classifiers,
    x: Tensor,
    labels: Tensor,
    *,
    epochs: int = 200,
    learning_rate: float = 0.1,
    decay: float = 0.99,
    batch: int = 100,
    rng: Any = None,
    progress: bool = False,
) -> Classifiers:
    """Train an ensemble by stochastic gradient descent.

    Parameters
    ----------
    nets : Classifiers
        Where to start; left as it is.
    x, labels : tensors (m, n0) and (m,)
        Images and their classes.
    epochs : int
        Passes over the images; each network has them in an order of its own.
    learning_rate : float
        In the first epoch.
    decay : float
        Factor of the learning rate after each epoch, in (0, 1].
    batch : int
        Images a step; those left over at the end of an epoch are not used in it.
    rng : int, numpy.random.Generator or None
        Seed or generator of the orders.
    progress : bool
        Whether to show epochs done and the time left, on standard error.

    Raises
    ------
    TypeError, ValueError
        For arguments outside their domains.

    Examples
    --------
    >>> start = Classifiers.draw(3, hidden=4, inputs=2, rng=0)
    >>> x, labels = torch.eye(2).repeat(10, 1), torch.tensor([0, 1] * 10)
    >>> end = train_classifiers(start, x, labels, epochs=50, batch=5, rng=1)
    >>> bool((end.loss(x, labels) < start.loss(x, labels)).all())
    True
    """
    epochs = integer("epochs", epochs, "[1, inf)")
    rate = real("learning_rate", learning_rate, "(0, inf)")
    decay = real("decay", decay, "(0, 1]")
    batch = integer("batch", batch, f"[1, {len(x)}]")
    rng = generator("rng", rng)
    count = len(nets.W1)
    together = max(1, _TOGETHER // (nets.W1[0].numel() + nets.W2[0].numel()))
    x = x.to(nets.W1.dtype)
    parts = []
    for start in tqdm(range(0, count, together), unit="group", disable=not progress):
        W1, W2 = (W[start : start + together].clone() for W in nets)
        for epoch in range(epochs):
            orders = rng.permuted(np.tile(np.arange(len(x)), (len(W1), 1)), axis=1)
            order = torch.from_numpy(orders)
            for i in range(0, len(x) - batch + 1, batch):
                rows = order[:, i : i + batch]
                _step(W1, W2, x[rows], labels[rows], rate * decay**epoch)
        parts.append((W1, W2))
    return Classifiers(*(torch.cat(W) for W in zip(*parts, strict=True)))


def _step(W1: Tensor, W2: Tensor, x: Tensor, labels: Tensor, rate: float) -> None:
    """One step for all networks, in place; x is (networks, batch, n0)."""
    h = torch.relu(x @ W1.mT)
    d = (h @ W2.mT).softmax(dim=-1)
    d.scatter_add_(-1, labels.unsqueeze(-1), d.new_full((), -1.0).expand(*labels.shape, 1))
    back = (d @ W2) * (h > 0)
    scale = -rate / x.shape[1]
    W2.baddbmm_(d.mT, h, alpha=scale)
    W1.baddbmm_(back.mT, x, alpha=scale)


def anneal(
    x: NDArray[np.float64],
    labels: NDArray[np.int64],
    *,
    hidden: int,
    sweeps: int = 50,
    scale: float = 0.3,
    hot: float = 1e-2,
    cold: float = 1e-5,
    rng: Any = None,
) -> tuple[float, Classifiers]:
    r"""Simulated annealing of one network whose weights are -1, 0 or 1.

    A move gives one weight another of the three values and is accepted with probability
    :math:`\min(1, e^{-\Delta/T})`, Delta the change of the loss over all images. The temperature
    falls geometrically, move by move.

    Parameters
    ----------
    x, labels : arrays (m, n0) and (m,)
        Images and their classes.
    hidden : int
        Hidden units.
    sweeps : int
        Moves over the number of weights.
    scale : float
        Factor of the logits: whole numbers would make the softmax too sure of itself.
    hot, cold : float
        First and last temperature.
    rng : int, numpy.random.Generator or None
        Seed or generator.

    Returns
    -------
    loss : float
        The last loss.
    nets : Classifiers
        The network, the factor of the logits taken into W2.

    Raises
    ------
    TypeError, ValueError
        For arguments outside their domains.

    Examples
    --------
    >>> x, labels = np.tile(np.eye(2), (5, 1)), np.array([0, 1] * 5)
    >>> loss, nets = anneal(x, labels, hidden=3, sweeps=30, scale=1.0, rng=0)
    >>> bool(loss < np.log(10))
    True
    """
    hidden = integer("hidden", hidden, "[1, inf)")
    sweeps = integer("sweeps", sweeps, "[1, inf)")
    scale = real("scale", scale, "(0, inf)")
    hot, cold = real("hot", hot, "(0, inf)"), real("cold", cold, "(0, inf)")
    rng = generator("rng", rng)
    pixels = np.ascontiguousarray(x.T, dtype=np.float32)
    n0, m = pixels.shape
    W1 = rng.integers(-1, 2, (hidden, n0)).astype(np.float32)
    W2 = rng.integers(-1, 2, (CLASSES, hidden)).astype(np.float32)
    z = W1 @ pixels
    logits = scale * W2 @ np.maximum(z, 0)
    columns = np.arange(m)

    def mean_loss(logits: NDArray[np.float32]) -> float:
        top = logits.max(axis=0)
        return float(
            np.mean(top + np.log(np.exp(logits - top).sum(axis=0)) - logits[labels, columns])
        )

    loss = mean_loss(logits)
    moves = sweeps * (W1.size + W2.size)
    weights = rng.integers(W1.size + W2.size, size=moves)
    turns = rng.integers(1, 3, size=moves)
    temperatures = np.geomspace(hot, cold, moves)
    gates = -temperatures * np.log(rng.random(moves))
    for weight, turn, gate in zip(weights.tolist(), turns.tolist(), gates.tolist(), strict=True):
        first = weight < W1.size
        if first:
            a, b = divmod(weight, n0)
            old = W1[a, b]
        else:
            i, a = divmod(weight - W1.size, hidden)
            old = W2[i, a]
        new = np.float32((old + 1 + turn) % 3 - 1)
        trial = logits
        if first:
            z_new = z[a] + (new - old) * pixels[b]
            change = np.maximum(z_new, 0) - np.maximum(z[a], 0)
            trial = logits + scale * np.outer(W2[:, a], change)
        else:
            trial = logits.copy()
            trial[i] += scale * (new - old) * np.maximum(z[a], 0)
        trial_loss = mean_loss(trial)
        if trial_loss - loss <= gate:
            logits, loss = trial, trial_loss
            if first:
                W1[a, b], z[a] = new, z_new
            else:
                W2[i, a] = new
    nets = Classifiers(torch.from_numpy(W1)[None], torch.from_numpy(scale * W2)[None])
    return float(nets.loss(torch.from_numpy(x), torch.from_numpy(labels))), nets
