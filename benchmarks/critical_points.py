"""Cost of a search that passes |grad L|^2 < 1e-6, against scipy, as ratios within one run.

    make bench

From the same starts (random data at n = 16, phi = 1/2, descent to random levels) run, each until
|grad L|^2 < 1e-6:

- the projected and the full search of this package, in one batch, examination included, and
- ``scipy.optimize.least_squares`` on grad L = 0 with the exact Jacobian, the first few starts.

The cost is the time of a core for all runs, over the number that pass. Besides, plain descent:
milliseconds for a thousand replica-iterations. Goals: 0.3 s a run by the projected search, 1.2 s by
the full one, a tenth of what scipy takes, 25 ms for a thousand iterations of descent. On a machine
that does other work too, all times grow, and the ratios stay.
"""

from table import report  # isort: skip  (first: it sets the number of threads)

import time

import numpy as np
import scipy.optimize
import torch

from hessrmt import descend, find_critical_points
from hessrmt.critical_points import draw_runs

PHI, RUNS, PEER_RUNS = 0.5, 24, 2
GOAL, STEPS, PEER_STEPS = 1e-6, 200, 400


class Passed(Exception):
    """Raised by the residual when the goal is met: least_squares has no such criterion."""


def by_scipy(net, x, y, theta, method):
    """Whether |grad L|^2 < 1e-6 is met within `PEER_STEPS` evaluations."""

    def gradient(point):
        g = net.gradient(torch.from_numpy(point), x, y).numpy()
        if g @ g < GOAL:
            raise Passed
        return g

    def jacobian(point):
        return net.hessian(torch.from_numpy(point), x, y).numpy()

    options = {"method": method, "xtol": 1e-15, "ftol": 1e-15, "gtol": 1e-15}
    try:
        scipy.optimize.least_squares(
            gradient, theta.numpy(), jacobian, max_nfev=PEER_STEPS, **options
        )
    except Passed:
        return True
    return False


def rows():
    torch.set_num_threads(1)
    net, x, y, theta, share = draw_runs(PHI, 16, RUNS, seed=0, shard=0)
    level = share * net.energy(theta, x, y).numpy()
    begin = time.process_time()
    starts = descend(net, x, y, theta, level)
    spent = (time.process_time() - begin) / starts.steps.sum() * 1000
    yield "hessrmt", "descent, 1000 replica-iterations", spent, None, None

    def search(kind):
        found = find_critical_points(
            net, x, y, starts.theta, search=kind, max_steps=STEPS, tolerance=GOAL
        )
        return found.grad_norm_sq < GOAL

    def cost(call):
        begin = time.process_time()
        passed = call()
        spent = (time.process_time() - begin) / max(sum(passed), 1)
        return spent, f"search, {sum(passed)} of {len(passed)} pass, each"

    search("projected")  # the first call of all loads and warms up
    own, what = cost(lambda: search("projected"))
    yield "hessrmt, projected", what, own, 1.0, None
    spent, what = cost(lambda: search("full"))
    yield "hessrmt, full", what, spent, spent / own, None
    first = range(PEER_RUNS)

    def peer(method):
        return np.array([by_scipy(net, x[i], y[i], starts.theta[i], method) for i in first])

    for method in ("trf", "lm"):
        spent, what = cost(lambda method=method: peer(method))
        yield f"scipy least_squares, {method}", what, spent, spent / own, None


if __name__ == "__main__":
    report("searches", rows(), ("hessrmt", "numpy", "scipy", "torch"))
