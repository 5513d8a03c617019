"""Check that tools/inventory.txt has what users meet: routes, commands, settings, fields.

What a change adds, renames or removes is seen in the diff of that file. Exits with 1 if it isn't
up to date; with `--write`, writes it. A part of `make lint`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import Mock

# Also when it is run as a script.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools import project
from tools.project import PACKAGES, PLUGIN, ROOT

sys.path.insert(0, str(PLUGIN / "src"))
_SETTING = re.compile(r"^#?([A-Z][A-Z_]+=.*)$", re.MULTILINE)
_METRIC = re.compile(r"^\| `(connect_sim_\w+)` \| (\w+) \| (.*?) \|", re.MULTILINE)
_FIXTURE = re.compile(r"^@pytest\.fixture(.*)\ndef (\w+)", re.MULTILINE)
_SYSTEM_CHECK = re.compile(r'\bid="(\w+\.[EW]\d+)"')


def routes() -> Iterator[str]:
    """Yield the URL patterns, and the paths that the web server answers without Django."""
    from django.urls import get_resolver

    from connect_sim import health
    from connect_sim.metrics import endpoint

    yield from (path.lstrip("/") for path in (health.LIVE, health.READY, endpoint.PATH))
    yield from _patterns("", get_resolver())


def _patterns(prefix: str, resolver: Any) -> Iterator[str]:
    for entry in resolver.url_patterns:
        path = f"{prefix}{entry.pattern}"
        if hasattr(entry, "url_patterns"):
            yield from _patterns(path, entry)
            continue
        view = entry.callback
        # A view set has actions, a class of Django's or DRF's has methods, a function neither.
        view_class = getattr(view, "cls", getattr(view, "view_class", None))
        names = getattr(view_class, "http_method_names", ())
        methods = getattr(view, "actions", [name for name in names if hasattr(view_class, name)])
        yield f"{path} {' '.join(sorted(methods)).upper()}".rstrip()


def routes_by_profile() -> Iterator[str]:
    """Yield the routes, and which of them a server doesn't have."""
    command = [sys.executable, __file__, "--profile=server"]
    server = subprocess.check_output(command, text=True).splitlines()
    yield from (route if route in server else f"{route} (sandbox only)" for route in routes())


def programs() -> Iterator[str]:
    """Yield the programs and plugins that are installed, and the extras."""
    for folder in (ROOT, PLUGIN):
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        groups = {"script": project.get("scripts", {}), **project.get("entry-points", {})}
        groups["extra"] = project.get("optional-dependencies", {})
        for group, names in groups.items():
            yield from (f"{project['name']}: {group}: {name}" for name in names)


def commands() -> Iterator[str]:
    """Yield the commands of `connect-sim`, and management commands, with arguments and options."""
    from django.core.management import get_commands, load_command_class

    from connect_sim.cli import django_commands, program

    yield from _clicked("connect-sim", program.program)
    yield from (f"manage.py {name}: as connect-sim {name}" for name in django_commands.FORWARDED)
    for name, app in get_commands().items():
        if str(app).partition(".")[0] in PACKAGES:
            yield f"manage.py {name}"
            load_command_class(app, name).add_arguments(parser := Mock())
            for method, arguments, options in parser.mock_calls:
                if method.endswith("add_argument"):
                    yield f"manage.py {name} {_option(' '.join(arguments), options)}"


def _clicked(path: str, command: Any) -> Iterator[str]:
    import click

    yield path
    for parameter in command.params:
        details = parameter.to_info_dict()
        names = [*details["opts"], *details["secondary_opts"]]
        kind = "flag" if details.get("is_flag") else details["type"]["name"]
        words = [kind, *details["type"].get("choices", ()), details["envvar"] or ""]
        yield f"{path} {' '.join(names)}: {' '.join(words)}".rstrip()
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from _clicked(f"{path} {name}", command.get_command(context, name))


def settings() -> Iterator[str]:
    """Yield the environment variables with their defaults or examples, and ids of system checks."""
    yield from _SETTING.findall((ROOT / ".env.example").read_text(encoding="utf-8"))
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        yield from _SYSTEM_CHECK.findall(path.read_text(encoding="utf-8"))


def checks() -> Iterator[str]:
    """Yield the checks of a handler."""
    from checks.catalog import CHECKS

    for check in CHECKS:
        words = [check.id, check.level, *["control"] * check.is_control, *sorted(check.needs)]
        yield " ".join(words)


def faults() -> Iterator[str]:
    """Yield the kinds of faults, and their parameters."""
    from sandbox.faults.kinds import KINDS

    for kind in KINDS.values():
        for side in kind.sides:
            yield f"{kind.name} {side}"
            for each in kind.parameters_of(side):
                default = "required" if each.is_required else each.default
                yield (
                    f"{kind.name} {side} {each.name}: {each.type}, "
                    f"{each.low:.12g} to {each.high:.12g}, {default}"
                )


