"""Cost of a search that passes |grad L|^2 < 1e-6, against scipy, as ratios within one run.

    python benchmarks/critical_points.py [--runs 24] [--peer-runs 2] [--phi 0.5]

From the same starts (random data at n = 16, descent to random levels) run, each until
|grad L|^2 < 1e-6:

- the projected and the full search of this package, in one batch, examination included, and
- ``scipy.optimize.least_squares`` on grad L = 0 with the exact Jacobian, the first few starts.

The cost is the time of a core for all runs, over the number that pass. Besides, plain descent in
replica-iterations per second, where its goal is 40,000. Goals at phi = 1/2: 0.3 s a run by the
projected search, 1.2 s by the full one, a tenth of what scipy takes. On a machine that does other
work too, all times grow, and the ratios stay.
"""

import argparse
import os
import time

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"  # before numpy is loaded

import numpy as np  # noqa: E402
import scipy.optimize  # noqa: E402
import torch  # noqa: E402

from hessrmt import descend, find_critical_points  # noqa: E402
from hessrmt.random_runs import draw_runs  # noqa: E402

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


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=24)
    parser.add_argument("--peer-runs", type=int, default=2)
    parser.add_argument("--phi", type=float, default=0.5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    net, x, y, theta, share = draw_runs(arguments.phi, 16, arguments.runs, seed=0, shard=0)
    level = share * net.energy(theta, x, y).numpy()
    begin = time.process_time()
    starts = descend(net, x, y, theta, level)
    rate = starts.steps.sum() / (time.process_time() - begin)
    print(f"plain descent: {rate:,.0f} replica-iterations per second of a core")

    def row(name, call):
        begin = time.process_time()
        passed = call()
        cost = (time.process_time() - begin) / max(sum(passed), 1)
        print(f"{name:34}{sum(passed):4} of {len(passed):3} pass{cost:10.3f} s a run that passes")
        return cost

    def search(kind):
        found = find_critical_points(
            net, x, y, starts.theta, search=kind, max_steps=STEPS, tolerance=GOAL
        )
        return found.grad_norm_sq < GOAL

    def peer(method):
        first = range(arguments.peer_runs)
        return np.array([by_scipy(net, x[i], y[i], starts.theta[i], method) for i in first])

    search("projected")  # the first call of all loads and warms up
    ours = {
        f"{kind} search": row(f"{kind} search", lambda k=kind: search(k))
        for kind in ("projected", "full")
    }
    for method in ("trf", "lm"):
        cost = row(f"scipy least_squares, {method}", lambda m=method: peer(m))
        print(
            "  over ours: " + ", ".join(f"{cost / own:.0f} ({name})" for name, own in ours.items())
        )


if __name__ == "__main__":
    main()
