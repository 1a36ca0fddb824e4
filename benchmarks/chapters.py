"""How long every chapter takes to execute, one after the other on one core.

    make bench

`make book` executes them in the same kernels, side by side, and takes the order from these times.
"""

from table import report  # isort: skip  (first: it sets the number of threads)

import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from hessrmt.book import chapters, kernel_manager

ROOT = Path(__file__).resolve().parents[1]


def rows():
    for chapter in chapters(ROOT):
        notebook = nbformat.read(chapter.path, as_version=4)
        begin = time.perf_counter()
        with tempfile.TemporaryDirectory() as settings:
            NotebookClient(
                notebook,
                timeout=900,
                resources={"metadata": {"path": str(ROOT / "book")}},
                kernel_manager_class=kernel_manager(Path(settings)),
            ).execute()
        yield chapter.name, "executed", time.perf_counter() - begin, None, None


if __name__ == "__main__":
    report("chapters", rows(), ("hessrmt", "numpy", "torch", "jupyter-book"))