def metrics() -> Iterator[str]:
    """Yield the metrics of the documentation, which a test compares with what is exported."""
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    yield from (" ".join(metric) for metric in _METRIC.findall(page))


def plugin() -> Iterator[str]:
    """Yield fixtures, marker, options of the pytest plugin, and what its main fixture has."""
    options = import_module("pytest_connect_sim.options")
    simulator = import_module("pytest_connect_sim.simulator")
    source = (PLUGIN / "src" / "pytest_connect_sim" / "plugin.py").read_text(encoding="utf-8")
    yield from (f"fixture {name} {scope}".strip() for scope, name in _FIXTURE.findall(source))
    yield f"marker {options.MARKER}"
    options.add(parser := Mock())
    for method, arguments, details in parser.mock_calls:
        if method.endswith("addoption"):
            yield f"option {_option(' '.join(arguments), details)}"
        elif method.endswith("addini"):
            yield f"ini {_option(arguments[0], details)}"
    yield from (f"connect_sim.{name}" for name in dir(simulator.ConnectSim) if name[0] != "_")


def _option(name: str, details: dict[str, Any]) -> str:
    keys = [key for key in ("action", "nargs", "choices", "default") if key in details]
    return " ".join([name, *(f"{key}={details[key]!r}" for key in keys)])


def api() -> Iterator[str]:
    """Yield operations, parameters and fields of both OpenAPI documents."""
    from connect_sim.api import schema_views
    from sandbox.api import schema

    for name, document in ("public", schema_views.document()), ("sandbox", schema.document()):
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                call = f"{name}: {method.upper()} {path}"
                for each in operation.get("parameters", ()):
                    if each.get("in") != "path":
                        yield f"{call} ?{each.get('name') or _type(each)}"
                for kind, media in operation.get("requestBody", {}).get("content", {}).items():
                    yield f"{call} body {kind} {_type(media['schema'])}"
                    yield from _fields(f"{call} body", media["schema"])
                yield f"{call}: {', '.join(operation['responses'])}"
                for status, response in operation["responses"].items():
                    for kind, media in response.get("content", {}).items():
                        if (shown := _type(media["schema"])) != "Error":
                            yield f"{call} {status} {kind} {shown}"
        for title, model in document["components"]["schemas"].items():
            yield f"{name}: {title}: {_type(model)}"
            yield from _fields(f"{name}: {title}", model)


def _fields(path: str, model: Any) -> Iterator[str]:
    for name, value in model.get("properties", {}).items():
        words = [_type(value), *["required"] * (name in model.get("required", ()))]
        yield f"{path}.{name}: {' '.join(words)}"
        yield from _fields(f"{path}.{name}", value)
    for part in _parts(model):
        yield from _fields(path, part)


def _parts(model: Any) -> list[Any]:
    parts = [part for key in ("allOf", "oneOf", "anyOf") for part in model.get(key, ())]
    parts += [model.get(key) for key in ("items", "additionalProperties")]
    return [part for part in parts if isinstance(part, dict)]


def _type(model: Any) -> str:
    if "$ref" in model:
        return str(model["$ref"].rpartition("/")[2])
    words = [str(model[key]) for key in ("type", "format", "enum") if key in model]
    words += map(_type, _parts(model))
    return " ".join([*words, "or null"] if model.get("nullable") else words)


SECTIONS: dict[str, Callable[[], Iterator[str]]] = {
    "Programs": programs,
    "Commands": commands,
    "Routes and pages": routes_by_profile,
    "Settings and system checks": settings,
    "Checks": checks,
    "Faults": faults,
    "Metrics": metrics,
    "Pytest plugin": plugin,
    "API": api,
}


def main() -> None:
    """Check the file, or write it."""
    parser = project.parser(__doc__)
    parser.add_argument("--profile", default="sandbox", help="server: only print its routes")
    options = parser.parse_args()
    # What is configured on this machine has no effect.
    for name in list(os.environ):
        if name.startswith(("SIM_", "CONNECT_SIM_", "DATABASE_URL", "CELERY_")):
            del os.environ[name]
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"SIM_DATA_DIR": folder, "SIM_ENV_FILE": os.devnull}
        os.environ |= {
            "SIM_PROFILE": options.profile,
            "DJANGO_SETTINGS_MODULE": "connect_sim.settings",
        }
        import django

        django.setup()
        if options.profile == "server":
            sys.stdout.writelines(f"{route}\n" for route in routes())
            return
        parts = {title: sorted(set(entries())) for title, entries in SECTIONS.items()}
    text = "\n".join("\n".join([f"# {title}", *lines, ""]) for title, lines in parts.items())
    files = {Path("tools/inventory.txt"): text}
    project.check(ROOT, files, "tools/inventory.py", write=options.write)


if __name__ == "__main__":
    main()
