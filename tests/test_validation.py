"""Domains of strings; numbers and intervals are tested where they are used."""

import os

import pytest

from hessrmt.book import find_chapter
from hessrmt.validation import check_parameters, choice

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


@pytest.mark.parametrize("value", ["nowhere", "<folder>", "", __file__])
def test_what_is_no_folder_is_refused(value):
    message = rf"data_dir must be one of download \| <folder>, got '{value}'"
    with pytest.raises(ValueError, match=message):
        check_parameters({"data_dir": value}, data_dir=DOMAIN)


def test_a_number_is_no_folder():
    with pytest.raises(TypeError, match="data_dir must be one of"):
        choice("data_dir", 3, DOMAIN)
