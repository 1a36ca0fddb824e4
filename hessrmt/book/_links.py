"""An extension of Sphinx: what a page that stands alone says of the rest of the book.

Sphinx resolves what is on the page; the rest is looked up in a setting, which is made by
`hessrmt.book._references`.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from docutils.utils.smartquotes import smartyPants
from sphinx.util import docname_join

__all__ = ["setup"]


def setup(app: Any) -> dict[str, bool]:
    """Resolve what Sphinx cannot, before the references to other projects."""
    app.add_config_value("hessrmt_references", {}, "env")
    app.connect("missing-reference", _resolve, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _resolve(app: Any, env: Any, node: Any, content: nodes.Element) -> nodes.Node | None:
    role, label = node["reftype"], node["reftarget"]
    if role == "doc":
        label = f"/{docname_join(node['refdoc'], label)}"
    known = app.config.hessrmt_references.get(f"{node['refdomain']}:{role}", {})
    if label not in known:
        return None
    text, page, anchor = known[label]
    quoted = str(smartyPants(text, "qDe"))  # quotation marks as Sphinx prints them
    shown = content if node["refexplicit"] else nodes.inline(quoted, quoted)
    if not page:
        return shown
    address = f"{page}#{nodes.make_id(anchor)}" if anchor else page
    return nodes.reference("", "", shown, internal=True, refuri=address)
