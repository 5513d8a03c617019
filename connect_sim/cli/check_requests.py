"""What `check` is asked to do: all of its arguments, checked before anything starts."""

from __future__ import annotations

import fnmatch
import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from click.core import ParameterSource

from checks import handler_command, handler_process, readings, runner, selection
from checks.catalog import CHECKS
from checks.handler_command import BadCommand
from checks.handler_process import HandlerError
from checks.model import Alternative, Check
from checks.options import EXTENSION, RUNNER, RUNNER_START, START, Options, RunningSandbox
from checks.outputs import baseline, catalog_texts, last_failed
from checks.outputs.baseline import BadBaseline, Known
from checks.outputs.catalog_texts import UnknownCheck
from checks.outputs.last_failed import NoFailures
from checks.sandbox_file import NoSandbox
from connect_sim.cli import running
from connect_sim.cli.check_options import PROVIDER_KEY, SECRET, TRACES_FOLDER, URL, VENDOR_KEY
from connect_sim.cli.errors import CliError, Code
from requests_queue import time_format
from requests_queue.suggestions import did_you_mean
from sandbox.readings.registry import BY_ID, READINGS

_WITH_RUN = (
    "environment",
    "cwd",
    "path",
    "ready_url",
    "start_timeout",
    "jobs",
    "run_next",
    "grace",
)
_WITH_EXTENSION = ("runner", "multi_account")
# What only a handler has.
_WITHOUT_EXTENSION = ("cwd", "path", "ready_url", "run_next", "grace", "type", "method", "invalid")
_PAIR = re.compile(r"[1-9]\d*:(before|after)")
_WITHOUT_RUN = ("secret", "webhook", "keep", "sandbox_url")


@dataclass(frozen=True, slots=True)
class Request:
    """A run, the checks that it consists of, and what is made of its report.

    `json_file` may be `-`. With `is_streamed`, standard output has events of the run.
    `alternatives` are those of --readings.
    """

    options: Options
    checks: Sequence[Check]
    known: Sequence[Known]
    baseline: Path | None
    updates_baseline: bool
    junit: Path | None
    html: Path | None
    json_file: str
    is_streamed: bool = False
    alternatives: Sequence[Alternative] = ()


def described(given: dict[str, Any]) -> list[Check] | Check:
    """Return the checks for --list, or the check for --explain; raises UsageError."""
    if given["explain"]:
        try:
            return catalog_texts.find(CHECKS, given["explain"])
        except UnknownCheck as error:
            raise click.BadParameter(str(error), param_hint="--explain") from None
    selected, ignored = globs("--select", given["select"]), globs("--ignore", given["ignore"])
    return [
        check
        for check in CHECKS
        if (not selected or check.matches(selected)) and not check.matches(ignored)
        if check.extension or not given["extension"]
    ]


def read(given: dict[str, Any]) -> Request:
    """Return the request; raises ClickException with one sentence."""
    _require_one_handler(given)
    alternatives = _alternatives(given)
    options = replace(
        handler_options(given),
        url=_url(given["url"]) if given["url"] else "",
        secret=_secret(given),
        webhook=given["webhook"] or "",
        sandbox=None if is_started(given) else _sandbox(given["sandbox_url"]),
        cwd=given["extension"] or given["cwd"],
        selected=readings.selected(alternatives) or _selected(given),
        fail_fast=given["fail_fast"],
        max_time=_max_time(given["max_time"]) if given["max_time"] else 0.0,
        pair=_pair(given["pair"]),
        keep=given["keep"],
        name=given["name"],
    )
    require_programs(options)
    checks = runner.select(CHECKS, options)
    if not checks:
        which = "--extension" if options.type == EXTENSION else f"--type {options.type}"
        raise click.UsageError(f"No selected check is one of {which}.")
    if options.pair and {check.group for check in checks} != {"turn"}:
        raise click.UsageError("--pair needs --select with a check of turn.")
    return replace(_with_outputs(given, options, checks), alternatives=alternatives)


