"""Campaigns: large, resumable ensembles of searches for critical points.

The unit of work is a shard, whose rows depend on its ensemble and its number alone;
`hessrmt.campaigns._store` says how they are kept. Dask's workers make shards, in any number and
order, and the process that called writes them down. Running the same campaign again makes what is
missing.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from tqdm import tqdm

from hessrmt.campaigns._places import check_copy, record_path, shown
from hessrmt.campaigns._progress import Progress, progress, provenance
from hessrmt.campaigns._shards import CampaignError, Ensemble, Table
from hessrmt.campaigns._store import Store
from hessrmt.files import replacing, write_text
from hessrmt.validation import choice, integer

__all__ = ["Campaign", "CampaignError", "Progress"]


class Campaign:
    """Runs of searches and minimisers, kept in one file.

    Parameters
    ----------
    path : path-like
        SQLite file; `run` creates it where there is none.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> campaign = Campaign(folder.name + "/points.sqlite")
    >>> campaign.run(1 / 2, n=4, runs=8, shard_size=4, workers=1)
    >>> runs = campaign.runs(phi=1 / 2, search="projected")
    >>> runs["shard"].tolist(), runs["energy"].shape
    ([0, 0, 0, 0, 1, 1, 1, 1], (8,))
    >>> folder.cleanup()
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"Campaign({str(self.path)!r})"

    def run(
        self,
        phi: float | Iterable[float],
        *,
        search: str = "projected",
        minimiser: str | None = None,
        steps: int | None = None,
        n: int = 16,
        runs: int = 1000,
        seed: int = 0,
        shard_size: int = 50,
        workers: int | None = None,
        scheduler: str | None = None,
        device: str = "cpu",
        progress: bool = False,
    ) -> None:
        """Search for critical points, or minimise, for every ratio; keep what is there already.

        Parameters
        ----------
        phi : float or iterable of float
            Ratios 2n/m, with m whole.
        search : str
            ``"projected"``, ``"full"`` or ``"near-linear"``, as in `hessrmt.search_shard`.
        minimiser : str, optional
            ``"gradient-descent"``, ``"adam"`` or ``"newton"``: minimise the loss instead, as
            `hessrmt.minimise_shard` does.
        steps : int, optional
            That the minimiser takes, or a search at most, by default 200.
        n : int
            Width of all three layers.
        runs : int
            How many runs there are to be in the end for each ratio, rounded up to whole shards.
        seed : int
            Of all draws, together with the number of the shard.
        shard_size : int
            Runs that are made and entered together. Draws depend on it.
        workers : int, optional
            Number of local processes, each single-threaded; by default one a core, or one for the
            GPU. No row depends on it. Rows are the same on one kind of machine only: another
            processor rounds differently, and what searches make of that is another end of some.
        scheduler : str, optional
            Address of a Dask scheduler, as ``"tcp://127.0.0.1:8786"``, in place of local
            processes. Its workers have this package and are best single-threaded.
        device : str
            ``"cpu"`` or ``"cuda"``. Results depend on it through rounding.
        progress : bool
            Whether to show runs done, rate and time left, on standard error.

        Raises
        ------
        TypeError, ValueError
            For arguments outside their domains.
        CampaignError
            If the file has runs of the same ensemble made with other settings, another process
            writes to it, it is no file of a campaign, there is no such scheduler or device, or a
            shard fails. What was entered before stays.
        """
        from hessrmt.critical_points import (
            METHODS,  # here: reading does without torch, which is slow
            number_of_examples,
        )

        if minimiser is None:
            task, method = "search", choice("search", search, "projected | full | near-linear")
        else:
            task, method = "minimise", choice("minimiser", minimiser, " | ".join(METHODS))
            if steps is None:
                raise ValueError("steps must be given with a minimiser")
        steps, n = _count("steps", 200 if steps is None else steps), _count("n", n)
        runs, shard_size = _count("runs", runs), _count("shard_size", shard_size)
        seed = integer("seed", integer("seed", seed), "[0, 9223372036854775807]")  # SQLite's last
        device = choice("device", device, "cpu | cuda")
        if workers is not None:
            workers = integer("workers", workers, "[1, inf)")
            if scheduler is not None:
                raise ValueError(f"workers must not be given with a scheduler, got {workers}")
        ratios = list(phi) if isinstance(phi, Iterable) else [phi]
        if not ratios:
            raise ValueError(f"phi must be one ratio at least, got {phi!r}")
        examples = dict.fromkeys(number_of_examples(ratio, n) for ratio in ratios)
        ensembles = [
            Ensemble(task, method, steps, n, m, seed, shard_size, device) for m in examples
        ]
        _run(self.path, ensembles, runs, workers, scheduler, progress)

    def status(self) -> list[Progress]:
        """Say how far each ensemble has come, while the campaign runs or at rest.

        Raises
        ------
        FileNotFoundError, CampaignError
            If there is no such file, or it is no file of a campaign.
        """
        with Store(self.path) as store:
            return progress(store)

    def runs(
        self, *, phi: float | None = None, search: str | None = None, seed: int | None = None
    ) -> Table:
        """Read the runs of searches, one row a run.

        Parameters
        ----------
        phi, search, seed
            Which runs; all if not given.

        Returns
        -------
        dict of str to array
            By column, in the order of phi as campaigns were begun and then of ``run``: ``phi``,
            ``n``, ``m``, ``seed``, ``search``, ``max_steps``, ``shard``, ``run``, and what
            `hessrmt.search_shard` reports, such as ``kind``, ``energy``, ``index`` and
            ``grad_norm_sq``. What a run does not have is NaN. Empty if there is none.

        Raises
        ------
        FileNotFoundError, CampaignError
            As in `status`.
        """
        with Store(self.path) as store:
            return store.select("runs", phi=phi, search=search, seed=seed)

    def snapshots(
        self,
        *,
        phi: float | None = None,
        search: str | None = None,
        seed: int | None = None,
        stage: str | None = None,
    ) -> Table:
        """Read how runs stood on their way, one row a run and stage.

        Parameters
        ----------
        phi, search, seed
            As in `runs`.
        stage : str, optional
            ``"descent"``, ``"1e-2"``, ``"1e-4"``, ``"1e-6"`` or ``"final"``; all if not given.

        Returns
        -------
        dict of str to array
            By column: ``phi``, ``n``, ``m``, ``seed``, ``search``, ``run``, ``stage``, ``energy``,
            ``index``, ``grad_norm_sq``; the last three are NaN at a stage that was not reached.

        Raises
        ------
        FileNotFoundError, CampaignError
            As in `status`.
        """
        with Store(self.path) as store:
            return store.select("snapshots", phi=phi, search=search, seed=seed, stage=stage)

    def minimisers(
        self,
        *,
        phi: float | None = None,
        method: str | None = None,
        steps: int | None = None,
        seed: int | None = None,
    ) -> Table:
        """Read the minimised networks, one row a run.

        Parameters
        ----------
        phi, method, steps, seed
            Which runs; all if not given.

        Returns
        -------
        dict of str to array
            By column: ``phi``, ``n``, ``m``, ``seed``, ``method``, ``steps``, ``shard``, ``run``,
            and what `hessrmt.minimise_shard` reports.

        Raises
        ------
        FileNotFoundError, CampaignError
            As in `status`.
        """
        with Store(self.path) as store:
            return store.select("minimisers", phi=phi, method=method, steps=steps, seed=seed)

    def export(self, path: str | os.PathLike[str]) -> None:
        """Write a compact copy in one plain file, and beside it where it comes from.

        Parameters
        ----------
        path : path-like
            The copy; an earlier export of that name is replaced, nothing else is. Its record goes
            to the same name with the suffix ``.json``: sha256, commands, versions, seeds, kinds of
            machine, times, and what there is.

        Raises
        ------
        FileNotFoundError, CampaignError
            As in `status`; or there is no folder for the copy, or no run yet.
        ValueError
            If the copy or its record would take the place of the campaign's own file, under
            whatever name, or of anything else that is no export, or `path` ends in ``.json``.
        """
        target = Path(path)
        place = check_copy(self.path, target)
        with replacing(place) as part:
            with Store(self.path) as store:
                store.copy_to(part)
            with Store(part) as copy:  # not of the store, which may have grown since
                copy.check()
                record = provenance(copy)
            digest = sha256(part.read_bytes()).hexdigest()
            record = {"file": shown(target.name), "sha256": digest, **record}
            # First, so that a copy without a record is never left, which would not be replaced.
            text = json.dumps(record, indent=1, ensure_ascii=False)
            write_text(record_path(target), text + "\n")

    def check(self) -> str:
        """Compare the file with the digests in it, and with the record beside an export.

        Returns
        -------
        str
            What was compared.

        Raises
        ------
        FileNotFoundError, CampaignError
            As in `status`; in particular if a single bit is another one than was written.
        """
        with Store(self.path) as store:
            shards, rows = store.check()
            record = f" and {record_path(self.path).name}" if store.has_record else ""
            if store.version > 1:
                return f"{shards} shards, {rows} rows, all as their digests{record} say"
            if record:
                return f"{shards} shards, {rows} rows, all as{record.removeprefix(' and')} says"
        return f"{shards} shards, {rows} rows of an older version, which has no digests"


