"""The environment of every test process, set before Django reads its settings.

Loaded first (`-p tests.environment`); imports nothing of Django.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile

# A shell that starts the run in the background lets it ignore SIGINT, and all its children with it.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The folder that all processes of a run share, deleted by the one that created it.
RUN = "SIM_TEST_RUN"

if RUN not in os.environ:
    os.environ[RUN] = tempfile.mkdtemp(prefix="connect-sim-tests-")

    atexit.register(shutil.rmtree, os.environ[RUN], ignore_errors=True)

for _name in list(os.environ):
    if _name.startswith("SIM_") and not _name.startswith("SIM_TEST_"):
        del os.environ[_name]
# No test touches the data of a real sandbox.
os.environ["SIM_DATA_DIR"] = tempfile.mkdtemp(prefix="data-", dir=os.environ[RUN])
os.environ["SIM_ENV_FILE"] = os.devnull
# A test's own transaction is idle while the test does other things.
os.environ["SIM_IDLE_IN_TRANSACTION_TIMEOUT"] = "600"
for _name in ("DATABASE_URL", "CELERY_BROKER_URL"):
    os.environ.pop(_name, None)