def handler_options(given: dict[str, Any]) -> Options:
    """Return the options that all runs have; raises ClickException. --run may be without a value.

    Whether its program exists is another question: see `require_programs`.
    """
    is_extension = bool(given.get("extension"))
    return Options(
        run=_runner(given["runner"]) if is_extension else _command("--run", given["run"]),
        runner=given["runner"] if is_extension else RUNNER,
        multi_account=is_extension and given["multi_account"],
        type=EXTENSION if is_extension else given["type"],
        method=given["method"].upper(),
        product=given["product"],
        environment=_pairs("--env", given["environment"], handler_command.parse_variable),
        path=_path(given["path"]),
        ready_url=_ready_url(given["ready_url"]),
        start_timeout=given["start_timeout"] or (RUNNER_START if is_extension else START),
        ignored=globs("--ignore", given["ignore"]),
        strict=given["strict"],
        deep=given["deep"],
        seed=given["seed"],
        invalid=_pairs("--invalid", given["invalid"], _invalid),
        jobs=given["jobs"],
        run_next=_command("--run-next", given["run_next"]),
        budget=given["budget"],
        grace=given["grace"],
        traces=None if given["no_trace"] else given["traces"] or TRACES_FOLDER,
    )


def _runner(program: str) -> str:
    """Return the command line of an extension's runner; raises BadParameter."""
    # The programs of a virtual environment that isn't activated are beside its Python.
    folders = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    found = shutil.which(program, path=folders)
    if found is None:
        text = f"there is no program {program!r}; pip install connect-extension-runner."
        raise click.BadParameter(text, param_hint="--runner")
    # It starts in the extension's folder. Its validation would ask PyPI for the newest version.
    program = str(Path(found).absolute())
    return _command("--runner", shlex.join([program, "-n", "--no-rich-logging"]))


def _command(option: str, line: str | None) -> str:
    """Return a command line that starts a handler, which may be empty."""
    if not line:
        return ""
    try:
        handler_process.refuse_windows()
        handler_command.split(line)
    except (BadCommand, HandlerError) as error:
        raise click.BadParameter(str(error), param_hint=option) from None
    return line


def _pair(text: str) -> str:
    if text and not _PAIR.fullmatch(text):
        raise click.BadParameter("must be such as 3:before or 3:after.", param_hint="--pair")
    return text


def _with_outputs(given: dict[str, Any], options: Options, checks: Sequence[Check]) -> Request:
    _check_files(given)
    return Request(
        options,
        checks,
        _known(given["baseline"], given["update_baseline"]),
        given["baseline"],
        given["update_baseline"],
        given["junit"],
        given["html"],
        given["json_file"] or "",
        given["events"],
    )


def _require_one_handler(given: dict[str, Any]) -> None:
    """Raise UsageError unless the handler is named once, with the options that belong to it."""
    names = [name for name in ("url", "run", "webhook", "extension") if given[name]]
    if not names:
        raise click.UsageError(
            "Missing the handler: give its URL, --run COMMAND, --webhook ID, or --extension FOLDER."
        )
    if len(names) > 1:
        first, second = ("URL" if name == "url" else f"--{name}" for name in names[:2])
        raise click.UsageError(f"{first} and {second} exclude each other.")
    if given["extension"]:
        wrong = dict.fromkeys(
            (*_WITHOUT_RUN, *_WITHOUT_EXTENSION), "has no meaning with --extension"
        )
    elif given["run"]:
        wrong = dict.fromkeys(_WITHOUT_RUN, "has no meaning with --run")
    else:
        wrong = dict.fromkeys(_WITH_RUN, "needs --run")
    if not given["extension"]:
        wrong |= dict.fromkeys(_WITH_EXTENSION, "needs --extension")
    context = click.get_current_context()
    for param in context.command.params:
        is_given = context.get_parameter_source(param.name or "") is ParameterSource.COMMANDLINE
        if param.name in wrong and is_given:
            raise click.UsageError(f"{param.opts[0]} {wrong[param.name]}.")
    if given["url"] and not given["secret"]:
        raise click.UsageError(
            f"A URL needs the webhook's JWT secret: --secret, or the variable {SECRET}."
        )


