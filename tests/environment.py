"""The environment of every test process, set before Django reads its settings.

Loaded first (`-p tests.environment`); imports nothing of Django.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

# No test touches the data of a real sandbox.
_DATA_DIR = tempfile.mkdtemp(prefix="connect-sim-tests-")
os.environ["SIM_DATA_DIR"] = _DATA_DIR
for _name in list(os.environ):
    if _name.startswith("SIM_") and not _name.startswith(("SIM_DATA_DIR", "SIM_TEST_")):
        del os.environ[_name]
os.environ["SIM_ENV_FILE"] = os.devnull
# A test's own transaction is idle while the test does other things.
os.environ["SIM_IDLE_IN_TRANSACTION_TIMEOUT"] = "600"
for _name in ("DATABASE_URL", "CELERY_BROKER_URL"):
    os.environ.pop(_name, None)
if "SIM_TEST_DATABASE_URL" in os.environ:
    os.environ["DATABASE_URL"] = os.environ["SIM_TEST_DATABASE_URL"]

atexit.register(shutil.rmtree, _DATA_DIR, ignore_errors=True)
