r"""Gauss-Newton matrices of batches for networks of dense layers, and their Kronecker factors.

With a the inputs of a layer (1 for its bias among them) and :math:`BB^{\mathsf T}` the Hessian of
the loss in the network's outputs, sent back to the outputs of the layer, the layer's block of the
curvature of one example is :math:`BB^{\mathsf T}\otimes aa^{\mathsf T}`. The Gauss-Newton matrix of
a batch is the mean of these; K-FAC (Martens & Grosse 2015) takes the product of two means instead.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.func import functional_call, jacrev, vmap

from hessrmt.curvature._losses import criterion
from hessrmt.validation import real_array

__all__ = ["DenseLayers", "Factors"]

Real: TypeAlias = NDArray[np.float64]

_TOGETHER = 250  # examples


class Factors(NamedTuple):
    """A layer's two means, its place among the weights, and each example's part in the means."""

    left: Real  # (q, q): mean of B B^T
    right: Real  # (p, p): mean of a a^T, with the bias last
    place: NDArray[np.int64]  # (q, p): where the weights are, a row an output
    own_left: Real  # (m, c): eigenvalues of B B^T; (1, 0) if all are alike, and make no noise
    own_right: Real  # (m, 1)


class DenseLayers:
    r"""The Gauss-Newton matrix of a network of dense layers on any batch of its examples.

    Parameters
    ----------
    model : torch.nn.Sequential
        Of `torch.nn.Linear`, with biases or without, and activations; in float64.
    loss : {"mse", "cross-entropy"} or torch.nn.Module
        As in `Curvature`; convex in the outputs.
    x, y : tensors (m, ...)
        Examples, one a row.

    Attributes
    ----------
    size : int
        P, the number of weights, in the order of ``model.parameters()``.
    gradient : (P,) ndarray
        Of the loss of all examples.
    examples : (m, c) ndarray
        Eigenvalues of each example's curvature :math:`h_i`, >= 0; c outputs.
    rows : (m, c, P) ndarray
        Of which each :math:`h_i` is the product with its transpose, transpose first.

    Raises
    ------
    TypeError, ValueError
        If the model is another, or the loss is not convex.

    Examples
    --------
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 1, bias=False, dtype=torch.float64))
    >>> x = torch.tensor([[1.0, 0.0], [0.0, 2.0]], dtype=torch.float64)
    >>> layers = DenseLayers(model, "mse", x, torch.ones(2, 1, dtype=torch.float64))
    >>> layers.matrix(), layers.matrix([0])
    (array([[1., 0.],
           [0., 4.]]), array([[2., 0.],
           [0., 0.]]))
    """

    def __init__(self, model: torch.nn.Sequential, loss: Any, x: Tensor, y: Tensor) -> None:
        whole = isinstance(model, torch.nn.Sequential)
        dense = [m for m in model if isinstance(m, torch.nn.Linear)] if whole else []
        own = {id(p) for m in dense for p in m.parameters()}
        if not dense or own != {id(p) for p in model.parameters()}:
            raise TypeError("model must be a torch.nn.Sequential with weights in torch.nn.Linear")
        self._model, self._measure, self._x, self._y = model, criterion(loss), x, y
        self._weights = {k: p.detach() for k, p in model.named_parameters()}
        if any(w.dtype != torch.float64 for w in self._weights.values()):
            raise ValueError("model must be in torch.float64")
        self.size = sum(w.numel() for w in self._weights.values())
        inputs, back = self._passes(dense)
        z = model(x).detach()
        root = self._roots(z)  # (m, c, c), the Hessian in the outputs is root @ root.mT
        self._pairs = []
        places = torch.arange(self.size).split([w.numel() for w in self._weights.values()])
        at, parts = 0, []
        for layer, a, J in zip(dense, inputs, back, strict=True):
            B = J.mT @ root
            place = places[at].view(layer.weight.shape)
            parts.append(torch.einsum("mqc,mp->mcqp", B, a).flatten(2))
            at += 1
            if layer.bias is not None:
                parts.append(B.mT)
                a = torch.cat([a, torch.ones(len(a), 1, dtype=a.dtype)], dim=1)
                place = torch.cat([place, places[at][:, None]], dim=1)
                at += 1
            self._pairs.append((a, B, place.numpy()))
        rows = torch.cat(parts, dim=2)
        self.rows: Real = rows.numpy()
        self.examples: Real = torch.linalg.eigvalsh(rows @ rows.mT).clamp(min=0).numpy()
        total = self._measure(model(x), y)
        grads = torch.autograd.grad(total, list(model.parameters()))
        self.gradient: Real = torch.cat([g.flatten() for g in grads]).numpy()

    def matrix(self, batch: ArrayLike | None = None) -> Real:
        """Return the mean of the curvatures of a batch, (P, P); of all examples by default.

        Parameters
        ----------
        batch : array_like of int, optional
            Its examples; one may be there several times.
        """
        rows = self.rows if batch is None else self.rows[np.asarray(batch)]
        flat = rows.reshape(-1, self.size)
        matrix: Real = flat.T @ flat / len(rows)
        return matrix

    def factors(self, batch: ArrayLike | None = None) -> list[Factors]:
        """Return the Kronecker factors of a batch, a layer each; of all examples by default.

        Parameters
        ----------
        batch : array_like of int, optional
            As in `matrix`.
        """
        found = []
        for inputs, back, place in self._pairs:
            chosen = slice(None) if batch is None else torch.as_tensor(np.asarray(batch))
            a, B = inputs[chosen], back[chosen]
            left, right = (B @ B.mT).mean(dim=0).numpy(), (a.T @ a / len(a)).numpy()
            own = torch.linalg.eigvalsh(B.mT @ B).clamp(min=0).numpy()
            alike = np.ptp(B.numpy(), axis=0).max() < 1e-12
            own = np.zeros((1, 0)) if alike else own
            found.append(Factors(left, right, place, own, (a**2).sum(dim=1, keepdim=True).numpy()))
        return found

    def change(self, steps: ArrayLike) -> Real:
        """Change of the loss of all examples by steps in the weights.

        Parameters
        ----------
        steps : (k, P) array_like
            One a row.

        Returns
        -------
        (2, k) ndarray
            By the quadratic model with the Gauss-Newton matrix of all examples, and truly.
        """
        steps = real_array("steps", steps)
        along = np.einsum("kp,mcp->kmc", steps, self.rows, optimize=True)
        quadratic = steps @ self.gradient + np.sum(along**2, axis=(1, 2)) / (2 * len(self.rows))
        before = float(self._loss(np.zeros(self.size)))
        return np.array([quadratic, [self._loss(step) - before for step in steps]])

    def _loss(self, step: Real) -> float:
        parts = torch.from_numpy(step).split([w.numel() for w in self._weights.values()])
        moved = {
            k: w + s.view_as(w) for (k, w), s in zip(self._weights.items(), parts, strict=True)
        }
        with torch.no_grad():
            return float(self._measure(functional_call(self._model, moved, (self._x,)), self._y))

    def _roots(self, z: Tensor) -> Tensor:
        """A square root of the Hessian of the loss on each example in its outputs."""

        def value(z: Tensor, y: Tensor) -> Tensor:
            found: Tensor = self._measure(z[None], y[None])
            return found

        S = vmap(jacrev(jacrev(value)), chunk_size=_TOGETHER)(z, self._y)
        values, vectors = torch.linalg.eigh(S)
        if values.min() < -1e-9 * values.abs().max():
            raise ValueError("loss must be convex in the outputs of model")
        roots: Tensor = vectors * values.clamp(min=0).sqrt()[:, None, :]
        return roots

    def _passes(self, dense: list[torch.nn.Linear]) -> tuple[list[Tensor], list[Tensor]]:
        """Inputs of the layers, (m, p), and derivatives of the outputs in theirs, (m, c, q)."""
        inputs, back = [], []
        with torch.no_grad():
            h = self._x
            for k, module in enumerate(self._model):
                if module in dense:
                    inputs.append(h)
                    rest = self._model[k + 1 :]
                    J = vmap(jacrev(rest), chunk_size=_TOGETHER)(module(h))
                    back.append(J.detach())
                h = module(h)
        return inputs, back
