"""Spectral laws of random matrices and the Hessians of neural networks.

The public names are loaded on first use (SPEC 1), so that ``import hessrmt`` loads neither torch
nor sympy nor matplotlib. What there is stands in ``__init__.pyi``.
"""

import lazy_loader as _lazy

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
