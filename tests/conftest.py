"""The fixtures that tests of all rooms share."""

import warnings

from tests.api import distributor, nobody, other, seeded, vendor

with warnings.catch_warnings():
    # RQL's parser imports a deprecated module of Python's; our own warnings stay errors.
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    import py_rql  # noqa: F401

__all__ = ["distributor", "nobody", "other", "seeded", "vendor"]
