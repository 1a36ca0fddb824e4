"""What a survey of a network says of the theory's assumptions, in numbers and in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hessrmt.curvature.spectrum import Spectrum
from hessrmt.curvature.survey import Survey
from hessrmt.validation import integer

__all__ = ["Assumption", "check_assumptions", "describe_survey"]

Real: TypeAlias = NDArray[np.float64]

_SIGMAS = 3.0  # a difference is one from here on
_SLIGHT = 0.1  # relative: below it an assumption holds well enough, whatever the errors


class Assumption(NamedTuple):
    """An assumption of the theory: a number, its error, what it would be, and whether it holds.

    The last is None where the error is too large to tell.
    """

    text: str
    value: float
    error: float
    expected: float
    holds: bool | None


def check_assumptions(survey: Survey) -> list[Assumption]:
    r"""Put the assumptions of the theory to the test.

    With free cumulants :math:`\kappa_k` of H0 a Marchenko-Pastur law has
    :math:`\kappa_1\kappa_3/\kappa_2^2 = 1`; with moments :math:`m_k` of H1 a semicircle around 0
    has :math:`m_4/m_2^2 = 2`, and free parts have :math:`\tau(H_0H_1) = \tau(H_0)\tau(H_1)`, and so
    on. An assumption fails if the number is off by three standard errors and by a tenth; it holds
    if the number is near, within three tenths with its error.

    Parameters
    ----------
    survey : Survey
        Of the network.

    Returns
    -------
    list of Assumption
        Shape of H0, shape of H1, freeness, index. Freeness has the order at which it fails first as
        its number (nan if none does); the index is that beyond `Survey.resolved_cutoff`.

    Examples
    --------
    >>> from hessrmt.curvature import Curvature, hidden_layer_example, survey_network
    >>> s = survey_network(Curvature(*hidden_layer_example()), steps=20, probes=8)
    >>> [a.holds for a in check_assumptions(s)]
    [None, False, False, True]
    """
    h0, h1 = survey.spectra["h0"], survey.spectra["h1"]
    cutoff = survey.resolved_cutoff()
    index, error = map(float, survey.spectra["hessian"].index(cutoff))
    free, spread = map(float, survey.prediction(np.nextafter(-cutoff, -np.inf)))
    error = float(np.hypot(error, np.nan_to_num(spread)))
    # beyond the norm there is nothing to compare
    told = cutoff < survey.norm("hessian")
    near = abs(index - free) <= max(_SIGMAS * error, _SLIGHT * free) if told else None
    order = survey.violation
    return [
        _ratio("H₀ has a Marchenko–Pastur law: κ₁κ₃/κ₂²", h0, _cumulant_ratio, 3, 1.0),
        _ratio("H₁ has a semicircle: m₄/m₂²", h1, lambda m: m[3] / m[1] ** 2, 4, 2.0),
        Assumption(
            "H₀ and H₁ are free: first order that differs",
            np.nan if order is None else float(order),
            0.0,
            np.nan,
            order is None,
        ),
        Assumption("the index is that of the free sum", index, error, free, near),
    ]


def _near(value: float, error: float, expected: float) -> bool | None:
    gap, slight = abs(value - expected), _SLIGHT * abs(expected)
    if gap > max(_SIGMAS * error, slight):
        return False
    return True if gap + error <= 3 * slight else None


def _cumulant_ratio(m: Real) -> float:
    second, third = m[1] - m[0] ** 2, m[2] - 3 * m[0] * m[1] + 2 * m[0] ** 3
    return float(m[0] * third / second**2)


def _ratio(
    text: str, spectrum: Spectrum, of: Callable[[Real], float], count: int, expected: float
) -> Assumption:
    """A function of moments; its error is the sum of what each moment's error does, a bound."""
    pairs = [spectrum.moment(k) for k in range(1, count + 1)]
    moments = np.array([float(value) for value, _ in pairs])
    if not np.any(moments):  # a part that vanishes
        return Assumption(text, np.nan, np.nan, expected, True)
    value, error = float(of(moments)), 0.0
    for k, (_, spread) in enumerate(pairs):
        moved = moments.copy()
        moved[k] += float(spread)
        error += abs(float(of(moved)) - value)
    return Assumption(text, value, error, expected, _near(value, error, expected))


def describe_survey(survey: Survey, outputs: int) -> str:
    """Say in a paragraph what was found, chosen by the numbers alone.

    Parameters
    ----------
    survey : Survey
        Of the network.
    outputs : int
        Numbers that the model returns for an example: its classes, if it is a classifier; >= 1.

    Returns
    -------
    str

    Raises
    ------
    TypeError, ValueError
        If `outputs` is outside its domain.
    """
    outputs = integer("outputs", outputs, "[1, inf)")
    ratio = survey.norm("h1") / max(survey.norm("h0"), np.finfo(float).tiny)
    apart = survey.outliers("h0")
    shape0, shape1, free, index = check_assumptions(survey)
    text = [f"H₁ is {ratio:.2g} times as large as H₀"]
    text[0] += ": the Hessian is nearly its Gauss–Newton part." if ratio < 0.05 else "."
    if not apart.values.size:
        text.append("No eigenvalue of H₀ stands apart from the others.")
    else:
        count = apart.values.size
        number = "One eigenvalue" if count == 1 else f"{count} eigenvalues"
        beside = (
            "as many as outputs"
            if count == outputs
            else f"where the model has {outputs} output{'s' * (outputs > 1)}"
        )
        text.append(
            f"{number} of H₀ stand{'s' * (count == 1)} apart by a factor {apart.gap:.1f}, {beside}."
        )
    cutoff = survey.resolved_cutoff() / survey.norm("hessian")
    beyond = f"Beyond {cutoff:.2g} of the largest"
    if index.holds is None:
        text.append("Too few products to tell how many eigenvalues of H are negative.")
    elif index.value == 0 and index.expected < 0.0005:
        text.append(
            f"{beyond}, no eigenvalue of H is negative, and none should be if H₀ and H₁ are free."
        )
    else:
        agree = "the same within errors" if index.holds else "more than the errors away"
        text.append(
            f"{beyond}, a share {index.value:.3f} ± {index.error:.3f} of the eigenvalues of H is"
            f" negative; freeness gives {index.expected:.3f}, {agree}."
        )
    if free.holds:
        text.append("No mixed moment up to order four shows that H₀ and H₁ are not free.")
    else:
        worst = max(survey.moments, key=lambda row: abs(row.z))
        text.append(
            f"H₀ and H₁ are not free: mixed moments differ from order {free.value:.0f} on, most"
            f" clearly {worst.word}, {worst.moment:.3g} instead of {worst.free:.3g}."
        )
    none = ("H₀ has no Marchenko–Pastur law", shape0), ("H₁ has no semicircle", shape1)
    failing = " and ".join(phrase for phrase, shape in none if shape.holds is False)
    if failing:
        text.append(f"{failing}.")
    elif shape0.holds and shape1.holds:
        text.append("The shapes of both parts are near those that the theory assumes.")
    else:
        text.append("Too few probes to tell the shapes of both parts from those assumed.")
    return " ".join(text)
