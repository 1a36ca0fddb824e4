"""Functions of the reader's own: found from any folder, called, their errors in their own lines."""

import sys
import textwrap

import pytest

from hessrmt.functions import call_function, find_function, own_lines
from hessrmt.validation import choice


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The current folder, in which `write` makes files; modules are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    return path


def test_a_file_is_found_from_elsewhere(here, monkeypatch):
    write(here, "of mine/mine.py", "import beside\ndef make(): return beside.VALUE")
    write(here, "of mine/beside.py", "VALUE = 7")
    whole = find_function("of mine/mine.py:make")
    assert whole == f"{here}/of mine/mine.py:make"
    monkeypatch.chdir("/")
    assert find_function(whole) == whole
    assert call_function(whole) == 7
    assert choice("model", whole, "digits | <function>") == whole


def test_modules_and_packages(here):
    write(here, "pack/__init__.py", "raise SystemExit('imported')")
    write(here, "pack/inner.py", "def make(): return 1")
    assert find_function("pack.inner:make") == f"{here}/pack/inner.py:make"
    write(here, "pack/__init__.py", "")
    write(here, "pack/inner.py", "from . import other\ndef make(): return other.VALUE")
    write(here, "pack/other.py", "VALUE = 3")
    assert call_function("pack.inner:make") == 3
    assert call_function("pack/inner.py:make") == 3


def test_a_file_may_be_called_like_a_module(here):
    for name in ("json", "random", "torch"):
        write(here, f"{name}.py", "def make(): return __file__")
        assert call_function(f"{name}.py:make") == f"{here}/{name}.py"
    import json

    assert json.loads("1") == 1


@pytest.mark.parametrize(
    "text",
    [
        "make = lambda: 1",
        "if True:\n    def make(): return 1",
        "try:\n    import no_such\nexcept ImportError:\n    def make(): return 1",
        "from functools import partial\nmake = partial(int, 1)",
        "from other import *",
        "from other import build as make",
        "class make:\n    def __new__(cls): return 1",
        "make: object = lambda: 1",
        "def make(n=1, *rest, **more): return n",
    ],
)
def test_ways_to_define_one(here, text):
    write(here, "other.py", "def make(): return 1\nbuild = make")
    write(here, "mine.py", text)
    assert call_function("mine.py:make") == 1


@pytest.mark.parametrize(
    "reference, sentence",
    [
        ("mine.py", "a function is named FILE.py:NAME or MODULE:NAME, not 'mine.py'"),
        ("mine.py:", "a function is named FILE.py:NAME or MODULE:NAME, not 'mine.py:'"),
        (
            "mine.py:make()",
            r"a function is named FILE.py:NAME or MODULE:NAME, not 'mine.py:make\(\)'",
        ),
        ("nine.py:make", "there is no file 'nine.py'"),
        ("mine.py:mak", r"mine.py has no 'mak' \(did you mean 'make'\?\)"),
        ("mine:mak", r"mine has no 'mak' \(did you mean 'make'\?\)"),
        ("nine:make", "there is no module 'nine' in Python here"),
        ("mine.inner:make", "there is no module 'mine.inner' in Python here"),
        ("sys:exit", "there is no module 'sys' in Python here"),
        ("broken.py:make", "broken.py is no Python: .*, line 2"),
    ],
)
def test_what_is_not_there(here, reference, sentence):
    write(here, "mine.py", "raise SystemExit\ndef make(): pass")
    write(here, "broken.py", "def make():\n    return (1")
    with pytest.raises(ValueError, match=sentence):
        find_function(reference)
    if ":" in reference:
        with pytest.raises(ValueError, match="model must be a function that is there: "):
            choice("model", reference, "digits | <function>")


def test_what_cannot_be_called(here):
    write(here, "mine.py", "make = 3\ndef build(n): return n")
    with pytest.raises(ValueError, match=r"make in mine\.py must be a function, got int"):
        call_function("mine.py:make")
    with pytest.raises(ValueError, match=r"build in mine\.py must be callable without arguments"):
        call_function("mine.py:build")


def test_an_error_comes_back_in_own_lines(here):
    write(here, "beside.py", "import json\n\n\ndef read(text):\n    return json.loads(text)\n")
    write(here, "mine.py", "import beside\n\n\ndef make():\n    return beside.read('{')\n")
    with pytest.raises(Exception, match="Expecting property name") as caught:
        call_function("mine.py:make")
    assert type(caught.value).__name__ == "JSONDecodeError"
    assert str(caught.value).endswith("(beside.py, line 5: return json.loads(text))")
    shown = "\n".join(caught.value._render_traceback_())
    assert shown.count('File "') == 2
    assert "json/" not in shown
    assert "functions.py" not in shown


@pytest.mark.parametrize(
    "text, kind, message",
    [
        ("import no_such_module", "ModuleNotFoundError", r"no_such_module.*\(mine.py, line 1"),
        ("def make():\n    raise SystemExit(3)", "SystemExit", r"3 \(mine.py, line 2: raise"),
        ("import bad\ndef make(): pass", "SyntaxError", r"bad.py"),
        ("def make():\n    raise ValueError('a\\nb')", "ValueError", r"^a b \(mine.py, line 2"),
    ],
)
def test_errors_of_other_kinds(here, text, kind, message):
    write(here, "bad.py", "def")
    write(here, "mine.py", f"{text}\nmake = globals().get('make')\n")
    with pytest.raises(Exception, match=message) as caught:
        call_function("mine.py:make")
    assert type(caught.value).__name__ == kind


def test_errors_of_others_and_interruptions_go_through(here):
    write(here, "mine.py", "def make():\n    raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        call_function("mine.py:make")
    with pytest.raises(ZeroDivisionError, match=r"^division by zero$"), own_lines("mine.py:make"):
        1 / 0  # noqa: B018
