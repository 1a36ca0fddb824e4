"""Products of the Hessian and of its Gauss-Newton part with vectors, one batch at a time.

The operators are those of curvlinops, which differentiate forward over reverse. The same numbers
come from two reverse passes of plain autograd: faster for a single vector, and all that there is
where an operation of the model has no forward-mode derivative, or none that can be vectorised.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from curvlinops import GGNLinearOperator, HessianLinearOperator
from torch.nn.attention import SDPBackend, sdpa_kernel

__all__ = ["ReverseGaussNewton", "ReverseHessian", "WholeLoss", "denominator", "differentiable"]

_BY_LABEL = (torch.nn.CrossEntropyLoss, torch.nn.NLLLoss)
_BY_ELEMENT = (
    *(torch.nn.MSELoss, torch.nn.L1Loss, torch.nn.SmoothL1Loss, torch.nn.HuberLoss),
    *(torch.nn.BCELoss, torch.nn.BCEWithLogitsLoss, torch.nn.PoissonNLLLoss),
    *(torch.nn.KLDivLoss, torch.nn.SoftMarginLoss),
)


def denominator(loss: torch.nn.Module, prediction: torch.Tensor, y: torch.Tensor) -> Any:
    """What the loss divides by to take its mean over a batch, or a number proportional to it.

    Batches whose losses are weighted by it add up to the loss of all examples at once: for classes
    with weights, or labels that are ignored, the number of examples would not do.
    """
    if isinstance(loss, _BY_LABEL):
        if y.is_floating_point():  # probabilities of classes, which are along axis 1
            return y.numel() / (y.shape[1] if y.ndim > 1 else y.numel())
        counted = y[y != loss.ignore_index]
        return counted.numel() if loss.weight is None else loss.weight[counted].sum()
    if isinstance(loss, _BY_ELEMENT) and loss.reduction == "mean":
        return prediction.numel()
    return len(y)


class WholeLoss(torch.nn.Module):
    """A batch's part of the loss of all examples, so that parts add up.

    Parameters
    ----------
    loss : torch.nn.Module
        With reduction "sum", "mean" or "batchmean".
    total : float
        Sum of `denominator` over the batches; of no effect for "sum".
    """

    reduction = "sum"  # what curvlinops is to do with the parts

    def __init__(self, loss: torch.nn.Module, total: float) -> None:
        super().__init__()
        self.loss, self.total = loss, total

    def forward(self, prediction: torch.Tensor, y: torch.Tensor) -> Any:
        """The part of a batch."""
        value = self.loss(prediction, y)
        if self.loss.reduction == "sum":
            return value
        return value * (denominator(self.loss, prediction, y) / self.total)


class ReverseHessian(HessianLinearOperator):  # type: ignore[misc]
    """The Hessian by reverse over reverse, which asks less of the model's operations."""

    def _matmat_batch(self, X: Any, y: torch.Tensor, M: list[torch.Tensor]) -> list[torch.Tensor]:
        with torch.enable_grad():
            loss = self._loss_func(self._model_func(X), y)
            first = _gradient([loss], self._params, create_graph=True)
            columns = [_gradient(first, self._params, list(v)) for v in _columns(M)]
        return [torch.stack(parts, dim=-1) for parts in zip(*columns, strict=True)]


class ReverseGaussNewton(GGNLinearOperator):  # type: ignore[misc]
    r"""The Gauss-Newton matrix by reverse passes.

    :math:`Jv` is the derivative of :math:`J^T u`, linear in u, along v.
    """

    def _matmat_batch(self, X: Any, y: torch.Tensor, M: list[torch.Tensor]) -> list[torch.Tensor]:
        with torch.enable_grad():
            output = self._model_func(X)
            u = torch.zeros_like(output, requires_grad=True)
            transposed = _gradient([output], self._params, [u], create_graph=True)
            at = output.detach().requires_grad_(True)
            slope = _gradient([self._loss_func(at, y)], [at], create_graph=True)
            columns = []
            for v in _columns(M):
                (along,) = _gradient(transposed, [u], list(v))
                (curved,) = _gradient(slope, [at], [along])
                columns.append(_gradient([output], self._params, [curved]))
        return [torch.stack(parts, dim=-1) for parts in zip(*columns, strict=True)]


def _columns(M: list[torch.Tensor]) -> Iterator[tuple[torch.Tensor, ...]]:
    return zip(*(m.unbind(dim=-1) for m in M), strict=True)


def _gradient(
    outputs: list[torch.Tensor],
    inputs: list[torch.Tensor],
    along: list[torch.Tensor] | None = None,
    create_graph: bool = False,
) -> list[torch.Tensor]:
    """Gradients, zero where outputs do not depend on inputs; the graph is kept."""
    along = [torch.ones_like(o) for o in outputs] if along is None else along
    pairs = [(o, a) for o, a in zip(outputs, along, strict=True) if o.requires_grad]
    if not pairs:
        return [torch.zeros_like(i) for i in inputs]
    some, weights = map(list, zip(*pairs, strict=True))
    return list(
        torch.autograd.grad(
            some,
            inputs,
            weights,
            create_graph=create_graph,
            retain_graph=True,
            materialize_grads=True,
        )
    )


@contextmanager
def differentiable() -> Iterator[None]:
    """Let torch use operations that can be differentiated twice, and be silent about its own."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with warnings.catch_warnings(), sdpa_kernel(SDPBackend.MATH):
            warnings.filterwarnings("ignore", ".torch.jit.script. is deprecated")
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