def _count(name: str, value: int) -> int:
    """A number whose products are still among SQLite's integers."""
    return integer(name, integer(name, value, "[1, inf)"), "[1, 1000000000]")


def _run(
    path: Path,
    ensembles: list[Ensemble],
    runs: int,
    workers: int | None,
    scheduler: str | None,
    progress: bool,
) -> None:
    # Dask is slow to load, and reading needs none.
    from hessrmt.campaigns._workers import cluster, make_shards

    size = ensembles[0].shard_size
    shards = -(-runs // size)
    with Store.writing(path) as store:
        there = [store.shards(ensemble) for ensemble in ensembles]
        total = shards * len(ensembles)
        missing = total - sum(shard < shards for done in there for shard in done)
        if not missing:
            return
        # By shard first, so that all ensembles are equally far when it is stopped; one after
        # another, since there may be millions.
        jobs = (
            (which, ensemble, shard)
            for shard in range(shards)
            for which, ensemble in enumerate(ensembles)
            if shard not in there[which]
        )
        with (
            cluster(scheduler, workers, ensembles[0].device) as (client, count),
            tqdm(
                total=total * size,
                initial=(total - missing) * size,
                unit="run",
                smoothing=0,  # shards come in bursts
                disable=not progress,
            ) as bar,
        ):
            command = _command(path, ensembles, runs)
            session, numbers = store.begin_session(ensembles, shards * size, command, count)
            for which, shard, made in make_shards(client, jobs, count):
                store.add(numbers[which], shard, session=session, **made._asdict())
                bar.update(size)


def _command(path: Path, ensembles: list[Ensemble], runs: int) -> str:
    """Return the command that makes these runs, without what does not change them."""
    e = ensembles[0]
    what = f"--{'search' if e.task == 'search' else 'minimiser'} {e.method} --steps {e.steps}"
    ratios = " ".join(f"--phi {ensemble.phi}" for ensemble in ensembles)
    return (
        f"hessrmt campaign run --path {shlex.quote(shown(path.name))} {ratios} {what} --n {e.n} "
        f"--runs {runs} --seed {e.seed} --shard-size {e.shard_size} --device {e.device}"
    )
