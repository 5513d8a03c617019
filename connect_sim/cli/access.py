"""`env`, `open` and `key`: what a program or a person needs to use the running sandbox."""

from __future__ import annotations

import shlex
import webbrowser
from pathlib import Path

import click

from checks import trace_file
from checks.client import Part
from connect_sim.cli import django_commands, options, output, processes, running
from connect_sim.cli.trace import as_usage
from requests_queue.catalog.modules import MODULES
from requests_queue.suggestions import did_you_mean


@click.command(cls=options.Command, example="connect-sim env --as distributor")
@options.party("The party whose key is meant.")
@options.as_json
@options.data_dir
def env(party: str, as_json: bool) -> None:
    """Print the running sandbox's addresses and an API key, as exports for a shell.

    CONNECT_API_KEY has the form that Connect's clients take, `ApiKey SU-…`; CONNECT_API_TOKEN is
    the same without the prefix.
    """
    sandbox = running.find()
    key = sandbox.provider_api_key if party == "distributor" else sandbox.vendor_api_key
    variables = {
        "SANDBOX_URL": sandbox.address,
        "CONNECT_API_URL": f"{sandbox.address}/public/v1",
        "CONNECT_API_KEY": f"ApiKey {key}",
        "CONNECT_API_TOKEN": key,
    }
    exports = (f"export {name}={shlex.quote(value)}" for name, value in variables.items())
    output.answer(variables, as_json, exports)


@click.command("open", cls=options.Command, example="connect-sim open vendor")
@click.argument("user", required=False, metavar="[USER|FILE]")
@click.option("--print", "only_print", is_flag=True, help="Print the link, and start no browser.")
@options.as_json
@options.data_dir
def open_(user: str | None, only_print: bool, as_json: bool) -> None:
    """Open the portal in a browser, signed in as USER; by default the first administrator.

    FILE is the trace of a test or a check, *.connect-sim-trace, which an administrator sees there.
    Without a browser, the link is printed, and with --json it is only printed. It works once.
    """
    page = ""
    if user and user.endswith(trace_file.SUFFIX):
        page, user = f"?next={_send_trace(Path(user))}", None
    link = _run_management("signin", *([user] if user else [])).strip() + page
    if as_json:
        output.print_json({"url": link})
    elif only_print or not webbrowser.open(link):
        click.echo(link)
    else:
        output.line(f"Opened {link.partition('/sign-in/')[0]} in your browser.")


def _send_trace(file: Path) -> str:
    """Send a trace to the running sandbox, and return the path of its page."""
    with as_usage(file):
        data = trace_file.read(file)
    form = [Part("file", data, file.name)]
    shown = running.client().upload("/sandbox/traces", form)
    return str(shown["path"])


def _complete_modules(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return what completes the last of several names that commas separate."""
    earlier, comma, last = incomplete.rpartition(",")
    names = [name for name in MODULES if name.lower().startswith(last.strip().lower())]
    return [f"{earlier}{comma}{name}" for name in names]


def _parse_modules(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> list[str]:
    """Return the names as Connect writes them; raises BadParameter for an unknown one."""
    by_lower = {name.lower(): name for name in MODULES}
    names = [name.strip() for value in values for name in value.split(",")]
    for name in names:
        if name.lower() not in by_lower:
            text = f"{name!r} is not one of {', '.join(MODULES)}.{did_you_mean(name, MODULES)}"
            raise click.BadParameter(text)
    return [by_lower[name.lower()] for name in names]


@click.group(cls=options.Group, default="list", example="connect-sim key create VA-610-138")
def key() -> None:
    """List, create and revoke API keys."""


@key.command("list", example="connect-sim key list")
@click.argument("account", required=False)
@options.as_json
@options.data_dir
def list_(account: str | None, as_json: bool) -> None:
    """List the API keys without their secrets, of all accounts or of ACCOUNT."""
    _apikey("--list", *([account] if account else []), as_json=as_json)


@key.command(example="connect-sim key create VA-610-138 --name CI --modules Subscriptions,Usage")
@click.argument("account")
@click.option("--name", help="The name of the key.")
@click.option("--expires", metavar="WHEN", help="Days, 90d, or the last day, 2027-01-31 (UTC).")
@click.option(
    "--modules",
    multiple=True,
    callback=_parse_modules,
    shell_complete=_complete_modules,
    metavar="NAMES",
    help="The modules that it has permission for, separated by commas; may be repeated. "
    f"Default: all of {', '.join(MODULES)}.",
)
@options.as_json
@options.data_dir
def create(
    account: str, name: str | None, expires: str | None, modules: list[str], as_json: bool
) -> None:
    """Create an API key of ACCOUNT, and print it: it is shown once."""
    values = {"--name": name, "--expires": expires}
    arguments = [f"{option}={value}" for option, value in values.items() if value]
    arguments += [f"--modules={module}" for module in modules]
    _apikey(account, *arguments, as_json=as_json)


@key.command(example="connect-sim key revoke SU-462-822-405")
@click.argument("id", metavar="KEY")
@options.as_json
@options.data_dir
def revoke(id: str, as_json: bool) -> None:
    """Revoke an API key: calls with it are refused from now on."""
    _apikey(f"--revoke={id}", as_json=as_json)


def _apikey(*arguments: str, as_json: bool) -> None:
    """Print what the management command of this name prints."""
    click.echo(_run_management("apikey", *arguments, *["--json"] * as_json), nl=False)


def _run_management(name: str, *arguments: str) -> str:
    """Run a management command, and return what it prints; the sandbox must have data."""
    running.find()
    processes.use_data_dir()
    return django_commands.call(name, *arguments)
