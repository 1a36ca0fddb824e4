"""Searches for critical points of the loss, and proofs that there is one.

One search or minimiser a call, a batch of runs at a time; `hessrmt.campaigns` makes thousands.
"""

from hessrmt.optional import door as _door

__getattr__, __dir__, __all__ = _door(__name__, __file__)
