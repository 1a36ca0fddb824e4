"""Campaigns: no row lost, none doubled, and the same rows however they come about."""

import contextlib
import hashlib
import json
import platform
import re
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from fractions import Fraction

import numpy as np
import psutil
import pytest
import torch
from distributed import LocalCluster

import hessrmt.critical_points
from hessrmt.campaigns import Campaign, CampaignError
from hessrmt.campaigns._shards import Ensemble
from hessrmt.campaigns._store import Store
from hessrmt.campaigns._workers import cluster
from hessrmt.cli import main
from hessrmt.critical_points import search_shard

SMALL = {"n": 3, "shard_size": 2, "seed": 5}
PHI = [Fraction(1, 2), Fraction(2, 3)]
STAGES = ("descent", "1e-2", "1e-4", "1e-6", "final")
LOOPBACK = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
HERE = {"processes": False, "protocol": "tcp", **LOOPBACK}  # in threads of the tests' process
COMMAND = [
    *("campaign", "run", "--phi", "1/2", "--phi", "2/3", "--n", "3", "--shard-size", "2"),
    *("--seed", "5", "--runs", "20"),
]


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """The campaign of `COMMAND`, made by one worker without interruption."""
    campaign = Campaign(tmp_path_factory.mktemp("reference") / "points.sqlite")
    campaign.run(PHI, runs=20, workers=1, **SMALL)
    return campaign


@pytest.fixture(scope="module")
def scheduler():
    """Address of a Dask scheduler with two workers, which the test process controls."""
    with LocalCluster(n_workers=2, threads_per_worker=1, **LOOPBACK) as cluster:
        yield cluster.scheduler_address


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def assert_same_rows(one, other):
    assert len(one.runs()["run"]) == 40
    assert_same(one.runs(), other.runs())
    assert_same(one.snapshots(), other.snapshots())


@contextlib.contextmanager
def process(path, *options):
    """Run `COMMAND` in a process of its own."""
    code = "import sys; from hessrmt.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, *COMMAND, "--path", str(path), *options]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as running:
        try:
            yield running
        finally:
            running.kill()


def wait_for(shards, path, running):
    """Wait until so many shards are in a file that a process is writing."""
    until = time.monotonic() + 300
    while time.monotonic() < until:
        assert running.poll() is None, running.communicate()
        with contextlib.suppress(FileNotFoundError, CampaignError, sqlite3.OperationalError):
            if sum(p.done for p in Campaign(path).status()) >= shards * 2:
                return
        time.sleep(0.05)
    raise TimeoutError


