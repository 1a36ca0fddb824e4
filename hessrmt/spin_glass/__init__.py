"""The spherical spin glass of Choromanska et al. (2015): theory and simulation.

Complexity and counts of critical points, simulated minima, and the small classifiers of the paper.
"""

from hessrmt.optional import door as _door

__getattr__, __dir__, __all__ = _door(__name__, __file__)
