"""The audit: what the chapters found of every claim, and the verdict that follows.

A chapter records *findings* about claims, and its executed notebook keeps them. The audit reads
them from there, so that no verdict is typed. The claims themselves, in words, are in
``claims.yml`` beside them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from hessrmt.book.places import book_file

__all__ = ["AuditRow", "Finding", "Findings", "audit", "verdict"]

_KEY = "hessrmt-findings"  # of an output's metadata, where they are kept
_WORDS = {True: "holds", False: "does not hold", None: "undecided"}


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
    """

    claim: str
    measured: str
    holds: bool | None
    corrected: bool = False

    def __str__(self) -> str:
        which = ", corrected" if self.corrected else ""
        return f"{self.claim}{which}: {_WORDS[self.holds]}; {self.measured}"


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
        self, claim: str, measured: str, holds: bool | None, *, corrected: bool = False
    ) -> None:
        """Record a finding; `holds` may be a numpy truth value."""
        decided = None if holds is None else bool(holds)
        self._findings.append(Finding(claim, measured, decided, corrected))

    def __repr__(self) -> str:
        return "\n".join(map(str, self._findings))

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[Any, Any]:
        lines = [str(finding).split(":", 1) for finding in self._findings]
        markdown = "\n".join(f"- **{head}**:{rest}" for head, rest in lines)
        kept = {_KEY: [asdict(finding) for finding in self._findings]}
        return {"text/plain": repr(self), "text/markdown": markdown}, kept


@dataclass(frozen=True)
class AuditRow:
    """A claim, what was found of it, and the verdict.

    `where` is a reference to the place that treats it, in MyST markup. `error` says what is wrong
    with the claim, if something is.
    """

    claim: str
    group: str
    says: str
    where: str
    findings: tuple[Finding, ...]
    verdict: str
    error: str = ""


def verdict(findings: Iterable[Finding]) -> str:
    """Verdict on a claim.

    Parameters
    ----------
    findings : iterable of Finding
        All that was found of it.

    Returns
    -------
    str
        ``"reproduced"`` if the claim holds in every respect that was examined, ``"corrected"`` if
        it does not but its correction does, ``"refuted"`` if there is none, and ``"open"`` if
        something is undecided and nothing contradicts, or if nothing was examined.

    Examples
    --------
    >>> as_printed = Finding("eq 8", "distance 0.3", False)
    >>> verdict([as_printed])
    'refuted'
    >>> verdict([as_printed, Finding("eq 8", "distance 0.003", True, corrected=True)])
    'corrected'
    """
    findings = list(findings)
    printed = [finding.holds for finding in findings if not finding.corrected]
    mended = [finding.holds for finding in findings if finding.corrected]
    if False in printed:
        return "corrected" if mended and all(mended) else "refuted"
    return "reproduced" if printed and None not in printed else "open"


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
        In the order of the claims.

    Raises
    ------
    FileNotFoundError
        If there are no claims, or no notebooks.
    ValueError
        If a finding is about no claim that is listed, or a claim is listed twice.
    """
    claims = book_file("claims.yml") if claims is None else Path(claims)
    chapters = claims.parent if chapters is None else Path(chapters)
    listed = yaml.safe_load(claims.read_text(encoding="utf-8"))
    found: dict[str, list[Finding]] = {}
    for claim in listed:
        if claim["claim"] in found:
            raise ValueError(f"claims must be different, got {claim['claim']!r} twice")
        found[claim["claim"]] = []
    notebooks = sorted(p for p in chapters.rglob("*.ipynb") if not p.name.startswith("."))
    if not notebooks:
        raise FileNotFoundError(f"there are no notebooks in {chapters}")
    for notebook in notebooks:
        for finding in _read(notebook):
            if finding.claim not in found:
                raise ValueError(f"{notebook.name} has a finding of no claim: {finding.claim!r}")
            found[finding.claim].append(finding)
    return [
        AuditRow(**claim, findings=tuple(about), verdict=verdict(about))
        for claim, about in zip(listed, found.values(), strict=True)
    ]


def _read(notebook: Path) -> list[Finding]:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    kept = [output.get("metadata", {}).get(_KEY, []) for output in outputs]
    return [Finding(**finding) for findings in kept for finding in findings]
