"""The audit: what the chapters found of every claim, and the verdict that follows.

A chapter records *findings* about claims, and its executed notebook keeps them. The audit reads
them from there, so that no verdict is typed. The claims themselves, in words, are in
``claims.yml`` beside them. One of its groups holds the book's own questions, which no paper
answers: they are answered, and nobody is right or wrong.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from hessrmt.book.places import book_file

__all__ = ["GROUPS", "AuditRow", "Finding", "Findings", "audit", "verdict"]

# Groups of claims in their order: the paper that makes them, and what they are.
GROUPS = {
    "equations": ("Pennington & Bahri", "equations"),
    "figures": ("Pennington & Bahri", "figures"),
    "claims": ("Pennington & Bahri", "claims of the abstract and the text"),
    "choromanska": ("Choromanska et al.", "claims"),
    "baskerville": ("Baskerville et al.", "claims"),
    "questions": ("this book", "questions"),
}
_QUESTIONS = "questions"  # the group that is nobody's claim
_KEY = "hessrmt-findings"  # of an output's metadata, where they are kept
_WORDS = {True: "holds", False: "does not hold", None: "undecided"}
_ANSWERS = {"reproduced": "yes", "approximate": "yes", "corrected": "no", "refuted": "no"}


@dataclass(frozen=True)
class Finding:
    """What a chapter found of a claim.

    Attributes
    ----------
    claim : str
        A claim's name in ``claims.yml``.
    measured : str
        What was measured and what was demanded of it, in words.
    holds : bool or None
        Whether the demand is met; None if the evidence does not decide.
    corrected : bool
        Whether this is about the claim as this book corrects it, not as the paper has it.
    within : str
        The accuracy and the range in which the claim was held to hold, in words; empty if it was
        held to its letter.
    unstated : str
        What the paper leaves open and what would decide, in words; only where `holds` is None.
    run : str
        The rerun that found it, by its folder; empty for the book itself.

    Raises
    ------
    ValueError
        If something unstated is said to leave open what is decided.
    """

    claim: str
    measured: str
    holds: bool | None
    corrected: bool = False
    within: str = ""
    unstated: str = ""
    run: str = ""

    def __post_init__(self) -> None:
        if self.unstated and self.holds is not None:
            raise ValueError(f"unstated must be empty if holds is decided, got {self.unstated!r}")

    @property
    def about(self) -> str:
        """The claim, and whether it is the corrected one."""
        return f"{self.claim}, corrected" if self.corrected else self.claim

    @property
    def outcome(self) -> str:
        """How it turned out, and what was measured."""
        how = f" within {self.within}" if self.within else ""
        how += f", the paper does not state {self.unstated}" if self.unstated else ""
        return f"{_WORDS[self.holds]}{how}; {self.measured}"

    def __str__(self) -> str:
        return f"{self.about}: {self.outcome}"


class Findings:
    """The findings of a chapter; displayed as a list, and kept in the notebook for the audit.

    Examples
    --------
    >>> findings = Findings()
    >>> findings.add("eq 21", "equal to the printed expression, by sympy", True)
    >>> findings
    eq 21: holds; equal to the printed expression, by sympy
    """

    def __init__(self) -> None:
        self._findings: list[Finding] = []

    def add(
        self,
        claim: str,
        measured: str,
        holds: bool | None,
        *,
        corrected: bool = False,
        within: str = "",
        unstated: str = "",
    ) -> None:
        """Record a finding, see `Finding`; `holds` may be a numpy truth value."""
        decided = None if holds is None else bool(holds)
        self._findings.append(Finding(claim, measured, decided, corrected, within, unstated))

    def __repr__(self) -> str:
        return "\n".join(map(str, self._findings))

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[Any, Any]:
        markdown = "\n".join(f"- **{f.about}**: {f.outcome}" for f in self._findings)
        # what is empty is not kept: most findings say neither how far they reach nor what is open
        optional = ("within", "unstated", "run")
        kept = {
            _KEY: [
                {key: value for key, value in asdict(f).items() if value or key not in optional}
                for f in self._findings
            ]
        }
        return {"text/plain": repr(self), "text/markdown": markdown}, kept


@dataclass(frozen=True)
class AuditRow:
    """A claim, what was found of it, and the verdict.

    Attributes
    ----------
    claim : str
        Its name.
    group : str
        A key of `GROUPS`.
    says : str
        What is claimed, in this book's words; or what this book asks.
    section : str
        Where the paper says it, or what a question is about.
    where : str
        A reference to the place that treats it, in MyST markup.
    findings : tuple of Finding
        All that was found of it.
    verdict : str
        See `verdict`.
    quote : str
        What the paper itself says; with a question of this book, what makes one ask.
    formula : bool
        Whether that is a formula, numbers or a label that it prints, and not its words.
    error : str
        What is wrong with the claim, if something is.
    remark : str
        How far an approximate claim goes, what would decide an open one, what answers a question.
    """

    claim: str
    group: str
    says: str
    section: str
    where: str
    findings: tuple[Finding, ...]
    verdict: str
    quote: str = ""
    formula: bool = False
    error: str = ""
    remark: str = ""

    @property
    def paper(self) -> str:
        """Who claims it."""
        return GROUPS[self.group][0]


def verdict(findings: Iterable[Finding], *, question: bool = False) -> str:
    """Verdict on a claim.

    Parameters
    ----------
    findings : iterable of Finding
        All that was found of it.
    question : bool
        Whether this is a question of the book and nobody's claim.

    Returns
    -------
    str
        The first that applies:

        - ``"corrected"`` if the claim fails in some respect that was examined but its correction
          holds in all, ``"refuted"`` if there is none that does;
        - ``"not stated"`` if the paper leaves open what would decide;
        - ``"open"`` if something is undecided, or nothing was examined;
        - ``"approximate"`` if it holds, in some respect only to a stated accuracy over a stated
          range;
        - ``"reproduced"`` if it holds to its letter in every respect that was examined.

        To a question, ``"yes"`` for reproduced or approximate, ``"no"`` for corrected or refuted.

    Examples
    --------
    >>> as_printed = Finding("eq 8", "distance 0.3", False)
    >>> verdict([as_printed])
    'refuted'
    >>> verdict([as_printed, Finding("eq 8", "distance 0.003", True, corrected=True)])
    'corrected'
    >>> verdict([Finding("Figure 5", "R² 0.98", True, within="R² above 0.95 for φ up to 1")])
    'approximate'
    """
    findings = list(findings)
    printed = [finding for finding in findings if not finding.corrected]
    mended = [finding.holds for finding in findings if finding.corrected]
    if any(finding.holds is False for finding in printed):
        word = "corrected" if mended and all(mended) else "refuted"
    elif any(finding.unstated for finding in printed):
        word = "not stated"
    elif not printed or any(finding.holds is None for finding in printed):
        word = "open"
    else:
        word = "approximate" if any(finding.within for finding in printed) else "reproduced"
    return _ANSWERS.get(word, word) if question else word


def audit(chapters: str | Path | None = None, claims: str | Path | None = None) -> list[AuditRow]:
    """Collect the findings of executed chapters, claim by claim.

    Parameters
    ----------
    chapters : path-like, optional
        Folder with the executed notebooks, also in folders below it; by default the book's.
    claims : path-like, optional
        The claims, by default the book's.

    Returns
    -------
    list of AuditRow
        In the order of the claims. A finding from a folder below names that folder as its run.

    Raises
    ------
    FileNotFoundError
        If there are no claims, or no notebooks.
    ValueError
        If a finding is about no claim that is listed, a claim is listed twice, or its group is
        none of `GROUPS`.
    """
    claims = book_file("claims.yml") if claims is None else Path(claims)
    chapters = claims.parent if chapters is None else Path(chapters)
    listed = yaml.safe_load(claims.read_text(encoding="utf-8"))
    found: dict[str, list[Finding]] = {}
    for claim in listed:
        if claim["claim"] in found:
            raise ValueError(f"claims must be different, got {claim['claim']!r} twice")
        if claim["group"] not in GROUPS:
            raise ValueError(f"group must be one of {', '.join(GROUPS)}, got {claim['group']!r}")
        found[claim["claim"]] = []
    notebooks = sorted(p for p in chapters.rglob("*.ipynb") if not p.name.startswith("."))
    if not notebooks:
        raise FileNotFoundError(f"there are no notebooks in {chapters}")
    for notebook in notebooks:
        for finding in read_findings(notebook):
            if finding.claim not in found:
                raise ValueError(f"{notebook.name} has a finding of no claim: {finding.claim!r}")
            run = notebook.parent.relative_to(chapters).as_posix()
            found[finding.claim].append(replace(finding, run="" if run == "." else run))
    return [
        AuditRow(
            **claim,
            findings=tuple(about),
            verdict=verdict(about, question=claim["group"] == _QUESTIONS),
        )
        for claim, about in zip(listed, found.values(), strict=True)
    ]


def read_findings(notebook: Path) -> list[Finding]:
    """Read the findings that an executed notebook has kept."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    kept = [output.get("metadata", {}).get(_KEY, []) for output in outputs]
    return [Finding(**finding) for findings in kept for finding in findings]
