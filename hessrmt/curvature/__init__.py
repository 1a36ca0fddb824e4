"""Curvature of anybody's torch model, from products alone, for millions of parameters.

The Hessian in two parts, H0 and H1; their spectra, index, mixed moments and fits, with errors.
"""

from hessrmt.optional import door as _door

__getattr__, __dir__, __all__ = _door(__name__, __file__)
