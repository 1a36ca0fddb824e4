"""Checks of arguments, with one wording.

Every message names the argument, the value given and the domain it must lie in, for example
``phi must be in (0, inf), got -0.5``. A value of the wrong kind (a string, a complex number, a
boolean) is a `TypeError`; a number outside the domain, NaN included, is a `ValueError`.

A domain is written as a reader would write it: an interval ``"(0, inf)"`` or ``"[0, 10]"``, or
alternatives ``"normal | sign"``. The comments of a chapter's parameters use the same notation.
"""

from __future__ import annotations

import numbers
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hessrmt.functions import find_function

__all__ = [
    "Interval",
    "check_parameters",
    "choice",
    "complex_array",
    "generator",
    "integer",
    "real",
    "real_array",
    "shape",
]

_NUMBER = r"[-+]?(?:inf|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)"
_INTERVAL = re.compile(rf"([\[(])\s*({_NUMBER})\s*,\s*({_NUMBER})\s*([\])])")


@dataclass(frozen=True)
class Interval:
    """An interval of the real line, each end open or closed.

    Examples
    --------
    >>> 0.5 in Interval.parse("(0, 1]"), 0.0 in Interval.parse("(0, 1]")
    (True, False)
    """

    text: str
    low: float
    high: float
    low_closed: bool
    high_closed: bool

    @classmethod
    def parse(cls, text: str) -> Interval:
        """Read ``"(0, inf)"``, ``"[0, 10]"`` and the like; anything else is a `ValueError`."""
        match = _INTERVAL.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"domain must be an interval such as '(0, 1]', got {text!r}")
        left, low, high, right = match.groups()
        return cls(text.strip(), float(low), float(high), left == "[", right == "]")

    def contains(self, x: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Elementwise membership; NaN is never inside, an infinity if it is a closed end."""
        above = x >= self.low if self.low_closed else x > self.low
        below = x <= self.high if self.high_closed else x < self.high
        return above & below

    def has_integer(self, x: int) -> bool:
        """Membership without rounding: floats do not tell apart all integers from 2^53 on."""
        match = _INTERVAL.fullmatch(self.text)
        assert match is not None
        low, high = (
            int(t) if t.lstrip("+-").isdecimal() else float(t) for t in match.groups()[1:3]
        )
        return (low <= x if self.low_closed else low < x) and (
            x <= high if self.high_closed else x < high
        )

    def __contains__(self, x: float) -> bool:
        return bool(self.contains(np.asarray(x, dtype=np.float64)))


def real_array(name: str, value: ArrayLike, domain: str = "(-inf, inf)") -> NDArray[np.float64]:
    """Return `value` as a float64 array, every element inside `domain`.

    Raises
    ------
    TypeError
        If `value` is not made of real numbers.
    ValueError
        If an element is NaN, infinite or outside the domain.
    """
    _refuse_masked(name, value)
    try:
        array = np.asarray(value)
    except ValueError:  # ragged nested sequences
        raise TypeError(f"{name} must be real numbers in {domain}, got {value!r}") from None
    if array.dtype == object and all(
        isinstance(v, numbers.Real) and not isinstance(v, bool) for v in array.flat
    ):
        try:
            array = array.astype(np.float64)  # fractions, sympy numbers
        except OverflowError:
            raise ValueError(f"{name} must be in {domain}, got a number too large") from None
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{name} must be real numbers in {domain}, got {value!r}")
    array = array.astype(np.float64)
    inside = Interval.parse(domain).contains(array)
    if not inside.all():
        raise ValueError(f"{name} must be in {domain}, got {float(array[~inside].flat[0])!r}")
    return array


def complex_array(
    name: str, value: ArrayLike, domain: str = "finite", inside: Callable[..., Any] = np.isfinite
) -> NDArray[np.complex128]:
    """Return `value` as a complex128 array, every element finite and `inside` the `domain`.

    Parameters
    ----------
    name, value
        The argument, as in `real_array`.
    domain : str
        In words, for the message; no interval describes a part of the plane.
    inside : callable
        Elementwise test of it.

    Raises
    ------
    TypeError
        If `value` is not made of numbers.
    ValueError
        If an element is NaN, infinite or outside the domain.

    Examples
    --------
    >>> complex_array("z", [1j, 1 - 1j], "finite with Im z > 0", lambda z: z.imag > 0)
    Traceback (most recent call last):
        ...
    ValueError: z must be finite with Im z > 0, got (1-1j)
    """
    _refuse_masked(name, value)
    array = np.asarray(value)
    if array.dtype.kind not in "iufc":
        raise TypeError(f"{name} must be complex numbers, got {value!r}")
    usable = np.isfinite(array) & inside(array)
    if not usable.all():
        raise ValueError(f"{name} must be {domain}, got {complex(array[~usable].flat[0])}")
    return array.astype(np.complex128)


def _refuse_masked(name: str, value: Any) -> None:
    """What is behind a mask is not to be computed with, and would be."""
    if masked := int(np.sum(value.mask)) if isinstance(value, np.ma.MaskedArray) else 0:
        raise ValueError(f"{name} must have no masked elements, got {masked}")


def real(name: str, value: Any, domain: str = "(-inf, inf)") -> float:
    """Return `value` as a float inside `domain`; errors as in `real_array`.

    Examples
    --------
    >>> real("phi", -0.5, "(0, inf)")
    Traceback (most recent call last):
        ...
    ValueError: phi must be in (0, inf), got -0.5
    """
    array = real_array(name, value, domain)
    if array.ndim != 0:
        raise TypeError(f"{name} must be one real number in {domain}, got {value!r}")
    return float(array)


def integer(name: str, value: Any, domain: str = "[0, inf)") -> int:
    """Return `value` as an int inside `domain`; floats, even whole ones, are refused."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be an integer in {domain}, got {value!r}")
    number = int(value)
    if abs(number) >= 2**1023:
        raise ValueError(f"{name} must be in {domain}, got a number too large")
    if not Interval.parse(domain).has_integer(number):
        raise ValueError(f"{name} must be in {domain}, got {number!r}")
    return number


