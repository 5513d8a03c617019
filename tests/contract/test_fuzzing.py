"""schemathesis calls all operations of our document: no 5xx, and no undocumented response."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from connect_sim.api import schema_views
from tests.marks import nightly
from tests.processes import ROOT, Sandbox, sandbox

CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_headers_conformance,response_schema_conformance"
)
# The actor and the number of examples for each operation; one is of writes only, since
# test_query_limits has random reads.
EXAMPLES = [
    ("vendor", 1),
    nightly("provider", 1, reason="test_own_document has a call of each operation"),
    nightly("vendor", 20, reason="minutes: more examples"),
    nightly("provider", 20, reason="minutes: more examples"),
    # Without a key every operation is refused.
    nightly("nobody", 1, reason="every operation is refused"),
]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with sandbox(tmp_path_factory.mktemp("fuzzing"), SIM_TLS_PORT="0") as running:
        for key in (running.vendor_key, running.provider_key):
            _make_extension(running, key)
        yield running


def _make_extension(running: Sandbox, key: str) -> None:
    """Create an extension with a variable, a schedule and a task: the demo data has none."""

    def post(path: str, body: Any = None) -> Any:
        response = running.call("POST", path, body, key=key)
        assert response.ok, response.text
        return response.json()

    made = post("/sandbox/extensions", {"type": "multiaccount"})
    path = f"/public/v1/devops/services/{made['id']}/environments/{made['environment']}"
    post(f"{path}/variables", {"name": "TOKEN", "value": "secret", "secure": True})
    trigger = {"type": "recurring", "start": "2099-01-01T00:00:00Z", "unit": "days"}
    schedule = post(f"{path}/schedules", {"name": "A", "method": "run", "trigger": trigger})
    post(f"{path}/schedules/{schedule['id']}/trigger")


def _ids(running: Sandbox, key: str) -> dict[str, Any]:
    """Return the ids of existing objects by path and by key of a body."""
    session = requests.Session()
    session.headers["Authorization"] = f"ApiKey {key}"

    def read(path: str) -> list[Any]:
        response = session.get(f"{running.url}/public/v1{path}?limit=4", timeout=30)
        return response.json() if response.status_code == 200 else []

    def filled(path: str) -> list[list[str]]:
        parent, _, _ = path.rpartition("/{")
        if "{" not in path:
            return [[]]
        ids = []
        for before in filled(parent):
            for row in read(_at(parent, before)):
                name = "version" if parent.endswith("/versions") else "id"
                if name in row:
                    ids.append([*before, str(row[name])])
        return ids

    bodies = {
        name: [row["id"] for row in read(path)]
        for name, path in (
            ("asset", "/assets"),
            ("connection", "/subscriptions/assets"),
            ("product", "/products"),
            ("hub", "/hubs"),
            ("marketplace", "/marketplaces"),
            ("contract", "/contracts"),
            ("customer", "/tier/accounts?type=customer"),
            ("listing_id", "/listings"),
            ("configuration", "/tier/configs"),
            ("product_id", "/products"),
            ("contract_id", "/contracts"),
            ("instance_id", "/requests"),
        )
    }
    bodies["environment"] = [
        row["environments"]["development"]["id"] for row in read("/devops/services")
    ]
    bodies["connection"] = [row["connection"]["id"] for row in read("/assets")]
    paths = {path: filled(path) for path in schema_views.document()["paths"] if "{" in path}
    return {"paths": paths, "bodies": {k: v for k, v in bodies.items() if v}}


def _at(path: str, ids: list[str]) -> str:
    for each in ids:
        path = re.sub(r"\{\w+\}", each, path, count=1)
    return path.replace("/usage/products", "/products")


@pytest.mark.parametrize(("party", "examples"), EXAMPLES)
def test_every_response_matches_the_document(
    running: Sandbox, party: str, examples: int, tmp_path: Path
) -> None:
    key = {"vendor": running.vendor_key, "provider": running.provider_key}.get(party, "")
    ids = tmp_path / "ids.json"
    ids.write_text(json.dumps(_ids(running, key or running.vendor_key)))
    command = [
        str(Path(sys.executable).parent / "schemathesis"),
        "run",
        f"{running.url}/public/v1/schema",
        "--checks",
        CHECKS,
        "--max-examples",
        str(examples),
        "--phases",
        "fuzzing",
        "--continue-on-failure",
        "--no-shrink",
        "--no-color",
        "--warnings",
        "off",
        "--suppress-health-check",
        "all",
    ]
    if examples == 1:
        command += ["--exclude-method", "GET"]
    if key:
        command += ["--header", f"Authorization: ApiKey {key}"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "SCHEMATHESIS_HOOKS": "tests.contract.fuzzing",
            "FUZZING_IDS": str(ids),
        },
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    selected = re.search(r"Selected: (\d+)/(\d+)\s+Tested: (\d+)", done.stdout)
    assert selected and selected[1] == selected[3], done.stdout[-3000:]
    assert selected[1] == selected[2] or examples == 1
