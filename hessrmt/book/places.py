"""Where the files of the book are, for a chapter that is run from its folder or from elsewhere."""

from __future__ import annotations

from pathlib import Path

__all__ = ["book_file", "data_file"]

_CHECKOUT = Path(__file__).resolve().parents[2]


def data_file(name: str) -> Path:
    """Return the path of a stored result of the book.

    Parameters
    ----------
    name : str
        Name of the file in the folder ``data``.

    Returns
    -------
    Path
        In the current folder, where a chapter is run by itself; else in the folder ``book`` there,
        as at the root of a checkout; else in the checkout of this package.

    Raises
    ------
    FileNotFoundError
        If it is in none of them.

    Examples
    --------
    >>> data_file("fig6b.csv").name
    'fig6b.csv'
    """
    return book_file(f"data/{name}")


def book_file(name: str) -> Path:
    """Return the path of any file of the book, as `data_file` does."""
    places = (Path(), Path("book"), _CHECKOUT / "book")
    for place in places:
        if (place / name).exists():
            return place / name
    raise FileNotFoundError(
        f"name must be that of a file in the book, here, in book or in {places[-1]}, got {name!r}"
    )
