"""The file of a campaign: one file at every moment, held by one writer, and checked when read."""

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from campaign_tools import enter, make

from hessrmt import Campaign
from hessrmt.campaigns import CampaignError
from hessrmt.campaigns._store import Store

ROOT = Path(__file__).resolve().parents[2]


def tables(path):
    campaign = Campaign(path)
    return {"runs": campaign.runs(), "snapshots": campaign.snapshots()}


def assert_same(one, other):
    for view in one:
        assert one[view].keys() == other[view].keys()
        for name in one[view]:
            np.testing.assert_array_equal(one[view][name], other[view][name])


# One file


def test_what_is_read_is_what_the_views_show(tmp_path):
    """By SQLite itself, as others read the file."""
    campaign = make(tmp_path / "c.sqlite")
    with contextlib.closing(sqlite3.connect(campaign.path)) as db:
        for view, table in (("runs", campaign.runs()), ("snapshots", campaign.snapshots())):
            cursor = db.execute(f"SELECT * FROM {view}")
            assert [column[0] for column in cursor.description] == list(table)
            for column, found in zip(zip(*cursor, strict=True), table.values(), strict=True):
                assert [None if v != v else v for v in found.tolist()] == list(column)
    assert campaign.snapshots(stage="final")["run"].tolist() == list(range(8))
    assert campaign.runs(phi=1 / 3).keys() == campaign.runs().keys()
    assert not len(campaign.runs(phi=1 / 3)["run"])


@pytest.mark.parametrize("shards", [0, 1, 5])
def test_a_copy_of_the_one_file_after_a_kill_lacks_nothing(shards, tmp_path):
    path = tmp_path / "there" / "c.sqlite"
    path.parent.mkdir()
    code = f"""
        import os, signal, sys
        sys.path.insert(0, {str(ROOT / "tests")!r})
        from campaign_tools import Store, enter
        with Store.writing({str(path)!r}) as store:
            enter(store, range({shards}))
            os.kill(os.getpid(), signal.SIGKILL)
        """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    copy = tmp_path / "copy.sqlite"
    shutil.copy(path, copy)
    before = copy.read_bytes()
    for place in (path, copy):
        found = tables(place)
        if shards:
            assert found["runs"]["run"].tolist() == list(range(2 * shards))
            assert len(found["snapshots"]["run"]) == 4 * shards
        assert Campaign(place).check().startswith(f"{shards} shards")
    assert copy.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["copy.sqlite", "there"]


def test_a_file_that_is_read_meanwhile_is_complete_at_last(tmp_path):
    path = tmp_path / "c.sqlite"
    with Store.writing(path) as store:
        enter(store, [0])
        with Store(path) as reader:
            enter(store, [1, 2])
            assert len(reader.select("runs")["run"]) == 2  # as it was when opened
        enter(store, [3])
        shutil.copy(path, tmp_path / "copy.sqlite")
        assert len(Campaign(tmp_path / "copy.sqlite").runs()["run"]) == 8


# A path is no file


@pytest.mark.parametrize("when", ["before another shard", "at the end"])
@pytest.mark.parametrize("what", ["removed", "replaced", "overwritten", "emptied"])
def test_a_file_that_goes_away_is_noticed(what, when, tmp_path):
    path, other = tmp_path / "c.sqlite", tmp_path / "other.sqlite"
    make(other, range(1))

    def lose():
        match what:
            case "removed":
                for file in tmp_path.glob("c.sqlite*"):
                    file.unlink()
            case "replaced":
                other.replace(path)
            case "overwritten":
                path.write_bytes(other.read_bytes())
            case "emptied":
                path.write_bytes(b"")

    def campaign():
        with Store.writing(path) as store:
            enter(store, [0, 1])
            lose()
            if when != "at the end":
                enter(store, [2])

    if what == "overwritten" and when != "at the end":
        campaign()  # SQLite writes all that it knows once more, and so nothing is lost
        assert Campaign(path).check().startswith("3 shards")
        assert Campaign(path).runs()["run"].tolist() == list(range(6))
        return
    with pytest.raises((CampaignError, sqlite3.DatabaseError)) as error:
        campaign()
    if what in ("removed", "replaced") or when == "at the end":
        assert "was removed or replaced while the campaign ran" in str(error.value)


def test_a_link_admits_no_second_writer(tmp_path):
    path, link = tmp_path / "c.sqlite", tmp_path / "elsewhere" / "link.sqlite"
    link.parent.mkdir()
    link.symlink_to(path)
    with Store.writing(link) as store:  # made where the link leads
        enter(store, [0])
        for name in (path, link):
            with pytest.raises(CampaignError) as error, Store.writing(name):
                pass
            text = str(error.value)
            assert f"another process runs the campaign {name}: {path}.lock is held by" in text
            assert f"process {os.getpid()} on {os.uname().nodename} since " in text
            assert text.endswith("If its machine is lost, remove that lock")
        (tmp_path / "c.sqlite.lock").unlink()
        enter(store, [1])  # takes a new lock
        with pytest.raises(CampaignError, match="another process"), Store.writing(path):
            pass
    assert len(Campaign(link).runs()["run"]) == 4
    os.link(path, tmp_path / "hard.sqlite")
    with pytest.raises(CampaignError, match="one of 2 names"), Store.writing(path):
        pass


