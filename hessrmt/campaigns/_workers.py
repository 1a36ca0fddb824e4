"""Shards of a campaign, made by Dask's workers."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager
from itertools import islice
from typing import Any, TypeVar

import dask
from distributed import Client, LocalCluster, as_completed

from hessrmt.campaigns._shards import CampaignError, Ensemble, Shard, check_device, make_shard
from hessrmt.hermetic import hermetic
from hessrmt.processes import unguarded

__all__ = ["cluster", "make_shards"]

Job = TypeVar("Job")

PATIENCE = 30.0  # seconds that a scheduler has to answer, and its workers to come
AHEAD = 256  # shards that are handed over at least before one is made, so that none has to wait
# Dask has glibc return every freed matrix to the system at once, and fetching it again, page by
# page, took half of the time. These keep up to 1 GiB, in bytes.
MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(2**30), "MALLOC_MMAP_THRESHOLD_": str(2**25)}


@contextmanager
def cluster(
    scheduler: str | None, workers: int | None, device: str
) -> Iterator[tuple[Client, int]]:
    """Connect to the scheduler at an address, or start single-threaded processes here.

    Yields
    ------
    client : distributed.Client
    count : int
        How many workers there are at this moment.

    Raises
    ------
    CampaignError
        If no scheduler answers, it has no workers, or there is no such device here.
    """
    with ExitStack() as stack:
        if scheduler is None:
            check_device(device)
            scratch = stack.enter_context(tempfile.TemporaryDirectory())
            # A person's own settings are for their clusters: encryption, for one, fails here.
            stack.enter_context(hermetic())
            stack.enter_context(dask.config.set(dask.config.merge(*dask.config.defaults)))
            os.environ.update(MEMORY)  # before what another cluster of this process has left there
            stack.enter_context(unguarded())
            local = LocalCluster(
                n_workers=1 if workers is None and device == "cuda" else workers,
                threads_per_worker=1,  # and one for linear algebra, by its environment
                processes=True,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                local_directory=scratch,
                memory_limit=0,  # nothing piles up; Dask would stop workers by a guess
                silence_logs=logging.CRITICAL,  # it reports how it shuts down as errors
            )
            address: Any = stack.enter_context(local)
        else:
            address = scheduler
        try:
            client = stack.enter_context(Client(address, timeout=PATIENCE, set_as_default=False))
            client.wait_for_workers(1, timeout=PATIENCE)
        except (OSError, RuntimeError, TypeError, ValueError) as error:  # the last three: of TLS
            raise CampaignError(f"no workers at the scheduler {scheduler}: {error}") from None
        yield client, len(client.nthreads())


def make_shards(
    client: Client, jobs: Iterator[tuple[Job, Ensemble, int]], workers: int
) -> Iterator[tuple[Job, int, Shard]]:
    """Have shards made and yield each when it is there, with its key and number.

    A worker that dies costs the shard it was at, which another makes.

    Raises
    ------
    CampaignError
        If a shard fails, several workers die of it, or the scheduler is lost.
    """
    running: dict[Any, tuple[Job, Ensemble, int]] = {}
    waiting = as_completed(loop=client.loop)

    def hand_over(number: int) -> None:
        for job in islice(jobs, number):
            future = client.submit(make_shard, *job[1:], pure=False)
            running[future] = job
            waiting.add(future)

    hand_over(max(AHEAD, 8 * workers))
    for future in waiting:
        job, ensemble, shard = running.pop(future)
        try:
            made = future.result()
        except CancelledError:
            raise CampaignError("the connection to the scheduler is lost") from None
        except Exception as error:
            reason = str(error) or type(error).__name__
            raise CampaignError(f"shard {shard} of {ensemble} failed: {reason}") from error
        yield job, shard, made
        hand_over(1)
