"""environment.yml, pyproject.toml and constraints.txt agree with each other and the environment."""

import itertools
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
BASE, _, LAB = (ROOT / "constraints.txt").read_text().partition("# JupyterLab")


def pins(text):
    """Names and versions of the pins that this Python has."""
    lines = [line for line in text.splitlines() if "==" in line]
    found = [r for r in map(Requirement, lines) if r.marker is None or r.marker.evaluate()]
    return {r.name: str(r.specifier).removeprefix("==") for r in found}


CONSTRAINTS = pins(BASE) | pins(LAB)


def canonical(requirement):
    return re.sub(r"[-_.]+", "-", re.split(r"[<>=!\[; ]", requirement)[0]).lower()


@pytest.mark.parametrize("name", pins(BASE))
def test_installed_version_is_the_pinned_one(name):
    assert metadata.version(name) == CONSTRAINTS[name]


def test_versions_for_jupyterlab_are_the_pinned_ones_where_it_is_installed():
    there = {d.name: d.version for d in metadata.distributions() if d.name in pins(LAB)}
    assert there == {name: CONSTRAINTS[name] for name in there}
    assert "jupyterlab" in pins(LAB)


def test_every_pin_is_for_one_python_only():
    """Pins with markers exclude each other: there is a version for every Python, and one."""
    marked = [Requirement(line) for line in re.findall("^.*;.*$", BASE + LAB, re.M)]
    for name in {r.name for r in marked}:
        for version in ("3.11.2", "3.11.7", "3.12.0", "3.13.1", "3.14.0"):
            where = {"python_full_version": version, "python_version": version[:4]}
            assert [r.name for r in marked if r.marker.evaluate(where)].count(name) == 1


def test_every_requirement_is_pinned():
    extras = dict(PROJECT["optional-dependencies"])
    peers = (ROOT / "benchmarks" / "constraints.txt").read_text()
    assert {canonical(r) for r in extras.pop("bench")} <= {canonical(p) for p in peers.split()}
    requirements = [*PROJECT["dependencies"], *itertools.chain(*extras.values())]
    assert {canonical(r) for r in requirements} - {canonical(p) for p in CONSTRAINTS} == {"torch"}


def test_torch_is_one_version_everywhere():
    (pin,) = (r for r in PROJECT["optional-dependencies"]["networks"] if r.startswith("torch"))
    assert metadata.version("torch").split("+")[0] == pin.removeprefix("torch==")
    for name in ("Makefile", "environment.yml"):
        assert set(re.findall(r"torch==[\d.]+", (ROOT / name).read_text())) == {pin}


def test_conda_environment_has_the_same_sources():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    (pip,) = (d["pip"] for d in environment["dependencies"] if isinstance(d, dict))
    makefile = (ROOT / "Makefile").read_text()
    setup, lab = re.findall(r'-e "\.\[([a-z,]+)\]"\n\t@touch', makefile.split("bench:")[0])
    assert pip == ["-c constraints.txt", *pip[1:2], f"-e .[{setup},{lab}]"]
    (python,) = (d for d in environment["dependencies"] if str(d).startswith("python="))
    assert PROJECT["requires-python"] == f">={python.removeprefix('python=')}"
    (torch,) = (d for d in environment["dependencies"] if str(d).startswith("pytorch-cpu="))
    assert pip[1] == torch.replace("pytorch-cpu=", "torch==")  # pip finds it there already


def test_the_same_pythons_everywhere():
    tried = [c.split()[-1] for c in PROJECT["classifiers"] if "Python :: 3." in c]
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "book.yml").read_text())
    assert workflow["jobs"]["build"]["strategy"]["matrix"]["python"] == tried
    for name in ("Makefile", "README.md"):
        assert f"Python {tried[0]} to {tried[-1]}" in (ROOT / name).read_text()


@pytest.fixture
def make(tmp_path):
    """Run make on a copy of what it needs for a set-up."""
    if shutil.which("make") is None:
        pytest.skip("no make")
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)

    def run(*arguments, **variables):
        environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL")}
        return subprocess.run(
            ["make", *arguments],
            cwd=tmp_path,
            env=environment | variables,
            capture_output=True,
            text=True,
        )

    return run


@pytest.mark.parametrize("version", ["(3, 10)", "(3, 15)"])
def test_another_python_is_refused_before_anything_is_done(make, tmp_path, version):
    python = tmp_path / "other"
    pretend = f"import sys; sys.version_info = {version}; exec(sys.argv[1])"
    python.write_text(
        f'#!/bin/sh\n[ "$1" = -c ] && exec {sys.executable} -c "{pretend}" "$2"\ntouch used\n'
    )
    python.chmod(0o755)
    done = make("setup", f"PYTHON={python}")
    assert done.returncode != 0
    number = ".".join(re.findall(r"\d+", version))
    assert f"Python 3.11 to 3.14 is needed, and {python} is {number}" in done.stderr
    assert not (tmp_path / ".venv").exists()
    assert not (tmp_path / "used").exists()