def test_rows_are_those_of_the_shards(reference):
    for phi in PHI:
        rows = reference.runs(phi=phi, search="projected")
        assert rows["run"].tolist() == list(range(20))
        assert rows["shard"].tolist() == [run // 2 for run in range(20)]
        assert (rows["m"] == 6 / phi).all()
        assert (rows["phi"] == float(phi)).all()
        shard = search_shard(float(phi), 3, 2, 5, 7, "projected")
        stored = {name: values[14:16] for name, values in rows.items()}
        assert stored["kind"].tolist() == list(shard["kind"])
        np.testing.assert_allclose(stored["energy"], shard["energy"], rtol=1e-6)
    snapshots = reference.snapshots(phi=2 / 3)
    assert len(snapshots["run"]) == 20 * len(STAGES)
    for stage in STAGES:
        assert len(reference.snapshots(phi=2 / 3, stage=stage)["run"]) == 20
    final = reference.snapshots(stage="final")
    for name in ("energy", "index", "grad_norm_sq"):
        np.testing.assert_array_equal(final[name], reference.runs()[name])


def test_rows_do_not_depend_on_workers_or_order(reference, scheduler, tmp_path):
    campaign = Campaign(tmp_path / "points.sqlite")
    campaign.run(PHI[1], runs=7, scheduler=scheduler, **SMALL)  # rounded up; continued below
    assert [(p.done, p.wanted) for p in campaign.status()] == [(8, 8)]
    campaign.run(PHI, runs=20, scheduler=scheduler, **SMALL)
    for phi in PHI:
        assert len(campaign.runs(phi=phi)["run"]) == 20
        assert_same(campaign.runs(phi=phi), reference.runs(phi=phi))
        assert_same(campaign.snapshots(phi=phi), reference.snapshots(phi=phi))


def test_a_finished_campaign_is_left_alone(reference):
    reference.run(PHI, runs=20, **SMALL)
    reference.run(PHI[0], runs=3, **SMALL)
    with Store(reference.path) as store:
        assert len(store.read("SELECT * FROM sessions")["id"]) == 1
        assert [wanted for _, wanted in store.ensembles().values()] == [20, 20]


def test_an_interrupted_campaign_continues(reference, tmp_path):
    path = tmp_path / "points.sqlite"

    with process(path, "--workers", "1") as running:
        wait_for(1, path, running)
        children = psutil.Process(running.pid).children(recursive=True)
        running.kill()
        running.communicate()
    assert not psutil.wait_procs(children, timeout=60)[1]  # no worker is left behind
    killed = sum(p.done for p in Campaign(path).status())
    assert 2 <= killed == len(Campaign(path).runs()["run"]) < 40

    with process(path, "--workers", "1") as running:
        wait_for(killed // 2 + 1, path, running)
        running.send_signal(signal.SIGINT)
        assert running.communicate() == ("", "hessrmt: interrupted\n")
    assert running.returncode == 130
    assert sorted(file.name for file in tmp_path.iterdir()) == [path.name, f"{path.name}.lock"]
    interrupted = len(Campaign(path).runs()["run"])
    assert killed + 2 <= interrupted < 40

    with process(path, "--workers", "2") as running:
        wait_for(interrupted // 2 + 1, path, running)
        workers = psutil.Process(running.pid).children()
        next(w for w in workers if "spawn_main" in " ".join(w.cmdline())).kill()
        assert running.communicate() == ("", "")
    assert running.returncode == 0
    assert_same_rows(Campaign(path), reference)
    with Store(path) as store:
        assert store.read("PRAGMA integrity_check")["integrity_check"].tolist() == ["ok"]


@pytest.mark.parametrize("moment", ["inside", "after"])
def test_a_shard_is_entered_whole_or_not_at_all(moment, tmp_path):
    path = tmp_path / "points.sqlite"
    code = f"""
        import os, signal
        import numpy as np
        from hessrmt.campaigns._shards import Ensemble
        from hessrmt.campaigns._store import Store

        class Deadly:  # a column whose reading kills, when rows of another table are in already
            dtype = np.dtype(float)
            def tolist(self):
                os.kill(os.getpid(), signal.SIGKILL)

        ensemble = Ensemble("search", "projected", 200, 3, 12, 0, 2, "cpu")
        run, stages = np.arange(2), np.array(["descent", "final"])
        with Store.writing({str(path)!r}) as store:
            session, (number,) = store.begin_session([ensemble], 4, "command", 1)
            for shard in (0, 1):
                energy = Deadly() if shard == 1 and {moment!r} == "inside" else np.zeros(2)
                tables = {{
                    "runs": {{"run": run + 2 * shard, "kind": np.array(["certified"] * 2)}},
                    "snapshots": {{"run": run + 2 * shard, "stage": stages, "energy": energy}},
                }}
                store.add(number, shard, tables, session=session, seconds=1.0, machine="",
                          versions="")
            os.kill(os.getpid(), signal.SIGKILL)
        """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    shards = {"inside": 1, "after": 2}[moment]
    campaign = Campaign(path)
    for _ in range(2):  # as it was left, and after recovery by the next writer
        assert [p.done for p in campaign.status()] == [2 * shards]
        assert campaign.runs()["run"].tolist() == list(range(2 * shards))
        assert campaign.snapshots()["run"].tolist() == list(range(2 * shards))
        with Store.writing(path):
            pass


def test_a_shard_is_entered_once(tmp_path):
    ensemble = Ensemble("search", "projected", 200, 3, 12, 0, 2, "cpu")
    made = {"session": 1, "seconds": 1.0, "machine": "", "versions": ""}
    rows = {"run": np.arange(2), "kind": np.array(["certified", "escaping"])}
    with Store.writing(tmp_path / "points.sqlite") as store:
        _, (number,) = store.begin_session([ensemble], 4, "command", 1)
        store.add(number, 0, {"runs": rows}, **made)
        with pytest.raises(sqlite3.IntegrityError):
            store.add(number, 0, {"runs": rows}, **made)
        with pytest.raises(sqlite3.IntegrityError):  # rows of shard 0 under another number
            store.add(number, 1, {"runs": rows}, **made)
        others = {**rows, "run": np.arange(2, 4), "energy": np.zeros(2)}
        with pytest.raises(CampaignError, match=r"another version .* differ in: energy\)"):
            store.add(number, 1, {"runs": others}, **made)
        assert store.shards(ensemble) == {0}
        assert store.kinds(number) == {"certified": 1, "escaping": 1}


def test_a_shard_that_fails_is_named(monkeypatch, tmp_path):
    def search_shard(phi, n, runs, seed, shard, search, **more):
        if shard == 3:
            raise FloatingPointError("no luck")
        return make(phi, n, runs, seed, shard, search, **more)

    make = hessrmt.critical_points.search_shard
    monkeypatch.setattr(hessrmt.critical_points, "search_shard", search_shard)
    campaign = Campaign(tmp_path / "points.sqlite")
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, **HERE) as here,
        pytest.raises(CampaignError, match=r"shard 3 of phi=1/2 n=3 .* failed: no luck"),
    ):
        campaign.run(PHI[0], runs=20, scheduler=here.scheduler_address, **SMALL)
    assert sorted(set(campaign.runs()["shard"].tolist())) == [0, 1, 2]


def test_a_scheduler_that_is_lost(monkeypatch, tmp_path):
    monkeypatch.setattr("hessrmt.campaigns._workers.PATIENCE", 1.0)
    path = tmp_path / "points.sqlite"
    begun = threading.Event()

    def search_shard(*arguments, **more):
        begun.set()
        time.sleep(1)
        raise AssertionError("too late")

    monkeypatch.setattr(hessrmt.critical_points, "search_shard", search_shard)
    with LocalCluster(n_workers=1, threads_per_worker=1, **HERE) as cluster:
        ending = threading.Thread(target=lambda: begun.wait(60) and cluster.close())
        ending.start()
        with pytest.raises(CampaignError, match="the connection to the scheduler is lost"):
            Campaign(path).run(1 / 2, runs=20, scheduler=cluster.scheduler_address, **SMALL)
        ending.join()
    assert Campaign(path).runs() == {}


def test_settings_do_not_mix(reference):
    with pytest.raises(CampaignError, match=r"with shard_size 2, .* mix with shard_size 4: give"):
        reference.run(PHI[1], runs=8, **{**SMALL, "shard_size": 4})
    with pytest.raises(CampaignError, match=r"with steps 200, .* mix with steps 300: give"):
        reference.run(PHI[1], runs=8, steps=300, **SMALL)
    with Store(reference.path) as store, pytest.raises(CampaignError, match="with device cpu"):
        store.find(Ensemble("search", "projected", 200, 3, 12, 5, 2, "cuda"))
    assert [p.wanted for p in reference.status()] == [20, 20]


def test_ensembles_are_kept_apart(scheduler, tmp_path):
    campaign = Campaign(tmp_path / "points.sqlite")
    assert campaign.path.name in repr(campaign)
    where = {"n": 3, "scheduler": scheduler}
    campaign.run(1 / 2, runs=4, shard_size=2, seed=0, **where)
    campaign.run(1 / 2, runs=3, shard_size=3, seed=1, **where)
    campaign.run(1 / 2, runs=2, shard_size=2, search="full", **where)
    for steps in (10, 20):
        campaign.run(
            1 / 2, runs=2, shard_size=2, minimiser="gradient-descent", steps=steps, **where
        )
    assert [(p.done, p.wanted) for p in campaign.status()] == [
        (4, 4),
        (3, 3),
        (2, 2),
        (2, 2),
        (2, 2),
    ]
    assert len(campaign.runs()["run"]) == 9
    assert campaign.runs(seed=1)["run"].tolist() == [0, 1, 2]
    assert campaign.runs(search="full")["search"].tolist() == ["full"] * 2
    ten, twenty = (campaign.minimisers(steps=steps)["energy"] for steps in (10, 20))
    assert len(campaign.minimisers(method="gradient-descent")["energy"]) == 4
    assert (twenty < ten).all()


def test_a_ratio_given_twice_is_one(tmp_path):
    campaign = Campaign(tmp_path / "points.sqlite")
    with Store.writing(campaign.path) as store:
        ensembles = [Ensemble("search", "projected", 200, 3, m, 5, 2, "cpu") for m in (9, 12)]
        session, numbers = store.begin_session(ensembles, 2, "command", 1)
        for number in numbers:
            rows = {"runs": {"run": np.arange(2), "kind": np.array(["escaping"] * 2)}}
            store.add(number, 0, rows, session=session, seconds=1.0, machine="", versions="")
    campaign.run([2 / 3, Fraction(2, 3), 1 / 2], runs=2, **SMALL)  # nothing to make
    assert [p.wanted for p in campaign.status()] == [2, 2]
    with pytest.raises(ValueError, match="phi must be one ratio at least"):
        campaign.run([], **SMALL)


def test_one_writer_at_a_time(reference):
    with (
        Store.writing(reference.path),
        pytest.raises(CampaignError, match="another process runs the campaign"),
    ):
        reference.run(PHI, runs=100, **SMALL)


def test_progress_while_a_campaign_runs(tmp_path):
    path = tmp_path / "points.sqlite"
    ensemble = Ensemble("search", "full", 200, 3, 12, 0, 2, "cpu")
    with Store.writing(path) as store:
        session, (number,) = store.begin_session([ensemble], 8, "command", 1)
        (progress,) = Campaign(path).status()
        assert progress.done == 0
        assert np.isnan([progress.rate, progress.seconds_left]).all()
        assert str(progress) == "phi=1/2 n=3 full seed=0: 0/8 runs"
        assert Campaign(path).runs() == {}
        rows = {"run": np.arange(2), "kind": np.array(["certified", "escaping"])}
        store.add(number, 0, {"runs": rows}, session=session, seconds=1.0, machine="", versions="")
        store._db.execute("UPDATE sessions SET started = 100, seen = 104")
        (progress,) = Campaign(path).status()
    assert (progress.done, progress.wanted, progress.rate) == (2, 8, 0.5)
    assert progress.seconds_left == 12.0
    text = "2/8 runs, 0.5 runs/s, time left 0:00:12, 1 certified, 1 escaping"
    assert str(progress).endswith(text)


def test_export(reference, tmp_path, capsys):
    out = tmp_path / "book" / "points.sqlite"
    out.parent.mkdir()
    assert main(["campaign", "export", str(reference.path), str(out)]) == 0
    assert capsys.readouterr().out == f"copy: {out}\n"
    files = sorted(file.name for file in out.parent.iterdir())
    assert files == ["points.json", "points.sqlite"]
    assert_same_rows(Campaign(out), reference)
    assert Campaign(out).status() == reference.status()
    assert sorted(file.name for file in out.parent.iterdir()) == files  # reading leaves nothing
    record = json.loads((out.parent / "points.json").read_text())
    assert record["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    (command,) = record["commands"]
    assert command == (
        "hessrmt campaign run --path points.sqlite --phi 1/2 --phi 2/3 --search projected "
        "--steps 200 --n 3 --runs 20 --seed 5 --shard-size 2 --device cpu"
    )
    (versions,) = record["versions"]
    assert f"numpy {np.__version__}" in versions
    assert [(e["phi"], e["seed"], e["runs"]) for e in record["ensembles"]] == [
        ("1/2", 5, 20),
        ("2/3", 5, 20),
    ]
    kinds = reference.runs(phi=1 / 2)["kind"].tolist()
    for kind in set(kinds):
        assert record["ensembles"][0][kind] == kinds.count(kind)
    with contextlib.closing(sqlite3.connect(out)) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        types = 'SELECT DISTINCT typeof(energy), typeof("index"), typeof(steps) FROM runs'
        assert db.execute(types).fetchall() == [("real", "real", "integer")]
    with Store.writing(tmp_path / "empty.sqlite"):
        pass
    with pytest.raises(CampaignError, match="no runs yet"):
        Campaign(tmp_path / "empty.sqlite").export(out)
    assert sorted(file.name for file in out.parent.iterdir()) == files
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        reference.export(tmp_path / "missing" / "points.sqlite")
    for path in (reference.path, reference.path.with_suffix(".json")):
        with pytest.raises(ValueError, match="path must be another file"):
            reference.export(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "there is no campaign at"),
        (b"", "is not the file of a campaign"),
        (b"a few bytes that are no database", "cannot be read as a campaign"),
    ],
)
def test_other_files_are_refused(content, reason, tmp_path, capsys):
    path = tmp_path / "points.sqlite"
    if content is not None:
        path.write_bytes(content)
    assert main(["campaign", "status", str(path)]) == 2
    assert reason in capsys.readouterr().err
    if content:
        assert main(["campaign", "run", "--path", str(path), "--phi", "1/2"]) == 2
        assert "is not the file of a campaign" in capsys.readouterr().err
        assert path.read_bytes() == content
        assert len(list(tmp_path.iterdir())) == 1


