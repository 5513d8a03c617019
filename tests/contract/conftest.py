"""Fixtures shared by the tests of both documents."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.renderers import JSONRenderer

from connect_sim.api.rendering import FastJSONRenderer
from tests.contract.observed import called

__all__ = ["called"]


@pytest.fixture(autouse=True)
def _rendered_as_by_drf(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare every response with what DRF's own renderer makes of it, byte for byte."""
    render = FastJSONRenderer.render

    def compared(self: FastJSONRenderer, data: Any, *args: Any, **kwargs: Any) -> bytes:
        rendered = render(self, data, *args, **kwargs)
        assert rendered == JSONRenderer.render(self, data, *args, **kwargs)
        return rendered

    monkeypatch.setattr(FastJSONRenderer, "render", compared)
