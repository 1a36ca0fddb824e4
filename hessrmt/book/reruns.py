"""Checked reruns of the book's chapters with other parameters.

Everything is checked before anything runs. The book is only read. A result is put together in a
hidden folder and moved to its place when complete, so that a rerun which fails or is interrupted
leaves an earlier result as it was.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import papermill
import yaml
from papermill.iorw import load_notebook_node

from hessrmt.book._references import inventory, references
from hessrmt.book._results import RECORD, hidden_folder, put_in_place
from hessrmt.book.contents import (
    BookError,
    Chapter,
    Value,
    chapter_numbers,
    find_chapter,
    literal,
    read_yaml,
    toc_files,
)
from hessrmt.book.kernels import kernel_manager, kernel_versions
from hessrmt.hermetic import hermetic_environment

__all__ = ["Job", "Result", "plan_jobs", "rerun", "run_job", "source_digest"]

# What papermill logs at a kernel's end, `BookError` says.
logging.getLogger("papermill").addHandler(logging.NullHandler())

_FAILED, _LOG = ".failed.ipynb", ".failed.log"
_LITTER = (
    *("~", ".swp", ".swo", ".bak", ".orig", ".rej", ".tmp", ".part", ".pyc"),
    *(".lock", "-wal", "-shm", "-journal"),
    *("Thumbs.db", "desktop.ini", "__pycache__", "__MACOSX", "Icon\r"),
)


@dataclass(frozen=True)
class Result:
    """The files of a rerun: the executed notebook, and its HTML page unless it was unwanted."""

    notebook: Path
    page: Path | None


@dataclass(frozen=True)
class Job:
    """One rerun, checked: the values given, and the folder for its result."""

    chapter: Chapter
    values: dict[str, Value]
    target: Path
    html: bool

    @property
    def record(self) -> Path:
        """What was run: parameters, versions, time, and a digest of the sources."""
        return self.target / RECORD

    @property
    def result(self) -> Result:
        """Where the notebook and its page will be."""
        page = self.target / "html" / self.chapter.path.relative_to(self.chapter.root)
        notebook = self.target / self.chapter.path.name
        return Result(notebook, page.with_suffix(".html") if self.html else None)

    def beside(self, suffix: str) -> Path:
        """A path beside the result, for what is left of a failure."""
        return self.target.with_name(self.target.name + suffix)


def rerun(
    chapter: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    out: str | Path = "out",
    book: str | Path | None = None,
    html: bool = True,
    progress: bool = False,
) -> Result:
    """Execute a chapter with other parameters and make a page of it.

    Parameters
    ----------
    chapter : str
        Name of the notebook, with or without folder and ``.ipynb``.
    parameters : mapping of str to value, optional
        What differs from the chapter's defaults.
    out : str or Path
        Results go to ``out/<chapter>/<parameter=value,...>/``.
    book : str or Path, optional
        As in `hessrmt.book.chapters`.
    html : bool
        Whether to make the page, in the book's own style and readable offline.
    progress : bool
        Whether to show the cells done and the time left, on standard error.

    Returns
    -------
    Result

    Raises
    ------
    BookError
        If the chapter or a parameter is unknown, or a value is of the wrong type or outside its
        domain, in which case nothing has run; or if a cell fails, in which case the notebook as
        far as it came is kept beside the place of the result.
    """
    (job,) = plan_jobs(chapter, [parameters or {}], out, book, html)
    run_job(job, {"desc": job.chapter.name} if progress else False)
    return job.result


def plan_jobs(
    name: str,
    points: Iterable[Mapping[str, Any]],
    out: str | Path,
    book: str | Path | None,
    html: bool,
) -> list[Job]:
    """Check everything, and say what would run; equal points once."""
    if html and importlib.util.find_spec("jupyter_book") is None:
        raise BookError("pages are made by jupyter-book: pip install 'hessrmt[book]'")
    chapter = find_chapter(name, book)
    folder = Path(os.path.realpath(Path(out) / chapter.name))
    targets = {folder / _label(v): v for v in map(chapter.check, points)}
    for place in (folder, *targets):  # wherever links lead
        if Path(os.path.realpath(place)).is_relative_to(chapter.path.parent):
            raise BookError(f"out must be a folder outside of the book, got {out}")
        if place.is_symlink() or (os.path.lexists(place) and not place.is_dir()):
            raise BookError(f"{_shown(place)} is in the way: it is no folder of a result")
    return [Job(chapter, values, target, html) for target, values in targets.items()]


def _label(values: Mapping[str, Value]) -> str:
    """Name of a result's folder: readable, and the same for the same values.

    >>> _label({"phi": 0.25, "panels": [0.5, 1.0]})
    'phi=0.25,panels=0.5_1.0'
    """
    texts = {k: "_".join(map(str, v)) if isinstance(v, list) else str(v) for k, v in values.items()}
    text = ",".join(f"{name}={value}" for name, value in texts.items()) or "default"
    safe = re.sub(r"[^\w.,=+-]", "_", text)
    if safe == text and len(text) <= 100:
        return text
    digest = hashlib.sha256(json.dumps(values).encode()).hexdigest()
    return f"{safe[:80]}-{digest[:12]}"


def source_digest(chapter: Chapter) -> str:
    """Digest of what a result follows from: the chapter's cells and data, and this package."""
    digest = hashlib.sha256()
    for cell in load_notebook_node(str(chapter.path)).cells:
        digest.update(cell.source.encode())
    package, data = Path(__file__).resolve().parents[1], chapter.path.with_name("data")
    for root, pattern in ((package, "*.py"), (data, "*")):
        for file in sorted(root.rglob(pattern)):
            name = file.relative_to(root)
            if file.is_file() and not any(map(_is_litter, name.parts)):
                content = hashlib.sha256(file.read_bytes()).hexdigest()
                digest.update(f"{name.as_posix()} {content}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _is_litter(name: str) -> bool:
    """Whether a file is none of the sources: what systems, editors and programs leave behind."""
    return name.startswith((".", "~$", "#")) or name.endswith(_LITTER) or name in _LITTER


def run_job(job: Job, progress: bool | dict[str, Any]) -> None:
    """Carry a job out in a hidden folder beside its place, then move the result there."""
    with hidden_folder(job.target) as hidden:
        notebook = hidden / "result" / job.chapter.path.name
        notebook.parent.mkdir()
        try:
            source, start = source_digest(job.chapter), time.perf_counter()
            versions = _execute(job, notebook, progress)
            record = _record(job, source, time.perf_counter() - start, versions)
            if job.html:
                _make_page(job, notebook, hidden / "site")
        except BookError as error:
            kept = notebook.replace(job.beside(_FAILED))
            raise BookError(f"{error} (notebook: {_shown(kept)})") from error
        put_in_place(job.target, notebook.parent, record)
        for suffix in (_FAILED, _LOG):
            job.beside(suffix).unlink(missing_ok=True)


def _record(job: Job, source: str, seconds: float, versions: dict[str, str]) -> dict[str, Any]:
    return {
        "chapter": job.chapter.name,
        "parameters": job.values,
        "seconds": round(seconds, 1),
        "source": source,
        "versions": versions,
    }


def _execute(job: Job, notebook: Path, progress: bool | dict[str, Any]) -> dict[str, str]:
    """Execute the chapter, and return the versions of what it ran with."""
    path, log = job.chapter.path, notebook.parent.with_name("kernel.log")
    # Not in the hidden folder: a kernel may outlive an interruption by a moment, and write there.
    settings = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    try:
        with settings as folder, log.open("wb") as stream:
            papermill.execute_notebook(
                literal(path),
                literal(notebook),
                job.values,
                cwd=path.parent,
                progress_bar=progress,
                start_timeout=300,  # a machine may be busy
                kernel_manager_class=kernel_manager(Path(folder), stream),
            )
            return kernel_versions(Path(folder))
    except papermill.PapermillExecutionError as error:
        reason = f"{error.ename}: {error.evalue}"
    except (RuntimeError, KeyError) as error:  # the kernel died, or there is none of that name
        reason = f"{type(error).__name__}: {error}"
    cells = load_notebook_node(str(notebook)).cells
    started = [c for c in cells if c.cell_type == "code" and c.metadata.papermill.get("start_time")]
    where = f"in code cell {len(started)}" if started else "to start"
    if log.stat().st_size:
        log.replace(job.beside(_LOG))
    raise BookError(f"{path.stem} failed {where}: {reason.strip().splitlines()[0]}")


def _make_page(job: Job, notebook: Path, site: Path) -> None:
    """Build a book of this one notebook, and of the bibliography that its citations need."""
    root, path = job.chapter.root, job.chapter.path.relative_to(job.chapter.root)
    unwanted = shutil.ignore_patterns("*.ipynb", ".*", "_build", "out")
    try:
        shutil.copytree(root / path.parent, site / path.parent, ignore=unwanted)
    except shutil.Error as error:  # a list of them
        raise BookError(f"the book cannot be copied: {error.args[0][0][2]}") from error
    shutil.copy(notebook, site / path)
    toc = read_yaml(root / "_toc.yml", texts=True)
    cited = [f for f in toc_files(toc) if _has_bibliography(site / f"{f}.md")]
    toc = {"format": "jb-book", "root": path.with_suffix("").as_posix()}
    if cited:
        toc["chapters"] = [{"file": file} for file in cited]
    config = read_yaml(root / "_config.yml")
    if not isinstance(config, dict):
        raise BookError("_config.yml must have settings, each with its name")
    given = ", ".join(f"{name} = {value}" for name, value in job.values.items())
    title = given.encode(errors="surrogateescape").decode(errors="backslashreplace")
    config["title"] = title or "default parameters"
    _add_extensions(config, ["hessrmt.book._titles", "hessrmt.book._links"])
    name, page = path.with_suffix("").as_posix(), job.result.page
    assert page is not None
    config["sphinx"]["config"] |= {
        "hessrmt_numbers": {name: chapter_numbers(root)[name]},
        "hessrmt_references": references(root, page),
        "intersphinx_mapping": inventory(root, job.target / "html" / "index.html"),
    }
    config["execute"] = {"execute_notebooks": "off"}
    (site / "_toc.yml").write_text(yaml.safe_dump(toc), encoding="utf-8")
    (site / "_config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    main = "from jupyter_book.cli.main import main; main()"
    command = [sys.executable, "-P", "-c", main, "build", "--quiet", str(site)]
    clean = hermetic_environment(site.with_name("settings"))
    build = subprocess.run(command, capture_output=True, text=True, env=clean)
    html = site / "_build" / "html"
    if build.returncode != 0 or not (html / path.with_suffix(".html")).is_file():
        log = job.beside(_LOG)
        log.write_text(build.stdout + build.stderr, encoding="utf-8")
        raise BookError(f"{path.stem} ran, but its page could not be built, see {_shown(log)}")
    html.rename(notebook.with_name("html"))


def _add_extensions(config: dict[str, Any], names: list[str]) -> None:
    """Add extensions of Sphinx to a book's settings, where they have theirs."""
    sphinx = config["sphinx"] = dict(config.get("sphinx") or {})
    own = sphinx["config"] = dict(sphinx.get("config") or {})
    if "extensions" in own:
        own["extensions"] = [*own["extensions"], *names]
    else:
        sphinx["extra_extensions"] = [*(sphinx.get("extra_extensions") or []), *names]


def _has_bibliography(page: Path) -> bool:
    return page.is_file() and "{bibliography}" in page.read_text(encoding="utf-8")


def _shown(path: Path) -> Path:
    """`path` from the current folder if it lies in it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
