"""Products with Hessians and a spectrum of 100 points, against peers, for 1e4 to 1e6 parameters.

    make bench

A perceptron with two hidden layers, tanh, cross-entropy, 512 examples in one batch, float32, one
core, processor time. Each method in a process of its own, for its memory: the peak during the
spectrum, beyond what the process held before. Spectra take 100 products by Lanczos' method, in 4
runs, and are smoothed by a normal density of a twenty-fifth of the range:

- `hessrmt.Curvature`: one run finds the outliers, three measure the rest;
- curvlinops, ``lanczos_approximate_spectrum``;
- the PyPI packages ``pyhessian`` (with ``torch.eig``, which torch has lost, put back) and
  ``hessian-eigenthings`` (the name under which pytorch-hessian-eigenthings is published).

The error of a product is relative, in norm, to two reverse passes in float64. That of a spectrum is
the integral of |difference| to the density of all eigenvalues, where these can be computed (1e4).
Besides, how the time of a product with H grows with parameters and with examples.
"""

from table import TARGET, report  # isort: skip  (first: it sets the number of threads)

import json
import subprocess
import sys
import time
import warnings

import numpy as np
import torch
from scipy import stats

from hessrmt import Curvature, lanczos_spectrum

EXAMPLES, INPUTS, CLASSES, RUNS, STEPS, WIDTH = 512, 32, 10, 4, 25, 1 / 25
HIDDEN = {"1e4": 79, "1e5": 295, "1e6": 978}
PEERS = ("curvlinops", "pyhessian", "hessian-eigenthings")


def seconds(call):
    """Least processor time of five calls: other work on the machine counts little in it."""
    times = []
    for _ in range(5):
        begin = time.process_time()
        call()
        times.append(time.process_time() - begin)
    return min(times)


def network(hidden, dtype=torch.float32):
    """Model with that many units in each hidden layer, the same in every call."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        sizes = (INPUTS, hidden), (hidden, hidden), (hidden, CLASSES)
        first, second, last = (torch.nn.Linear(*s) for s in sizes)
    tanh = torch.nn.Tanh()
    return torch.nn.Sequential(first, tanh, second, tanh, last).to(dtype)


def examples(count, dtype=torch.float32):
    """Normal inputs and labels by a random plane, which a network can learn."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((count, INPUTS))
    y = (x @ rng.standard_normal((INPUTS, CLASSES))).argmax(axis=1)
    return torch.from_numpy(x).to(dtype), torch.from_numpy(y)


