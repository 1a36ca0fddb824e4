"""An extension of Sphinx: a title is text, which the themes take for markup."""

from __future__ import annotations

from typing import Any

from markupsafe import escape

__all__ = ["setup"]


def setup(app: Any) -> dict[str, bool]:
    """Have the book's title escaped on every page."""
    app.connect("html-page-context", _escape_title)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _escape_title(app: Any, page: str, template: str, context: dict[str, Any], tree: Any) -> None:
    # Marked as escaped, so that the templates which escape it do not do it once more.
    context["docstitle"] = escape(context["docstitle"])
