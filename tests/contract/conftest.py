"""What the tests of both documents share."""

from tests.contract.observed import called

__all__ = ["called"]
