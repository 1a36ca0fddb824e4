"""What the page of the audit shows: tiles, the verdicts in words, and one table of all claims.

All are HTML that reads without a script; the book's script lets the table be sorted, filtered and
opened row by row. References to places of the book are MyST markup, which the build resolves.
"""

from __future__ import annotations

import base64
import io
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import Any

from hessrmt.book.figures import VERDICT_LOOKS, verdict_tiles
from hessrmt.book.verdicts import GROUPS, AuditRow, Finding

__all__ = ["AuditSummary", "AuditTable", "AuditTiles"]

_WRONG = ("corrected", "refuted")
_ANSWERS = ("yes", "no")
_OWN = GROUPS["questions"][0]  # who asks what no paper claims


class AuditTiles:
    """A tile for each claim, a block for each group; a tile leads to its row in the table.

    Parameters
    ----------
    rows : sequence of AuditRow
        The claims, in the order of the tiles.
    page : str
        Address of the page with the table; empty for the same page.

    Examples
    --------
    >>> row = AuditRow("eq 2", "equations", "So it is.", "2", "", (), "open")
    >>> AuditTiles([row])
    AuditTiles: Pennington & Bahri, equations (1)
    >>> 'href="#claim-eq-2"' in AuditTiles([row]).to_html()
    True
    """

    def __init__(self, rows: Sequence[AuditRow], page: str = "") -> None:
        by_group = {group: [row for row in rows if row.group == group] for group in GROUPS}
        self._blocks = {", ".join(GROUPS[g]): members for g, members in by_group.items() if members}
        self._page = page

    def to_html(self) -> str:
        """Return the tiles as a piece of HTML."""
        lines = ['<div class="hessrmt-tiles">']
        for title, members in self._blocks.items():
            lines += [f"<p>{escape(title)} ({len(members)})</p>", "<ul>"]
            lines += [f"<li>{self._tile(row)}</li>" for row in members]
            lines.append("</ul>")
        counts = Counter(row.verdict for members in self._blocks.values() for row in members)
        lines.append('<ul class="hessrmt-legend">')
        for name, (face, mark) in VERDICT_LOOKS.items():
            square = f'<span aria-hidden="true" style="background:{face}">{mark}</span>'
            lines.append(f"<li>{square} {name}: {counts[name]}</li>")
        return "\n".join([*lines, "</ul>", "</div>"])

    def _tile(self, row: AuditRow) -> str:
        face, mark = VERDICT_LOOKS[row.verdict]
        name = escape(f"{row.claim}: {row.verdict}")
        address = f"{escape(self._page)}#{_anchor(row.claim)}"
        return (
            f'<a href="{address}" style="background:{face}" title="{name}"'
            f' aria-label="{name}">{mark}</a>'
        )

    def to_png(self) -> bytes:
        """Return the tiles as a picture, drawn by matplotlib."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6.4, 10.2), dpi=150, layout="constrained", facecolor="white")
        shown = {title: [row.verdict for row in rows] for title, rows in self._blocks.items()}
        verdict_tiles(figure.subplots(), shown)
        picture = io.BytesIO()
        figure.savefig(picture, format="png")
        return picture.getvalue()

    def __repr__(self) -> str:
        blocks = [f"{title} ({len(members)})" for title, members in self._blocks.items()]
        return f"AuditTiles: {'; '.join(blocks)}"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        picture = base64.b64encode(self.to_png()).decode()
        return {"text/plain": repr(self), "text/html": self.to_html(), "image/png": picture}


class AuditSummary:
    """How many claims have which verdict, in words, and which are corrected or refuted.

    Parameters
    ----------
    rows : sequence of AuditRow
        The claims.
    page : str
        As in `AuditTiles`.
    in_words : bool
        Whether to say of each claim that does not hold what is wrong with it.

    Examples
    --------
    >>> rows = [AuditRow(f"eq {k}", "equations", "", "2", "", (), "refuted") for k in (2, 3)]
    >>> AuditSummary(rows)
    Of 2 claims of the papers none is corrected and 2 are refuted.
    """

    def __init__(self, rows: Sequence[AuditRow], page: str = "", *, in_words: bool = False) -> None:
        self._rows, self._page, self._in_words = list(rows), page, in_words

    def __repr__(self) -> str:
        questions = [row for row in self._rows if row.paper == _OWN]
        claims = [row.verdict for row in self._rows if row.paper != _OWN]
        counts = Counter(claims)
        shown = [v for v in VERDICT_LOOKS if v in _WRONG or counts[v]]
        parts = [f"{_are(counts[v])} {v}" for v in shown]
        text = f"Of {len(claims)} claims of the papers {_list(parts)}."
        answers = Counter(row.verdict for row in questions if row.verdict in _ANSWERS)
        if answers:
            said = _list([f"{count} with {answer}" for answer, count in answers.items()])
            text += f" {answers.total()} questions of this book's own are answered, {said}."
        return text

    def to_markdown(self) -> str:
        """Return the counts, and the names of the claims that do not hold as links."""
        lines = [repr(self), ""]
        for verdict in _WRONG:
            rows = [row for row in self._rows if row.verdict == verdict]
            head = f"{VERDICT_LOOKS[verdict][1]} *{verdict}*"
            if self._in_words:
                lines += [f"- {head}, {self._link(row)}: {row.error}" for row in rows]
            elif rows:
                lines.append(f"- {head}: {'; '.join(map(self._link, rows))}")
        return "\n".join(lines)

    def _link(self, row: AuditRow) -> str:
        return f'<a href="{escape(self._page)}#{_anchor(row.claim)}">{escape(row.claim)}</a>'

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": repr(self), "text/markdown": self.to_markdown()}


class AuditTable:
    """All claims in one table; below each the claim, the quotation, the evidence and the error.

    Corrected and refuted claims come first. Without a script everything is open.

    Parameters
    ----------
    rows : sequence of AuditRow
        The claims, in the order of the papers.
    book : sequence of AuditRow
        What the book itself found, if `rows` are of reruns: then only claims that these examined
        are shown, each with the verdict and the findings of the book.

    Examples
    --------
    >>> found = Finding("eq 2", "equal", True)
    >>> row = AuditRow("eq 2", "equations", "So it is.", "2", "", (found,), "reproduced")
    >>> AuditTable([row])
    AuditTable: 1 claim
    >>> AuditTable([row], book=[row])
    AuditTable: 1 claim, no verdict differs from the book's
    """

    def __init__(self, rows: Sequence[AuditRow], book: Sequence[AuditRow] = ()) -> None:
        self._book = {row.claim: row for row in book}
        self._rows = [row for row in rows if row.findings or not self._book]
        self._order = {row.claim: k for k, row in enumerate(self._rows)}

    def to_markdown(self) -> str:
        """Return the table as HTML with MyST markup in its cells."""
        heads = ("claim", "verdict", "paper", "section")
        head = "".join(f'<th scope="col">{name}</th>' for name in heads)
        ranks = list(VERDICT_LOOKS)
        rows = sorted(self._rows, key=lambda row: ranks.index(row.verdict))
        lines = ['<table class="hessrmt-audit">', f"<thead><tr>{head}</tr></thead>"]
        lines += [line for row in rows for line in self._entry(row, ranks.index(row.verdict))]
        return "\n".join([*lines, "</table>"])

    def _entry(self, row: AuditRow, rank: int) -> list[str]:
        """Two rows of the table: blank lines separate the HTML from the markup."""
        data = {"verdict": row.verdict, "paper": row.paper, "section": row.section}
        data |= {"rank": str(rank), "order": str(self._order[row.claim])}
        attributes = "".join(f' data-{key}="{escape(value)}"' for key, value in data.items())
        verdict = f"{VERDICT_LOOKS[row.verdict][1]} {row.verdict}"
        if row.claim in self._book:
            verdict += f" (the book: {self._book[row.claim].verdict})"
        return [
            f'<tbody id="{_anchor(row.claim)}"{attributes}>',
            *('<tr><th scope="row">', "", row.claim, ""),
            *("</th><td>", "", verdict, ""),
            f"</td><td>{escape(row.paper)}</td><td>{escape(row.section)}</td></tr>",
            *('<tr><td colspan="4">', "", *self._content(row), ""),
            "</td></tr></tbody>",
        ]

    def _content(self, row: AuditRow) -> list[str]:
        asks = row.paper == _OWN
        where = f" Treated in {row.where}." if row.where else ""
        lines = [f"*{'Question' if asks else 'Claim'}:* {row.says}{where}", ""]
        said = f"`{row.quote}`" if row.formula else f"“{row.quote}”"
        place = row.section if not row.section[0].isdigit() else f"section {row.section}"
        if asks:
            lines += [f"*Prompted by:* {said}, {place}.", ""]
        else:
            source = "The paper prints" if row.formula else "The paper"
            lines += [f"*{source}:* {said}, {row.paper}, {place}.", ""]
        lines += [f"- {_evidence(finding)}" for finding in row.findings]
        if row.claim in self._book:
            lines += [f"- the book: {_evidence(f)}" for f in self._book[row.claim].findings]
        if row.error and row.verdict in _WRONG:
            lines += ["", f"*But:* {row.error}"]
        if row.remark:
            lines += ["", f"*{'Answer' if asks else 'Remark'}:* {row.remark}"]
        return lines

    def __repr__(self) -> str:
        count = len(self._rows)
        text = f"AuditTable: {count} claim{'' if count == 1 else 's'}"
        if not self._book:
            return text
        known = [row for row in self._rows if row.claim in self._book]
        differ = [row.claim for row in known if row.verdict != self._book[row.claim].verdict]
        if not differ:
            return f"{text}, no verdict differs from the book's"
        return f"{text}, verdicts that differ from the book's: {'; '.join(differ)}"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": repr(self), "text/markdown": self.to_markdown()}


def _evidence(finding: Finding) -> str:
    run = f"`{finding.run}`: " if finding.run else ""
    form = "corrected, " if finding.corrected else ""
    return f"{run}{form}{finding.outcome}"


def _anchor(claim: str) -> str:
    """Address of a claim's row within the page.

    >>> _anchor("section 6: law of H₀")
    'claim-section-6-law-of-h0'
    """
    plain = unicodedata.normalize("NFKC", claim).lower()
    return f"claim-{re.sub(r'[^a-z0-9α-ω]+', '-', plain).strip('-')}"


def _are(count: int) -> str:
    return "none is" if count == 0 else f"{count} {'is' if count == 1 else 'are'}"


def _list(parts: Sequence[str]) -> str:
    *most, last = parts
    return f"{', '.join(most)} and {last}" if most else last