def products_of(method, model, x, y):
    """H and, where there is one, H0 times a numpy vector; and the density on a grid."""
    loss, data = torch.nn.CrossEntropyLoss(), [(x, y)]
    if method == "hessrmt":
        c = Curvature(model, "cross-entropy", data)
        return (
            c.hessian.matvec,
            c.h0.matvec,
            lambda grid, width: lanczos_spectrum(
                c.hessian, steps=STEPS, starts=RUNS - 1, rng=0
            ).density(grid, width)[0],
        )
    params = list(model.parameters())
    if method == "curvlinops":
        from curvlinops import GGNLinearOperator, HessianLinearOperator
        from curvlinops.papyan2020traces.spectrum import lanczos_approximate_spectrum

        pair = [
            kind(model, loss, params, data, check_deterministic=False)
            for kind in (HessianLinearOperator, GGNLinearOperator)
        ]

        def spectrum(grid, width):  # of its own grid; kappa sets the width
            margin = 0.05
            half = (grid[-1] - grid[0]) / 2 * (1 + 2 * margin)
            kappa = np.exp((2 * half / (STEPS - 1) / width) ** 2 / 8)
            at, density = lanczos_approximate_spectrum(
                pair[0], STEPS, 100, RUNS, kappa, (grid[0], grid[-1]), margin
            )
            return np.interp(grid, at.numpy(), density.numpy())

        return *((lambda v, A=A: (A @ torch.from_numpy(v)).numpy()) for A in pair), spectrum
    if method == "pyhessian":
        from pyhessian import hessian
        from pyhessian.utils import hessian_vector_product

        def eig(matrix, eigenvectors):
            values, vectors = torch.linalg.eigh(matrix)
            return torch.stack([values, 0 * values], dim=1), vectors

        torch.eig = eig  # which pyhessian 0.1 asks for, and torch no longer has
        peer = hessian(model, loss, data=(x, y), cuda=False)

        def product(v):
            parts = torch.from_numpy(v).split([p.numel() for p in peer.params])
            parts = [part.view(p.shape) for part, p in zip(parts, peer.params, strict=True)]
            made = hessian_vector_product(peer.gradsH, peer.params, parts)
            return torch.cat([part.reshape(-1) for part in made]).numpy()

        def spectrum(grid, width):
            places, masses = map(np.array, peer.density(iter=STEPS, n_v=RUNS))
            return smooth(grid, width, places.ravel(), masses.ravel() / RUNS)

        return product, None, spectrum
    import hessian_eigenthings as peer
    from hessian_eigenthings.loss_fns import standard

    H = peer.HessianOperator(model, data, standard.supervised_loss(loss))
    forward, outer = standard.supervised_forward, standard.supervised_loss_of_output(loss)
    H0 = peer.GGNOperator(model, data, forward, outer)

    def spectrum(grid, width):
        found = peer.spectral_density(
            H, num_runs=RUNS, lanczos_steps=STEPS, num_grid_points=100, sigma=width, seed=0
        )
        return np.interp(grid, found.grid.numpy(), found.density.numpy())

    return *(
        (lambda v, A=A: A.matvec(torch.from_numpy(v)).detach().numpy()) for A in (H, H0)
    ), spectrum


def smooth(x, width, places, masses):
    return stats.norm.pdf(x[:, None], places, width) @ masses


def measured(method, size, low, high):
    """What one process finds out, as JSON: seconds, products, density, memory in MB."""
    torch.set_num_threads(1)
    model, (x, y) = network(HIDDEN[size]), examples(EXAMPLES)
    count = sum(p.numel() for p in model.parameters())
    v = np.random.default_rng(1).standard_normal(count).astype(np.float32)
    H, H0, spectrum = products_of(method, model, x, y)
    found = {"parameters": count}
    for name, product in (("H", H), ("H0", H0)):
        if product is not None:
            found[name] = np.asarray(product(v), dtype=np.float64).tolist()
            found[f"{name} seconds"] = seconds(lambda product=product: product(v))
    grid = np.linspace(low, high, 100)
    before = memory()
    begin = time.process_time()
    found["density"] = np.asarray(spectrum(grid, WIDTH * (high - low)), dtype=np.float64).tolist()
    found["spectrum seconds"] = time.process_time() - begin
    found["megabytes"] = memory("VmHWM") - before
    return found


def memory(kind="VmRSS"):
    """Megabytes that this process holds now, or with VmHWM has held at most.

    (What getrusage calls the most is inherited from the process that starts this one.)
    """
    with open("/proc/self/status", encoding="ascii") as file:
        (line,) = (line for line in file if line.startswith(kind))
    return int(line.split()[1]) / 1024


def truth(size):
    """H and H0 times the vector in float64, by two reverse passes, and the range of H."""
    model, (x, y) = network(HIDDEN[size], torch.float64), examples(EXAMPLES, torch.float64)
    params = list(model.parameters())
    v = np.random.default_rng(1).standard_normal(sum(p.numel() for p in params))
    v = torch.from_numpy(v.astype(np.float32).astype(np.float64))

    def flat(parts):
        return torch.cat([part.reshape(-1) for part in parts])

    def gradient(of, at, along=None):
        return torch.autograd.grad(of, at, along, create_graph=True)

    outputs = model(x)
    loss = torch.nn.functional.cross_entropy(outputs, y)
    H = flat(gradient(flat(gradient(loss, params)) @ v, params)).detach().numpy()
    u = torch.zeros_like(outputs, requires_grad=True)
    (along,) = gradient(flat(gradient(outputs, params, u)) @ v, u)
    at = outputs.detach().requires_grad_(True)
    slope = gradient(torch.nn.functional.cross_entropy(at, y), at)
    (curved,) = gradient(slope, at, along.detach())
    H0 = flat(gradient(outputs, params, curved.detach())).detach().numpy()
    c = Curvature(model, "cross-entropy", [(x, y)])
    ends = lanczos_spectrum(c.hessian, steps=STEPS, starts=1, rng=0)
    low, high = float(ends.lowest[0, 0]), float(ends.highest[0, 0])
    if size != "1e4":
        return H, H0, low, high, None
    matrix = np.concatenate(
        [c.hessian @ np.eye(c.size, 16, -k)[:, : c.size - k] for k in range(0, c.size, 16)], axis=1
    )
    return H, H0, low, high, np.linalg.eigvalsh((matrix + matrix.T) / 2)


