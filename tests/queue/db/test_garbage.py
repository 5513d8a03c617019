"""On SQLite, the thread that holds the write lock never finalizes another connection's cursors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection

from tests.processes import ROOT, environment

pytestmark = pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite's locks")

# Prints whether a thread that waits for the write lock gets it, although the holder of the lock
# makes enough objects for a garbage collection, and a failed cursor of the waiting connection is
# among the garbage.
PROGRAM = """
import sqlite3, sys, threading
import django
django.setup()
from requests_queue.db import garbage

def connect(**options):
    return sqlite3.connect(sys.argv[1], isolation_level=None, check_same_thread=False, **options)

class Garbage:
    def __init__(self, connection):
        self.itself, self.cursor = self, connection.cursor()
        try:
            self.cursor.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            pass

def wait():
    try:
        waiting.execute("BEGIN IMMEDIATE")
        print("got the lock")
    except sqlite3.OperationalError as error:
        print(error)

garbage.tune()
holder, waiting = connect(), connect(timeout=0)
holder.execute("PRAGMA journal_mode = WAL")
holder.execute("BEGIN IMMEDIATE")
Garbage(waiting)
waiting.execute("PRAGMA busy_timeout = 4000")
# Called when the statement runs: from then on its thread uses the connection.
begins = threading.Event()
waiting.set_trace_callback(lambda statement: begins.set())
thread = threading.Thread(target=wait)
thread.start()
begins.wait()
objects = [[] for _ in range(3 * garbage.THRESHOLDS[0])]
holder.execute("COMMIT")
thread.join()
"""


def test_holder_of_the_lock_collects_no_cursor_of_a_waiting_connection(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "locked.sqlite3")],
        env=environment(tmp_path, DJANGO_SETTINGS_MODULE="connect_sim.settings"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.stdout == "got the lock\n", ran.stderr


def test_collections_reclaim_cycles_of_all_generations(tmp_path: Path) -> None:
    program = """
import gc, threading, weakref
import django
django.setup()
from requests_queue.db import garbage

class Cycle:
    def __init__(self):
        self.itself = self

garbage.tune()
assert not gc.isenabled()
is_collected = threading.Event()
cycle = Cycle()
reference = weakref.ref(cycle, lambda reference: is_collected.set())
# Old enough for the last generation.
for _ in range(2):
    gc.collect(1)
del cycle
garbage.THRESHOLDS = (0, 0, 0)
print(is_collected.wait(30))
"""
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(tmp_path, DJANGO_SETTINGS_MODULE="connect_sim.settings"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.stdout == "True\n", ran.stderr