def test_another_database_is_refused(tmp_path):
    path = tmp_path / "points.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE runs (energy REAL)")
        db.commit()
    before = path.read_bytes()
    for use in (Campaign(path).runs, lambda: Campaign(path).run(PHI)):
        with pytest.raises(CampaignError, match="not the file of a campaign, or of another"):
            use()
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("--phi 0.3", r"phi must be 2n/m with an integer m, got 0.3 for n = 16"),
        ("--phi 1/0", "must be a ratio, as 1/2 or 0.5, got '1/0'"),
        ("--phi=-1/2", r"phi must be in \(0, inf\), got -0.5"),
        (
            "--phi 1/2 --search wide",
            r"search must be one of projected \| full \| near-linear, got 'wide'",
        ),
        ("--phi 1/2 --seed -1", r"seed must be in \[0, inf\), got -1"),
        ("--phi 1/2 --device tpu", r"device must be one of cpu \| cuda, got 'tpu'"),
        ("--phi 1/2 --minimiser sgd --steps 5", "minimiser must be one of .*, got 'sgd'"),
        ("--phi 1/2 --minimiser adam", "steps must be given with a minimiser"),
        ("--phi 1/2 --workers 0", "must be a whole number from 1 on, got '0'"),
        ("--phi 1/2 --workers 1 --scheduler tcp://127.0.0.1:1", "not allowed with argument"),
        ("--phi 1/2 --path missing/points.sqlite", "there is no folder missing"),
    ],
)
def test_bad_options_are_named(options, reason, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command = ["campaign", "run", "--path", "points.sqlite", *options.split()]
    try:
        code = main(command)
    except SystemExit as error:
        code = error.code
    output = capsys.readouterr()
    assert (code, output.out) == (2, "")
    assert re.search(reason, output.err)
    assert not list(tmp_path.iterdir())


def test_workers_with_a_scheduler_are_refused(tmp_path):
    with pytest.raises(ValueError, match="workers must not be given with a scheduler, got 2"):
        Campaign(tmp_path / "points.sqlite").run(1 / 2, workers=2, scheduler="tcp://127.0.0.1:1")


def test_a_scheduler_that_is_not_there(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("hessrmt.campaigns._workers.PATIENCE", 0.5)
    path = tmp_path / "points.sqlite"
    command = ["campaign", "run", "--path", str(path), "--phi", "1/2"]
    assert main([*command, "--scheduler", "tcp://127.0.0.1:1"]) == 2
    assert "no workers at the scheduler tcp://127.0.0.1:1" in capsys.readouterr().err
    assert Campaign(path).status() == []
    with (
        LocalCluster(n_workers=0, **HERE) as idle,
        pytest.raises(CampaignError, match=f"no workers at the scheduler {idle.scheduler_address}"),
    ):
        Campaign(path).run(1 / 2, scheduler=idle.scheduler_address)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="settings of glibc's malloc")
def test_workers_keep_freed_memory():
    """Pages that a worker has to fetch for a hundred rounds of eight products, 128 pages each."""
    code = textwrap.dedent("""
        import resource
        import numpy as np
        def rounds(count):
            for _ in range(count):
                [a @ a for _ in range(8)]
            return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        a = np.ones((256, 256))
        pages = -rounds(10) + rounds(100)
    """)
    with cluster(None, 1, "cpu") as (client, _):
        pages = client.submit(lambda: exec(code, space := {}) or space["pages"]).result()
    assert pages < 0.1 * 100 * 8 * 128


def test_no_gpu_is_an_error(scheduler, tmp_path):
    campaign = Campaign(tmp_path / "points.sqlite")
    with pytest.raises(CampaignError, match="there is no CUDA device here"):
        campaign.run(1 / 2, device="cuda", **SMALL)
    with pytest.raises(CampaignError, match="there is no CUDA device here"):
        campaign.run(1 / 2, runs=2, device="cuda", scheduler=scheduler, **SMALL)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu(tmp_path):
    campaign = Campaign(tmp_path / "points.sqlite")
    campaign.run(1 / 2, runs=4, device="cuda", **SMALL)
    assert np.isfinite(campaign.runs()["energy"]).all()


def test_the_commands_of_campaigns_load_no_more_than_they_need(reference):
    code = (
        "import sys; from hessrmt.cli import main; main(sys.argv[1:]);"
        "sys.exit(bool({'torch', 'distributed', 'sympy'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, "campaign", "status", str(reference.path)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