def test_a_lock_that_somebody_has_taken_ends_the_campaign(tmp_path):
    path = tmp_path / "c.sqlite"
    with Store.writing(path) as store:
        enter(store, [0])
        Path(f"{path}.lock").unlink()
        with Store.writing(path), pytest.raises(CampaignError, match="another process"):
            enter(store, [1])


def special(kind, folder):
    path = folder / kind
    match kind:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "loop":
            path.symlink_to(path)
        case "null":
            path.symlink_to("/dev/null")
        case "full":
            path.symlink_to("/dev/full")
        case "nowhere":
            path.symlink_to(folder / "missing" / "c.sqlite")
    return path


@pytest.mark.parametrize("kind", ["folder", "pipe", "loop", "null", "full", "nowhere"])
def test_what_is_no_regular_file_is_refused_and_left(kind, tmp_path):
    path = special(kind, tmp_path)
    for use in (Campaign(path).status, lambda: Campaign(path).run(1 / 2, n=3, runs=2)):
        with pytest.raises((CampaignError, OSError)) as error:
            use()
        assert len(str(error.value).splitlines()) == 1
    assert [file.name for file in tmp_path.iterdir()] == [kind]
    with pytest.raises((ValueError, OSError)):
        make(tmp_path / "c.sqlite").export(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["c.sqlite", "c.sqlite.lock", kind])
    assert not list(Path("/dev").glob("null?*"))


# Copies


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("c.sqlite", "c.sqlite"),
        ("c.sqlite", "./folder/../c.sqlite"),
        ("c.sqlite", "symbolic.sqlite"),
        ("c.sqlite", "hard.sqlite"),
        ("symbolic.sqlite", "c.sqlite"),
        ("c.sqlite", "c.sqlite-wal"),
        ("c.sqlite", "c.sqlite-journal"),
        ("c.sqlite", "c.sqlite.lock"),
        ("c.json", "c.db"),
        ("c.json", "c.JSON"),
        ("link.json", "link.db"),
        ("c.sqlite", "mine.txt"),
        ("c.sqlite", "other.sqlite"),
        ("c.sqlite", "package.db"),
        ("c.sqlite", "folder"),
        ("c.sqlite", "c.json"),
    ],
)
def test_a_copy_replaces_nothing_but_an_earlier_copy(source, target, tmp_path):
    make(tmp_path / source if not source.startswith(("link", "sym")) else tmp_path / "c.sqlite")
    (tmp_path / "folder").mkdir()
    with contextlib.suppress(FileExistsError, FileNotFoundError):
        (tmp_path / "symbolic.sqlite").symlink_to(tmp_path / "c.sqlite")
        (tmp_path / "link.json").symlink_to(tmp_path / "c.sqlite")
        os.link(tmp_path / "c.sqlite", tmp_path / "hard.sqlite")
    make(tmp_path / "other.sqlite", range(1))
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "package.json").write_text('{"mine": 1}')
    before = {p: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()}
    with pytest.raises(ValueError, match=r"^path must be ") as error:
        Campaign(tmp_path / source).export(tmp_path / target)
    assert len(str(error.value).splitlines()) == 1
    assert {p: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()} == before


def test_a_file_of_the_users_beside_a_copy_is_left(tmp_path):
    part = make(tmp_path / "out.sqlite.part")  # a campaign of that name, too
    mine = tmp_path / "out.part"
    mine.write_text("mine")
    part.export(tmp_path / "out.sqlite")
    part.export(tmp_path / "out.sqlite")  # an earlier copy is replaced
    assert mine.read_text() == "mine"
    assert_same(tables(part.path), tables(tmp_path / "out.sqlite"))
    names = ["out.json", "out.part", "out.sqlite", "out.sqlite.part", "out.sqlite.part.lock"]
    assert sorted(p.name for p in tmp_path.iterdir()) == names


def test_names_that_are_no_text(tmp_path):
    names = [os.fsdecode(name) for name in (b"caf\xe9.sqlite", b"a?b#c%41 d.sqlite")]
    for number, name in enumerate(names):
        campaign = make(tmp_path / name)
        copy = tmp_path / os.fsdecode(b"\xff%d.sqlite" % number)
        campaign.export(copy)
        campaign.export(copy)
        assert_same(tables(campaign.path), tables(copy))
        assert "record" not in Campaign(copy).check()
        assert ".json say" in Campaign(copy).check()