def test_exported_variables_do_not_redirect_the_setup(make, tmp_path):
    asked = make("-n", "setup", VENV=str(tmp_path / "foreign"), PYTHON="foreign")
    assert "-m venv .venv\n" in asked.stdout
    assert "foreign" not in asked.stdout
    asked = make("-n", "setup", f"VENV={tmp_path / 'mine'}")
    assert f"-m venv {tmp_path / 'mine'}\n" in asked.stdout


def test_versions_agree():
    import hessrmt

    assert hessrmt.__version__ == PROJECT["version"] == metadata.version("hessrmt")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"]


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)


def test_import_is_light():
    heavy = "{'torch', 'sympy', 'matplotlib', 'scipy', 'numpy', 'papermill'}"
    assert run(f"import hessrmt, sys; print({heavy} & set(sys.modules))").stdout == "set()\n"


def test_laws_need_only_numpy_and_scipy():
    code = (
        "import builtins\n"
        "load = builtins.__import__\n"
        "def refuse(name, *rest, **more):\n"
        "    assert name.split('.')[0] not in {'torch', 'sympy', 'matplotlib', 'papermill'}\n"
        "    return load(name, *rest, **more)\n"
        "builtins.__import__ = refuse\n"
        "from hessrmt import MarchenkoPastur, Semicircle, WishartPlusWigner\n"
        "law = MarchenkoPastur(0.5) + Semicircle(1.0)\n"
        "law.pdf(0.0), law.rvs(3, rng=0), WishartPlusWigner(0.5).index(0.3)\n"
    )
    run(code)


def test_every_public_name_can_be_imported():
    import hessrmt

    assert hessrmt.__all__
    for name in hessrmt.__all__:
        assert getattr(hessrmt, name).__doc__


@pytest.mark.parametrize(
    ("name", "package", "extra"),
    [
        ("SingleHiddenLayer", "torch", "networks"),
        ("use_style", "matplotlib", "book"),
        ("Campaign", "tqdm", "campaign,networks"),
    ],
)
@pytest.mark.parametrize("use", ["{name}()", "{name}.attribute"])
def test_a_name_says_what_to_install_when_it_is_used(name, package, extra, use):
    """As after ``pip install .``, where the package is not there."""
    code = f"import sys; sys.modules['{package}'] = None; from hessrmt import {name}; print(1)\n"
    code += use.format(name=name)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout == "1\n"
    last = run.stderr.splitlines()[-1]
    needed = f"{name} needs {package}: pip install -e '{ROOT}[{extra}]'"
    assert last == f"ModuleNotFoundError: {needed}"


def test_names_need_no_extra_until_they_are_used():
    """``import *``, help and completion, with the core dependencies alone."""
    extras = itertools.chain(*PROJECT["optional-dependencies"].values())
    names = sorted({canonical(r) for r in extras} | {"PIL", "sklearn", "yaml", "jupyter_client"})
    code = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name.partition('.')[0] in {names}:\n"
        "            raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "import pydoc, rlcompleter\n"
        "from hessrmt import *\n"
        "import hessrmt\n"
        "text = pydoc.plain(pydoc.render_doc(hessrmt))\n"
        "assert 'SingleHiddenLayer' in text and 'class MarchenkoPastur' in text\n"
        "complete = rlcompleter.Completer({'hessrmt': hessrmt}).attr_matches\n"
        "assert any('Semicircle' in name for name in complete('hessrmt.Semi'))\n"
        "assert repr(use_style).startswith('<use_style needs matplotlib')\n"
        "print(MarchenkoPastur(0.5).mean())\n"
    )
    assert run(code).stdout == "1.0\n"


def test_a_module_that_no_extra_brings_is_not_hidden():
    code = "import sys; sys.modules['hessrmt.laws.spectral_law'] = None; import hessrmt.laws\n"
    run = [sys.executable, "-c", code + "hessrmt.laws.Semicircle"]
    error = subprocess.run(run, capture_output=True, text=True).stderr.splitlines()[-1]
    assert error.startswith("ModuleNotFoundError: ")
    assert "pip install" not in error


def test_types_are_seen_from_outside(tmp_path):
    """By mypy, in another folder, through an editable install."""
    (tmp_path / "mine.py").write_text(
        "from hessrmt import MarchenkoPastur\nreveal_type(MarchenkoPastur(0.5))\n"
    )
    # PyTorch's own types, which take most of the time, decide nothing here.
    (tmp_path / "mypy.ini").write_text("[mypy]\n[mypy-torch.*]\nfollow_imports = skip\n")
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path / "cache"), "mine.py"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert "import-not-found" not in done.stdout
    assert "import-untyped" not in done.stdout
    assert "spectral_law.MarchenkoPastur" in done.stdout
