"""The commands of a sandbox that Home shows to new users, and its API keys."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

from django.conf import settings

from portal.home.first_steps import CommandLine
from requests_queue.catalog.models import Account, User
from sandbox import sandbox_file
from sandbox.listener import PORT

_ROOT = Path(__file__).resolve().parents[1]


def command_line() -> CommandLine:
    """Return the commands as users type them."""
    program = settings.PROGRAM
    # In a container the host is another machine.
    own_host = "host.docker.internal" if settings.SIM_IN_CONTAINER else "127.0.0.1"
    return CommandLine(
        listen=f"{program} listen{_data_dir()}",
        listen_and_approve=f"{program} listen --approve{_data_dir()}",
        url=f"http://127.0.0.1:{PORT}/",
        order=f"{program} queue add fulfillment{_data_dir()} --product",
        install_pytest=f"python3 -m venv .venv\n.venv/bin/pip install {_packages()}",
        own_url=f"http://{own_host}:{PORT}/",
        api_key=api_key,
    )


def api_key(account: Account) -> str:
    """Return the key of the account in sandbox.json, or an empty text."""
    try:
        sandbox = sandbox_file.read(settings.SIM_DATA_DIR)
    except sandbox_file.NoSandbox:
        return ""
    own = {key.partition(":")[0]: key for key in (sandbox.vendor_api_key, sandbox.provider_api_key)}
    users = User.objects.filter(account=account, is_service=True, is_active=True, uid__in=own)
    uid = users.values_list("uid", flat=True).first()
    return own[uid] if uid else ""


def _data_dir() -> str:
    """Return the option for the folder of sandbox.json, unless commands find it themselves."""
    is_found = settings.SIM_DATA_DIR in (_ROOT / "var", Path.cwd() / "var")
    if is_found or settings.SIM_IN_CONTAINER:
        return ""
    return f" --data-dir {quote(str(settings.SIM_DATA_DIR))}"


def _packages() -> str:
    """Return what pip installs: the plugin and the server."""
    plugin = _ROOT / "pytest-connect-sim"
    if plugin.is_dir():
        return f"{quote(str(plugin))} {quote(str(_ROOT))}"
    return "/path/to/connect-sim/dist/*.whl"