def rows():
    torch.set_num_threads(1)
    for size in HIDDEN:
        H, H0, low, high, eigenvalues = truth(size)
        grid, exact = np.linspace(low, high, 100), None
        if eigenvalues is not None:
            ones = np.full(eigenvalues.size, 1 / eigenvalues.size)
            exact = smooth(grid, WIDTH * (high - low), eigenvalues, ones)
        own = {}
        for method in ("hessrmt", *PEERS):
            command = [sys.executable, __file__, "--measure", method, size, str(low), str(high)]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                print(f"{method}: {done.stderr.strip().splitlines()[-1]}")
                continue
            found = json.loads(done.stdout.splitlines()[-1])
            for name, wanted in (("H", H), ("H0", H0), ("spectrum", exact)):
                if f"{name} seconds" not in found:
                    continue
                spent = found[f"{name} seconds"]
                own.setdefault(name, spent)
                error = None
                if name == "spectrum" and exact is not None:
                    off = np.abs(np.array(found["density"]) - exact)
                    error = float(np.trapezoid(off, grid))
                elif name != "spectrum":
                    error = np.linalg.norm(np.array(found[name]) - wanted) / np.linalg.norm(wanted)
                what = "spectrum, 100 points" if name == "spectrum" else f"product with {name}"
                held = found["megabytes"] if name == "spectrum" else None
                label = f"{what}, {size}"
                yield method, label, spent, spent / own[name], error, held


def growth():
    """Seconds of a product with H by parameters and by examples, with slopes in logarithms."""
    torch.set_num_threads(1)

    def product(hidden, count):
        x, y = examples(count)
        batches = list(zip(x.split(EXAMPLES), y.split(EXAMPLES), strict=True))
        c = Curvature(network(hidden), "cross-entropy", batches)
        v = np.ones(c.size, dtype=np.float32)
        return c.size, seconds(lambda: c.hessian @ v)

    made = {
        "parameters": [product(hidden, EXAMPLES) for hidden in (79, 158, 295, 545, 978, 1710)],
        "examples": [
            (count, product(HIDDEN["1e5"], count)[1]) for count in (128, 256, 512, 1024, 2048, 4096)
        ],
    }
    result = {}
    for name, pairs in made.items():
        x, y = np.transpose(pairs)
        upper = slice(len(x) // 2, None)  # where the fixed cost of a call no longer counts
        slope = np.polyfit(np.log(x[upper]), np.log(y[upper]), 1)[0]
        result[name] = {"x": x.tolist(), "seconds": y.tolist(), "slope": float(slope)}
        print(f"time of a product with H grows as {name}^{slope:.2f} in the upper half")
    return result


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # what peers say
    if sys.argv[1:2] == ["--measure"]:
        method, size, low, high = sys.argv[2:]
        print(json.dumps(measured(method, size, float(low), float(high))))
    else:
        packages = ("hessrmt", "torch", "curvlinops-for-pytorch", *PEERS[1:])
        report("curvature", rows(), packages)
        if "--save" in sys.argv:
            stored = json.loads(TARGET.read_text(encoding="utf-8"))
            stored["topics"]["curvature"]["growth"] = growth()
            text = json.dumps(stored, indent=1, ensure_ascii=False) + "\n"
            TARGET.write_text(text, encoding="utf-8")
        else:
            growth()
