"""Spectral laws given by their R-transforms, and their algebra: free sums, scales, shifts.

Density, distribution, quantiles, support, atoms and moments follow from R for every law alike.
"""

from hessrmt.optional import door as _door

__getattr__, __dir__, __all__ = _door(__name__, __file__)
