"""The fixtures that tests of the emitter share."""

from tests.webhooks.validating import own_loop

__all__ = ["own_loop"]
