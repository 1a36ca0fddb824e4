"""What holds for all property tests: the same examples in every run, and no limit of time."""

from hypothesis import settings

settings.register_profile("book", deadline=None, derandomize=True)
settings.load_profile("book")
