"""A WSGI application on a free port."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from pytest_connect_sim.serving import Serving


def app(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Length", "2")])
    return [environ["PATH_INFO"].encode()[:2].ljust(2)]


def test_applications_are_served_until_the_stop() -> None:
    serving = Serving()
    urls = [serving.start(app), serving.start(app, "/hook")]
    assert urls[0] != urls[1] and urls[1].endswith("/hook")
    with requests.Session() as session:
        session.trust_env = False
        assert [session.get(url, timeout=5).text for url in urls] == ["/ ", "/h"]
    serving.stop()
    with pytest.raises(requests.ConnectionError):
        requests.get(urls[0], timeout=5)
