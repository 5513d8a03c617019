"""`manage.py worker`: what a worker of a distributed set-up imports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.processes import ROOT

KEY = "of-the-tests-that-is-long-enough-0123456789"
# What only pages, uploads, SQLite and the command line of Celery need.
NOT_IMPORTED = {
    "celery.bin", "connect_sim.urls", "drf_spectacular.views", "lark", "markdown_it",
    "openpyxl", "prompt_toolkit", "requests_queue.admin", "rest_framework.views", "rich", "sandbox",
    "sqlite3", "uvicorn", "webhooks.admin",
}  # fmt: skip
# The worker is complete but for its consumer: the engine has started.
_MODULES = """
import json, os, sys, threading
from celery.apps.worker import Worker

def start(worker):
    print(json.dumps([[t.name for t in threading.enumerate()], sorted(sys.modules)]), flush=True)
    os._exit(0)

Worker.start = start
sys.argv = ["manage.py", "worker"]
from connect_sim.cli import django_commands
django_commands.run(sys.argv)
"""


def test_worker_starts_engine_and_imports_nothing_of_pages(tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("SIM_")}
    env |= {
        "SIM_ENV_FILE": os.devnull,
        "SIM_PROFILE": "server",
        "SIM_DATA_DIR": str(tmp_path),
        "SIM_SECRET_KEY": f"a-secret-{KEY}",
        "SIM_ENCRYPTION_KEY": f"another-{KEY}",
        "SIM_API_URL": "https://sim.example.com",
        "SIM_TRUSTED_PROXY": "loopback",
        # Nothing listens there: the engine waits for a database.
        "DATABASE_URL": "postgres://sim@127.0.0.1:1/sim",
        "CELERY_BROKER_URL": "redis://127.0.0.1:1",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-c", _MODULES],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout, done.stderr
    threads, modules = json.loads(done.stdout)
    assert "delivery-engine" in threads
    assert NOT_IMPORTED & set(modules) == set()
