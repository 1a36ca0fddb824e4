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

ROOT = Path(__file__).resolve().parents[2]
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
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path / "cache"), "mine.py"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert "import-not-found" not in done.stdout
    assert "import-untyped" not in done.stdout
    assert "spectral_law.MarchenkoPastur" in done.stdout
