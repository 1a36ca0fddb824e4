"""The one table of the benchmarks, of which every script writes its part.

Import this first: it keeps numpy and torch to one thread.
"""

import argparse
import json
import os
import platform
import time
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[name] = "1"  # before numpy is loaded

TARGET = Path(__file__).resolve().parents[1] / "book" / "data" / "benchmarks.json"
COMMAND = "make bench SAVE=--save"


def seconds(call):
    """Best of five times that a call takes; of five for all, so that ratios favour none."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def report(topic, rows, packages):
    """Print a part of the table and, if asked on the command line, store it.

    Rows are (method, what, seconds, times as long as ours or None, largest error or None), and may
    end in megabytes or None.
    """
    parser = argparse.ArgumentParser(description=f"Benchmarks: {topic}.")
    parser.add_argument("--save", action="store_true", help=f"write to {TARGET.name}")
    save = parser.parse_args().save
    table = []
    print(f"{'method':28}{'what':38}{'time':>13}{'ratio':>9}{'error':>10}{'memory':>10}")
    for method, what, spent, ratio, error, *held in rows:
        names = ("method", "what", "seconds", "ratio", "error", "megabytes")
        table.append(dict(zip(names, (method, what, spent, ratio, error, *held), strict=False)))
        cells = ["" if ratio is None else f"{ratio:.1f}", "" if error is None else f"{error:.1e}"]
        cells.append(f"{held[0]:.0f} MB" if held and held[0] is not None else "")
        text = f"{spent * 1e3:10.2f} ms{cells[0]:>9}{cells[1]:>10}{cells[2]:>10}"
        print(f"{method:28}{what:38}{text}", flush=True)
    if save:
        stored = json.loads(TARGET.read_text(encoding="utf-8")) if TARGET.exists() else {}
        topics = stored.get("topics", {})
        machine = f"{platform.system()} {platform.machine()}, one core"
        topics[topic] = {
            "date": date.today().isoformat(),
            "machine": machine,
            "python": platform.python_version(),
            "versions": {package: _version(package) for package in packages},
            "rows": table,
        }
        stored = {"command": COMMAND, "date": date.today().isoformat(), "topics": topics}
        text = json.dumps(stored, indent=1, ensure_ascii=False)
        TARGET.write_text(text + "\n", encoding="utf-8")


def _version(package):
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
