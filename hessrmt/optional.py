"""Packages that only some functions need."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["require"]


def require(module: str, package: str, extra: str = "networks") -> Any:
    """Import a module of `package`, which the extra of that name installs.

    Raises
    ------
    ImportError
        If it is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"{package} is needed: pip install 'hessrmt[{extra}]'") from error
