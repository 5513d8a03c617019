"""Whose turn it is to write to an SQLite file: the threads of a process, one after the other.

SQLite's own wait for the write lock asks again after pauses of up to 100 ms, and others come first
meanwhile: while the file is written most of the time, a thread waits for seconds. So the threads of
a process begin their transactions in the order in which they ask, but for that of the delivery
engine, which comes first: it stores many results at once, and slots for requests wait for it.
"""

from __future__ import annotations

import os
import threading
from collections import deque


class Turns:
    """The threads of this process that write to a file, one after the other."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._is_taken = False
        self._waiting: deque[threading.Lock] = deque()

    def take(self, timeout: float) -> bool:
        """Wait for a turn; return False if it does not come within `timeout` seconds."""
        with self._guard:
            if not self._is_taken:
                self._is_taken = True
                return True
            turn = threading.Lock()
            turn.acquire()
            if getattr(_thread, "comes_first", False):
                self._waiting.appendleft(turn)
            else:
                self._waiting.append(turn)
        if turn.acquire(timeout=timeout):
            return True
        with self._guard:
            # Race: it may have come since.
            if turn not in self._waiting:
                return True
            self._waiting.remove(turn)
            return False

    def give(self) -> None:
        """End a turn: the next thread has it at once."""
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._is_taken = False


_thread = threading.local()
_turns: dict[str, Turns] = {}  # by file
# A forked process has none of the threads that wait.
os.register_at_fork(after_in_child=_turns.clear)


def of_file(name: str) -> Turns:
    """Return the turns of the file's writers, the same ones for all threads."""
    return _turns.setdefault(name, Turns())


def come_first() -> None:
    """Let this thread write before those that wait: it stores what many requests have done."""
    _thread.comes_first = True
