"""Run nginx as a TLS proxy of a server; skips with a message if nginx is not installed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.processes import Process, free_port
from tests.webhooks.certificates import certificate

# The configuration of docs/server.md with the addresses of a test.
_CONFIGURATION = """\
daemon off;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_max_body_size 21m;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{https} ssl;
        listen 127.0.0.1:{http};
        ssl_certificate {folder}/certificate.pem;
        ssl_certificate_key {folder}/certificate.pem;
        location / {{
            proxy_pass http://127.0.0.1:{upstream};
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host:{https};
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
        }}
    }}
}}
"""


@dataclass(frozen=True)
class Proxy:
    """Ports of a running nginx, and its certificate."""

    https_port: int
    http_port: int
    certificate: Path

    @property
    def https(self) -> str:
        return f"https://localhost:{self.https_port}"

    @property
    def http(self) -> str:
        return f"http://localhost:{self.http_port}"


@contextmanager
def nginx(folder: Path, upstream: int, https: int = 0) -> Iterator[Proxy]:
    """Run nginx as a proxy of a port for the block."""
    # Debian installs it outside the PATH of ordinary users.
    binary = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if binary is None:
        pytest.skip("nginx is not installed: the tests behind a TLS proxy were not run")
    certificate(folder)
    proxy = Proxy(https or free_port(), free_port(), folder / "certificate.pem")
    # Started by root, its workers run as another user.
    folder.chmod(0o755)
    file = folder / "nginx.conf"
    file.write_text(
        _CONFIGURATION.format(
            folder=folder, https=proxy.https_port, http=proxy.http_port, upstream=upstream
        )
    )
    log = folder / "nginx.log"
    process = Process([binary, "-p", str(folder), "-c", str(file)], dict(os.environ), log).start()
    try:
        process.wait_to_listen(proxy.http_port)
        yield proxy
    finally:
        process.stop()
