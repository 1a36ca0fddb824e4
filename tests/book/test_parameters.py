"""Values that are typed: read by the declared type, and nothing guessed."""

import math
import os

import pytest

from hessrmt.book import Parameter, Text

DOMAINS = {"float": "(-inf, inf)", "int": "(-inf, inf)", "str": "normal | <folder>", "bool": ""}


def read(kind, text):
    domain = DOMAINS[kind.removeprefix("list[").removesuffix("]")]
    return Parameter("k", kind, None, domain, "").check(Text(text))


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("float", "0.5", 0.5),
        ("float", "2", 2.0),
        ("float", "1e-3", 1e-3),
        ("float", "-1E3", -1000.0),
        ("float", "-.5", -0.5),
        ("float", " 7. ", 7.0),
        ("float", "010.5", 10.5),
        ("int", "010", 10),
        ("int", "0400", 400),
        ("int", "-007", -7),
        ("int", "+3", 3),
        ("int", "9007199254740993", 2**53 + 1),
        ("int", "18446744073709551617", 2**64 + 1),
        ("bool", "true", True),
        ("bool", "False", False),
        ("str", "normal", "normal"),
        ("list[float]", "[0.1, 2, 1e-2]", [0.1, 2.0, 0.01]),
        ("list[int]", "[010,9223372036854775809,]", [10, 2**63 + 1]),
    ],
)
def test_what_is_read(kind, text, value):
    found = read(kind, text)
    assert found == value
    assert type(found) is type(value)
    if isinstance(value, list):
        assert [type(item) for item in found] == [type(item) for item in value]


NAMES = [
    "2024",
    "0500",
    "1e3",
    "1:30",
    "yes",
    "no",
    "on",
    "null",
    "~",
    "a #1",
    "'a'",
    "[a",
    "{a: 1}",
]
NAMES += ["!!timestamp 2020-99-99", "- a", "&a", "*a", " a ", "%a"]


@pytest.mark.parametrize("name", NAMES)
def test_folders_are_taken_letter_by_letter(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir()
    assert read("str", name) == str(tmp_path / name)


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        ("int", ["1:30", "0x10", "0o17", "1_000", "yes", "1.0", "1e3", "", "٣", "--1"]),
        ("float", ["1:30", "0x1p3", "1_0.5", "1/2", "yes", "", "1e", "٣.٥", "0.5j"]),
        ("bool", ["yes", "no", "on", "off", "y", "1", "0", "TRUE", ""]),
        ("str", ["sign", "NORMAL", " normal", ""]),
        ("list[int]", ["1", "[1", "1]", "[[1]]", "[1,,2]", "[yes]", "[]", "[1:30]"]),
    ],
)  # fmt: skip
def test_what_is_refused(kind, texts):
    for text in texts:
        with pytest.raises((TypeError, ValueError), match=r"^k must "):
            read(kind, text)


@pytest.mark.parametrize("text", ["inf", "-inf", "nan", "1e999"])
def test_numbers_that_are_none_are_named(text):
    assert not math.isfinite(float(text))
    with pytest.raises(ValueError, match=rf"^k must be in \(-inf, inf\), got {float(text)}"):
        read("float", text)


def test_numbers_without_end_are_refused_in_one_short_line():
    for kind in ("int", "float", "list[int]"):
        with pytest.raises((TypeError, ValueError), match=r"^k must ") as error:
            read(kind, "9" * 10**6)
        assert len(str(error.value)) < 10**3


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("0.25,0.5", ["0.25", "0.5"]),
        ("normal, sign", ["normal", "sign"]),
        ("[0.1, 0.2],[0.3],", ["[0.1, 0.2]", "[0.3]"]),
        ("010", ["010"]),
        ("", []),
        (",", []),
    ],
)
def test_values_of_a_sweep(text, values):
    found = Text(text).split_values()
    assert found == values
    assert all(isinstance(value, Text) for value in found)


@pytest.mark.skipif(os.name != "posix", reason="names are bytes")
def test_a_folder_whose_name_is_no_text_is_refused(tmp_path, monkeypatch):
    """A notebook, which is UTF-8, cannot have it."""
    monkeypatch.chdir(tmp_path)
    name = os.fsdecode(b"caf\xe9")
    os.mkdir(name)
    with pytest.raises(ValueError, match=r"^k must be a name in UTF-8, got 'caf\\udce9'$"):
        read("str", name)
