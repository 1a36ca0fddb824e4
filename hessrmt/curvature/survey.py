"""All that the book asks of a network's Hessian, measured together and kept in one small file."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from os import PathLike
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hessrmt.curvature.fits import free_prediction_cdf
from hessrmt.curvature.mixed_moments import MeasuredMoment
from hessrmt.curvature.operators import Curvature
from hessrmt.curvature.spectrum import Spectrum
from hessrmt.spectra import first_violation
from hessrmt.validation import choice, integer, real

__all__ = ["Outliers", "Survey", "survey_network"]

Real: TypeAlias = NDArray[np.float64]

PARTS = ("hessian", "h0", "h1")
_LARGE = 0.02  # of the largest eigenvalue: below it nothing is an outlier
_GAP = 1.5  # smallest ratio of neighbours that is called a gap


class Outliers(NamedTuple):
    """Eigenvalues above the widest gap at the upper end, descending, and the ratio across it."""

    values: Real
    gap: float


@dataclass(frozen=True)
class Survey:
    """Spectra of H, H0 and H1 of a network, and the mixed moments of H0 and H1.

    Attributes
    ----------
    loss : float
        Its value.
    spectra : dict of str to Spectrum
        By "hessian", "h0", "h1".
    moments : list of MeasuredMoment
        Of H0 (A) and H1 (B).
    """

    loss: float
    spectra: dict[str, Spectrum]
    moments: list[MeasuredMoment]

    @property
    def size(self) -> int:
        """P, the number of parameters."""
        return self.spectra["hessian"].size

    @property
    def violation(self) -> int | None:
        """First order at which a mixed moment differs from its free value, or None."""
        return first_violation(self.moments)

    def norm(self, part: str) -> float:
        """Largest size of an eigenvalue of "hessian", "h0" or "h1"."""
        spectrum = self.spectra[choice("part", part, " | ".join(PARTS))]
        return float(np.abs([spectrum.lowest[0, 0], spectrum.highest[0, 0]]).max())

    def resolved_cutoff(self, error: float = 0.01) -> float:
        """Smallest size of an eigenvalue from which the index of H is measured that well.

        Steps tell no eigenvalues apart in the crowd around 0. Of the sizes from 1e-4 of the norm
        of H up, four a decade, the first beyond which the index has at most this error; the norm
        itself if there is none.

        Parameters
        ----------
        error : float
            Standard error of the index, in (0, 1].

        Returns
        -------
        float
        """
        real("error", error, "(0, 1]")
        sizes = self.norm("hessian") * 10 ** np.linspace(-4, 0, 17)
        known = [self.spectra["hessian"].index(float(size))[1] <= error for size in sizes]
        return float(sizes[known.index(True) if True in known else -1])

    def prediction(self, x: ArrayLike) -> tuple[Real, Real]:
        """Distribution function of the free sum of H0 and H1, and its error."""
        return free_prediction_cdf(self.spectra["h0"], self.spectra["h1"], x)

    def outliers(self, part: str = "h0") -> Outliers:
        """Find the outliers at the upper end.

        The widest gap is where the ratio of neighbouring eigenvalues is largest, among those that
        Lanczos' method has found to 1%, with at most a tenth of all eigenvalues above it, and these
        above 2% of the largest; it is one if the ratio is 1.5 or more.

        Parameters
        ----------
        part : {"hessian", "h0", "h1"}
            The operator.

        Returns
        -------
        Outliers
            None, and a ratio of 1, if there is no gap.
        """
        found = self.spectra[choice("part", part, " | ".join(PARTS))].highest
        sharp = (found[:, 1] < 0.01 * np.abs(found[:, 0])) & (found[:, 0] > 0)
        known = found[: len(found) if sharp.all() else int(np.argmin(sharp)), 0]
        large = int(np.sum(known > _LARGE * known[0])) if known.size else 0
        known = known[: min(large, -(-self.size // 10)) + 1]
        ratios = known[:-1] / known[1:]
        if not ratios.size or ratios.max() < _GAP:
            return Outliers(known[:0], 1.0)
        return Outliers(known[: int(ratios.argmax()) + 1], float(ratios.max()))

    def save(self, path: str | PathLike[str]) -> None:
        """Write all to a file of numpy's, ``.npz``."""
        held: dict[str, Any] = {"loss": self.loss}
        for part, s in self.spectra.items():
            held[f"{part}.numbers"] = [s.size, s.precision, s.cutoff, s.starts]
            held |= {f"{part}.{name}": getattr(s, name) for name in ("exact", "lowest")}
            for k, (alpha, beta) in enumerate(s.runs):
                held |= {f"{part}.alpha{k}": alpha, f"{part}.beta{k}": beta}
        rows = [astuple(row) for row in self.moments]
        held["words"] = [row[0] for row in rows]
        held["moments"] = [row[1:] for row in rows]
        np.savez_compressed(path, **held)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Survey:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as file:
            held = dict(file)
        spectra = {}
        for part in PARTS:
            size, precision, cutoff, starts = held[f"{part}.numbers"]
            runs = tuple(
                (held[f"{part}.alpha{k}"], held[f"{part}.beta{k}"]) for k in range(int(starts))
            )
            lowest = held[f"{part}.lowest"]
            spectra[part] = Spectrum(
                *(int(size), held[f"{part}.exact"], runs, lowest, lowest[::-1]),
                *(float(precision), float(cutoff)),
            )
        moments = [
            MeasuredMoment(str(word), *map(float, row))
            for word, row in zip(held["words"], held["moments"], strict=True)
        ]
        return cls(float(held["loss"]), spectra, moments)


def survey_network(
    curvature: Curvature,
    steps: int = 40,
    probes: int = 4,
    rng: int = 0,
    *,
    progress: bool = False,
    checkpoint: str | None = None,
) -> Survey:
    """Measure the spectra of H, H0 and H1 and the mixed moments of H0 and H1.

    Parameters
    ----------
    curvature : Curvature
        Of the network.
    steps : int
        Of Lanczos' method, a run; >= 2.
    probes : int
        Random vectors for each spectrum, and four times as many for the moments; >= 2.
    rng : int
        Seed.
    progress : bool
        Whether to show, on standard error, what is done and the time left.
    checkpoint : str, optional
        Beginning of the names of three files that hold finished runs of the spectra; the same call
        again continues from them.

    Returns
    -------
    Survey

    Raises
    ------
    TypeError, ValueError
        For arguments outside their domains.

    Examples
    --------
    >>> from hessrmt import Curvature, survey_network
    >>> from hessrmt.curvature import hidden_layer_example
    >>> s = survey_network(Curvature(*hidden_layer_example()), steps=20, probes=4)
    >>> s.size, s.violation
    (512, 3)
    """
    probes, rng = integer("probes", probes, "[2, inf)"), integer("rng", rng, "[0, inf)")
    spectra = {
        part: curvature.spectrum(
            part,
            steps=steps,
            starts=probes,
            rng=rng,
            progress=progress,
            checkpoint=None if checkpoint is None else f"{checkpoint}_{part}.npz",
        )
        for part in PARTS
    }
    moments = curvature.mixed_moments(starts=4 * probes, rng=rng, progress=progress)
    return Survey(curvature.loss, spectra, moments)
