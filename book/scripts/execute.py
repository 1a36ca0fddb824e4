"""Execute chapters side by side, the longest first.

    python book/scripts/execute.py [CHAPTER.ipynb ...]
    python book/scripts/execute.py --pages _build

In place, or into a folder from which pages are built. In place, `make notebooks`, only what a
change in the package did is written: a cell that prints what it printed, running times aside,
keeps its stored output, and a chapter that fails is left as it was. For pages, `make book`, a copy
of the book is executed, texts with code included; jupyter-book finds the results in a cache that
is made anew each time, so that it executes nothing itself and takes nothing from an earlier build.
Chapters that `make test` has executed, and of which nothing has changed since, are not executed
again.
"""

import argparse
import asyncio
import json
import os
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import nbformat
import yaml
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from myst_nb.core.read import is_myst_markdown_notebook, read_myst_markdown_notebook
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from tqdm import tqdm

from hessrmt.book import compared_execution, kernel_manager, toc_files

ROOT = Path(__file__).resolve().parents[2]
READERS = ("audit",)  # chapters that read what the others found
TIMEOUT = 900  # seconds for a cell
TIMES = json.loads((ROOT / "book/data/benchmarks.json").read_text(encoding="utf-8"))
EXPECTED = {row["method"]: row["seconds"] for row in TIMES["topics"]["chapters"]["rows"]}
SANITIZE = (ROOT / "tests/nbval_sanitize.cfg").read_text(encoding="utf-8")
VARIABLE = re.findall(r"regex: (.*)\nreplace: (.*)", SANITIZE)


@dataclass
class Run:
    """A chapter or page to execute, and what became of it."""

    path: Path
    notebook: NotebookNode
    seconds: float = 0.0
    error: str = ""

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem

    @property
    def expected(self) -> float:
        """Seconds that it took when the times were stored."""
        if self.path.suffix == ".md":
            return 5.0
        return float(EXPECTED.get(self.name, statistics.median(EXPECTED.values())))

    def execute(self, settings: Path, progress: Callable[[float], None]) -> None:
        """Execute the notebook where it is; `progress` gets the seconds that each cell stands for.

        `settings` is the folder of the kernel's environment.
        """
        cells = [c for c in self.notebook.cells if c.cell_type == "code"]
        begun = []
        client = NotebookClient(
            self.notebook,
            timeout=TIMEOUT,
            startup_timeout=300,
            record_timing=False,
            coalesce_streams=True,
            resources={"metadata": {"path": str(self.path.parent)}},
            kernel_manager_class=kernel_manager(settings / self.name),
            on_cell_execute=lambda cell, cell_index: begun.append(cell_index),
            on_cell_executed=lambda **_: progress(self.expected / len(cells)),
        )
        start = time.perf_counter()
        try:
            asyncio.run(client.async_execute())
        except CellExecutionError as error:
            self.error = f"{error.ename}: {error.evalue}"
        except (CellTimeoutError, DeadKernelError, RuntimeError) as error:
            self.error = f"{type(error).__name__}: {error}"
        self.seconds = time.perf_counter() - start
        if self.error:
            where = f"in code cell {len(begun)}" if begun else "to start"
            self.error = f"{self.name} failed {where}: {self.error.strip().splitlines()[0]}"
        # The kernel reports its version, which would differ from machine to machine.
        self.notebook.metadata["language_info"] = {"name": "python"}


