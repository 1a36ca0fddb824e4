"""Tables: the same characters on the page, in the PDF and in a terminal."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest
from markdown_it import MarkdownIt

from hessrmt.book import Table, _values, glue


class Cells(HTMLParser):
    """Rows of a table as a browser reads them, and the scopes of its headings."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.scopes, self._open = [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self._open = True
        if tag == "th":
            self.scopes.append(dict(attributes)["scope"])

    def handle_endtag(self, tag):
        self._open = self._open and tag not in ("td", "th")

    def handle_data(self, data):
        if self._open:
            self.rows[-1][-1] += data


TABLE = Table(
    {
        "network": ["a | b", "c_1 < *d*"],
        "energy": np.array([-0.25, np.nan]),
        "runs": [12345, None],
        "met": [True, np.bool_(False)],
        "by": [0.5, 2],
    },
    formats={"energy": ".3f", "by": lambda value: f"{value}×"},
    caption="What is found",
)
ROWS = [
    ["network", "energy", "runs", "met", "by"],
    ["a | b", "-0.250", "12345", "yes", "0.5×"],
    ["c_1 < *d*", "–", "–", "no", "2×"],
]


def test_html_has_the_rows_and_says_what_heads_what():
    html = Cells(TABLE.to_html())
    assert [[text.replace("−", "-") for text in row] for row in html.rows] == ROWS
    assert html.scopes == ["col"] * 5 + ["row"] * 2
    assert "<caption>What is found</caption>" in TABLE.to_html()


def test_markdown_has_the_same_rows():
    html = MarkdownIt("commonmark").enable("table").render(TABLE.to_markdown())
    assert Cells(re.sub("<th(?!ead)", '<th scope="col"', html)).rows == ROWS


def test_text_is_aligned_in_a_terminal():
    assert repr(TABLE).splitlines() == [
        "What is found",
        "network    energy   runs  met    by",
        "a | b      -0.250  12345  yes  0.5×",
        "c_1 < *d*       –      –   no    2×",
    ]


def test_formulas_and_code():
    table = Table({r"$\phi < 1$": ["`a_b` of $x^2$"]})
    assert r'<span class="math notranslate nohighlight">\(\phi &lt; 1\)</span>' in table.to_html()
    assert "<code>a_b</code> of" in table.to_html()
    assert "| `a_b` of $x^2$ |" in table.to_markdown()


@pytest.mark.parametrize("tiny", [-1e-9, -0.0, 1e-9])
def test_zero_has_no_sign(tiny):
    assert "-" not in repr(Table({"a": [1], "x": [tiny]}, formats={"x": ".4f"}))


def test_small_numbers_keep_theirs():
    assert "-1e-09" in repr(Table({"x": [-1e-9]}))
    assert "-inf" in repr(Table({"x": [-np.inf]}))


@pytest.mark.parametrize(
    ("columns", "formats", "says"),
    [
        ({}, {}, "columns"),
        ({"a": [1], "b": [1, 2]}, {}, "'b': 2"),
        ({"a": "text"}, {}, "'a'"),
        ({"a": np.eye(2)}, {}, "'a'"),
        ({"a": [1]}, {"b": ".2f"}, "'b'"),
        ({"a": [1.5]}, {"a": "d"}, "'a'"),
    ],
)
def test_what_does_not_fit_is_named(columns, formats, says):
    with pytest.raises((TypeError, ValueError), match=says):
        Table(columns, formats=formats)


def test_glued_numbers(monkeypatch):
    shown = {}
    monkeypatch.setattr("myst_nb.glue", lambda name, text, display: shown.update({name: text}))
    glue("a", 0.12345, ".2f")
    glue("b", (0.12345, 0.001), ".3f")
    glue("c", "ten")
    assert shown == {"a": "0.12", "b": "0.123 ± 0.001", "c": "ten"}
    with pytest.raises(ValueError, match="value"):
        glue("d", (1, 2, 3))


def test_pages_mark_numbers_with_their_errors_in_tables_alone():
    table = Table({"n": [1, 2], "mean": ["-0.04 ± 0.01", "1,2e-3% ± 4% (2.0)"]}).to_html()
    context = {"body": f"<p>2 ± 1</p>{table}<p>3 ± 1</p>"}
    _values._mark(None, "page", "page.html", context, None)
    assert re.findall("<span class.*?</span></span>", context["body"]) == [
        '<span class="hessrmt-value">−0.04 <span>± 0.01</span></span>',
        '<span class="hessrmt-value">1,2e-3% <span>± 4%</span></span>',
    ]
    assert Cells(context["body"]).rows == Cells(table).rows
    assert context["body"].count("<span") == 4
    _values._mark(None, "search", "search.html", unchanged := {}, None)
    assert not unchanged
