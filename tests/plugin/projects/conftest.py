"""Fixtures of the projects that tests of the plugin run: a handler, and who uses the sandbox."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from handler import make_app


@pytest.fixture(scope="session")
def handler_url(connect_sim_server, connect_sim_serve):
    return connect_sim_serve(make_app(connect_sim_server.api_url, connect_sim_server.vendor_key))


@pytest.fixture(scope="session")
def validator_url(connect_sim_serve):
    def app(environ, start_response):
        body = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        for param in body["asset"]["params"]:
            if param["value"] == "bad.example":
                param["value_error"] = "Not that one"
        data = json.dumps(body).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(data)))]
        start_response("200 OK", headers)
        return [data]

    return connect_sim_serve(app)


@pytest.fixture(scope="session")
def failing_url(connect_sim_serve):
    def app(environ, start_response):
        start_response("500 Internal Server Error", [("Content-Length", "0")])
        return [b""]

    return connect_sim_serve(app)


@pytest.fixture(autouse=True)
def written(connect_sim, request):
    """Write down when a test begins and ends to use the sandbox."""
    path = Path(os.environ.get("USES", os.devnull))
    for word in ("begins", "ends"):
        with path.open("a") as file:
            worker = os.environ.get("PYTEST_XDIST_WORKER", "")
            file.write(f"{word} {request.node.name} {worker}\n")
        if word == "begins":
            yield
