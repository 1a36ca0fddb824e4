"""Shards of a campaign, made by Dask's workers."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

import dask
from distributed import Client, LocalCluster, as_completed

from hessrmt.campaigns._shards import CampaignError, Ensemble, Shard, check_device, make_shard

__all__ = ["cluster", "make_shards"]

Job = TypeVar("Job")

PATIENCE = 30.0  # seconds that a scheduler has to answer, and its workers to come
# Dask has glibc return every freed matrix to the system at once, and fetching it again, page by
# page, took half of the time. These keep up to 1 GiB, in bytes.
MEMORY = {"MALLOC_TRIM_THRESHOLD_": 2**30, "MALLOC_MMAP_THRESHOLD_": 2**25}


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
            settings = {f"distributed.nanny.pre-spawn-environ.{k}": v for k, v in MEMORY.items()}
            stack.enter_context(dask.config.set(settings))
            local = LocalCluster(
                n_workers=1 if workers is None and device == "cuda" else workers,
                threads_per_worker=1,  # and one for linear algebra: Dask sets OMP_NUM_THREADS=1
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
        except (OSError, ValueError) as error:
            raise CampaignError(f"no workers at the scheduler {scheduler}: {error}") from None
        yield client, len(client.nthreads())


def make_shards(
    client: Client, jobs: Mapping[Job, tuple[Ensemble, int]]
) -> Iterator[tuple[Job, Shard]]:
    """Have shards made and yield each when it is there, with its key.

    A worker that dies costs the shard it was at, which another makes.

    Raises
    ------
    CampaignError
        If a shard fails, several workers die of it, or the scheduler is lost.
    """
    futures = {
        client.submit(make_shard, ensemble, shard, pure=False): job
        for job, (ensemble, shard) in jobs.items()
    }
    for future in as_completed(list(futures), loop=client.loop):
        job = futures.pop(future)
        try:
            made = future.result()
        except CancelledError:
            raise CampaignError("the connection to the scheduler is lost") from None
        except Exception as error:
            ensemble, shard = jobs[job]
            reason = str(error) or type(error).__name__
            raise CampaignError(f"shard {shard} of {ensemble} failed: {reason}") from error
        yield job, made
