"""The options of `check`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import click

from checks.options import ALL, BUDGET, EVENT, GRACE, JOBS, RUNNER, RUNNER_START, START, VALIDATOR
from connect_sim.cli import options

# The secret of the handler's webhook, which other users of the machine would see as an argument.
SECRET = "CONNECT_SIM_SECRET"
URL, VENDOR_KEY, PROVIDER_KEY = (
    f"CONNECT_SIM_{name}" for name in ("URL", "VENDOR_KEY", "PROVIDER_KEY")
)
TRACES_FOLDER = Path("connect-sim-traces")  # in the working folder, made with the first trace
# The folder for traces, which the action for GitHub's workflows sets.
TRACES = "CONNECT_SIM_TRACES"
FILE = click.Path(path_type=Path, dir_okay=False)
Decorator = Callable[[Callable[..., int]], Callable[..., int]]


def complete_check(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return groups and ids; the last one of several that commas separate."""
    from checks.catalog import CHECKS

    done, comma, begun = incomplete.rpartition(",")
    names = dict.fromkeys(name for check in CHECKS for name in (check.group, check.id))
    return [f"{done}{comma}{name}" for name in names if name.startswith(begun)]


def _seconds(name: str, most: float, default: float | None, text: str) -> Decorator:
    """Return an option for a time of more than 0 seconds."""
    return click.option(
        name,
        type=options.Seconds(most, least=0.001),
        default=default,
        show_default=True,
        metavar="SECONDS",
        help=text,
    )


