"""The rooms of the package: one door each, and what is behind it stays there."""

import ast
import json
import re
from pathlib import Path

import pytest

import hessrmt

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "hessrmt"
ROOMS = sorted(p.parent.name for p in PACKAGE.glob("*/__init__.py"))


def imports(source):
    """Yield (module, name) of each import of this package, also of those in functions."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hessrmt"):
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((a.name, "") for a in node.names if a.name.startswith("hessrmt"))


def files_entered(source, own=""):
    """Files in rooms, other than `own`, from which a source imports, past the door."""
    for module, name in imports(source):
        _, *parts = module.split(".")
        inside = bool(name) and len(parts) == 1 and (PACKAGE / parts[0] / f"{name}.py").exists()
        inside = inside and name not in stub(parts[0]).get(None, [])  # handed on as a module
        if parts and parts[0] in ROOMS and parts[0] != own and (len(parts) > 1 or inside):
            yield f"{module}.{name}"


def stub(room):
    """By file, the names that a door hands on."""
    names = {}
    for node in ast.parse((PACKAGE / room / "__init__.pyi").read_text()).body:
        if isinstance(node, ast.ImportFrom):
            names.setdefault(node.module, []).extend(alias.name for alias in node.names)
    return names


@pytest.mark.parametrize("room", ROOMS)
def test_a_door_hands_on_what_it_says(room):
    module = getattr(hessrmt, room, None) or __import__(f"hessrmt.{room}", fromlist=["x"])
    listed = [name for names in stub(room).values() for name in names]
    assert sorted(module.__all__) == sorted(listed)
    for name in module.__all__:
        assert getattr(module, name) is not None
    assert len((module.__doc__ or "").splitlines()) == 3


@pytest.mark.parametrize("room", ROOMS)
def test_a_file_has_an_underscore_if_nothing_of_it_leaves_the_room(room):
    handed_on = stub(room)
    modules = handed_on.pop(None, [])  # handed on as modules
    for file in sorted((PACKAGE / room).glob("*.py")):
        if file.name != "__init__.py":
            public = file.stem in handed_on or file.stem in modules
            assert public != file.stem.startswith("_"), file


@pytest.mark.parametrize("room", ROOMS)
def test_no_file_is_named_like_a_public_name(room):
    """Else ``hessrmt.room.name`` would be the file once that is loaded."""
    names = {name for file, names in stub(room).items() if file for name in names}
    assert not names & {file.stem for file in (PACKAGE / room).glob("*.py")}


@pytest.mark.parametrize("room", ROOMS)
def test_others_come_in_by_the_door(room):
    for file in sorted((PACKAGE / room).glob("*.py*")):
        assert not list(files_entered(file.read_text(), own=room)), file
    for file in sorted((ROOT / "tests" / room).glob("*.py")):
        if room != "book":  # the guards of the book look at everything
            assert not list(files_entered(file.read_text(), own=room)), file


def test_chapters_scripts_and_benchmarks_come_in_by_the_door():
    for file in sorted((ROOT / "book").glob("*.ipynb")):
        cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
        code = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")
        assert not list(files_entered(code)), file
    for file in [*(ROOT / "book" / "scripts").glob("*.py"), *(ROOT / "benchmarks").glob("*.py")]:
        assert not list(files_entered(file.read_text())), file
    for file in [ROOT / "README.md", *(ROOT / "book").glob("*.md")]:
        for block in re.findall(r"```python\n(.*?)```", file.read_text(encoding="utf-8"), re.S):
            assert not list(files_entered(re.sub(r"^(>>>|\.\.\.) ?", "", block, flags=re.M))), file


def test_files_are_short_and_each_room_has_its_tests():
    for file in PACKAGE.rglob("*.py"):
        assert len(file.read_text(encoding="utf-8").splitlines()) <= 400, file
    assert {p.name for p in (ROOT / "tests").iterdir() if p.is_dir()} - {"__pycache__"} == set(
        ROOMS
    )


def test_the_map_names_every_room():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `hessrmt/(\w+)/` \|", text, re.M)) == set(ROOMS)
