"""Thousands of searches for critical points, kept in one file and resumable.

`Campaign` is all that is public; Dask's workers make the shards, SQLite keeps them.
"""

from hessrmt.optional import door as _door

__getattr__, __dir__, __all__ = _door(__name__, __file__)
