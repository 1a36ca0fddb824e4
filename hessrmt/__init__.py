"""Spectral laws of random matrices and the Hessians of neural networks.

The public names are loaded on first use (SPEC 1), so that ``import hessrmt`` loads neither torch
nor sympy nor matplotlib. What there is stands in ``__init__.pyi``.
"""

from typing import Any as _Any

import lazy_loader as _lazy

__version__ = "0.1.0"
_load, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
_EXTRAS = {"torch": "networks", "sklearn": "networks", "matplotlib": "book", "yaml": "book"}


def __getattr__(name: str) -> _Any:
    try:
        return _load(name)
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get(error.name or "", "campaign,networks")
        message = f"hessrmt.{name} needs {error.name}: pip install 'hessrmt[{extra}]'"
        raise ModuleNotFoundError(message, name=error.name) from error
