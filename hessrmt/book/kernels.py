"""Kernels of the interpreter that runs, in an environment without the person's own settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO, Any

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager

from hessrmt.hermetic import hermetic_environment, kernel_command

__all__ = ["kernel_manager", "kernel_versions"]

_VERSIONS = "versions.json"


def kernel_manager(folder: Path, log: IO[bytes] | None = None) -> type[AsyncKernelManager]:
    """Make a class of managers for nbclient and papermill, whatever kernel a notebook asks for.

    Parameters
    ----------
    folder : Path
        Place for the settings of the kernel, one for each; the caller removes it afterwards.
    log : binary file, optional
        Takes what the kernel says of itself: one that Ctrl-C finds still loading says it with a
        traceback, a dying one with a reason. By default it goes to standard error.

    Returns
    -------
    type
        Subclass of `jupyter_client.manager.AsyncKernelManager`.
    """

    class Manager(AsyncKernelManager):
        @property
        def kernel_spec(self) -> KernelSpec:
            return KernelSpec(argv=kernel_command(), display_name="Python 3", language="python")

        async def start_kernel(self, **options: Any) -> None:  # type: ignore[override]
            record = {"HESSRMT_VERSIONS": str(folder.resolve() / _VERSIONS)}
            options |= {"env": hermetic_environment(folder) | record}
            if log is not None:
                options["stderr"] = log
            await super().start_kernel(**options)  # type: ignore[func-returns-value]

    return Manager


def kernel_versions(folder: Path) -> dict[str, str]:
    """Return the versions of Python and packages in the kernel that had its settings there.

    They are those that the kernel itself found when it started.
    """
    versions: dict[str, str] = json.loads((folder / _VERSIONS).read_text(encoding="utf-8"))
    return versions
