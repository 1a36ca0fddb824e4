"""An environment for kernels and workers that nothing of the person's own settings reaches.

What a chapter computes and shows follows from the chapter, its data and the packages alone. The
settings of whoever runs it stay outside: of matplotlib, IPython, Jupyter, Dask and Python itself,
the language, the number of threads. What concerns the machine goes through: where programs,
packages, proxies and graphics cards are, and the variables that name a processor to imitate.

    python -I -m hessrmt.hermetic COMMAND

runs a command in such an environment; whatever Jupyter kernels it starts are those of
`hessrmt.book`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

__all__ = ["PROCESSOR", "THREADS", "hermetic", "hermetic_environment", "kernel_command"]

# What names a processor to imitate: to OpenBLAS, torch, MKL and numpy.
PROCESSOR = (
    "OPENBLAS_CORETYPE",
    "ATEN_CPU_CAPABILITY",
    "MKL_ENABLE_INSTRUCTIONS",
    "NPY_DISABLE_CPU_FEATURES",
)
# One thread a process is faster for matrices of these sizes, and sums are reproducible.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")

# Variables that begin so are the person's own, and so are the names after them.
_OWN = (
    *("PYTHON", "IPYTHON", "JUPYTER", "PAPERMILL", "MPL", "MATPLOTLIB", "DASK_", "TQDM_"),
    *("OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "GOTO_", "BLIS_", "VECLIB_", "NUMEXPR_"),
    *("NPY_", "NUMPY_", "SCIPY_", "SYMPY_", "ATEN_", "TORCH", "PYTORCH_"),
    *("PYTEST_", "HYPOTHESIS_", "SPHINX", "DOCUTILS", "LC_"),
)
_OWN_NAMES = {"LANG", "LANGUAGE", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE"}
# Of those, what says where Python and its packages are, and whether it may write beside them.
_MACHINE = {"PYTHONHOME", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", *PROCESSOR}


def kernel_command() -> list[str]:
    """Return the command of a kernel of this interpreter, whatever kernels Jupyter knows."""
    return [sys.executable, "-m", "hessrmt.book._kernel", "-f", "{connection_file}"]


def hermetic_environment(
    folder: str | os.PathLike[str], environment: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return an environment without the person's own settings.

    Parameters
    ----------
    folder : path-like
        Where the settings of the programs are instead; it is made, and belongs to the caller, who
        removes it when the last process has ended.
    environment : mapping of str to str, optional
        The environment to begin with, by default that of this process.

    Returns
    -------
    dict of str to str

    Examples
    --------
    >>> import tempfile
    >>> mine = {"HOME": "/home/me", "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "8"}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     clean = hermetic_environment(folder, mine)
    >>> clean["HOME"], "MPLBACKEND" in clean, clean["OMP_NUM_THREADS"]
    ('/home/me', False, '1')
    """
    given = dict(os.environ if environment is None else environment)
    place = Path(folder).resolve()
    spec = place / "jupyter" / "kernels" / "python3"
    for path in (spec, place / "ipython", place / "config" / "jupyter", place / "packages"):
        path.mkdir(parents=True, exist_ok=True)
    (place / "matplotlibrc").touch()
    kernel = {"argv": kernel_command(), "display_name": "Python 3", "language": "python"}
    (spec / "kernel.json").write_text(json.dumps(kernel), encoding="utf-8")
    kept = {k: v for k, v in given.items() if k in _MACHINE or not _is_own(k)}
    packages = [os.path.abspath(p) for p in given.get("PYTHONPATH", "").split(os.pathsep) if p]
    if packages:  # packages from there, but nothing that runs by itself when Python starts
        for name in ("sitecustomize.py", "usercustomize.py"):
            (place / "packages" / name).touch()
        kept["PYTHONPATH"] = os.pathsep.join([str(place / "packages"), *packages])
    return {
        **kept,
        **dict.fromkeys(THREADS, "1"),
        "LC_ALL": "C.UTF-8",
        "PYTHONUTF8": "1",
        "PYTHONNOUSERSITE": given.get("PYTHONNOUSERSITE", ""),
        "XDG_CONFIG_HOME": str(place / "config"),
        "MATPLOTLIBRC": str(place / "matplotlibrc"),
        "IPYTHONDIR": str(place / "ipython"),
        "JUPYTER_CONFIG_DIR": str(place / "config" / "jupyter"),
        "JUPYTER_DATA_DIR": str(place / "jupyter"),
        "JUPYTER_PATH": str(place / "jupyter"),
        "JUPYTER_RUNTIME_DIR": str(place / "runtime"),
        "DASK_CONFIG": str(place / "config"),
    }


def _is_own(name: str) -> bool:
    return name.upper().startswith(_OWN) or name.upper() in _OWN_NAMES


@contextmanager
def hermetic() -> Iterator[None]:
    """Give this process such an environment for a while, for processes that only inherit one."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory() as folder:
        clean = hermetic_environment(folder)
        try:
            _replace(clean)
            yield
        finally:
            _replace(before)


def _replace(environment: Mapping[str, str]) -> None:
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    os.environ.update(environment)


def main(command: Sequence[str]) -> int:
    """Run a command in a hermetic environment; return its exit code."""
    if not command:
        print("usage: python -I -m hessrmt.hermetic COMMAND", file=sys.stderr)
        return 2
    with hermetic():
        process = subprocess.Popen(command)
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:  # the command has it from the terminal as well
                continue


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