# Damage


def flipped(path, copy, bit):
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    copy.write_bytes(data)


@pytest.mark.parametrize("export", [False, True])
def test_a_flipped_bit_is_never_another_number(export, tmp_path):
    """In 300 places, in some of which nothing is."""
    path, copy = tmp_path / "c.sqlite", tmp_path / "copy" / "c.sqlite"
    make(path, range(12))
    if export:
        Campaign(path).export(path := tmp_path / "export.sqlite")
    copy.parent.mkdir()
    if export:
        copy = copy.with_name(path.name)
        shutil.copy(path.with_suffix(".json"), copy.with_suffix(".json"))
    right, rng, noticed = tables(path), np.random.default_rng(0), 0
    for bit in rng.integers(path.stat().st_size * 8, size=300):
        flipped(path, copy, int(bit))
        try:
            found = tables(copy)
        except CampaignError:
            noticed += 1
        else:
            assert_same(found, right)
    assert noticed == 300 if export else noticed > 30


def test_each_number_that_is_changed_is_noticed(tmp_path):
    """Through SQLite, so that the file is whole in its eyes."""
    changes = [
        "UPDATE runs_values SET energy = energy + 1e-15 WHERE run = 3",
        "UPDATE runs_values SET kind = 'certified' WHERE run = 3",
        "UPDATE runs_values SET distance = NULL WHERE run = 2",
        "DELETE FROM runs_values WHERE run = 3",
        "DELETE FROM runs_values WHERE run > 5",
        "DELETE FROM snapshots_values WHERE run = 3 AND stage = 'final'",
        "INSERT INTO runs_values (ensemble, run) VALUES (1, 99)",
        "UPDATE ensembles SET seed = 1",
        "UPDATE ensembles SET wanted = 4",
        "UPDATE shards SET seconds = 2 WHERE shard = 2",
        "UPDATE shards SET machine = 'another' WHERE shard = 2",
        "UPDATE shards SET contents = '{}' WHERE shard = 2",
        "DELETE FROM shards WHERE shard = 2",
        "ALTER TABLE runs_values RENAME COLUMN energy TO enesgy",
        "UPDATE sessions SET command = 'another'",
        "DROP VIEW runs",
    ]
    path = tmp_path / "c.sqlite"
    make(path)
    assert Campaign(path).check() == "4 shards, 24 rows, all as their digests say"
    for change in changes:
        copy = tmp_path / "copy.sqlite"
        shutil.copy(path, copy)
        with contextlib.closing(sqlite3.connect(copy)) as db:
            db.execute(change)
            db.commit()
        with pytest.raises((CampaignError, sqlite3.DatabaseError)):
            print(change, Campaign(copy).check())
        with pytest.raises(CampaignError):
            Campaign(copy).export(tmp_path / "export.sqlite")
        assert not (tmp_path / "export.sqlite").exists()


def test_a_campaign_does_not_go_on_in_a_damaged_file(tmp_path):
    path = tmp_path / "c.sqlite"
    make(path)
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE runs_values SET energy = 0.5 WHERE run = 3")
        db.commit()
    with pytest.raises(CampaignError, match="is damaged: shard 1 of"), Store.writing(path):
        raise AssertionError("before any work")


def test_an_export_is_the_file_that_its_record_describes(tmp_path):
    path, copy = tmp_path / "c.sqlite", tmp_path / "copy.sqlite"
    make(path).export(copy)
    assert Campaign(copy).check().endswith("all as their digests and copy.json say")
    with pytest.raises(CampaignError, match=r"is an export, which copy\.json describes"):
        Campaign(copy).run(1 / 2, n=3, runs=40, shard_size=2)
    shutil.copy(path, copy)  # whole, and another
    with pytest.raises(CampaignError, match=r"not the file that copy\.json describes: its sha256"):
        Campaign(copy).runs()
    path.with_name("copy.json").write_text("{")  # no record
    assert len(Campaign(copy).runs()["run"]) == 8


def test_a_file_without_digests_is_read_and_continued(tmp_path):
    stored = ROOT / "book" / "data" / "critical_points_longer.sqlite"
    assert "older version" not in Campaign(stored).check()  # there is a record beside it
    path = tmp_path / "c.sqlite"
    shutil.copy(stored, path)
    assert Campaign(path).check().endswith("of an older version, which has no digests")
    before, views = Campaign(path).runs(), Campaign(path).status()
    with Store.writing(path) as store:
        enter(store, [])
    np.testing.assert_equal(Campaign(path).runs(), before)
    assert Campaign(path).status()[: len(views)] == views
    assert Campaign(path).check().endswith("all as their digests say")
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE runs_values SET energy = energy + 1e-9 WHERE run = 0")
        db.commit()
    with pytest.raises(CampaignError, match=r"is damaged: shard 0 of .* has other runs than"):
        Campaign(path).runs()
