"""What theory says of the Hessian H = H0 + H1 of a network: models, laws, moments.

The paper's models by free sums, the law of H0 without fitted parameters, laws given the weights.
"""

from hessrmt.optional import door as _door

__getattr__, __dir__, __all__ = _door(__name__, __file__)
