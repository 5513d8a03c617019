"""Start the class of examples/testcontainers with Docker's client replaced by a process.

Arguments: the folder of the example, then the command that starts a sandbox.
"""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

from testcontainers.core import container
from testcontainers.core.config import ConnectionMode
from testcontainers.core.config import testcontainers_config as config

example, *command = sys.argv[1:]


class Process:
    """What Testcontainers uses of a container of Docker's client."""

    id = short_id = "one"
    status = "created"

    def __init__(self, environment, port):
        given = {**environment, "SIM_BIND": f"127.0.0.1:{port}"}
        self.env = {**os.environ, **given}
        self.popen = None

    def reload(self):
        self.status = "running" if self.popen.poll() is None else "exited"

    def logs(self, **options):
        return b"see above"

    def remove(self, **options):
        self.popen.terminate()
        self.popen.wait(20)


class Client:
    """What Testcontainers uses of its client of Docker."""

    client = type("Closed", (), {"close": lambda self: None})()

    def __init__(self, **options):
        self.created = None

    def create(self, image, *, environment, ports, extra_hosts, **options):
        assert (image, extra_hosts) == ("connect-sim", {"host.docker.internal": "host-gateway"})
        [(inner, self.published)] = ports.items()
        assert inner == "8000"
        return Process(environment, self.published)

    def start(self, created):
        # Its output is not that of this script.
        created.popen = subprocess.Popen(command, env=created.env, stdout=sys.stderr)

    def port(self, identifier, port):
        assert port == 8000
        return self.published

    def get_connection_mode(self):
        return ConnectionMode.docker_host

    def host(self):
        return "localhost"


container.DockerClient = Client
config.ryuk_disabled = True
sys.path.insert(0, example)
from connect_sim_container import ConnectSimContainer  # noqa: E402

with ConnectSimContainer() as sandbox:
    keys = {"vendor": sandbox.vendor_key, "provider": sandbox.provider_key}
    seen = {}
    for party, key in keys.items():
        request = urllib.request.Request(
            f"{sandbox.api_url}/accounts", headers={"Authorization": f"ApiKey {key}"}
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            seen[party] = json.load(response)[0]["id"]
print(json.dumps({"url": sandbox.url, "accounts": seen}))

# The two blocks of the README.
use, conftest = (Path(name).read_text() for name in ("use.py", "conftest.py"))
exec(compile(use, "use", "exec"))


class Config:
    """What the block uses of pytest's configuration."""

    cleanups: list = []

    def add_cleanup(self, function):
        self.cleanups.append(function)


module = {}
exec(compile(conftest, "conftest", "exec"), module)
module["pytest_configure"](Config())
names = ("CONNECT_SIM_URL", "CONNECT_SIM_VENDOR_KEY", "CONNECT_SIM_PROVIDER_KEY")
print(json.dumps([os.environ[name] for name in names]))
for cleanup in Config.cleanups:
    cleanup()
