"""The environment of all tests, loaded before Django's settings are (`-p tests.environment`)."""

from __future__ import annotations

import os
import tempfile

# Before Django's settings are read: no test touches the data of a real sandbox.
os.environ["SIM_DATA_DIR"] = tempfile.mkdtemp(prefix="connect-sim-tests-")
for _name in list(os.environ):
    if _name.startswith("SIM_") and _name not in ("SIM_DATA_DIR", "SIM_TEST_POSTGRES"):
        del os.environ[_name]
os.environ["SIM_ENV_FILE"] = os.devnull
for _name in ("DATABASE_URL", "CELERY_BROKER_URL"):
    os.environ.pop(_name, None)
if "SIM_TEST_DATABASE_URL" in os.environ:
    os.environ["DATABASE_URL"] = os.environ["SIM_TEST_DATABASE_URL"]
