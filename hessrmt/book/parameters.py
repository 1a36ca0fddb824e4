"""The parameters of a chapter: their types and domains, and how values that are typed are read."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hessrmt.validation import choice, integer, real

__all__ = ["KINDS", "Parameter", "Text", "Value", "one_line"]

Value = float | int | str | bool | list[float] | list[int]


def _boolean(name: str, value: Any, domain: str) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be one of {domain}, got {value!r}")
    return value


_CHECKS: dict[str, Callable[[str, Any, str], Any]] = {
    "float": real,
    "int": integer,
    "str": choice,
    "bool": _boolean,
}
_LISTS = {"list[float]": real, "list[int]": integer}
KINDS = (*_CHECKS, *_LISTS)


class Text(str):
    """A value as it was typed, which is read by the declared type of its parameter.

    Nothing is guessed: numbers are decimal, 010 is ten, and what is no number of the type stays
    the text that it is, for the check to refuse. A text is taken letter by letter.

    Examples
    --------
    >>> Text("010").read("int"), Text("2024").read("str"), Text("[1, 2e-3]").read("list[float]")
    (10, '2024', [1.0, 0.002])
    """

    def read(self, kind: str) -> Any:
        """Return what it says for a parameter of that type."""
        text = self.strip()
        if kind == "str":
            return str(self)
        if kind == "bool":
            return {"True": True, "true": True, "False": False, "false": False}.get(text, text)
        if kind not in _LISTS:
            return _number(text, kind)
        if not (text.startswith("[") and text.endswith("]")):
            return _number(text, kind[5:-1])
        items = text[1:-1].strip().removesuffix(",")
        return [_number(item.strip(), kind[5:-1]) for item in items.split(",")] if items else []

    def split_values(self) -> list[Text]:
        """The values in a text with commas between them; lists are in brackets."""
        return [Text(item.strip()) for item in re.findall(r"(?:\[[^\]]*\]|[^,])+", self)]


def _is_no_text(value: str) -> bool:
    """Whether it is a file's name from a system with other characters, for which notebooks fail."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return True
    return False


_WHOLE = re.compile(r"[-+]?[0-9]+")
_DECIMAL = re.compile(r"[-+]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|inf|nan)")


def _number(text: str, kind: str) -> int | float | str:
    """Read a number: whole where it is meant to be and is, and the text where there is none."""
    if len(text) > 4000:  # Python reads no longer ones, nor does anybody
        return f"{text[:20]}..."
    if kind == "int" and _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _DECIMAL.fullmatch(text) else text


def one_line(error: BaseException) -> str:
    """What an error says, in one line."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


@dataclass(frozen=True)
class Parameter:
    """A parameter of a chapter, as the chapter's parameters cell declares it.

    Examples
    --------
    >>> phi = Parameter("phi", "float", 0.5, "(0, 4]", "parameters per scalar target")
    >>> print(phi)
    phi in (0, 4]
    >>> phi.check(1)
    1.0
    """

    name: str
    type: str
    default: Value
    domain: str
    help: str

    def __str__(self) -> str:
        words = {"float": "in", "int": "in", "str": "one of", "bool": "one of"}
        return f"{self.name} {words.get(self.type, 'each in')} {self.domain}"

    def check(self, value: Any) -> Value:
        """Return `value` as this parameter's type, inside its domain.

        Whole numbers are accepted where a float is meant; NaN and infinities never are. A `Text` is
        read by the parameter's type first.

        Raises
        ------
        TypeError
            If `value` is of another kind.
        ValueError
            If it, or an element of it, is outside the domain.
        """
        if isinstance(value, Text):
            value = value.read(self.type)
        if isinstance(value, str) and _is_no_text(value):
            raise ValueError(f"{self.name} must be a name in UTF-8, got {value!a}")
        if self.type in _CHECKS:
            return _CHECKS[self.type](self.name, value, self.domain)  # type: ignore[no-any-return]
        if not isinstance(value, list | tuple):
            raise TypeError(f"{self.name} must be a list, each in {self.domain}, got {value!r}")
        if not value:
            raise ValueError(f"{self.name} must have elements in {self.domain}, got []")
        return [_LISTS[self.type](self.name, item, self.domain) for item in value]
