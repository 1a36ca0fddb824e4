r"""The Hessian of anybody's torch model and its two parts, as linear operators.

With f the model, :math:`\ell` the loss and J the Jacobian of f in the parameters,

.. math:: H = H_0 + H_1, \quad H_0 = J^T (\nabla^2\ell) J, \quad
          H_1 = \sum_a \frac{\partial\ell}{\partial f_a} \nabla^2 f_a

(Pennington & Bahri 2017, equation 2). Nothing is stored but the parameters: a product with H or H0
costs a few gradients, and products with H1 are differences of the two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import numpy as np
import torch
from curvlinops import GGNLinearOperator, HessianLinearOperator
from numpy.typing import ArrayLike, NDArray
from scipy.sparse.linalg import LinearOperator

from hessrmt.curvature._data import Batches
from hessrmt.curvature._losses import criterion
from hessrmt.curvature._products import (
    ReverseGaussNewton,
    ReverseHessian,
    WholeLoss,
    denominator,
    differentiable,
)
from hessrmt.curvature.estimation import Eigenpairs, extreme_eigenpairs, lanczos_spectrum
from hessrmt.curvature.fits import free_prediction_cdf
from hessrmt.curvature.mixed_moments import MeasuredMoment, hutchinson_moments
from hessrmt.curvature.spectrum import Spectrum
from hessrmt.validation import choice

__all__ = ["Curvature"]

Real: TypeAlias = NDArray[np.float64]

_PARTS = "hessian | h0 | h1"
_COLUMNS = 16  # of a matrix at a time
_AGREEMENT = {torch.float64: 1e-3, torch.float32: 5e-2}  # finds what is wrong, not rounding


class Curvature:
    r"""The Hessian of a loss in the parameters of a model, and its parts H0 and H1.

    The loss is that of all examples at once: for a mean, batches of unequal size count by their
    examples (by outputs, or by the weights of classes, where torch's mean does). Parameters with
    ``requires_grad=False`` are left out, shared ones are there once; their order is that of
    ``model.parameters()``. The model is used as it is: call ``model.eval()`` before if you mean
    that. It must not change while the operators are in use.

    Parameters
    ----------
    model : torch.nn.Module
        Returns one tensor; parameters in float32 or float64, on one device.
    loss : {"mse", "cross-entropy"} or torch.nn.Module
        ``torch.nn.MSELoss()`` (the mean over examples and outputs, with no 1/2),
        ``torch.nn.CrossEntropyLoss()``, or a loss with reduction "mean" or "sum". The mean of a
        loss that is not torch's is taken to be over the first axis of the targets.
    data : iterable of (x, y)
        Batches, the same in every pass: a list, a DataLoader that does not shuffle. An iterator
        or generator, which passes once, is read into memory. A list is faster than a DataLoader,
        which collects its batches anew for every product.

    Attributes
    ----------
    hessian, h0, h1 : scipy.sparse.linalg.LinearOperator
        Of shape (P, P), on numpy arrays, in the precision of the model.
    size : int
        P, the number of parameters.
    loss : float
        Its value.

    Raises
    ------
    TypeError, ValueError
        In one sentence, where a number would be wrong or none: a model that drops out or normalises
        by its batch, a loader that shuffles, a NaN in data or loss, a reduction "none", outputs
        and targets of different shapes, operations without a second derivative.

    Notes
    -----
    Products with several vectors at once are those of curvlinops (forward over reverse
    differentiation), with one vector two reverse passes, which are faster then; either does all
    where torch fails at the other. A product takes the memory of a few gradients of the largest
    batch.

    Examples
    --------
    >>> model = torch.nn.Linear(2, 1, bias=False, dtype=torch.float64)
    >>> x = torch.tensor([[1.0, 0.0], [0.0, 2.0]], dtype=torch.float64)
    >>> c = Curvature(model, "mse", [(x, torch.ones(2, 1, dtype=torch.float64))])
    >>> c.hessian @ np.eye(2)  # 2 x^T x / 2
    array([[1., 0.],
           [0., 4.]])
    """

    def __init__(
        self, model: torch.nn.Module, loss: str | torch.nn.Module, data: Iterable[tuple[Any, Any]]
    ) -> None:
        if not isinstance(model, torch.nn.Module):
            raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
        self._model, measure = model, criterion(loss)
        self._params = [p for p in model.parameters() if p.requires_grad]
        self._check_model()
        self.size = sum(p.numel() for p in self._params)
        self._data = Batches(data, self._params[0].device)
        self._versions = self._state()
        with differentiable(), torch.random.fork_rng(devices=[]):
            self.loss, total = self._evaluate(measure)
            self._whole = WholeLoss(measure, total)
            hessian = self._products("hessian", HessianLinearOperator, ReverseHessian)
            h0 = self._products("h0", GGNLinearOperator, ReverseGaussNewton)
        self.hessian = self._operator(lambda V: self._product(hessian, V))
        self.h0 = self._operator(lambda V: self._product(h0, V))
        self.h1 = self._operator(lambda V: self._product(hessian, V) - self._product(h0, V))
        self._spectra: dict[str, Spectrum] = {}

    def spectrum(self, which: str = "hessian", **options: Any) -> Spectrum:
        """Measure the spectrum of H, H0 or H1 by stochastic Lanczos quadrature.

        Parameters
        ----------
        which : {"hessian", "h0", "h1"}
            The operator.
        **options
            Of `lanczos_spectrum`: steps, starts, resolution, error, rng, progress, checkpoint.

        Returns
        -------
        Spectrum

        Raises
        ------
        TypeError, ValueError
            As `lanczos_spectrum`.
        """
        operator = getattr(self, choice("which", which, _PARTS))
        self._spectra[which] = lanczos_spectrum(operator, **options)
        return self._spectra[which]

    def largest(self, count: int = 10, which: str = "hessian", **options: Any) -> Eigenpairs:
        """Largest eigenvalues, descending, with residual norms: `extreme_eigenpairs`."""
        operator = getattr(self, choice("which", which, _PARTS))
        return extreme_eigenpairs(operator, count, "largest", **options)

    def smallest(self, count: int = 10, which: str = "hessian", **options: Any) -> Eigenpairs:
        """Smallest eigenvalues, ascending, with residual norms: `extreme_eigenpairs`."""
        operator = getattr(self, choice("which", which, _PARTS))
        return extreme_eigenpairs(operator, count, "smallest", **options)

    def mixed_moments(self, starts: int = 32, rng: Any = None, **options: Any) -> list[Any]:
        """Mixed moments of H0 (letter A) and H1 (letter B) beside their free values.

        Parameters
        ----------
        starts, rng, **options
            Of `hutchinson_moments`.

        Returns
        -------
        list of MeasuredMoment
            `hessrmt.first_violation` gives the first order that differs.

        Raises
        ------
        TypeError, ValueError
            As `hutchinson_moments`.
        """
        moments: list[MeasuredMoment] = hutchinson_moments(
            self.h0, self.hessian, starts=starts, rng=rng, **options
        )
        return moments

    def free_prediction(self, x: ArrayLike, **options: Any) -> Real:
        """Distribution function that H would have if H0 and H1 were free.

        Parameters
        ----------
        x : array_like, any shape
            Where.
        **options
            Of `spectrum`. Unless any is given, the spectra of "h0" and "h1" that `spectrum` has
            measured last are used; what is missing is measured, with seed 0.

        Returns
        -------
        ndarray of float64, the shape of `x`
            Mass on (-inf, x]; just below 0 it is the predicted index. Its error comes from
            `free_prediction_cdf`.

        Raises
        ------
        TypeError, ValueError
            As `spectrum` and `hessrmt.free_sum_cdf`.
        """
        for part in ("h0", "h1"):
            if options or part not in self._spectra:
                self.spectrum(part, **({"rng": 0} | options))
        return free_prediction_cdf(self._spectra["h0"], self._spectra["h1"], x)[0]

    def _check_model(self) -> None:
        if not self._params:
            raise ValueError("model must have parameters that require gradients, got none")
        for what in ("dtype", "device"):
            found = {str(getattr(p, what)) for p in self._params}
            if len(found) > 1:
                raise ValueError(f"model must have parameters of one {what}, got {sorted(found)}")
        if self._params[0].dtype not in _AGREEMENT:
            kind = self._params[0].dtype
            raise ValueError(f"model must be in torch.float32 or torch.float64, got {kind}")
        for name, module in self._model.named_modules():
            own = isinstance(module, torch.nn.modules.batchnorm._BatchNorm)
            if own and (module.training or module.running_mean is None):
                raise ValueError(
                    f"model must not normalise by its batch, {name!r} does: its Hessian would"
                    " depend on which examples share a batch (model.eval() ends that)"
                )
        for name, p in self._model.named_parameters():
            if not p.isfinite().all():
                raise ValueError(f"model must have finite parameters, {name!r} holds a NaN or inf")

    def _evaluate(self, measure: torch.nn.Module) -> tuple[float, float]:
        """Value of the loss and the sum of its denominators, with all checks of data and model."""
        parts = []
        tolerance = {torch.float64: 1e-10, torch.float32: 1e-4}[self._params[0].dtype]
        for i, (x, y) in enumerate(self._data.checked()):
            with torch.no_grad():
                prediction, again = self._model(x), self._model(x)
            if not isinstance(prediction, torch.Tensor):
                kind = type(prediction).__name__
                raise TypeError(f"model must return one tensor, got {kind}")
            if not prediction.isfinite().all():
                raise ValueError(f"model must have finite outputs, not so on batch {i}")
            if (prediction - again).abs().max() > tolerance * prediction.abs().max():
                raise ValueError(
                    "model must give the same outputs twice, got others on the same batch: it drops"
                    " out or draws random numbers (model.eval() stops the layers of torch)"
                )
            parts.append(_checked_loss(measure, prediction, y, i))
        first = self._data.digest()
        if first != self._data.digest():
            raise ValueError("data must be the same in every pass, got other batches: they shuffle")
        values, weights = np.transpose(parts)
        total = float(weights.sum())
        if measure.reduction == "sum":
            return float(values.sum()), total
        return float(values @ weights / total), total

    def _products(self, name: str, forward: Any, reverse: Any) -> Any:
        """Operators for a single vector and for several at once.

        Those of curvlinops share work between vectors, but for one of them reverse passes are
        faster. Both are tried on the first batch, and if one fails or is wrong the other does all.
        Where they differ, the one that is not symmetric is wrong: torch's vmap has a wrong
        derivative of the backward of `LayerNorm`, for instance.
        """
        head, p = [next(iter(self._data))], self._params[0]
        pair = np.random.default_rng(0).standard_normal((2, self.size))
        u, v = torch.from_numpy(pair).to(device=p.device, dtype=p.dtype)
        options = {"check_deterministic": False, "num_data": 1, "batch_size_fn": len}
        found, reasons = [], []
        for kind in (forward, reverse):
            try:
                operator = kind(self._model, self._whole, self._params, head, **options)
                found.append((kind, operator @ u, operator @ v))
            except Exception as error:  # whatever torch says of a derivative that it has not
                reasons.append(f"{type(error).__name__}: {str(error).strip()}".splitlines()[0])
        if not found:
            raise ValueError(f"model must be twice differentiable by torch: {reasons[-1]}")
        if not all(of_v.isfinite().all() for *_, of_v in found):
            raise ValueError("model and loss must have finite second derivatives, got a NaN or inf")
        tolerance = _AGREEMENT[p.dtype] * max(float(of_v.norm()) for *_, of_v in found)
        agree = float((found[0][2] - found[-1][2]).norm()) <= tolerance
        gaps = [abs(float(v @ of_u - u @ of_v)) for _, of_u, of_v in found]
        right = [gap <= tolerance * float(u.norm()) / 10 for gap in gaps]
        if not any(right) or (not agree and all(right)):
            raise ValueError(
                f"model must have right derivatives, {name} is not symmetric or differs between"
                " forward and reverse mode: one of its functions has a wrong backward or jvp"
            )
        kinds = [kind for (kind, *_), well in zip(found, right, strict=True) if well]
        return [
            kind(self._model, self._whole, self._params, self._data, **options)
            for kind in (kinds[-1], kinds[0])
        ]

    def _product(self, operators: Any, V: NDArray[Any]) -> NDArray[Any]:
        if self._state() != self._versions:
            raise ValueError("model has changed since: make a new Curvature of it")
        p = self._params[0]
        parts = []
        with differentiable():
            for start in range(0, V.shape[1], _COLUMNS):
                # torch has no negative strides
                part = np.ascontiguousarray(V[:, start : start + _COLUMNS])
                columns = torch.as_tensor(part, dtype=p.dtype)
                operator = operators[columns.shape[1] > 1]
                parts.append((operator @ columns.to(p.device)).detach().cpu().numpy())
        product = np.concatenate(parts, axis=1)
        if not np.isfinite(product).all() and np.isfinite(V).all():
            raise FloatingPointError("a product with the Hessian holds a NaN or infinity")
        return product

    def _operator(self, product: Callable[[NDArray[Any]], NDArray[Any]]) -> LinearOperator:
        dtype = {torch.float64: np.float64, torch.float32: np.float32}[self._params[0].dtype]

        def columns(V: NDArray[Any]) -> NDArray[Any]:
            V = np.asarray(V)
            if V.dtype.kind not in "iuf":
                raise TypeError(f"vectors must be real, got {V.dtype}")
            return product(V.reshape(self.size, -1)).reshape(V.shape)

        shape = (self.size, self.size)
        return LinearOperator(shape, columns, columns, columns, dtype, columns)

    def _state(self) -> list[tuple[int, int]]:
        """Changes whenever a parameter or buffer does."""
        tensors = [*self._model.parameters(), *self._model.buffers()]
        return [(t.data_ptr(), t._version) for t in tensors]


def _checked_loss(
    measure: torch.nn.Module, prediction: torch.Tensor, y: torch.Tensor, batch: int
) -> tuple[float, float]:
    """Value on a batch, and what it was divided by."""
    elementwise = isinstance(measure, (torch.nn.MSELoss, torch.nn.L1Loss, torch.nn.HuberLoss))
    if elementwise and prediction.shape != y.shape:
        shapes = f"{tuple(prediction.shape)} and {tuple(y.shape)}"
        raise ValueError(f"outputs and targets must have one shape, got {shapes} on batch {batch}")
    try:
        value = measure(prediction, y)
    except (RuntimeError, ValueError, IndexError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(
            f"loss must accept outputs and targets of batch {batch}: {reason}"
        ) from None
    if not isinstance(value, torch.Tensor) or value.numel() != 1:
        raise ValueError("loss must be one number")
    weight = float(denominator(measure, prediction, y))
    if not weight > 0:
        raise ValueError(f"loss must count at least one example a batch, none of batch {batch}")
    if not np.isfinite(float(value)):
        raise ValueError(f"loss must be finite, got {float(value)} on batch {batch}")
    return float(value), weight
