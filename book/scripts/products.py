"""Products of H0, H1 and H of a random network with vectors, for sizes where no matrix fits."""

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator
from torch import Tensor

from hessrmt import SingleHiddenLayer

PARTS = ("h0", "h1", "h")


class Network:
    """A square network with examples N(0, 1) and residuals N(0, 2 energy).

    The forward pass is made once; a product takes five to eight products of matrices.
    """

    def __init__(
        self,
        activation: str,
        n: int,
        inverse_phi: int,
        rng: np.random.Generator,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.n, self.m = n, 2 * n * inverse_phi
        self.net = SingleHiddenLayer(n, activation)
        self.theta = self.net.initialize(rng=rng, dtype=dtype)
        draw = rng.standard_normal((2, n, self.m), dtype=np.float32)
        self.x, self.noise = torch.from_numpy(draw).to(dtype)
        self.W1, self.W2 = self.net.weights(self.theta)
        self.h, self.slope = self.net.activations(self.W1 @ self.x)
        self.bend = -2 * self.h * self.slope if activation == "tanh" else None

    def operator(self, part: str, energy: float) -> LinearOperator:
        """H0, H1 or H as an operator on numpy vectors."""
        e = self.noise * (2 * energy) ** 0.5
        u = self.W2.mT @ e if self.bend is not None and part != "h0" else None

        def matvec(v: np.ndarray) -> np.ndarray:
            V1, V2 = self.net.weights(torch.from_numpy(np.ascontiguousarray(v.ravel())))
            dz = V1 @ self.x
            dh = self.slope * dz
            inner, outer = torch.zeros_like(dz), torch.zeros_like(V2)
            if part != "h1":
                de = V2 @ self.h + self.W2 @ dh
                inner += self.slope * (self.W2.mT @ de)
                outer += de @ self.h.mT
            if part != "h0":
                inner += self.slope * (V2.mT @ e)
                outer += e @ dh.mT
                if u is not None:
                    inner += u * self.bend * dz
            return torch.cat([(inner @ self.x.mT).ravel(), outer.ravel()]).numpy() / self.m

        size = self.net.parameters
        return LinearOperator((size, size), matvec=matvec, dtype=self.theta.numpy().dtype)

    def target(self, energy: float) -> Tensor:
        """Targets for which the residuals are those of `operator`."""
        return self.W2 @ self.h - self.noise * (2 * energy) ** 0.5