def read(path: Path) -> Run | None:
    """Read a chapter, or a page if there is code in it."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        return Run(path, nbformat.reads(text, as_version=4))
    if is_myst_markdown_notebook(text):
        return Run(path, read_myst_markdown_notebook(text))
    return None


def execute(runs: Iterable[Run], jobs: int, finished: Callable[[Run], None]) -> list[str]:
    """Execute side by side, those that read the others last; return the errors.

    `finished` is called with each run that succeeded, before any that reads it begins.
    """
    runs = sorted(runs, key=lambda run: -run.expected)
    waves = [[], [], []]  # chapters, chapters that read them, pages
    for run in runs:
        waves[2 if run.path.suffix == ".md" else run.name in READERS].append(run)
    total = sum(run.expected for run in runs)
    longest = max((run.expected for run in runs), default=0)
    about = max(total / jobs, longest)
    names = ", ".join(run.name for wave in waves for run in wave)
    print(f"Executing {names}: {jobs} at a time, about {about / 60:.1f} minutes", flush=True)
    errors = []
    look = "{percentage:3.0f}%|{bar}| {elapsed}, {remaining} left"
    with (
        tempfile.TemporaryDirectory() as settings,
        tqdm(total=total, bar_format=look, smoothing=0, disable=None) as bar,
        ThreadPoolExecutor(jobs) as pool,
    ):
        try:
            for wave in waves:
                futures = {pool.submit(r.execute, Path(settings), bar.update): r for r in wave}
                for future in as_completed(futures):
                    run = futures[future]
                    future.result()
                    if run.error:
                        errors.append(run.error)
                    else:
                        finished(run)
                    tqdm.write(run.error or f"{run.name} {run.seconds:.0f} s", sys.stdout)
                    sys.stdout.flush()
        except KeyboardInterrupt:
            shutil.rmtree(settings, ignore_errors=True)
            print("interrupted", file=sys.stderr)
            os._exit(130)  # kernels end with the process that started them
    return errors


def same(one: list[NotebookNode], other: list[NotebookNode]) -> bool:
    """Whether outputs are equal, running times aside."""
    texts = [json.dumps(outputs, sort_keys=True) for outputs in (one, other)]
    for pattern, replacement in VARIABLE:
        texts = [re.sub(pattern, replacement, text) for text in texts]
    return texts[0] == texts[1]


def write_in_place(run: Run) -> None:
    """Write a chapter back, with the outputs that are new."""
    stored = nbformat.read(run.path, as_version=4)
    for old, new in zip(stored.cells, run.notebook.cells, strict=True):
        if new.cell_type == "code" and same(old.outputs, new.outputs):
            new.outputs = old.outputs
    text = nbformat.writes(run.notebook, indent=1) + "\n"
    if text != run.path.read_text(encoding="utf-8"):
        run.path.write_text(text, encoding="utf-8")


def build(folder: Path, jobs: int) -> list[str]:
    """Execute a copy of the book in `folder`, which is replaced; leave there what pages need."""
    chapters = [path for path in (ROOT / "book").glob("*.ipynb") if path.stem not in READERS]
    compared = {path: found for path in chapters if (found := compared_execution(path))}
    for old in folder.glob("*"):
        if old.name != "compared":
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    executed = folder / "executed"
    ignore = shutil.ignore_patterns(".*", "__pycache__")
    shutil.copytree(ROOT / "book", executed / "book", ignore=ignore)
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    paths = [executed / f"{file}{end}" for file in toc_files(toc) for end in (".ipynb", ".md")]
    cache = get_cache(folder / ".jupyter_cache")

    def finished(run: Run) -> None:
        source = ROOT / run.path.relative_to(executed)
        bundle = CacheBundleIn(run.notebook, source, data={"execution_seconds": run.seconds})
        cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
        if run.path.suffix == ".ipynb":
            nbformat.write(run.notebook, run.path)

    runs = []
    for run in filter(None, map(read, filter(Path.is_file, paths))):
        if found := compared.get(ROOT / run.path.relative_to(executed)):
            run.notebook = nbformat.reads(json.dumps(found), as_version=4)
            finished(run)
        else:
            runs.append(run)
    if compared:
        print(f"As make test has executed them: {', '.join(path.stem for path in compared)}")
    errors = execute(runs, jobs, finished)
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    config["execute"] |= {"execute_notebooks": "cache", "cache": str(cache.path)}
    (folder / "config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return errors


def main() -> int:
    """Execute what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("notebooks", nargs="*", type=Path, help="by default all chapters")
    parser.add_argument("--pages", metavar="DIR", type=Path, help="execute a copy, for pages")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    arguments = parser.parse_args()
    if arguments.pages:
        errors = build(arguments.pages.resolve(), arguments.jobs)
    else:
        toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
        paths = arguments.notebooks or [
            path for file in toc_files(toc) if (path := ROOT / f"{file}.ipynb").is_file()
        ]
        runs = [Run(p.resolve(), nbformat.read(p, as_version=4)) for p in paths]
        errors = execute(runs, arguments.jobs, write_in_place)
    print("\n".join(errors), file=sys.stderr, end="\n" if errors else "")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
