"""Batches of examples, the same in every pass, and what is checked of them before anything runs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch

__all__ = ["Batches"]


class Batches:
    """An iterable of pairs (x, y) on a device, read again in every pass.

    An iterator, which can be passed through only once, is read into memory.

    Parameters
    ----------
    data : iterable of pairs
        x, a tensor, an array or a mapping of them, goes to the model; y to the loss.
    device : torch.device
        Where the model is.

    Raises
    ------
    TypeError, ValueError
        If it is no iterable of pairs, holds no example, or holds a NaN or infinity.
    """

    def __init__(self, data: Any, device: torch.device) -> None:
        if not isinstance(data, Iterable) or isinstance(data, (str, bytes, Mapping, torch.Tensor)):
            raise TypeError(
                f"data must be an iterable of batches (x, y), got {type(data).__name__}"
            )
        self.data = list(data) if isinstance(data, Iterator) else data
        self.device = device

    def __iter__(self) -> Iterator[tuple[Any, torch.Tensor]]:
        for i, batch in enumerate(self.data):
            if not isinstance(batch, (tuple, list)) or len(batch) != 2:
                what = f"{type(batch).__name__}"
                raise TypeError(f"data must be an iterable of batches (x, y), batch {i} is {what}")
            yield self._moved(batch[0], f"x of batch {i}"), self._moved(batch[1], f"y of batch {i}")

    def checked(self) -> Iterator[tuple[Any, torch.Tensor]]:
        """One pass, with checks of each batch; an error if nothing comes."""
        none = True
        for i, (x, y) in enumerate(self):
            none = False
            if not isinstance(y, torch.Tensor) or y.ndim == 0:
                raise TypeError(f"data must have targets with one row an example, batch {i} not")
            for name, value in (("x", x), ("y", y)):
                for part in _tensors(value):
                    if not part.numel():
                        raise ValueError(f"data must hold examples, {name} of batch {i} is empty")
                    if part.is_floating_point() and not part.isfinite().all():
                        text = f"{name} of batch {i} holds a NaN or infinity"
                        raise ValueError(f"data must be finite, {text}")
            yield x, y
        if none:
            raise ValueError("data must hold at least one batch (x, y), got none")

    def digest(self) -> str:
        """Hash of all batches in their order."""
        total = hashlib.blake2b(digest_size=16)
        for pair in self:
            for part in (p for value in pair for p in _tensors(value)):
                flat = part.detach().cpu().contiguous()
                total.update(f"{tuple(flat.shape)} {flat.dtype};".encode())
                total.update(flat.reshape(-1).view(torch.uint8).numpy().tobytes())
        return total.hexdigest()

    def _moved(self, value: Any, name: str) -> Any:
        if isinstance(value, np.ndarray):
            value = torch.as_tensor(value)
        if isinstance(value, torch.Tensor):
            return value.to(self.device)
        if isinstance(value, Mapping):
            return {key: self._moved(part, name) for key, part in value.items()}
        if isinstance(value, (bool, str, type(None))):  # options that a mapping may hold
            return value
        raise TypeError(f"{name} must be a tensor or a mapping of them, got {type(value).__name__}")


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _tensors(part)
