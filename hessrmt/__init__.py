"""Spectral laws of random matrices and the Hessians of neural networks.

The package has a room for each subject of the book: `laws`, `spectra`, `hessians`, `networks`,
`curvature`, `critical_points`, `campaigns`, `spin_glass`, `batch_noise` and `book`. The names used
most are handed on here. All are loaded on first use (SPEC 1), so that ``import hessrmt`` loads
neither torch nor sympy nor matplotlib. What there is stands in ``__init__.pyi``.
"""

from hessrmt.optional import door as _door

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = _door(__name__, __file__)
