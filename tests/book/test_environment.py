"""environment.yml, pyproject.toml and constraints.txt agree with each other and the environment."""

import itertools
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONSTRAINTS = dict(
    line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if line
)


def canonical(requirement):
    return re.sub(r"[-_.]+", "-", re.split(r"[<>=!\[; ]", requirement)[0]).lower()


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_installed_version_is_the_pinned_one(name):
    assert metadata.version(name) == CONSTRAINTS[name]


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
    (extras,) = re.findall(r'-e "(\.\[[a-z,]+\])"\n\t@touch', makefile.split("bench:")[0])
    assert pip == ["-c constraints.txt", *pip[1:2], f"-e {extras}"]
    (python,) = (d for d in environment["dependencies"] if str(d).startswith("python="))
    assert PROJECT["requires-python"] == f">={python.removeprefix('python=')}"


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
def test_a_name_says_what_to_install(name, package, extra):
    """As after ``pip install .``, where the package is not there."""
    code = f"import sys; sys.modules['{package}'] = None; from hessrmt import {name}"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    last = run.stderr.splitlines()[-1]
    needed = f"hessrmt.{name} needs {package}: pip install 'hessrmt[{extra}]'"
    assert last == f"ModuleNotFoundError: {needed}"
