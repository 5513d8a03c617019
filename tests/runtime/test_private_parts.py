"""Private parts of libraries that the code uses: each is named here, and exists.

A release of a library may change them without a word, so `pyproject.toml` bounds its version;
raise the bound when this test, and those of what the part is used for, pass with the new one.
"""

from __future__ import annotations

import ast
import asyncio
import functools
import gc
import importlib
import inspect
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import aiohttp
import pytest
from aiohttp.client_proto import ResponseHandler
from packaging.requirements import Requirement

from tests.processes import ROOT

PACKAGES = ("connect_sim", "sandbox", "portal", "webhooks", "requests_queue")
LIBRARIES = ("aiohttp", "celery", "kombu", "dj_rql", "py_rql")

# Modules that are not documented, and what is imported from them.
MODULES = {
    "aiohttp.client_proto": {"ResponseHandler"},
    "celery.worker": {"WorkController", "consumer", "state"},
}
# Attributes with a leading underscore, by the class that has them.
ATTRIBUTES = {
    "aiohttp.TCPConnector": {"_factory", "_loop"},
    "aiohttp.client_proto.ResponseHandler": {"_exception"},
}
# Undocumented methods that a subclass of ours overrides or relies on, with their parameters.
METHODS = {
    "aiohttp.ClientRequest": {
        "__init__": ["method", "url", "headers", "skip_auto_headers", "loop", "proxy"],
        "is_ssl": [],
    },
    "aiohttp.TCPConnector": {"connect": ["req", "traces", "timeout"]},
    "aiohttp.connector.Connection": {"close": [], "release": []},
    "aiohttp.client_proto.ResponseHandler": {
        "abort": [],
        "close": [],
        "data_received": ["data"],
        "feed_data": ["data", "size"],
        "force_close": [],
        "read": [],
        "set_exception": ["exc", "exc_cause"],
        "set_response_params": [
            "skip_payload",
            "read_until_eof",
            "auto_decompress",
            "read_bufsize",
        ],
    },
    "celery.beat.EmbeddedService": {},
    "celery.worker.WorkController": {"start": []},
    "celery.worker.consumer.Consumer": {"start": [], "on_close": []},
    "kombu.Connection": {"collect": ["socket_timeout"]},
}


@pytest.fixture(autouse=True)
def no_garbage_collection() -> Iterator[None]:
    """Before Python 3.11.8, `ast.parse` fails if a collection lets another thread parse."""
    gc.disable()
    yield
    gc.enable()


