"""Sweeps: a chapter rerun for every combination of some values, resumable.

Every run is a `hessrmt.book.rerun`, with its result where that would put it. What is there already
from the same sources is kept, so the same sweep again, after a kill, does the rest.
"""

from __future__ import annotations

import filecmp
import logging
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from itertools import islice, product
from multiprocessing import active_children, get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Any

from tqdm.auto import tqdm

from hessrmt.book._results import read_record
from hessrmt.book._sweep_index import check_plot, write_index
from hessrmt.book.contents import BookError
from hessrmt.book.parameters import one_line
from hessrmt.book.reruns import Job, Result, plan_jobs, run_job, source_digest
from hessrmt.optional import require
from hessrmt.processes import Terminated, unguarded
from hessrmt.validation import integer

__all__ = ["sweep"]


def sweep(
    chapter: str,
    grid: Mapping[str, Sequence[Any]],
    *,
    out: str | Path = "out",
    book: str | Path | None = None,
    html: bool = True,
    progress: bool = False,
    jobs: int = 1,
    force: bool = False,
    plot: str | None = None,
    scheduler: str | None = None,
) -> tuple[Path, list[Result]]:
    """Rerun a chapter for every combination of the values given.

    Results that are there already, from the same chapter, data and package, are kept: the same
    call after an interruption does what is missing.

    Parameters
    ----------
    chapter, out, book, html, progress
        As in `rerun`; `progress` counts the runs as well.
    grid : mapping of str to sequence
        The values that each parameter takes.
    jobs : int
        Number of runs at a time, each in its own process.
    force : bool
        Whether to redo what is there.
    plot : str, optional
        Name of a number that the chapter glues into its text, as the index has it: drawn against
        the first parameter that takes several values, and shown on the index.
    scheduler : str, optional
        Address of a Dask scheduler whose workers do the runs, instead of processes here. They
        must see the book, the package and `out` under the same paths.

    Returns
    -------
    index : Path
        Page with a table of the chapter's results in `out`, those of earlier calls included: the
        parameters, every glued number, every finding. ``numbers.csv`` beside it has the same.
    results : list of Result

    Raises
    ------
    BookError
        As in `rerun`, before anything has run; or when all is done, if some runs have failed.
    """
    jobs = integer("jobs", jobs, "[1, inf)")
    for name, values in grid.items():
        if isinstance(values, str) or not isinstance(values, Sequence) or not values:
            raise BookError(f"{name} must be given a list of values, got {values!r}")
    points = (dict(zip(grid, point, strict=True)) for point in product(*grid.values()))
    plan = plan_jobs(chapter, points, out, book, html)
    if plot is not None:
        check_plot(plot, plan[0].chapter)
    source = source_digest(plan[0].chapter)
    todo = [job for job in plan if force or not _finished(job, source)]
    failures = []
    done = len(plan) - len(todo)
    with tqdm(total=len(plan), initial=done, unit="run", disable=not progress) as bar:
        attempts = _attempts(todo, jobs, progress) if scheduler is None else _sent(todo, scheduler)
        for failure in attempts:
            failures += [failure] if failure else []
            bar.update()
    _share_theme(plan)
    index = write_index(plan[0], source, plot)
    if failures:
        raise BookError(f"{len(failures)} of {len(plan)} runs failed, the first: {failures[0]}")
    return index, [job.result for job in plan]


def _finished(job: Job, source: str) -> bool:
    page = job.result.page
    record = read_record(job.record)
    if record is None or not job.result.notebook.is_file():
        return False
    return bool(record["source"] == source) and (page is None or page.is_file())


def _attempts(todo: list[Job], jobs: int, progress: bool) -> Iterator[str | None]:
    """Carry out the jobs and yield, as each ends, how it failed."""
    if jobs == 1:
        bar = {"position": 1, "leave": False}
        for job in todo:
            yield _attempt(job, {**bar, "desc": job.target.name} if progress else False)
        return
    jobs = max(1, min(jobs, len(todo)))
    with unguarded(), ProcessPoolExecutor(jobs, get_context("spawn"), _start_worker) as pool:
        waiting = iter(todo)  # no more are handed over than run, so that Ctrl-C leaves none to do
        running = {pool.submit(_work, job) for job in islice(waiting, jobs)}
        try:
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                running |= {pool.submit(_work, job) for job in islice(waiting, len(done))}
                yield from (future.result() for future in done)
        except Terminated:  # which the workers have not heard of, as they would of Ctrl-C
            for process in active_children():
                if process.pid is not None:
                    os.kill(process.pid, signal.SIGINT)
            raise
        except BrokenProcessPool:
            raise BookError("a process was killed; the same sweep again does the rest") from None


def _sent(todo: list[Job], scheduler: str) -> Iterator[str | None]:
    """Have Dask's workers carry out the jobs; yield, as each ends, how it failed."""
    distributed = require("distributed", "dask", "campaign")
    try:
        client = distributed.Client(scheduler, timeout=30)
    except (OSError, ValueError) as error:
        raise BookError(f"no scheduler answers at {scheduler}: {one_line(error)}") from error
    with client:
        # Each job is another one, even if it is equal to one that failed before.
        futures = [client.submit(_attempt, job, pure=False) for job in todo]
        for future in distributed.as_completed(futures):
            yield future.result()


def _attempt(job: Job, progress: bool | dict[str, Any] = False) -> str | None:
    try:
        run_job(job, progress)
    except BookError as error:
        return f"{job.target.name}: {error}"
    return None


def _start_worker() -> None:
    """Make a worker ignore Ctrl-C while it is idle, and end when its parent is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _work(job: Job) -> str | None:
    """An attempt in a worker, which Ctrl-C ends."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return _attempt(job)
    except KeyboardInterrupt:
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # about the kernel just stopped
        raise
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _share_theme(plan: list[Job]) -> None:
    """Store what all pages have in common once, by hard links where there are such."""
    first, *others = (job.target / "html" / "_static" for job in plan)
    for other in others:
        for file in other.rglob("*"):
            twin = first / file.relative_to(other)
            if twin.is_file() and not twin.samefile(file) and filecmp.cmp(twin, file, False):
                link = file.with_name(f"{file.name}.link")
                with suppress(OSError):
                    os.link(twin, link)
                    link.replace(file)