def generator(name: str, value: Any) -> np.random.Generator:
    """Return numpy's generator of a seed or bit generator, `value` itself, or a new one for None.

    Examples
    --------
    >>> generator("rng", -1)
    Traceback (most recent call last):
        ...
    ValueError: rng must be a seed >= 0, a numpy.random.Generator or None, got -1
    """
    try:
        return np.random.default_rng(value)
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"{name} must be a seed >= 0, a numpy.random.Generator or None, got {value!r}"
        ) from None


def shape(name: str, value: Any) -> tuple[int, ...]:
    """Return `value`, one integer or several, as a shape of an array."""
    sizes = tuple(value) if np.iterable(value) and not isinstance(value, str) else (value,)
    return tuple(integer(name, size) for size in sizes)


def choice(name: str, value: Any, domain: str) -> str:
    """Return `value` if it is one of the alternatives of `domain`, written ``"a | b"``.

    The alternatives ``<folder>`` and ``<file>`` stand for the path of any folder or file there is,
    returned absolute: a rerun is executed elsewhere than where its user named it. ``<function>``
    stands for a function of the user's, returned as `hessrmt.functions.find_function` does.
    """
    options = {option.strip() for option in domain.split("|")}
    if not isinstance(value, str):
        raise TypeError(f"{name} must be one of {domain}, got {value!r}")
    if value in options - {"<folder>", "<file>", "<function>"}:
        return value
    if "<function>" in options and ":" in value:
        try:
            return find_function(value)
        except ValueError as error:
            raise ValueError(f"{name} must be a function that is there: {error}") from None
    there = {"<folder>": os.path.isdir, "<file>": os.path.isfile}
    if any(test(value) for option, test in there.items() if option in options):
        return os.path.abspath(value)
    how = " (a function is named FILE.py:NAME or MODULE:NAME)" if "<function>" in options else ""
    raise ValueError(f"{name} must be one of {domain}, got {value!r}{how}")


def check_parameters(values: Mapping[str, Any], **domains: str) -> None:
    """Check a chapter's parameters, as the cell after them does with ``globals()``.

    The kind of check follows from the value: numbers against an interval, strings against
    alternatives, each element of a list like a single value. Whole numbers are accepted where a
    real number is meant, since ``papermill -p phi 1`` writes them so.

    Raises
    ------
    TypeError, ValueError
        For the first parameter that is of the wrong kind or outside its domain.

    Examples
    --------
    >>> check_parameters({"phi": 0.5, "runs": 0}, phi="(0, inf)", runs="[1, inf)")
    Traceback (most recent call last):
        ...
    ValueError: runs must be in [1, inf), got 0
    """
    for name, domain in domains.items():
        value = values[name]
        if isinstance(value, list):
            if not value:
                raise ValueError(f"{name} must have elements in {domain}, got []")
            items = value
        else:
            items = [value]
        for item in items:
            check_value(name, item, domain)


def check_value(name: str, value: Any, domain: str) -> None:
    """Check one number or string against a domain in the notation of this module."""
    if _INTERVAL.fullmatch(domain.strip()) is None:
        choice(name, value, domain)
    elif isinstance(value, numbers.Integral) and not isinstance(value, bool):
        integer(name, value, domain)
    else:
        real(name, value, domain)
