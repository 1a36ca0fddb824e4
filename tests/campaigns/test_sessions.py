"""Sessions of a campaign: what ends them, whose settings reach them, what they record."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from campaign_tools import ENSEMBLE, MADE, enter, make, rows
from distributed import LocalCluster
from threadpoolctl import threadpool_info, threadpool_limits

from hessrmt import Campaign
from hessrmt.campaigns import CampaignError
from hessrmt.campaigns._shards import Ensemble, make_shard
from hessrmt.campaigns._store import Store
from hessrmt.cli import main

HERE = {"processes": False, "protocol": "tcp", "host": "127.0.0.1"}
SEARCH = "hessrmt.critical_points.search_shard"


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGHUP])
def test_a_campaign_that_is_asked_to_end_tidies_up(sent, tmp_path):
    path = tmp_path / "c.sqlite"
    code = "import sys; from hessrmt.cli import main; sys.exit(main())"
    options = ["--phi", "1/2", "--n", "3", "--shard-size", "2", "--runs", "200", "--workers", "1"]
    command = [sys.executable, "-c", code, "campaign", "run", "--path", str(path), *options]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}

    def heard():  # also if these tests run under nohup
        signal.signal(sent, signal.SIG_DFL)

    with subprocess.Popen(command, preexec_fn=heard, **pipes) as running:
        while running.poll() is None:
            with contextlib.suppress(FileNotFoundError, CampaignError):
                if any(p.done for p in Campaign(path).status()):
                    break
            time.sleep(0.05)
        children = psutil.Process(running.pid).children(recursive=True)
        running.send_signal(sent)
        assert running.communicate() == ("", "hessrmt: interrupted\n")
    assert running.returncode == 130
    assert not psutil.wait_procs(children, timeout=60)[1]
    assert sorted(p.name for p in tmp_path.iterdir()) == [path.name, f"{path.name}.lock"]
    assert len(Campaign(path).runs()["run"]) >= 2


def script(tmp_path, text, **more):
    (tmp_path / "mine.py").write_text(text)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path)),
        **more,
    }
    command = [sys.executable, "mine.py"]
    pipes = {"capture_output": True, "text": True}
    return subprocess.run(command, cwd=tmp_path, env=environment, **pipes)


def test_a_script_needs_no_guard_and_its_settings_stay_outside(tmp_path):
    """Dask's, which ask for encryption here, and the number of threads."""
    settings = {
        "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "True",
        "DASK_DISTRIBUTED__COMM__DEFAULT_SCHEME": "tls",
        "DASK_DISTRIBUTED__WORKER__RESOURCES__GPU": "1",
        "OMP_NUM_THREADS": "7",
        "OPENBLAS_NUM_THREADS": "7",
    }
    text = """
from hessrmt import Campaign
print("started")
Campaign("c.sqlite").run(1 / 2, n=2, runs=4, steps=2, shard_size=4, workers=1)
print(__file__, __spec__)
"""
    done = script(tmp_path, text, **settings)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["started", f"{tmp_path / 'mine.py'} None"] or (
        done.stdout.splitlines() == ["started", "mine.py None"]
    )
    assert len(Campaign(tmp_path / "c.sqlite").runs()["run"]) == 4


