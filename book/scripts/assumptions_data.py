"""Make the stored tables of the chapter on the assumptions.

    python book/scripts/assumptions_data.py TABLE ...

The one table is autoencoders: wide ones fit their images so well that what is left depends on the
last digits of the arithmetic. How rows are added: `tables`.
"""

from collections.abc import Iterator

import numpy as np
import tables
import torch
from tables import Table

from hessrmt import SingleHiddenLayer, load_images, train

WIDTHS = (8, 12, 16, 24, 32, 48)
IMAGES, SEED = 150, 0


def autoencoders(hidden: int) -> Iterator[str]:
    """Energy of one autoencoder of photographs after training, and |H1| over |H0|."""
    x = torch.from_numpy(load_images("photos", IMAGES, rng=np.random.default_rng(SEED)))
    net = SingleHiddenLayer(n0=16, n1=hidden, n2=16)
    start = net.initialize(1, np.random.default_rng([SEED, 3, hidden]))
    trained = train(net, x, x, start, max_steps=200)
    parts = (part[0].numpy() for part in net.hessian_parts(trained.theta, x, x))
    low, high = (np.abs(np.linalg.eigvalsh(part)).max() for part in parts)
    yield f"{float(trained.energy):.6f},{high / low:.6f}"


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
}

if __name__ == "__main__":
    tables.main("assumptions", TABLES, __doc__)
