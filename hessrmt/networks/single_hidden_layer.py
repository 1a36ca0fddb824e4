r"""Networks with one hidden layer and their exact Hessians.

:math:`\hat y = W_2 f(W_1 x)` without biases, data x with one column an example, residuals
:math:`e = \hat y - y`. The loss is :math:`L = n_2\epsilon = \frac1{2m}\sum e^2`, its Hessian
:math:`H = H_0 + H_1` (Pennington & Bahri 2017, equations 2 to 4). Parameters are one vector
theta: W1, then W2, each row by row. All functions take leading batch dimensions, which broadcast:
theta (..., parameters), x (..., n0, m), y (..., n2, m); float64 or float32, on any device.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from hessrmt.validation import choice, generator, integer, shape

__all__ = ["SingleHiddenLayer"]

# Dense Hessians are assembled for so many numbers at a time: the arrays of one pass then stay in
# the processor's cache (measured at n = 16, m = 64: 4 to 8 networks a pass are fastest).
_PASS = 2_000_000


def _relu(z: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    return torch.relu(z), (z > 0).to(z.dtype), None


def _tanh(z: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    h = torch.tanh(z)
    slope = 1 - h * h
    return h, slope, -2 * h * slope


def _linear(z: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    return z, torch.ones_like(z), None


_DTYPES = (torch.float64, torch.float32)

# f(z), f'(z), f''(z); None for a second derivative that vanishes.
_ACTIVATIONS: dict[str, Callable[[Tensor], tuple[Tensor, Tensor, Tensor | None]]] = {
    "relu": _relu,
    "tanh": _tanh,
    "linear": _linear,
}


class _State(NamedTuple):
    """What a forward pass leaves: activations and derivatives, residuals, residuals sent back."""

    W2: Tensor
    h: Tensor
    slope: Tensor
    bend: Tensor | None
    e: Tensor
    u: Tensor  # W2^T e


class SingleHiddenLayer:
    r"""The network :math:`W_2 f(W_1 x)`: energy, gradient, Hessian.

    Parameters
    ----------
    n : int, optional
        Width of all three layers, for a square network.
    activation : str
        ``"relu"``, ``"tanh"`` or ``"linear"``.
    n0, n1, n2 : int, optional
        Widths of the input, hidden and output layer; each defaults to `n`.

    Raises
    ------
    TypeError, ValueError
        If a width is missing or no positive integer, or the activation is another one.

    Notes
    -----
    At exactly zero the derivative of ReLU is taken to be 0, as torch does, and its second
    derivative is 0 everywhere: a kink adds no curvature. On continuous data no unit is at zero.

    Examples
    --------
    >>> net = SingleHiddenLayer(n=4, activation="tanh")
    >>> theta = net.initialize(3, rng=0)
    >>> x, y = torch.ones(4, 10).double(), torch.zeros(4, 10).double()
    >>> net.energy(theta, x, y).shape, net.hessian(theta, x, y).shape
    (torch.Size([3]), torch.Size([3, 32, 32]))
    """

    def __init__(
        self,
        n: int | None = None,
        activation: str = "relu",
        *,
        n0: int | None = None,
        n1: int | None = None,
        n2: int | None = None,
    ) -> None:
        widths = {"n0": n0, "n1": n1, "n2": n2}
        for name, width in widths.items():
            value = n if width is None else width
            widths[name] = integer("n" if width is None else name, value, "[1, inf)")
        self.n0, self.n1, self.n2 = (int(w) for w in widths.values() if w is not None)
        self.activation = choice("activation", activation, " | ".join(_ACTIVATIONS))
        self.parameters = self.n1 * self.n0 + self.n2 * self.n1

    def __repr__(self) -> str:
        widths = f"n0={self.n0}, n1={self.n1}, n2={self.n2}"
        return f"SingleHiddenLayer({widths}, activation={self.activation!r})"

    def initialize(
        self,
        batch: int | tuple[int, ...] = (),
        rng: Any = None,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> Tensor:
        """Draw weights: W1 with variance 1/n0 and W2 with variance 1/n1, normal.

        Parameters
        ----------
        batch : int or tuple of int
            Leading dimensions.
        rng : int, numpy.random.Generator or None
            Seed or generator; the draw is the same on every device.
        dtype, device
            Of the result.

        Returns
        -------
        tensor of shape (batch..., parameters)

        Raises
        ------
        TypeError, ValueError
            For arguments outside their domains, another dtype than float64 and float32, or a
            device that is not there.
        """
        replicas = shape("batch", batch)
        if dtype not in _DTYPES:
            raise TypeError(f"dtype must be torch.float64 or torch.float32, got {dtype}")
        try:
            torch.empty(0, device=device)
        except (AssertionError, RuntimeError, TypeError) as error:
            reason = str(error).partition("\n")[0]
            raise ValueError(f"device must be there, got {device!r}: {reason}") from None
        theta = generator("rng", rng).standard_normal((*replicas, self.parameters))
        split = self.n1 * self.n0
        theta[..., :split] /= np.sqrt(self.n0)
        theta[..., split:] /= np.sqrt(self.n1)
        return torch.from_numpy(theta).to(dtype=dtype, device=device)

    def weights(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Views of `theta` as W1 (..., n1, n0) and W2 (..., n2, n1)."""
        self._check("theta", theta, (self.parameters,))
        split = self.n1 * self.n0
        W1 = theta[..., :split].unflatten(-1, (self.n1, self.n0))
        return W1, theta[..., split:].unflatten(-1, (self.n2, self.n1))

    def activations(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Activations f(z) and slopes f'(z) of preactivations of any shape."""
        h, slope, _ = _ACTIVATIONS[self.activation](z)
        return h, slope

    def predict(self, theta: Tensor, x: Tensor) -> Tensor:
        """Outputs (..., n2, m)."""
        self._check("theta", theta, (self.parameters,))
        self._check("x", x, (self.n0, -1))
        self._together(theta=(theta, 1), x=(x, 2))
        W1, W2 = self.weights(theta)
        return W2 @ _ACTIVATIONS[self.activation](W1 @ x)[0]

    def energy(self, theta: Tensor, x: Tensor, y: Tensor) -> Tensor:
        r"""Energy :math:`\epsilon = \frac1{2n_2m}\sum e^2` (...), the loss over n2 (equation 2)."""
        e = self._forward(theta, x, y).e
        return (e * e).mean(dim=(-2, -1)) / 2

    def gradient(self, theta: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """Gradient (..., parameters) of the loss L = n2 * energy."""
        s = self._forward(theta, x, y)
        m = x.shape[-1]
        return self._flat(s.u * s.slope @ x.mT / m, s.e @ s.h.mT / m)

    def hvp(self, theta: Tensor, v: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """Product H v (..., parameters) of the loss's Hessian, at the price of a few gradients."""
        s = self._forward(theta, x, y)
        self._check("v", v, (self.parameters,))
        self._together(theta=(theta, 1), v=(v, 1), x=(x, 2), y=(y, 2))
        V1, V2 = self.weights(v)
        m = x.shape[-1]
        dz = V1 @ x
        dh = s.slope * dz
        de = V2 @ s.h + s.W2 @ dh
        inner = (V2.mT @ s.e + s.W2.mT @ de) * s.slope
        if s.bend is not None:
            inner = inner + s.u * s.bend * dz
        return self._flat(inner @ x.mT / m, (de @ s.h.mT + s.e @ dh.mT) / m)

    def hessian_parts(self, theta: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        r"""H0 and H1, both (..., parameters, parameters), in closed form.

        With :math:`h=f(W_1x)`, :math:`u=W_2^Te` and P the matrix of rows
        :math:`f'(z_a)\odot x_b`,

        .. math::
           [H_0]_{W_1W_1} &= (W_2^TW_2)_{aa'}\,[PP^T/m]_{ab,a'b'}, \\
           [H_0]_{W_1W_2} &= (W_2)_{ia}\,[Ph^T/m]_{ab,c}, \\
           [H_0]_{W_2W_2} &= \delta_{ii'}\,[hh^T/m]_{cc'}, \\
           [H_1]_{W_1W_1} &= \delta_{aa'}\,[x\,\mathrm{diag}(u_af''(z_a))\,x^T/m]_{bb'}, \\
           [H_1]_{W_1W_2} &= \delta_{ac}\,[Pe^T/m]_{ab,i}, \\
           [H_1]_{W_2W_2} &= 0 .

        They are not to be differentiated further: tensors that require gradients count as numbers.

        Raises
        ------
        TypeError, ValueError
            If a tensor has another shape than the network's, or dtypes or devices differ.
        """
        H0, H1 = self._dense(theta, x, y, 2)
        return H0, H1

    def hessian(self, theta: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """H = H0 + H1 (..., parameters, parameters) of the loss, as `hessian_parts`."""
        (H,) = self._dense(theta, x, y, 1)
        return H

    # -- assembly ----------------------------------------------------------------------------------

    def _dense(self, theta: Tensor, x: Tensor, y: Tensor, parts: int) -> list[Tensor]:
        """One output for the sum, or two for the parts, filled for some networks at a time."""
        batch = self._batch(theta, x, y)
        N = self.parameters
        flat = [
            t.detach().expand(*batch, *t.shape[-k:]).reshape(-1, *t.shape[-k:])
            for t, k in ((theta, 1), (x, 2), (y, 2))
        ]
        out = [theta.detach().new_zeros((flat[0].shape[0], N, N)) for _ in range(parts)]
        step = max(1, _PASS // (N * (N + x.shape[-1])))
        for i in range(0, flat[0].shape[0], step):
            part = [t[i : i + step] for t in flat]
            state = self._forward(*part)
            P = (state.slope.unsqueeze(2) * part[1].unsqueeze(1)).flatten(1, 2)
            self._add_gauss_newton(state, P, out[0][i : i + step])
            self._add_residual(state, P, part[1], out[-1][i : i + step])
        return [H.reshape(*batch, N, N) for H in out]

    def _blocks(self, H: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Views of H: (B, a, b, a', b'); (B, a, b, i, c) and its mirror; (B, i, c, i', c')."""
        split, first, second = self.n1 * self.n0, (self.n1, self.n0), (self.n2, self.n1)
        upper, lower = H[:, :split], H[:, split:]
        return (
            upper[..., :split].unflatten(2, first).unflatten(1, first),
            upper[..., split:].unflatten(2, second).unflatten(1, first),
            lower[..., :split].unflatten(2, first).unflatten(1, second).permute(0, 3, 4, 1, 2),
            lower[..., split:].unflatten(2, second).unflatten(1, second),
        )

    def _add_gauss_newton(self, s: _State, P: Tensor, H: Tensor) -> None:
        """Add H0 to H, in place."""
        m, first = P.shape[-1], (self.n1, self.n0)
        top, side, mirrored, corner = self._blocks(H)
        gram = (P @ (P.mT / m)).unflatten(2, first).unflatten(1, first)
        top.addcmul_(gram, (s.W2.mT @ s.W2)[:, :, None, :, None])
        cross = (P @ (s.h.mT / m)).unflatten(1, first).unsqueeze(3)  # (B, a, b, 1, c)
        outer = s.W2.mT[:, :, None, :, None]  # (B, a, 1, i, 1)
        side.addcmul_(cross, outer)
        mirrored.addcmul_(cross, outer)
        corner.diagonal(dim1=1, dim2=3).add_((s.h @ (s.h.mT / m)).unsqueeze(-1))

    def _add_residual(self, s: _State, P: Tensor, x: Tensor, H: Tensor) -> None:
        """Add H1 to H, in place."""
        m, first = P.shape[-1], (self.n1, self.n0)
        top, side, mirrored, _ = self._blocks(H)
        if s.bend is not None:
            curvature = (s.u * s.bend / m).unsqueeze(2) * x.unsqueeze(1)  # (B, a, b, m)
            top.diagonal(dim1=1, dim2=3).add_((curvature @ x.unsqueeze(1).mT).permute(0, 2, 3, 1))
        cross = (P @ (s.e.mT / m)).unflatten(1, first)  # (B, a, b, i)
        for block in (side, mirrored):
            block.diagonal(dim1=1, dim2=4).add_(cross.permute(0, 2, 3, 1))

    def _forward(self, theta: Tensor, x: Tensor, y: Tensor) -> _State:
        self._batch(theta, x, y)
        W1, W2 = self.weights(theta)
        h, slope, bend = _ACTIVATIONS[self.activation](W1 @ x)
        e = W2 @ h - y
        return _State(W2, h, slope, bend, e, W2.mT @ e)

    @staticmethod
    def _flat(W1: Tensor, W2: Tensor) -> Tensor:
        return torch.cat([W1.flatten(-2), W2.flatten(-2)], dim=-1)

    # -- checks ------------------------------------------------------------------------------------

    def check(self, theta: Tensor, x: Tensor, y: Tensor) -> None:
        """Refuse tensors that are not this network's, or not finite.

        Raises
        ------
        TypeError, ValueError
            Which name the tensor, and of a batch the first run that it is wrong in.
        """
        self._batch(theta, x, y)
        for name, value, k in (("theta", theta, 1), ("x", x, 2), ("y", y, 2)):
            bad = (~torch.isfinite(value)).nonzero()
            if len(bad):
                place = tuple(bad[0].tolist())
                run = ", ".join(map(str, place[:-k]))
                where = f" in run {run}" if run else ""
                raise ValueError(f"{name} must be finite, got {value[place].item()}{where}")

    def _batch(self, theta: Tensor, x: Tensor, y: Tensor) -> torch.Size:
        """The common leading shape, after checking everything else."""
        self._check("theta", theta, (self.parameters,))
        self._check("x", x, (self.n0, -1))
        self._check("y", y, (self.n2, x.shape[-1]))
        return self._together(theta=(theta, 1), x=(x, 2), y=(y, 2))

    @staticmethod
    def _together(**tensors: tuple[Tensor, int]) -> torch.Size:
        """The common leading shape of tensors, each with the number of its own dimensions."""
        *names, last = tensors
        all_names = f"{', '.join(names)} and {last}"
        for what in ("dtype", "device"):
            found = [str(getattr(t, what)) for t, _ in tensors.values()]
            if len(set(found)) > 1:
                raise TypeError(f"{all_names} must have one {what}, got {', '.join(found)}")
        try:
            shape: torch.Size = torch.broadcast_shapes(*(t.shape[:-k] for t, k in tensors.values()))
            return shape
        except RuntimeError:
            shapes = ", ".join(str(tuple(t.shape)) for t, _ in tensors.values())
            raise ValueError(
                f"{all_names} must have leading dimensions that broadcast, got shapes {shapes}"
            ) from None

    @staticmethod
    def _check(name: str, value: Any, shape: tuple[int, ...]) -> None:
        wanted = ", ".join(["...", *(str(k) if k >= 0 else "m" for k in shape)])
        what = f"{name} must be a float tensor of shape ({wanted})"
        if not isinstance(value, Tensor):
            raise TypeError(f"{what}, got a {type(value).__name__}")
        if value.dtype not in _DTYPES:
            raise TypeError(f"{what}, in float64 or float32, got {value.dtype}")
        fits = value.ndim >= len(shape) and all(
            k in (-1, size) for k, size in zip(shape, value.shape[-len(shape) :], strict=True)
        )
        if not fits or value.shape[-1] == 0:
            raise ValueError(f"{what}, got {tuple(value.shape)}")
