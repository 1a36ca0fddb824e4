"""An extension of Sphinx: on paper nothing can be unfolded, so what is folded is shown.

sphinx_jupyterbook_latex leaves out folded cells whole, and with them figures that the text names.
Their code stays out, their results are printed.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes

__all__ = ["setup"]


def setup(app: Any) -> dict[str, bool]:
    """Fold the code alone where pages are for LaTeX."""
    app.connect("doctree-read", _show)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _show(app: Any, page: nodes.document) -> None:
    if app.builder.format == "latex":
        for cell in page.findall(nodes.container):
            classes = (c.replace("tag_hide-cell", "tag_hide-input") for c in cell["classes"])
            cell["classes"] = list(classes)
