"""An extension of Sphinx: in tables a number and its error belong together.

The style sheet keeps them on one line, the error smaller. Tables in the chapters say nothing of
it, so that their text is what a terminal shows.
"""

from __future__ import annotations

import re
from typing import Any

__all__ = ["setup"]

_TABLE = re.compile(r'<div class="hessrmt-table">.*?</table>', re.DOTALL)
_NUMBER = r"\d[\d.,]*(?:e[-+−]?\d+)?%?"
_VALUE = re.compile(rf"([-+−]?{_NUMBER}) (± {_NUMBER})")


def setup(app: Any) -> dict[str, bool]:
    """Mark numbers with errors on every page."""
    app.connect("html-page-context", _mark)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _mark(app: Any, page: str, template: str, context: dict[str, Any], tree: Any) -> None:
    if "body" in context:
        context["body"] = _TABLE.sub(_marked, context["body"])


def _marked(table: re.Match[str]) -> str:
    return _VALUE.sub(r'<span class="hessrmt-value">\1 <span>\2</span></span>', table[0])
