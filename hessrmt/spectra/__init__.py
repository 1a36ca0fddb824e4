"""Finite random matrices and measured spectra, and how they compare with laws.

Ensembles, distances, spacings, the free sum of two spectra, and tests of freeness.
"""

from hessrmt.optional import door as _door

__getattr__, __dir__, __all__ = _door(__name__, __file__)
