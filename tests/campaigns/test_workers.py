"""Local workers: without the person's own settings of Dask, Python and threads."""

import os

import dask

from hessrmt.campaigns._workers import cluster


def test_local_workers_have_nothing_of_the_persons_own(monkeypatch):
    own = {"OMP_NUM_THREADS": "3", "PYTHONOPTIMIZE": "2", "DASK_DISTRIBUTED__LOGGING": "x"}
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    secret = {"distributed.comm.require-encryption": True, "distributed.comm.tls.ca-file": "none"}
    with dask.config.set(secret), cluster(None, 1, "cpu") as (client, count):
        assert count == 1
        seen = client.submit(eval, "dict(__import__('os').environ)").result()
        assert seen["OMP_NUM_THREADS"] == "1"
        assert not seen.keys() & {"PYTHONOPTIMIZE", "DASK_DISTRIBUTED__LOGGING"}
        assert client.submit(eval, "__import__('sys').flags.optimize").result() == 0
    assert {name: os.environ[name] for name in own} == own
