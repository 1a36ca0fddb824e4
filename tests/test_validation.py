"""Domains of strings; numbers and intervals are tested where they are used."""

import os

import numpy as np
import pytest

from hessrmt import MarchenkoPastur, haar_orthogonal
from hessrmt.book import find_chapter
from hessrmt.validation import check_parameters, choice, integer

DOMAIN = "download | <folder>"


def test_an_alternative_is_returned_as_it_is(tmp_path, monkeypatch):
    (tmp_path / "download").mkdir()
    monkeypatch.chdir(tmp_path)
    assert choice("data_dir", "download", DOMAIN) == "download"


def test_a_folder_is_returned_absolute(tmp_path, monkeypatch):
    (tmp_path / "images").mkdir()
    monkeypatch.chdir(tmp_path)
    assert choice("data_dir", "images", DOMAIN) == os.path.join(tmp_path, "images")
    checked = find_chapter("assumptions").check({"data_dir": "images"})
    assert checked == {"data_dir": os.path.join(tmp_path, "images")}


def test_a_file_is_returned_absolute(tmp_path, monkeypatch):
    (tmp_path / "mine.sqlite").touch()
    monkeypatch.chdir(tmp_path)
    domain = "stored | <file>"
    assert choice("campaign", "mine.sqlite", domain) == os.path.join(tmp_path, "mine.sqlite")
    assert choice("campaign", "stored", domain) == "stored"
    for value in ("yours.sqlite", "<file>", str(tmp_path)):
        with pytest.raises(
            ValueError, match=rf"campaign must be one of stored \| <file>, got '{value}'"
        ):
            choice("campaign", value, domain)


@pytest.mark.parametrize("value", ["nowhere", "<folder>", "", __file__])
def test_what_is_no_folder_is_refused(value):
    message = rf"data_dir must be one of download \| <folder>, got '{value}'"
    with pytest.raises(ValueError, match=message):
        check_parameters({"data_dir": value}, data_dir=DOMAIN)


def test_a_number_is_no_folder():
    with pytest.raises(TypeError, match="data_dir must be one of"):
        choice("data_dir", 3, DOMAIN)


def test_integers_are_compared_without_rounding():
    """A float holds neither 2^53 + 1 nor 2^63 - 1: it would take the one for 2^53."""
    top = 2**63 - 1
    assert integer("k", top, f"[0, {top}]") == top
    for value, domain in [
        (top + 1, f"[0, {top}]"),
        (top, f"[0, {top})"),
        (2**53 + 1, f"[0, {2**53}]"),
    ]:
        with pytest.raises(ValueError, match=rf"^k must be in .*, got {value}$"):
            integer("k", value, domain)
    assert integer("k", 2**53 + 1, f"({2**53}, inf)") == 2**53 + 1
    assert integer("k", -(2**70), "(-inf, 1.5]") == -(2**70)


@pytest.mark.parametrize("rng", [-1, "a", 1.5, [0.5], object()])
def test_what_is_no_generator_is_refused_by_name(rng):
    message = "^rng must be a seed >= 0, a numpy.random.Generator or None, got "
    with pytest.raises((TypeError, ValueError), match=message):
        MarchenkoPastur(0.5).rvs(3, rng=rng)
    with pytest.raises((TypeError, ValueError), match=message):
        haar_orthogonal(3, rng=rng)


def test_generators_are_used_and_seeds_are_the_same_as_theirs():
    law = MarchenkoPastur(0.5)
    rng = np.random.default_rng(4)
    draws = law.rvs((2, 3), rng=rng)
    np.testing.assert_array_equal(draws, law.rvs((2, 3), rng=4))
    assert (law.rvs((2, 3), rng=rng) != draws).all()
    assert law.rvs(2, rng=2**70).shape == (2,)


@pytest.mark.parametrize("size", [-1, (2, -1), 1.5, "3", (2, "a")])
def test_what_is_no_size_is_refused_by_name(size):
    with pytest.raises((TypeError, ValueError), match=r"^size must be "):
        MarchenkoPastur(0.5).rvs(size, rng=0)