# Of all commands that check the handler of --run.
_SHARED = (
    click.option(
        "--run",
        metavar="COMMAND",
        help="Start a sandbox of its own, and the handler by "
        "this command; {port} and {host} are replaced, and PORT, JWT_SECRET, WEBHOOK_ID, "
        "PRODUCT_ID, CONNECT_API_URL and CONNECT_API_KEY are in its environment.",
    ),
    click.option(
        "--type",
        type=options.Choice([EVENT, VALIDATOR, ALL]),
        default=EVENT,
        show_default=True,
        help="What the handler serves.",
    ),
    click.option(
        "--method",
        type=options.Choice(["POST", "GET"], case_sensitive=False),
        default="POST",
        show_default=True,
        help="The webhook's HTTP method.",
    ),
    click.option(
        "--product",
        default="",
        metavar="ID",
        help="A product of the sandbox; default: one that is made for the checks.",
    ),
    click.option(
        "--env",
        "environment",
        multiple=True,
        metavar="NAME=VALUE",
        help="With --run: one more variable, for example KEY={api_key}; templates are "
        "{api_key}, {api_url}, {jwt_secret}, {webhook_id}, {product_id}, {port}, {host}.",
    ),
    click.option(
        "--path",
        default="/",
        show_default=True,
        metavar="PATH",
        help="With --run: the path at which the handler is called.",
    ),
    click.option(
        "--ready-url",
        default="",
        metavar="URL",
        help="With --run: the handler is ready "
        "when this URL or path responds with a status below 500; default: when its port "
        "accepts connections.",
    ),
    _seconds(
        "--start-timeout",
        600,
        None,
        f"With --run: how long the handler may take to be ready; default: {START:g}.",
    ),
    click.option(
        "--jobs",
        type=click.IntRange(1, 16),
        default=JOBS,
        show_default=True,
        help="With --run: how many sandboxes and handlers run beside each other.",
    ),
    click.option(
        "--run-next",
        default="",
        metavar="COMMAND",
        help="With --run: the handler's next version, which is started beside it; default: the "
        "same command.",
    ),
    _seconds(
        "--grace",
        600,
        GRACE,
        "With --run: how long the handler may take to end after SIGTERM.",
    ),
    _seconds(
        "--budget",
        86_400,
        BUDGET,
        "How long the checks of turn may try moments, together; with --deep: all moments.",
    ),
    click.option(
        "--ignore",
        multiple=True,
        shell_complete=complete_check,
        metavar="CHECKS",
        help="Don't run these.",
    ),
    click.option("--deep", is_flag=True, help="Also run the checks that take minutes."),
    click.option(
        "--invalid",
        multiple=True,
        metavar="NAME=VALUE",
        help="A value of a parameter that the validator refuses; may be repeated.",
    ),
    click.option(
        "--trace",
        "traces",
        type=click.Path(path_type=Path, file_okay=False),
        envvar=TRACES,
        show_envvar=True,
        metavar="FOLDER",
        help="The folder for a trace of each failed check, for connect-sim trace; "
        f"default: {TRACES_FOLDER}.",
    ),
    click.option("--no-trace", is_flag=True, help="Write no traces."),
)
_OPTIONS = (
    click.option(
        "--extension",
        type=click.Path(path_type=Path, exists=True, file_okay=False),
        metavar="FOLDER",
        help="Start a sandbox of its own, and the runner of the extension in this folder, which is "
        f"installed beside the runner. The default of --start-timeout is then {RUNNER_START:g}.",
    ),
    click.option(
        "--runner",
        default=RUNNER,
        show_default=True,
        metavar="PROGRAM",
        help="With --extension: the runner, in the environment of this program or in PATH.",
    ),
    click.option(
        "--multi-account",
        is_flag=True,
        help="With --extension: it is one that other accounts install.",
    ),
    click.option(
        "--strict",
        is_flag=True,
        help="Failures of SHOULD count too, and a MUST that "
        "could not be judged ends the run without a verdict.",
    ),
    click.option(
        "--webhook",
        metavar="ID",
        help="Check the handler of this webhook of the running sandbox, with its secret.",
    ),
    click.option(
        "--secret",
        envvar=SECRET,
        show_envvar=True,
        metavar="SECRET",
        help="The webhook's JWT secret; needed for a URL.",
    ),
    click.option(
        "--cwd",
        type=click.Path(path_type=Path, exists=True, file_okay=False),
        metavar="FOLDER",
        help="With --run: the folder in which all handlers start; "
        "default: each in one of its own, with copies of the current folder's files.",
    ),
    click.option("--list", "is_list", is_flag=True, help="List the checks, and run none."),
    click.option(
        "--explain",
        metavar="CHECK",
        help="Print what a check sends and expects, why, and how to fix a handler.",
    ),
    click.option(
        "--select",
        multiple=True,
        shell_complete=complete_check,
        metavar="CHECKS",
        help="Run these only: ids, groups or globs (auth.*), separated by commas; may be repeated.",
    ),
    click.option(
        "--pair",
        default="",
        metavar="N:before|N:after",
        help="With --select turn.…: only this moment, before or after the Nth API call.",
    ),
    click.option(
        "--last-failed",
        is_flag=True,
        help="Run those only that failed last in this folder, by .connect-sim-check.json.",
    ),
    click.option(
        "--readings",
        is_flag=False,
        flag_value="*",
        metavar="[READINGS]",
        help="Judge the handler in all readings of the public sources, or in these: ids or globs, "
        "separated by commas. It runs the checks that they can change.",
    ),
    click.option("--fail-fast", is_flag=True, help="End the run after a failure that counts."),
    click.option(
        "--max-time",
        metavar="DURATION",
        help="End the run after this time, such as 10m: what is left is inconclusive.",
    ),
    click.option(
        "--seed",
        type=click.IntRange(0, 2**31 - 1),
        default=0,
        show_default=True,
        help="What the checks draw: words, names, quantities, secrets of forged tokens.",
    ),
    click.option(
        "--keep", is_flag=True, help="Leave in the running sandbox what the checks have done."
    ),
    click.option(
        "--baseline",
        type=FILE,
        metavar="FILE",
        help="Known failures with dates, which don't count until then (TOML).",
    ),
    click.option("--update-baseline", is_flag=True, help="Write the failures into that file."),
    click.option("--junit", type=FILE, metavar="FILE", help="Write JUnit XML."),
    click.option("--html", type=FILE, metavar="FILE", help="Write one HTML file."),
    click.option(
        "--json",
        "json_file",
        metavar="FILE",
        help="Write JSON; - is standard output, and the report is then printed to standard error.",
    ),
    click.option(
        "--sandbox-url",
        envvar=URL,
        show_envvar=True,
        metavar="URL",
        help=f"The running sandbox, with the keys in {VENDOR_KEY} and {PROVIDER_KEY}; "
        "default: that of sandbox.json.",
    ),
    # For the portal, which runs this program.
    click.option(
        "--events",
        is_flag=True,
        hidden=True,
        help="Write the run's events to standard "
        "output, as JSON lines; the report is the last one.",
    ),
    click.option(
        "--name",
        default="",
        hidden=True,
        metavar="NAME",
        help="The run's name in those of its snapshots.",
    ),
)


def shared(function: Callable[..., int]) -> Callable[..., int]:
    """Add the options of how a handler is started and checked to a command."""
    return _with(function, _SHARED)


def with_options(function: Callable[..., int]) -> Callable[..., int]:
    """Add all options of `check`."""
    return shared(_with(function, _OPTIONS))


def _with(function: Callable[..., int], added: Iterable[Decorator]) -> Callable[..., int]:
    for option in reversed([*added]):
        function = option(function)
    return function
