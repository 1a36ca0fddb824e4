"""Verdicts from findings, and that the book's claims and findings belong together."""

import json
import re
from itertools import product
from pathlib import Path

import pytest
import yaml

from hessrmt.book import GROUPS, VERDICT_LOOKS, Finding, Findings, audit, verdict, verdict_tiles

BOOK = Path(__file__).resolve().parents[2] / "book"
CLAIMS = yaml.safe_load((BOOK / "claims.yml").read_text(encoding="utf-8"))


def of(*printed, corrected=()):
    """Findings that hold or not, that hold within something, or whose premise is not stated."""
    both = [(holds, False) for holds in printed] + [(holds, True) for holds in corrected]
    words = {
        "near": {"holds": True, "within": "2%"},
        "far": {"holds": False, "within": "2%"},
        "unstated": {"holds": None, "unstated": "the step"},
    }
    return [
        Finding("a claim", "something", corrected=fixed, **words.get(holds, {"holds": holds}))
        for holds, fixed in both
    ]


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
        (of("near"), "approximate"),
        (of(True, "near"), "approximate"),
        (of("near", None), "open"),
        (of("far"), "refuted"),
        (of("near", False), "refuted"),
        (of("far", corrected=["near"]), "corrected"),
        (of(True, corrected=["near"]), "reproduced"),
        (of("unstated"), "not stated"),
        (of(True, "near", None, "unstated"), "not stated"),
        (of("unstated", corrected=[True]), "not stated"),
        (of("unstated", False), "refuted"),
    ],
)
def test_verdict(findings, expected):
    assert verdict(findings) == expected
    assert verdict(reversed(findings)) == expected
    yes, no = ("reproduced", "approximate"), ("corrected", "refuted")
    answers = dict.fromkeys(yes, "yes") | dict.fromkeys(no, "no")
    assert verdict(findings, question=True) == answers.get(expected, expected)


def test_what_is_decided_leaves_nothing_unstated():
    with pytest.raises(ValueError, match="unstated must be empty if holds is decided, got 'rate'"):
        Finding("a claim", "something", True, unstated="rate")


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
    rest = {"group": "figures", "section": "1", "says": "It is so.", "where": ""}
    rows = [{"claim": claim, **rest} for claim in ("one", "two")]
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
    assert [finding.run for finding in (*two.findings, *one.findings)] == [
        "",
        "second/seed=1",
        "second/seed=1",
    ]


def test_findings_are_kept_as_they_were_and_read_back():
    findings = Findings()
    findings.add("one", "as before", True)
    findings.add("one", "nearly", True, within="2% for φ up to 1/2")
    findings.add("one", "not to be had", None, unstated="the step")
    (kept,) = findings._repr_mimebundle_()[1].values()
    before = {"claim": "one", "measured": "as before", "holds": True, "corrected": False}
    assert kept[0] == before
    assert [Finding(**each) for each in kept] == findings._findings
    assert str(findings._findings[1]) == "one: holds within 2% for φ up to 1/2; nearly"
    assert "the paper does not state the step" in repr(findings)


def test_questions_are_answered(tmp_path, claims):
    claims.write_text(claims.read_text().replace("figures", "questions"))
    write(tmp_path, "chapter", ("one", True), ("two", False))
    rows = audit(tmp_path, claims)
    assert [(row.verdict, row.paper) for row in rows] == [("yes", "this book"), ("no", "this book")]


def test_what_cannot_be_audited(tmp_path, claims):
    with pytest.raises(FileNotFoundError, match="no notebooks"):
        audit(tmp_path / "empty", claims)
    write(tmp_path, "stray", ("three", True))
    with pytest.raises(ValueError, match=r"stray\.ipynb has a finding of no claim: 'three'"):
        audit(tmp_path, claims)
    once = claims.read_text()
    claims.write_text(once.replace("figures", "pictures"))
    with pytest.raises(ValueError, match=f"group must be one of {', '.join(GROUPS)}, got 'pict"):
        audit(tmp_path, claims)
    claims.write_text(once * 2)
    with pytest.raises(ValueError, match="claims must be different, got 'one' twice"):
        audit(tmp_path, claims)


def test_every_claim_of_the_book_was_examined():
    rows = audit(BOOK, BOOK / "claims.yml")
    assert [row.claim for row in rows if not row.findings] == []
    wrong = [row for row in rows if row.verdict in ("corrected", "refuted")]
    assert all(len(row.error) > 20 and row.error.endswith(".") for row in wrong)
    others = [row for row in rows if row not in wrong]
    assert not [row.claim for row in others if row.error]
    explained = ("approximate", "not stated", "open", "yes", "no")
    assert [r.claim for r in rows if bool(r.remark) != (r.verdict in explained)] == []


def test_every_claim_says_where_the_paper_has_it_and_quotes_briefly():
    for claim in CLAIMS:
        assert claim.get("section"), claim
        assert 0 < words(claim["quote"]) <= 15, claim
        if claim.get("formula"):  # shown as code
            assert "`" not in claim["quote"], claim
        else:
            assert re.search("[a-z]{4}", claim["quote"]), claim
    assert {claim["group"] for claim in CLAIMS} == set(GROUPS)


def words(quote):
    """Number of words; of a formula, of pieces with a letter or a digit between blanks."""
    return sum(any(map(str.isalnum, piece)) for piece in quote.split())


def test_no_claim_is_listed_twice():
    for key in ("claim", "says"):
        listed = [claim[key] for claim in CLAIMS]
        assert len(set(listed)) == len(listed)


def test_what_is_open_says_what_would_decide():
    undecided = [r for r in audit(BOOK) if r.verdict in ("open", "not stated")]
    assert undecided
    assert [row.claim for row in undecided if "would decide" not in row.remark] == []


def test_each_numbered_equation_has_its_row_and_each_figure_its_claim():
    rows = {}
    for claim in CLAIMS:
        if claim["claim"].startswith("eq "):
            first, _, last = claim["claim"][3:].split(":")[0].partition("–")
            assert not last or 0 < int(last) - int(first) <= 2, "a range is one statement"
            for number in range(int(first), int(last or first) + 1):
                rows.setdefault(number, set()).add((first, last))
    assert set(rows) == set(range(2, 34))
    assert all(len(ranges) == 1 for ranges in rows.values())
    names = " ".join(claim["claim"] for claim in CLAIMS)
    assert all(f"Figure {k}" in names for k in ("1", "2", "3", "4", "5", "6a", "6b"))


def contrast(colour, other=(1.0, 1.0, 1.0)):
    """Contrast of two colours as the Web Content Accessibility Guidelines define it."""
    from matplotlib.colors import to_rgb

    linear = [
        [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(each)]
        for each in (colour, other)
    ]
    dark, light = sorted(0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in linear)
    return (light + 0.05) / (dark + 0.05)


def test_marks_are_legible_on_their_tiles():
    assert {name: face for name, (face, _) in VERDICT_LOOKS.items() if contrast(face) < 4.5} == {}


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
