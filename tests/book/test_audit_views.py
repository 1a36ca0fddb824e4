"""What the page of the audit shows: every claim once, reachable, and readable without a script."""

import re
from pathlib import Path

import markdown_it
import pytest

from hessrmt.book import AuditRow, AuditSummary, AuditTable, AuditTiles, Finding, audit

BOOK = Path(__file__).resolve().parents[2] / "book"


def row(claim, verdict, group="figures", **more):
    found = more.pop("findings", (Finding(claim, "measured <5%", verdict == "reproduced"),))
    return AuditRow(claim, group, "It is so.", more.pop("section", "4"), "", found, verdict, **more)


@pytest.fixture(scope="module")
def rows():
    return audit(BOOK, BOOK / "claims.yml")


def html(rows, **more):
    return markdown_it.MarkdownIt().render(AuditTable(rows, **more).to_markdown())


def test_every_tile_leads_to_the_one_row_of_its_claim(rows):
    targets = re.findall(r'<tbody id="([^"]+)"', html(rows))
    assert len(targets) == len(set(targets)) == len(rows)
    for page in ("", "audit.html"):
        tiles = AuditTiles(rows, page).to_html()
        assert re.findall(rf'href="{page}#([^"]+)"', tiles) == [
            re.search(r'<tbody id="([^"]+)"', AuditTable([each]).to_markdown())[1] for each in rows
        ]
    assert set(re.findall(r'href="#([^"]+)"', AuditSummary(rows).to_markdown())) == {
        target for target, each in zip(targets, sorted_by_verdict(rows), strict=True) if each.error
    }


def sorted_by_verdict(rows):
    order = ["corrected", "refuted", "approximate", "not stated", "open", "reproduced", "yes", "no"]
    return sorted(rows, key=lambda row: order.index(row.verdict))


def test_corrected_and_refuted_claims_come_first(rows):
    shown = re.findall(r'data-verdict="([^"]+)"', html(rows))
    assert shown == [each.verdict for each in sorted_by_verdict(rows)]


def test_a_row_says_everything_of_its_claim():
    claim = row(
        "section 6: law <H>",
        "refuted",
        group="claims",
        quote="it is so",
        error="It is not.",
        section="6.2",
    )
    text = html([claim])
    assert 'data-verdict="refuted" data-paper="Pennington &amp; Bahri" data-section="6.2"' in text
    for part in ("It is so.", "“it is so”", "section 6.2", "measured &lt;5%", "It is not."):
        assert text.count(part) == 1, part
    assert "<script" not in text
    assert "hidden" not in text
    printed = html([row("eq 2", "reproduced", quote="L = 2|ε|", formula=True)])
    assert "<em>The paper prints:</em> <code>L = 2|ε|</code>, Pennington" in printed
    asked = html([row("why", "no", group="questions", quote="it is so", remark="No.")])
    assert "<em>Question:</em> It is so." in asked
    assert "<em>Answer:</em> No." in asked
    assert "<em>Prompted by:</em> “it is so”, section 4." in asked


def test_the_tables_of_html_are_closed_and_their_markup_is_read(rows):
    text = html(rows)
    for name in ("table", "thead", "tbody", "tr", "td", "th"):
        assert len(re.findall(rf"<{name}[ >]", text)) == text.count(f"</{name}>"), name
    assert text.count('<th scope="row">\n<p>') == len(rows)
    assert "<pre>" not in text


def test_reruns_stand_beside_the_book():
    rerun = Finding("one", "in the rerun", False, run="chapter/seed=1")
    rows = [row("one", "refuted", findings=(rerun,)), row("two", "open", findings=())]
    book = [row("one", "reproduced"), row("two", "reproduced")]
    text = html(rows, book=book)
    assert text.count("<tbody") == 1
    assert "<code>chapter/seed=1</code>: does not hold; in the rerun" in text
    assert "the book: holds; measured &lt;5%" in text
    assert "refuted (the book: reproduced)" in text
    assert repr(AuditTable(rows, book)).endswith("verdicts that differ from the book's: one")
    assert "none" not in repr(AuditTable(book, book))


def test_counts_in_words():
    rows = [row("one", "reproduced"), row("two", "corrected"), row("three", "corrected")]
    rows += [row("four", "no", group="questions"), row("five", "yes", group="questions")]
    rows.append(row("six", "open", group="questions"))  # neither a claim nor answered
    assert repr(AuditSummary(rows)) == (
        "Of 3 claims of the papers 2 are corrected, none is refuted and 1 is reproduced."
        " 2 questions of this book's own are answered, 1 with no and 1 with yes."
    )


def test_tiles_have_names_for_readers_who_see_neither_colour_nor_mark():
    bundle = AuditTiles([row("eq <2>", "open")])._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html", "image/png"}
    assert 'aria-label="eq &lt;2&gt;: open"' in bundle["text/html"]
