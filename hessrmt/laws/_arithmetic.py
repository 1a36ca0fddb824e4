"""Sums, differences, multiples and equality of laws, as Python writes them.

Numbers and laws are combined exactly (see `hessrmt.laws._free_triplet`), so that equal laws are
equal in whatever order they were put together.
"""

from __future__ import annotations

import numbers
from abc import ABC, abstractmethod
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from hessrmt.laws._continuation import free_sum
from hessrmt.laws._free_triplet import FreeTriplet
from hessrmt.laws._transforms import RationalTransform
from hessrmt.validation import real

if TYPE_CHECKING:
    from hessrmt.laws.spectral_law import SpectralLaw

__all__ = ["LawArithmetic"]


class LawArithmetic(ABC):
    """The operators of a law; what they combine are freely independent variables."""

    _transform: RationalTransform
    _text: str  # how the law was made
    _is_sum = False  # whether the text needs parentheses as a factor

    __array_ufunc__ = None  # so that a NumPy number on the left leaves the operation to the law

    @classmethod
    @abstractmethod
    def _of(cls, transform: RationalTransform, text: str, is_sum: bool) -> SpectralLaw:
        """The law of a transform, and how it was made."""

    def __repr__(self) -> str:
        return self._text

    def __add__(self, other: SpectralLaw | float) -> SpectralLaw:
        """Law of the sum of two free variables, or of one and a constant."""
        if isinstance(other, LawArithmetic):
            text = repr(other)
            joined = f" - {text[1:]}" if text.startswith("-") else f" + {text}"
            transform = free_sum(self._transform, other._transform)
            return self._of(transform, repr(self) + joined, True)
        if isinstance(other, numbers.Real):
            return self.shift(other)
        return NotImplemented

    def __radd__(self, other: float) -> SpectralLaw:
        """Law of the variable plus a constant; ``sum`` begins with 0."""
        return self + other

    def __sub__(self, other: SpectralLaw | float) -> SpectralLaw:
        """Law of the difference of two free variables, or of one and a constant.

        Of two: ``law - law`` is the free sum of the law and its reflection, not a point mass.
        """
        if isinstance(other, LawArithmetic):
            transform = free_sum(self._transform, other._transform.scaled(-1.0))
            return self._of(transform, f"{self!r} - {other._factor()}", True)
        if isinstance(other, numbers.Real):
            return self.shift(-real("c", other))
        return NotImplemented

    def __rsub__(self, other: float) -> SpectralLaw:
        """Law of a constant less the variable."""
        return -self + other

    def __mul__(self, c: float) -> SpectralLaw:
        """Law of `c` times the variable."""
        if not isinstance(c, numbers.Real):
            return NotImplemented
        c = real("factor", c)
        return self._of(self._transform.scaled(c), f"{c} * {self._factor()}", False)

    __rmul__ = __mul__

    def __truediv__(self, c: float) -> SpectralLaw:
        """Law of the variable over `c`."""
        if not isinstance(c, numbers.Real):
            return NotImplemented
        c = real("divisor", c)
        if c == 0:
            raise ValueError(f"divisor must not be 0, got {c}")
        return self._of(self._transform.scaled(1 / Fraction(c)), f"{self._factor()} / {c}", False)

    def __neg__(self) -> SpectralLaw:
        """Law of the variable's opposite."""
        return self._of(self._transform.scaled(-1.0), f"-{self._factor()}", False)

    def shift(self, c: float) -> SpectralLaw:
        """Law of the variable plus the constant `c`."""
        c = real("c", c)
        transform = free_sum(self._transform, FreeTriplet.build(c))
        if c == 0:
            return self._of(transform, repr(self), self._is_sum)
        return self._of(transform, f"{self!r} {'-' if c < 0 else '+'} {abs(c)}", True)

    def __eq__(self, other: Any) -> bool:
        """Whether both are the same law, however it was put together."""
        if not isinstance(other, LawArithmetic):
            return NotImplemented
        return self._transform.key == other._transform.key

    def __hash__(self) -> int:
        return hash(self._transform.key)

    def _factor(self) -> str:
        return f"({self!r})" if self._is_sum else repr(self)
