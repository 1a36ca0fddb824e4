"""Rerun every chapter at two corners of its domain, and leave pages to be read: make test-long.

    python tests/corners.py [CHAPTER ...]

At the low corner every parameter is at the lower end of its domain, at the high corner numbers are
at the upper end and whole numbers, which are sizes, at the lower. An end that is infinite leaves
the default; one that does not belong to the domain, a value close to it. That a chapter runs is
found here; prose that does not hold there is for a reader to find.
"""

import re
import sys
from pathlib import Path
from typing import Any

from hessrmt.book import BookError, Chapter, Parameter, chapters, find_chapter, rerun

OUT = Path("out") / "corners"
# Data that may have to be downloaded, stored results that would be overwritten or made for an hour;
# and what others decide about: φ is 2n/m for whole n and m, and stored searches have one width.
KEPT = {"dataset", "results", "source"}
ALSO_KEPT = {"critical_points": {"phi", "n"}}
INTERVAL = re.compile(r"(?P<left>[\[(])(?P<low>[^,]+), (?P<high>[^\])]+)(?P<right>[\])])")


def end(parameter: Parameter, high: bool) -> Any:
    """The value of a parameter at a corner; None for its default."""
    if parameter.type == "bool":
        return high
    if parameter.type == "str":
        options = [o for o in parameter.domain.split(" | ") if "<" not in o and o != "download"]
        return options[-1 if high else 0] if options else None
    match = INTERVAL.fullmatch(parameter.domain)
    if not match:
        return None
    whole = "int" in parameter.type
    side, bracket = ("high", "right") if high and not whole else ("low", "left")
    if "inf" in match[side]:
        return None
    value = int(match[side]) if whole else float(match[side])
    if match[bracket] in "()":
        first = parameter.default[0] if isinstance(parameter.default, list) else parameter.default
        value = first + 0.95 * (value - first)
    return [value] if parameter.type.startswith("list") else value


def corner(chapter: Chapter, high: bool) -> dict[str, Any]:
    """Parameters of a chapter at a corner."""
    kept = KEPT | ALSO_KEPT.get(chapter.name, set())
    ends = {p.name: end(p, high) for p in chapter.parameters if p.name not in kept}
    return {name: value for name, value in ends.items() if value is not None}


def main(names: list[str]) -> int:
    """Rerun what the command line names, by default everything, and say what fails."""
    failed = 0
    for chapter in [find_chapter(name) for name in names] if names else chapters():
        for high in (False, True):
            values = corner(chapter, high)
            shown = ", ".join(f"{name} = {value}" for name, value in values.items())
            try:
                result = rerun(chapter.name, values, out=OUT)
                print(f"{chapter.name}: {shown}\n  {result.page}", flush=True)
            except BookError as error:
                failed += 1
                print(f"{chapter.name}: {shown}\n  {error}", flush=True)
    print(f"{failed} failed" if failed else "all run; the pages are to be read")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
