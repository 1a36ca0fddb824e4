"""Names that load on first use, and packages that only some of them need."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import lazy_loader

__all__ = ["Missing", "door", "install_command", "require"]

# By package: the extra that installs it.
_EXTRAS = {
    **dict.fromkeys(["torch", "curvlinops", "sklearn", "PIL", "pooch"], "networks"),
    **dict.fromkeys(["matplotlib", "yaml", "papermill", "jupyter_client", "IPython"], "book"),
    **dict.fromkeys(["dask", "distributed", "threadpoolctl", "tqdm"], "campaign,networks"),
}
_CHECKOUT = Path(__file__).resolve().parents[1]


def install_command(extra: str) -> str:
    """Command that installs an extra: of the checkout where this is one, from any folder.

    Examples
    --------
    >>> install_command("networks").endswith("[networks]'")
    True
    """
    if (_CHECKOUT / "pyproject.toml").is_file():
        return f"pip install -e '{_CHECKOUT}[{extra}]'"
    return f"pip install 'hessrmt[{extra}]'"


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
        raise ImportError(f"{package} is needed: {install_command(extra)}") from error


class Missing:
    """Stands for a public name whose extra is not installed, and says so when it is used.

    So ``import *``, `help` and the completion of names need no extra.
    """

    def __init__(self, name: str, package: str) -> None:
        command = install_command(_EXTRAS[package])
        self._sentence = f"{name} needs {package}: {command}"
        self._package = package

    def __repr__(self) -> str:
        return f"<{self._sentence}>"

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse.

        Raises
        ------
        ModuleNotFoundError
            Always.
        """
        self._refuse()

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_"):  # what help and copy ask of any object
            raise AttributeError(name)
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise ModuleNotFoundError(self._sentence, name=self._package)


def door(
    package: str, file: str
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """What a room's ``__init__.py`` hands on: the names in the stub beside it, loaded lazily.

    Parameters
    ----------
    package, file : str
        The room's ``__name__`` and ``__file__``; the stub ``__init__.pyi`` there lists the names.

    Returns
    -------
    tuple
        ``__getattr__``, ``__dir__`` and ``__all__`` for the room.
    """
    load, names, public = lazy_loader.attach_stub(package, file)

    def get(name: str) -> Any:
        try:
            return load(name)
        except ModuleNotFoundError as error:
            missing = (error.name or "").partition(".")[0]
            if missing not in _EXTRAS:
                raise
            return Missing(name, missing)

    return get, names, public
