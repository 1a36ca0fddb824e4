"""Outliers under the noise of batches, after Baskerville et al. (2022), and damping.

Positions, overlaps and subordination by any `hessrmt.laws.SpectralLaw`; damped inverses.
"""

from hessrmt.optional import door as _door

__getattr__, __dir__, __all__ = _door(__name__, __file__)
