"""The fixtures that tests of all rooms share."""

from hypothesis import settings

from tests import flushing
from tests.api import distributor, nobody, other, seeded, vendor

__all__ = ["distributor", "nobody", "other", "seeded", "vendor"]

flushing.install()

# `--hypothesis-profile=deep`: more and longer walks, other ones each time.
settings.register_profile("deep", max_examples=300, stateful_step_count=100, derandomize=False)
