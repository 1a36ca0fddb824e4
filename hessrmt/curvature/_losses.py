"""Losses, by name or as torch's modules."""

from __future__ import annotations

from typing import Any

import torch

from hessrmt.validation import choice

__all__ = ["criterion"]

_LOSSES = {"mse": torch.nn.MSELoss, "cross-entropy": torch.nn.CrossEntropyLoss}


def criterion(loss: Any) -> Any:
    """Return the loss as a module that reduces to one number."""
    if isinstance(loss, str):
        return _LOSSES[choice("loss", loss, " | ".join(_LOSSES))]()
    if not isinstance(loss, torch.nn.Module):
        names = " | ".join(map(repr, _LOSSES))
        raise TypeError(f"loss must be {names} or a torch.nn.Module, got {type(loss).__name__}")
    reduction = getattr(loss, "reduction", None)
    allowed = ("mean", "sum", "batchmean")
    if reduction not in allowed:
        raise ValueError(f"loss must have reduction 'mean' or 'sum', got {reduction!r}")
    return loss
