"""Run a command with the linear algebra of another processor, and say so.

    python tests/elsewhere.py nehalem|haswell COMMAND

OpenBLAS, torch, MKL and numpy each choose their kernels by the processor; four variables have them
choose as on an older one, whose sums are rounded in another order. What the libraries chose is
asked in a kernel such as the command's own; if they have not changed, the command would show
nothing, and is not run.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from hessrmt.book import kernel_manager

# An old processor and one of the middle; the names are those of each library.
KERNELS = {
    "nehalem": {
        "OPENBLAS_CORETYPE": "Nehalem",
        "ATEN_CPU_CAPABILITY": "default",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
        "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
    },
    "haswell": {
        "OPENBLAS_CORETYPE": "Haswell",
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    },
}
# MKL says what it uses only when it prints its calls, to the standard output of the process.
ASK = """\
import json, os, re, subprocess, sys
import numpy, scipy.linalg, threadpoolctl, torch
from numpy._core._multiarray_umath import __cpu_baseline__, __cpu_dispatch__, __cpu_features__

blas = [info for info in threadpoolctl.threadpool_info() if info["internal_api"] == "openblas"]
multiply = "import torch; a = torch.ones(64, 64); a @ a"
loud = {**os.environ, "MKL_VERBOSE": "1"}
said = subprocess.run([sys.executable, "-c", multiply], env=loud, capture_output=True, text=True)
mkl = re.search(r"build \\d+ for (.*?)(?: enabled| processors| with support|, Lnx|$)", said.stdout)
print(json.dumps({
    "OpenBLAS": " ".join(sorted({info["architecture"] for info in blas})),
    "torch": torch.backends.cpu.get_cpu_capability(),
    "numpy": " ".join(n for n in __cpu_dispatch__ if __cpu_features__[n]) or __cpu_baseline__[-1],
    "MKL": mkl[1].split("architecture ")[-1] if mkl else "",
}))
"""
DEMANDED = ("OpenBLAS", "torch", "numpy")  # MKL does as it likes where the maker is another


def kernels() -> dict[str, str]:
    """Ask a kernel in the present environment what its libraries compute with."""
    notebook = new_notebook(cells=[new_code_cell(ASK)])
    with tempfile.TemporaryDirectory() as folder:
        manager = kernel_manager(Path(folder))
        NotebookClient(notebook, kernel_name="python3", kernel_manager_class=manager).execute()
    answer: dict[str, str] = json.loads(notebook.cells[0].outputs[0].text)
    return answer


def refusal(wanted: str, native: dict[str, str], chosen: dict[str, str]) -> str:
    """Return why nothing would be shown, or nothing."""
    same = [f"{library} ({chosen[library]})" for library in DEMANDED
            if chosen[library] == native[library]]  # fmt: skip
    if not same:
        return ""
    return (
        f"{wanted}: {', '.join(same)} would compute as always on this machine, so that nothing"
        " would be shown that `make test` does not show; choose other KERNELS or another machine"
    )


def main(wanted: str, *command: str) -> int:
    """Run the command if it would show anything."""
    native = kernels()
    os.environ.update(KERNELS[wanted])
    chosen = kernels()
    for name, found in (("this machine", native), (wanted, chosen)):
        print(f"kernels of {name}: {', '.join(f'{k} {v}' for k, v in found.items() if v)}")
    sys.stdout.flush()
    if reason := refusal(wanted, native, chosen):
        print(reason, file=sys.stderr)
        return 1
    return subprocess.run(command).returncode


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in KERNELS and sys.argv[2:]:
        sys.exit(main(*sys.argv[1:]))
    sys.exit(f"usage: python tests/elsewhere.py {'|'.join(KERNELS)} COMMAND")
