"""Networks with one hidden layer, whose Hessians are exact and come in two parts.

Their training, and the images that they are trained on.
"""

from hessrmt.optional import door as _door

__getattr__, __dir__, __all__ = _door(__name__, __file__)
