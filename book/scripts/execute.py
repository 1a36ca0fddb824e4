"""Execute chapters in place, without timestamps.

    python book/scripts/execute.py [chapter.ipynb ...]

With no arguments all chapters of _toc.yml, several at a time. A chapter that fails is left as it
was. Only code outputs and counts change, so that a diff shows what a change in the package did.
"""

import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from tqdm import tqdm

from hessrmt.book import chapters

BOOK = Path(__file__).resolve().parents[1]


def execute(path: Path) -> str:
    """Run one chapter and write it back; return an error message, or nothing."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=900, record_timing=False, resources={"metadata": {"path": str(BOOK)}}
    )
    try:
        client.execute()
    except CellExecutionError as error:
        return f"{path.name}: {error.ename}: {error.evalue}"
    # The kernel reports its version, which would differ from machine to machine.
    notebook.metadata["language_info"] = {"name": "python"}
    path.write_text(nbformat.writes(notebook, indent=1) + "\n", encoding="utf-8")
    return ""


def main() -> int:
    """Execute what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebooks", nargs="*", type=Path)
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    arguments = parser.parse_args()
    paths = arguments.notebooks or [chapter.path for chapter in chapters(BOOK.parent)]
    failures = []
    with ProcessPoolExecutor(arguments.jobs) as pool:
        jobs = [pool.submit(execute, path) for path in paths]
        for job in tqdm(as_completed(jobs), total=len(jobs), unit="chapter"):
            failures += [job.result()] if job.result() else []
    print("\n".join(failures), file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
