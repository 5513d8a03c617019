"""Connect Sim for Testcontainers: `with ConnectSimContainer() as sandbox:` (docs/ci.md)."""

from __future__ import annotations

import secrets
import socket

from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import HttpWaitStrategy

PORT = 8000  # in the container


class ConnectSimContainer(DockerContainer):
    """A sandbox in a container, ready when the `with` block begins.

    A handler on this machine listens on 0.0.0.0; its URL is http://host.docker.internal:<port>/.
    """

    def __init__(self, image: str = "connect-sim") -> None:
        super().__init__(image)
        # Chosen here instead of by Docker: the sandbox must know it, for links and for api_url.
        with socket.create_server(("127.0.0.1", 0)) as unused:
            self.url = f"http://localhost:{unused.getsockname()[1]}"
        self.api_url = f"{self.url}/public/v1"
        self.vendor_key = f"SU-610-138-900:{secrets.token_hex(20)}"
        self.provider_key = f"SU-318-442-900:{secrets.token_hex(20)}"
        self.with_bind_ports(PORT, int(self.url.rpartition(":")[2]))
        self.with_envs(
            SIM_PUBLIC_URL=self.url,
            SIM_VENDOR_API_KEY=self.vendor_key,
            SIM_PROVIDER_API_KEY=self.provider_key,
        )
        self.with_kwargs(extra_hosts={"host.docker.internal": "host-gateway"})
        # Testcontainers asks again and again, for at most a second each: so without ?wait=.
        ready = HttpWaitStrategy(PORT, "/readyz").for_status_code(200)
        self.waiting_for(ready.with_startup_timeout(60))
