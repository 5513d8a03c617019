"""Options of malloc."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.processes import ROOT

# Each thread keeps a block until all have one; malloc then says how many heaps there are.
_PROGRAM = """
import ctypes, sys, threading
from requests_queue import heap

heap.map_blocks(1 << 20)
if "share" in sys.argv:
    heap.share()
libc, barrier = ctypes.CDLL(None), threading.Barrier(4)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p

def allocate():
    libc.malloc(ctypes.c_size_t(1000))
    barrier.wait()

threads = [threading.Thread(target=allocate) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
file = ctypes.c_void_p(libc.fopen(b"/dev/stdout", b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="another C library than glibc")
@pytest.mark.parametrize(("arguments", "is_shared"), [(["share"], True), ([], False)])
def test_threads_share_a_heap(arguments: list[str], is_shared: bool) -> None:
    command = [sys.executable, "-c", _PROGRAM, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert (done.stdout.count("<heap nr=") == 1) == is_shared, done.stdout
