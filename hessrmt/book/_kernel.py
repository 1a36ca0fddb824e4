"""The kernel that chapters run in: IPython's, with no configuration and no start-up files.

    python -m hessrmt.book._kernel -f CONNECTION_FILE

`hessrmt.hermetic` keeps the person's settings out of its environment; here is what no variable
does: a ``matplotlibrc`` in the chapter's folder, IPython's files of the whole machine.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import sys
from pathlib import Path

__all__ = ["main"]


def main() -> None:
    """Start the kernel that the command line describes, and serve it to its end."""
    here = Path.cwd()
    if sys.path and Path(sys.path[0]) == here:
        del sys.path[0]  # IPython puts it back, behind the standard library
    os.chdir(sys.prefix)
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    import matplotlib  # noqa: F401  (reads its settings; those in the current folder come first)

    os.chdir(here)
    if path := os.environ.pop("HESSRMT_VERSIONS", ""):
        Path(path).write_text(json.dumps(_versions()), encoding="utf-8")

    from ipykernel.kernelapp import IPKernelApp

    class ChapterKernel(IPKernelApp):  # type: ignore[misc]
        def load_config_file(self, *_: object) -> None:
            pass

        def _run_startup_files(self) -> None:
            pass

    # No remarks of the kernel on itself.
    ChapterKernel.launch_instance([*sys.argv[1:], "--log-level=CRITICAL"])


def _versions() -> dict[str, str]:
    """Return the versions of what the cells import from here on."""
    import numpy
    import scipy

    import hessrmt

    loaded = {module.__name__: module.__version__ for module in (hessrmt, numpy, scipy)}
    torch = {d.name: d.version for d in importlib.metadata.distributions(name="torch")}
    return {"python": platform.python_version(), **loaded, **torch}


if __name__ == "__main__":
    main()
