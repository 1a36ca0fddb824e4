"""Draw the picture of the README: ``python book/scripts/picture.py``."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from hessrmt import WishartPlusWigner, density_curve, use_style

use_style()
fig, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.6))
for energy in (0.0, 0.1, 0.5):
    density_curve(left, WishartPlusWigner(0.5).law(energy), label=f"ε = {energy:g}")
left.axvline(0, color="0.5", linewidth=1, linestyle="-")
left.set(xlabel="eigenvalue of the Hessian", ylabel="density")
left.legend()
energies = np.linspace(0, 1, 300)
for phi in (0.25, 0.5, 0.75):
    right.plot(energies, WishartPlusWigner(phi).index(energies), label=f"φ = {phi:g}")
right.set(xlabel="energy ε", ylabel="index α", ylim=(0, None))
right.legend()
fig.savefig(
    Path(__file__).resolve().parents[1] / "_static" / "picture.png",
    dpi=110,
    metadata={"Software": None},
)
