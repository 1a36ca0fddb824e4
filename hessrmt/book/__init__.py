"""The machinery of the book: chapters, reruns, sweeps, the audit, figures with and without sliders.

What needs matplotlib or papermill is loaded on first use.
"""

from hessrmt.optional import door as _door

__getattr__, __dir__, __all__ = _door(__name__, __file__)
