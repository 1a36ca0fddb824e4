"""Make the stored results of the chapter on your own network.

    python book/scripts/your_network_data.py digits transformer

Trainings end elsewhere on another processor, and the spectra of a million parameters take ten
minutes. digits: the trained weights of the small classifier, and the eigenvalues of its dense
matrices. transformer: training, and what is measured before and after; finished runs are kept in
the folder out, and the same command continues from them.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from tables import DATA, session

from hessrmt import Curvature, survey_network
from hessrmt.curvature import digits_example, transformer_example
from hessrmt.files import write_text

OUT = Path(__file__).resolve().parents[2] / "out" / "your_network"
STEPS, PROBES, SEED = 30, 3, 0


def trained(example, steps, rate):
    """Parameters after so many steps of Adam on all examples at once."""
    model, _, data = example
    x, y = (torch.cat(parts) for parts in zip(*data, strict=True))
    optimiser = torch.optim.Adam(model.parameters(), lr=rate)
    for _ in range(steps):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        optimiser.step()
    return torch.nn.utils.parameters_to_vector(model.parameters()).detach().numpy()


def digits():
    """Weights of the classifier before and after training; dense eigenvalues of H, H0, H1."""
    held = {"trained": trained(digits_example(), 400, 0.01)}
    for stage, weights in (("initial", None), ("trained", held["trained"])):
        c = Curvature(*digits_example(weights))
        H, H0 = (operator @ np.eye(c.size) for operator in (c.hessian, c.h0))
        for part, matrix in (("hessian", H), ("h0", H0), ("h1", H - H0)):
            values = np.linalg.eigvalsh((matrix + matrix.T) / 2)
            held[f"{stage}.{part}"] = values.astype(np.float32)
    np.savez_compressed(DATA / "your_network_digits.npz", **held)


def transformer():
    """Both stages of the transformer block."""
    OUT.mkdir(parents=True, exist_ok=True)
    kept = OUT / "trained.npy"
    if not kept.exists():
        np.save(kept, trained(transformer_example(), 60, 5e-4))
    for stage in ("initial", "trained"):
        target = DATA / f"your_network_transformer_{stage}.npz"
        if not target.exists():
            c = Curvature(*transformer_example(None if stage == "initial" else np.load(kept)))
            begun = OUT / f"{stage}_{STEPS}_{PROBES}"
            survey_network(c, STEPS, PROBES, SEED, progress=True, checkpoint=str(begun)).save(
                target
            )


WHAT = {
    "digits": (
        digits,
        ["digits"],
        "a small classifier of digits: weights after training, dense eigenvalues of H, H0 and H1",
    ),
    "transformer": (
        transformer,
        ["transformer_initial", "transformer_trained"],
        "spectra and mixed moments of a transformer block with a million parameters",
    ),
}


def main():
    """Make what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("tables", nargs="+", choices=WHAT, metavar="TABLE", help="%(choices)s")
    torch.set_num_threads(1)
    for name in parser.parse_args().tables:
        make, files, what = WHAT[name]
        begin = time.perf_counter()
        make()
        made = session() | {"seconds": round(time.perf_counter() - begin, 1)}
        command = f"python book/scripts/your_network_data.py {name}"
        record = {"what": what, "command": command, "seed": SEED, "sessions": [made]}
        for file in files:
            text = json.dumps(record, indent=1) + "\n"
            write_text(DATA / f"your_network_{file}.json", text)


if __name__ == "__main__":
    main()