def bounded() -> dict[str, Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {one.name: one for one in map(Requirement, project["dependencies"])}


@pytest.mark.parametrize("name", ["aiohttp", "celery", "kombu", "django-rql", "lib-rql"])
def test_version_of_library_is_bounded(name: str) -> None:
    requirement = bounded()[name]
    assert any(one.operator == "<" for one in requirement.specifier)
    assert version(name) in requirement.specifier
    major, minor, *_ = version(name).split(".")
    # The next minor release is not known to fit.
    assert f"{major}.{int(minor) + 1}.0" not in requirement.specifier


def sources() -> Iterator[tuple[str, ast.Module]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if "migrations" not in path.parts:
                yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


def test_each_private_import_is_named() -> None:
    imports: dict[str, set[str]] = {}
    for _, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and is_private(node.module or ""):
                imports.setdefault(node.module or "", set()).update(a.name for a in node.names)
            elif isinstance(node, ast.Import):
                assert not any(is_private(alias.name) for alias in node.names)
    assert imports == MODULES, "name each of them in MODULES"


def is_private(module: str) -> bool:
    library, *parts = module.split(".")
    return library in LIBRARIES and (
        any(part.startswith("_") for part in parts) or module in MODULES
    )


def test_each_private_attribute_is_named() -> None:
    named = set().union(*ATTRIBUTES.values())
    attributes = set()
    for path, tree in sources():
        text = ast.unparse(tree)
        if not any(f"{library}" in text for library in LIBRARIES):
            continue
        for owner in classes_of_libraries(path, tree):
            attributes |= private_of(owner)
        attributes |= {
            node.attr for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and node.attr in private_names()
            and not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"))
        }  # fmt: skip
    # `request._request` is Django REST framework's.
    assert attributes - {"_request"} == named, "name each of them in ATTRIBUTES"


@functools.cache
def private_names() -> frozenset[str]:
    """Return the private attributes of the libraries' classes that are used from outside."""
    return frozenset(
        name
        for cls in (aiohttp.ClientRequest, aiohttp.TCPConnector)
        for name in (*vars(cls), *getattr(cls, "ATTRS", ()))
        if name.startswith("_") and not name.startswith("__")
    )


def classes_of_libraries(path: str, tree: ast.Module) -> Iterator[type[Any]]:
    """Return the classes of a module that derive from one of a library's."""
    names = [node.name for node in tree.body if isinstance(node, ast.ClassDef) and node.bases]
    if not names:
        return
    module = importlib.import_module(path.removesuffix(".py").replace("/", "."))
    for name in names:
        cls = getattr(module, name)
        if any(base.__module__.split(".")[0] in LIBRARIES for base in cls.__mro__):
            yield cls


def private_of(cls: type[Any]) -> set[str]:
    """Return the private names of a library that a class of ours overrides or uses."""
    bases = [base for base in cls.__mro__ if base.__module__.split(".")[0] in LIBRARIES]
    sources_ = "\n".join(inspect.getsource(base) for base in bases)
    inherited = {
        node.attr for node in ast.walk(ast.parse(sources_))
        if isinstance(node, ast.Attribute) and node.attr.startswith("_")
        and isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
    }  # fmt: skip
    inherited |= {name for base in bases for name in vars(base) if name.startswith("_")}
    tree = ast.parse(inspect.getsource(cls))
    own = {name for name in vars(cls) if name.startswith("_")}
    own |= {
        node.attr for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr.startswith("_")
        and isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
    }  # fmt: skip
    return {name for name in own & inherited if not name.startswith("__")} - {"_abc_impl"}


def resolve(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("path", METHODS)
def test_methods_have_the_parameters_that_are_used(path: str) -> None:
    for name, parameters in METHODS[path].items():
        actual = inspect.signature(getattr(resolve(path), name)).parameters
        assert set(parameters) <= set(actual), name


def test_aiohttp_has_the_attributes_that_are_used() -> None:
    async def look() -> None:
        loop = asyncio.get_running_loop()
        assert ResponseHandler(loop)._exception is None
        async with aiohttp.TCPConnector() as connector:
            assert connector._loop is loop
            assert connector._factory.func is ResponseHandler  # type: ignore[attr-defined]
            assert connector._factory.keywords == {"loop": loop}  # type: ignore[attr-defined]

    asyncio.run(look())
    # Set or overridden, it is read as well.
    assert "self._factory" in inspect.getsource(aiohttp.TCPConnector)
    assert "protocol.should_close" in inspect.getsource(aiohttp.TCPConnector._release)
    # What a tunnel through a proxy does first.
    assert "set_response_params(" in inspect.getsource(aiohttp.TCPConnector)


def test_celery_has_the_used_parts() -> None:
    from celery import fixups
    from celery.beat import EmbeddedService
    from celery.bootsteps import CLOSE, TERMINATE
    from celery.worker import WorkController, consumer, state

    assert "thread" in inspect.getsource(EmbeddedService)
    assert state.should_stop is None
    assert CLOSE is not None and TERMINATE is not None
    assert {"without_heartbeat", "without_mingle", "without_gossip"} <= set(
        inspect.signature(consumer.Consumer.__init__).parameters
    ) | set(_keywords_of_steps())
    assert "hostname" in inspect.getsource(WorkController)
    assert "DB_REUSE_MAX" in inspect.getsource(importlib.import_module(f"{fixups.__name__}.django"))


def _keywords_of_steps() -> Iterator[str]:
    for name in ("heart", "mingle", "gossip"):
        module = importlib.import_module(f"celery.worker.consumer.{name}")
        for cls in vars(module).values():
            if inspect.isclass(cls) and cls.__module__ == module.__name__:
                yield from inspect.signature(cls.__init__).parameters


def test_kombu_has_the_used_parts() -> None:
    from kombu.transport import virtual

    # An option of the transport in memory.
    assert "polling_interval" in inspect.getsource(virtual.Transport)