def is_started(given: dict[str, Any]) -> bool:
    """Return whether the handler is started beside a sandbox of its own."""
    return bool(given["run"] or given["extension"])


def _secret(given: dict[str, Any]) -> str:
    # A variable of the environment is for other calls of the program, too.
    return "" if is_started(given) else given["secret"] or ""


def _url(text: str) -> str:
    """Return the URL of a handler or of a sandbox."""
    try:
        parts = urlsplit(text)
        is_valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_valid = False
    if not is_valid or any(character.isspace() for character in text):
        # A user name and a password in it are not repeated.
        shown = repr(text[:100]) if "@" not in text else "The URL"
        raise click.UsageError(f"{shown} is not a URL such as http://127.0.0.1:9000/.")
    return text


def _path(text: str) -> str:
    if not text.startswith("/") or text.startswith("//"):
        raise click.BadParameter("must begin with one slash, as in /webhook.", param_hint="--path")
    _url(f"http://127.0.0.1:1{text}")
    return text


def _ready_url(text: str) -> str:
    if text and not text.startswith("/"):
        _url(text.replace("{port}", "1").replace("{host}", handler_command.HOST))
    return text


def require_programs(options: Options) -> None:
    """Raise BadParameter unless the programs and scripts of `run` and `run_next` exist."""
    for option, line in (("--run", options.run), ("--run-next", options.run_next)):
        if line:
            _require_program(options, option, line)


def _require_program(options: Options, option: str, line: str) -> None:
    arguments = handler_command.split(line)
    folder = options.cwd or Path()
    program, path = arguments[0], os.environ.get("PATH", os.defpath)
    if os.sep in program:
        is_found = (folder / program).is_file()
    else:
        is_found = "PATH" in options.environment or shutil.which(program, path=path) is not None
    if not is_found:
        raise click.BadParameter(f"there is no program {program!r}.", param_hint=option)
    script = handler_command.script(arguments)
    if script and not (folder / script).is_file():
        raise click.BadParameter(f"there is no script {script!r}.", param_hint=option)


def _sandbox(url: str | None) -> RunningSandbox:
    """Return the running sandbox: that of the URL, or of sandbox.json; raises CliError."""
    keys = [os.environ.get(name, "").strip() for name in (VENDOR_KEY, PROVIDER_KEY)]
    try:
        if url:
            root = _url(url).rstrip("/").removesuffix("/public/v1")
            if not all(keys):
                found = running.find()
                keys = [found.vendor_api_key, found.provider_api_key]
            return RunningSandbox(root, keys[0], keys[1])
        found = running.find()
    except NoSandbox as error:
        more = f" Or set {URL}, {VENDOR_KEY} and {PROVIDER_KEY}."
        raise CliError(Code.NO_SANDBOX, f"{error}{more}") from None
    return RunningSandbox(found.address, found.vendor_api_key, found.provider_api_key)


def globs(option: str, values: Iterable[str]) -> tuple[str, ...]:
    """Return ids and globs; raises UsageError for unknown ones."""
    try:
        return selection.globs(values)
    except UnknownCheck as error:
        raise click.BadParameter(str(error), param_hint=option) from None


def _selected(given: dict[str, Any]) -> tuple[str, ...]:
    """Return the globs of --select, or those of what failed last."""
    if not given["last_failed"]:
        return globs("--select", given["select"])
    if given["select"]:
        raise click.UsageError("--select and --last-failed exclude each other.")
    try:
        return last_failed.read(CHECKS)
    except NoFailures as error:
        raise click.BadParameter(str(error), param_hint="--last-failed") from None


