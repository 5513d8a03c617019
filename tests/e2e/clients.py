"""Published clients, their environments, and the tables of their calls (`client_scripts/*.yml`)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests import environments
from tests.processes import Sandbox, output

SCRIPTS = Path(__file__).parent / "client_scripts"
Table = dict[str, list[dict[str, Any]]]

# Requirements of each client, and what its environment needs besides.
CLIENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "openapi_client": ("connect-openapi-client==35.0\n", {}),
    # The client imports `pkg_resources`. It requires PyYAML 5, which has no wheel for Python 3.11
    # and needs Cython 2 to build.
    "openapi_client_21": (
        "connect-openapi-client==21.0.13\nsetuptools<81\n", {"built_with": "cython<3"},
    ),
    # Python 3.12 cannot import the pinned versions of urllib3 and six.
    "connect_sdk": ("connect-sdk==22.0\nopenpyxl==3.1.5\n", {"newest": (3, 11)}),
    # Later versions of Python cannot build its pinned dependencies.
    "connect_sdk_16": (
        "connect-sdk==16.2\n", {"newest": (3, 8), "built_by": "pip==19.3.1 setuptools<58"},
    ),
    "haxe_port": ("connect-sdk-haxe-port==22.2.0\n", {"newest": (3, 11)}),
    "testing_library": ("connect-devops-testing-library==25.2\n", {}),
}  # fmt: skip


def interpreter(client: str) -> Path:
    """Return the interpreter of a client's environment."""
    requirements, more = CLIENTS[client]
    return environments.python(client, requirements, **more)


def table(name: str) -> Any:
    """Return a table of calls: flows by name, each a list of steps."""
    return yaml.safe_load((SCRIPTS / f"{name}.yml").read_text())


def run(
    client: str, running: Sandbox, script: str, *arguments: str, sent: str = "", **variables: str
) -> dict[str, Any]:
    """Run a script in a client's environment and return its result."""
    env = {
        **environments.calling_loopback(),
        "CONNECT_URL": f"{running.url}/public/v1",
        "VENDOR_KEY": running.vendor_key,
        "PROVIDER_KEY": running.provider_key,
        **variables,
    }
    command = [str(interpreter(client)), str(SCRIPTS / f"{script}.py"), *arguments]
    return dict(json.loads(output(command, env, sent=sent, timeout=300)))


def findings(steps: list[dict[str, Any]], found: list[dict[str, Any]]) -> Iterator[str]:
    """Yield how the results of a flow differ from its table."""
    for step, result in zip(steps, found, strict=False):
        at = str(step.get("call", step.get("do")))
        if "error" in result:
            yield f"{at}\n{result['error']}"
            return
        if "refused" in step:
            it = result["it"] if isinstance(result["it"], dict) else {}
            code, errors = [it.get("status"), it.get("error_code")], it.get("errors")
            is_refusal = code == step["refused"] and isinstance(errors, list) and errors
            if not (is_refusal and all(isinstance(text, str) and text for text in errors)):
                yield f"{at}: {result['it']!r} instead of {step['refused']}"
        for fact, holds in zip(step.get("holds", ()), result["holds"], strict=True):
            if not holds:
                yield f"{at}: {fact} is false of {result['it']!r}"
        if "shows" in step:
            yield from differences(step["shows"], result["it"], at)
    if len(found) != len(steps):
        yield f"{len(found)} of {len(steps)} steps"


def differences(expected: Any, found: Any, at: str = "") -> Iterator[str]:
    """Yield how a result differs from what it must show.

    A mapping names some keys of an object, or the rows of a list by id or number. A text that
    begins with `~` is a pattern.
    """
    if isinstance(expected, dict) and isinstance(found, list):
        by_id = {row["id"]: row for row in found if isinstance(row, dict) and "id" in row}
        found = dict(enumerate(found)) | dict(enumerate(found, -len(found))) | by_id
    if isinstance(expected, dict) and isinstance(found, dict):
        for key, value in expected.items():
            yield from differences(value, found.get(key), f"{at} › {key}")
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for number, (one, other) in enumerate(zip(expected, found, strict=True)):
            yield from differences(one, other, f"{at} › {number}")
    elif isinstance(expected, str) and expected.startswith("~"):
        if not re.search(expected[1:], str(found)):
            yield f"{at}: {found!r} does not match {expected[1:]}"
    elif expected != found or isinstance(expected, bool) != isinstance(found, bool):
        yield f"{at}: {found!r} instead of {expected!r}"