def test_encryption_with_somebodys_scheduler_is_one_line(tmp_path, capsys, monkeypatch):
    import dask

    monkeypatch.setattr("hessrmt.campaigns._workers.PATIENCE", 1.0)
    command = ["campaign", "run", "--path", str(tmp_path / "c.sqlite"), "--phi", "1/2"]
    with dask.config.set({"distributed.comm.require-encryption": True}):
        assert main([*command, "--scheduler", "tcp://127.0.0.1:1"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("hessrmt: no workers at the scheduler tcp://127.0.0.1:1: ")
    assert len(error.splitlines()) == 1


def test_a_shard_is_made_by_one_thread_and_says_by_which_kernels(monkeypatch):
    seen = []

    def search_shard(phi, n, runs, seed, shard, search, **more):
        seen.append([torch.get_num_threads(), *(lib["num_threads"] for lib in threadpool_info())])
        return {"energy": np.zeros(runs), "snapshot_energy": np.zeros((runs, 5))}

    monkeypatch.setattr(SEARCH, search_shard)
    threads = torch.get_num_threads()
    with threadpool_limits(2):
        torch.set_num_threads(2)
        made = make_shard(ENSEMBLE, 0)
        assert torch.get_num_threads() == 2
    torch.set_num_threads(threads)
    assert set(seen[0]) == {1}
    parts = made.machine.split(", ")
    architectures = {lib["architecture"] for lib in threadpool_info() if "architecture" in lib}
    assert architectures
    assert {f"openblas {name}" for name in architectures} <= set(parts)
    assert f"torch {torch.backends.cpu.get_cpu_capability()}" in parts
    if (known := Path("/proc/cpuinfo")).exists():
        lines = known.read_text().splitlines()
        names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
        assert not names or names[0].strip() in made.machine


def test_a_mixed_file_says_so(tmp_path):
    path = tmp_path / "c.sqlite"
    with Store.writing(path) as store:
        enter(store, [0, 1])
        assert "MIXED" not in str(Campaign(path).status()[0])
        enter(store, [2], machine="another machine")
        enter(store, [3], versions="hessrmt 1")
        enter(store, [0], Ensemble("search", "full", 200, 3, 12, 0, 2, "cpu"))
    mixed, pure = Campaign(path).status()
    assert mixed.machines == ("a machine", "another machine")
    assert mixed.versions == ("hessrmt 0", "hessrmt 1")
    assert str(mixed).endswith("4 escaping, MIXED of 2 kinds of machine, MIXED of 2 versions")
    assert pure.machines == ("a machine",)
    assert "MIXED" not in str(pure)


@pytest.mark.parametrize("jump", [-1e6, 0.0, 1e6])
def test_a_clock_that_is_set_gives_no_rate_that_is_none(jump, tmp_path, monkeypatch):
    path, now = tmp_path / "c.sqlite", time.time()
    with Store.writing(path) as store:
        session, (number,) = store.begin_session([ENSEMBLE], 20, "command", 1)
        monkeypatch.setattr(time, "time", lambda: now + jump)
        time.sleep(0.05)
        store.add(number, 0, rows(0), session=session, **MADE)
        (progress,) = Campaign(path).status()
    assert 0 < progress.rate < 2 / 0.05
    assert 0 < progress.seconds_left < 1e5
    with contextlib.closing(sqlite3.connect(path)) as db:  # as an earlier version might have it
        db.execute("UPDATE sessions SET seen = started - 5")
        db.commit()
    (progress,) = Campaign(path).status()
    assert np.isnan(progress.rate)
    assert "runs/s" not in str(progress)


def test_filters_tell_apart_numbers_that_floats_do_not(tmp_path):
    path = tmp_path / "c.sqlite"
    seeds = [2**53, 2**53 + 1, 2**63 - 1]
    with Store.writing(path) as store:
        for place, seed in enumerate(seeds):
            enter(store, [place], Ensemble("search", "full", 200, 3, 12, seed, 2, "cpu"))
    campaign = Campaign(path)
    assert campaign.runs()["seed"].tolist() == [seed for seed in seeds for _ in range(2)]
    for place, seed in enumerate(seeds):
        assert campaign.runs(seed=seed)["run"].tolist() == [2 * place, 2 * place + 1]
        assert campaign.runs(seed=np.uint64(seed))["seed"].tolist() == [seed] * 2
    assert not len(campaign.runs(seed=2**64)["run"])
    assert len(campaign.runs(phi=1 / 2)["run"]) == 6


@pytest.mark.parametrize(
    ("option", "value", "error"),
    [
        ("seed", 2**63, "seed must be in"),
        ("seed", 2**200, "seed must be in"),
        ("runs", 2**63, "runs must be in"),
        ("n", 2**63, "n must be in"),
        ("steps", 2**63, "steps must be in"),
        ("shard-size", 2**63, "shard_size must be in"),
        ("seed", "1_0", "must be a whole number, got '1_0'"),
        ("seed", "٣", "must be a whole number, got '٣'"),
        ("n", "1_0", "must be a whole number from 1 on, got '1_0'"),
        ("runs", "9" * 5000, "must be a whole number from 1 on"),
        ("phi", "1_0/2", "must be a ratio, as 1/2 or 0.5, got '1_0/2'"),
        ("phi", "1e999999999", "must be a ratio, as 1/2 or 0.5, got '1e999999999'"),
        ("phi", "1e-320", "phi must be 2n/m with m up to 2"),
        ("phi", "nan", "must be a ratio"),
    ],
)
def test_numbers_of_another_grammar_or_width_are_refused(option, value, error, tmp_path, capsys):
    command = ["campaign", "run", "--path", str(tmp_path / "c.sqlite"), "--phi", "1/2"]
    try:
        code = main([*command, f"--{option}", str(value)])
    except SystemExit as end:
        code = end.code
    assert code == 2
    assert error in capsys.readouterr().err.splitlines()[-1]
    assert not list(tmp_path.iterdir())


def test_a_campaign_of_twenty_million_shards_is_planned_as_it_goes(monkeypatch, tmp_path):
    begun = []

    def search_shard(phi, n, runs, seed, shard, search, **more):
        begun.append(shard)
        raise FloatingPointError("no luck")

    monkeypatch.setattr(SEARCH, search_shard)
    campaign = Campaign(tmp_path / "c.sqlite")
    start = time.perf_counter()
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0", **HERE
        ) as here,
        pytest.raises(CampaignError, match=r"shard 0 of .* failed: no luck"),
    ):
        campaign.run(1 / 2, n=3, runs=10**9, shard_size=50, scheduler=here.scheduler_address)
    assert time.perf_counter() - start < 60  # all of them at once would take an hour
    assert max(begun) < 256
    assert [(p.done, p.wanted) for p in campaign.status()] == [(0, 10**9)]


def test_check_on_the_command_line(tmp_path, capsys):
    path = tmp_path / "c.sqlite"
    make(path)
    assert main(["campaign", "check", str(path)]) == 0
    assert capsys.readouterr().out == "4 shards, 24 rows, all as their digests say\n"
    data = bytearray(path.read_bytes())
    place = data.index(np.array([Campaign(path).runs()["energy"][3]], dtype=">f8").tobytes())
    data[place + 7] ^= 1
    path.write_bytes(data)
    for command in (["check"], ["status"], ["export"]):
        out = [str(tmp_path / "out.sqlite")] if command == ["export"] else []
        assert main(["campaign", *command, str(path), *out]) == 2
        error = capsys.readouterr().err
        assert "is damaged: shard 1 of phi=1/2 n=3 projected seed=0 has other runs than" in error
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c.sqlite", "c.sqlite.lock"]