def _alternatives(given: dict[str, Any]) -> list[Alternative]:
    """Return the alternatives that --readings names, and that some check can see."""
    if not given["readings"]:
        return []
    for name in ("select", "last_failed", "events"):
        if given[name]:
            option = f"--{name.replace('_', '-')}"
            raise click.UsageError(f"--readings and {option} exclude each other.")
    globs = [each.strip() for each in given["readings"].split(",")]
    for each in globs:
        if not fnmatch.filter(BY_ID, each):
            text = f"There is no reading {each[:80]!r}.{did_you_mean(each, BY_ID)}"
            raise click.BadParameter(text, param_hint="--readings")
    chosen = [r for r in READINGS if any(fnmatch.fnmatchcase(r.id, each) for each in globs)]
    found = [
        Alternative(reading.id, value, text, reading.checks)
        for reading in chosen
        if reading.checks
        for value, text in reading.alternatives.items()
    ]
    if not found:
        names = ", ".join(each.id for each in chosen)
        raise click.BadParameter(f"No check can see {names}.", param_hint="--readings")
    return found


def _max_time(text: str) -> float:
    try:
        seconds = time_format.parse_span(text).total_seconds()
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--max-time") from None
    if not seconds:
        raise click.BadParameter("must be longer than 0.", param_hint="--max-time")
    return seconds


def _pairs(
    option: str, texts: Iterable[str], parse: Callable[[str], tuple[str, str]]
) -> dict[str, str]:
    result: dict[str, str] = {}
    for text in texts:
        try:
            name, value = parse(text)
        except BadCommand as error:
            raise click.BadParameter(str(error), param_hint=option) from None
        if name in result:
            raise click.BadParameter(f"{name} is given twice.", param_hint=option)
        result[name] = value
    return result


def _invalid(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise BadCommand(f"{text!r} must be NAME=VALUE.")
    return name, value


def _known(path: Path | None, is_updated: bool) -> Sequence[Known]:
    if path is None:
        if is_updated:
            raise click.UsageError("--update-baseline needs --baseline FILE.")
        return ()
    if is_updated and not path.exists():
        return ()
    try:
        return baseline.load(path, CHECKS)
    except BadBaseline as error:
        raise click.BadParameter(str(error), param_hint="--baseline") from None


def _check_files(given: dict[str, Any]) -> None:
    """Raise UsageError for a file that cannot be written at the end."""
    if given["events"] and given["json_file"] == "-":
        raise click.UsageError("--events and --json - exclude each other.")
    files = {f"--{name}": given[name] for name in ("junit", "html") if given[name]}
    if given["json_file"] not in (None, "-"):
        files["--json"] = Path(given["json_file"])
    if given["update_baseline"] and given["baseline"]:
        files["--baseline"] = given["baseline"]
    require_writable(files, given["traces"])


def require_writable(files: Mapping[str, Path], traces: Path | None) -> None:
    """Raise UsageError unless each file, by its option, can be written and is another one.

    And unless the folder of traces can, if it is not the default one.
    """
    if traces:
        # Created with the first trace, its parents too.
        existing = next(each for each in (traces, *traces.absolute().parents) if each.exists())
        if not existing.is_dir() or not os.access(existing, os.W_OK):
            text = f"{traces} cannot be written: {existing} is no folder that can."
            raise click.BadParameter(text, param_hint="--trace")
    options: dict[Path, str] = {}
    for option, path in files.items():
        if reason := _why_not_writable(path):
            raise click.BadParameter(f"{path} cannot be written: {reason}.", param_hint=option)
        if (other := options.setdefault(path.resolve(), option)) != option:
            raise click.UsageError(f"{other} and {option} name the same file.")


def _why_not_writable(path: Path) -> str:
    folder = path.parent
    if path.name in ("", "-") or path.is_dir():
        return "it is not the name of a file"
    if not folder.is_dir():
        return f"the folder {folder} does not exist"
    if not os.access(path if path.exists() else folder, os.W_OK):
        return "permission denied"
    return ""
