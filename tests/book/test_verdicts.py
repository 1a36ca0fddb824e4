"""Verdicts from findings, and that the book's claims and findings belong together."""

import json
from itertools import product
from pathlib import Path

import pytest
import yaml

from hessrmt.book import VERDICT_LOOKS, Finding, Findings, audit, verdict, verdict_tiles

BOOK = Path(__file__).resolve().parents[2] / "book"
CLAIMS = yaml.safe_load((BOOK / "claims.yml").read_text(encoding="utf-8"))


def of(*printed, corrected=()):
    both = [(holds, False) for holds in printed] + [(holds, True) for holds in corrected]
    return [Finding("a claim", "something", *pair) for pair in both]


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        ([], "open"),
        (of(None), "open"),
        (of(True), "reproduced"),
        (of(True, None), "open"),
        (of(True, True, corrected=[True]), "reproduced"),
        (of(True, False), "refuted"),
        (of(None, False), "refuted"),
        (of(False, corrected=[False]), "refuted"),
        (of(False, corrected=[True, None]), "refuted"),
        (of(False, corrected=[True, True]), "corrected"),
        (of(corrected=[True]), "open"),
    ],
)
def test_verdict(findings, expected):
    assert verdict(findings) == expected
    assert verdict(reversed(findings)) == expected


def write(folder, name, *findings):
    """A notebook with these findings as a kernel would store them, and a cell without outputs."""
    recorded = Findings()
    for claim, holds in findings:
        recorded.add(claim, "something: measured", holds)
    data, metadata = recorded._repr_mimebundle_()
    output = {"output_type": "execute_result", "data": data, "metadata": metadata}
    cells = [{"cell_type": "markdown"}, {"cell_type": "code", "outputs": [output]}]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.ipynb").write_text(json.dumps({"cells": cells}), encoding="utf-8")


@pytest.fixture
def claims(tmp_path):
    rows = [{"claim": c, "group": "g", "says": "It is so.", "where": ""} for c in ("one", "two")]
    path = tmp_path / "claims.yml"
    path.write_text(yaml.safe_dump(rows), encoding="utf-8")
    return path


def test_findings_of_all_notebooks_count(tmp_path, claims):
    write(tmp_path / "out", "first", ("two", True))
    write(tmp_path / "out" / "second" / "seed=1", "second", ("two", False), ("one", None))
    one, two = audit(tmp_path / "out", claims)
    assert (one.verdict, two.verdict) == ("open", "refuted")
    assert [finding.holds for finding in two.findings] == [True, False]
    assert two.findings[0] == Finding("two", "something: measured", True)


def test_what_cannot_be_audited(tmp_path, claims):
    with pytest.raises(FileNotFoundError, match="no notebooks"):
        audit(tmp_path / "empty", claims)
    write(tmp_path, "stray", ("three", True))
    with pytest.raises(ValueError, match=r"stray\.ipynb has a finding of no claim: 'three'"):
        audit(tmp_path, claims)
    claims.write_text(claims.read_text() * 2)
    with pytest.raises(ValueError, match="claims must be different, got 'one' twice"):
        audit(tmp_path, claims)


def test_every_claim_of_the_book_was_examined():
    rows = audit(BOOK, BOOK / "claims.yml")
    assert [row.claim for row in rows if not row.findings] == []
    wrong = [row for row in rows if row.verdict in ("corrected", "refuted")]
    assert all(len(row.error) > 20 and row.error.endswith(".") for row in wrong)
    assert not [row.claim for row in rows if row.error and row.verdict in ("reproduced", "open")]


def test_all_numbered_equations_and_figures_are_claims():
    names = " ".join(claim["claim"] for claim in CLAIMS)
    numbers = set()
    for claim in CLAIMS:
        if claim["claim"].startswith("eq "):
            first, _, last = claim["claim"][3:].split(":")[0].partition("–")
            numbers |= set(range(int(first), int(last or first) + 1))
    assert numbers == set(range(2, 34))
    assert all(f"Figure {k}" in names for k in ("1", "2", "3", "4", "5", "6a", "6b"))


def test_tiles_show_every_verdict_without_colour():
    import matplotlib.pyplot as plt

    marks = [mark for _, mark in VERDICT_LOOKS.values()]
    assert len(set(marks)) == len(marks)
    fig, ax = plt.subplots()
    shown = {"first": list(VERDICT_LOOKS) * 4, "second": ["open"]}
    verdict_tiles(ax, shown, columns=5)
    texts = [text.get_text() for text in ax.texts]
    drawn = {mark: texts.count(mark) for mark in marks}
    wanted = {mark: 4 + 1 + (name == "open") for name, (_, mark) in VERDICT_LOOKS.items()}
    assert drawn == wanted
    corners = [patch.get_xy() for patch in ax.patches]
    assert len(set(corners)) == len(corners)
    assert not any(
        abs(x - u) < 0.9 and abs(y - v) < 0.9
        for (x, y), (u, v) in product(corners, corners)
        if (x, y) != (u, v)
    )
    plt.close(fig)
