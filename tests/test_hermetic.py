"""Nothing of the person's own reaches a kernel or worker, whatever way it is started."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from jupyter_client.kernelspec import get_kernel_spec
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from hessrmt.book import kernel_manager
from hessrmt.hermetic import PROCESSOR, hermetic, hermetic_environment

# What a chapter can see of a person's settings, and a figure.
CELLS = [
    "import locale, sys, warnings\n"
    "import matplotlib, matplotlib.pyplot as plt, numpy, scipy.linalg, threadpoolctl",
    "try:\n    assert False\nexcept AssertionError:\n    print('assertions are checked')",
    "print({info['num_threads'] for info in threadpoolctl.threadpool_info()})",
    "changed = [k for k, v in matplotlib.rcParams.items() if v != matplotlib.rcParamsDefault[k]]\n"
    "print(changed, matplotlib.rcParams['backend'])",
    "print(locale.setlocale(locale.LC_ALL), sys.stdout.encoding, sys.getfilesystemencoding())",
    "print([f for f in warnings.filters if f[0] == 'error'], sys.flags.optimize)",
    "print([name for name in globals() if name.startswith('mine')], sys.executable)",
    "print(numpy.full(12, 1 / 3))",
    "plt.plot([0, 1])\nplt.show()",
]
SAY = "import sys\nprint('mine')\nmine = 1\n"
RAISE = "raise RuntimeError('mine')\n"


def run(manager=None, cwd=None):
    """Outputs of the cells in a kernel; by default one that Jupyter finds by itself."""
    notebook = new_notebook(cells=[new_code_cell(source) for source in CELLS])
    options = {} if manager is None else {"kernel_manager_class": manager}
    client = NotebookClient(notebook, kernel_name="python3", allow_errors=True, **options)
    client.resources = {"metadata": {"path": str(cwd)}}
    client.execute()
    return [cell.outputs for cell in notebook.cells]


def everything(home):
    """Write a person's settings of all kinds into a home; return the variables that go with it."""

    def write(name, text):
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return str(path)

    argv = [sys.executable, "-c", "raise SystemExit('the kernel of another')"]
    spec = json.dumps({"argv": argv, "display_name": "Python 3", "language": "python"})
    write(".local/share/jupyter/kernels/python3/kernel.json", spec)
    write("jupyter/kernels/python3/kernel.json", spec)
    write(".jupyter/jupyter_config.py", RAISE)
    for profile in (".ipython", "ipython"):
        write(f"{profile}/profile_default/startup/00.py", SAY + RAISE)
        write(
            f"{profile}/profile_default/ipython_config.py",
            "c.InlineBackend.figure_formats = {'svg'}\n",
        )
        write(f"{profile}/profile_default/ipython_kernel_config.py", RAISE)
    for place in (".config/matplotlib", ".matplotlib", "book"):
        write(f"{place}/matplotlibrc", "text.usetex: True\nfigure.dpi: 30\n")
    write("packages/sitecustomize.py", SAY + "import warnings\nwarnings.simplefilter('error')\n")
    write(".config/dask/mine.yaml", "distributed: {comm: {require-encryption: true}}\n")
    return {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_DATA_HOME": str(home / ".local/share"),
        "MPLBACKEND": "Agg",
        "MATPLOTLIBRC": str(home / "book"),
        "MPLCONFIGDIR": str(home / ".config/matplotlib"),
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTER_PATH": str(home / "jupyter"),
        "JUPYTER_CONFIG_DIR": str(home / ".jupyter"),
        "PYTHONSTARTUP": write("startup.py", SAY),
        "PYTHONPATH": str(home / "packages"),
        "PYTHONWARNINGS": "error",
        "PYTHONOPTIMIZE": "2",
        "PYTHONHASHSEED": "3",
        "PYTHONIOENCODING": "latin-1",
        "PYTHONUTF8": "0",
        "LC_ALL": "no_SUCH.language",
        "LANG": "C",
        "COLUMNS": "20",
        "OMP_NUM_THREADS": "3",
        "OPENBLAS_NUM_THREADS": "3",
        "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "true",
    }


@pytest.fixture
def person(tmp_path, monkeypatch):
    """Be somebody with settings of all kinds; the folder has a book, with a matplotlibrc."""
    for name, value in everything(tmp_path).items():
        monkeypatch.setenv(name, value)
    return tmp_path


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """What a kernel shows where nobody has settings: in an environment of nothing but paths."""
    kept = {"PATH": os.environ["PATH"]}
    place = tmp_path_factory.mktemp("nobody")
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ.keys() - kept.keys():
            patch.delenv(name)
        patch.setenv("HOME", str(place))
        outputs = run(kernel_manager(place / "settings"), place)
    assert outputs[1][0].text == "assertions are checked\n"
    assert outputs[2][0].text == "{1}\n"
    assert outputs[3][0].text == "['backend'] module://matplotlib_inline.backend_inline\n"
    assert "image/png" in outputs[-1][-1].data
    return outputs


def test_a_kernel_shows_what_it_shows_where_nobody_has_settings(person, clean):
    assert run(kernel_manager(person / "settings"), person / "book") == clean


def test_so_does_a_kernel_that_a_command_starts(person, clean):
    """As nbval, jupyter-book and JupyterLab do, which find a kernel by its name."""
    with hermetic():
        assert run(cwd=person / "book") == clean
    assert os.environ["MPLBACKEND"] == "Agg"


def test_such_settings_do_change_kernels(person, clean, monkeypatch):
    """Else the tests above would show nothing."""
    assert get_kernel_spec("python3").argv[-1] == "raise SystemExit('the kernel of another')"
    for folder in ("jupyter", ".local/share/jupyter"):
        shutil.rmtree(person / folder / "kernels")
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    monkeypatch.delenv("PYTHONPATH")
    seen = run(cwd=person / "book")
    assert sum(one != other for one, other in zip(seen, clean, strict=True)) > 4


def test_commands_run_without_settings_and_return_their_codes(person):
    show = "import os, sys; print(dict(os.environ)); sys.exit(3)"
    command = [sys.executable, "-I", "-m", "hessrmt.hermetic", sys.executable, "-c", show]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 3
    seen = eval(done.stdout)
    assert seen["OMP_NUM_THREADS"] == "1"
    assert seen["HOME"] == str(person)
    assert not Path(seen["MATPLOTLIBRC"]).exists()  # tidied up
    assert "MPLBACKEND" not in seen
    empty = subprocess.run(command[:4], capture_output=True, text=True)
    assert empty.returncode == 2
    assert empty.stderr.startswith("usage: ")


def test_what_concerns_the_machine_goes_through(tmp_path):
    machine = dict.fromkeys(
        ("PATH", "TMPDIR", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "https_proxy", *PROCESSOR),
        "x",
    )
    assert machine.items() <= hermetic_environment(tmp_path / "a", machine).items()


def test_packages_stay_where_they_are_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = {"PYTHONPATH": os.pathsep.join(["here", str(tmp_path / "there"), ""])}
    place, *others = hermetic_environment(tmp_path / "a", given)["PYTHONPATH"].split(os.pathsep)
    assert others == [str(tmp_path / "here"), str(tmp_path / "there")]
    assert (Path(place) / "sitecustomize.py").read_text() == ""
