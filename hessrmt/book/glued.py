"""Numbers that the text of a chapter shows: stored in one place, so that the way can change."""

from __future__ import annotations

from typing import Any

__all__ = ["glue"]


def glue(name: str, value: Any, form: str = "") -> None:
    """Give the text a number under a name, by which its role ``glue:text`` asks for it.

    Parameters
    ----------
    name : str
        Its name, which begins with a mark of the chapter.
    value
        A number, a text, or a pair of a number and its standard error.
    form : str, optional
        Format specification, of both numbers of a pair.

    Raises
    ------
    ValueError
        If a number cannot be written in that form.

    Examples
    --------
    >>> glue("ww-index", (0.20528, 0.0002), ".4f")  # the text shows 0.2053 ± 0.0002
    """
    from myst_nb import glue as store

    parts = value if isinstance(value, tuple | list) else (value,)
    if len(parts) > 2:
        raise ValueError(f"value must be a number, a text or a pair, got {value!r}")
    store(name, " ± ".join(format(part, form) for part in parts), display=False)
