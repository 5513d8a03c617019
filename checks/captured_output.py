"""The end of what a process prints, in bounded memory."""

from __future__ import annotations

import os
import threading

LIMIT = 64 * 1024
_CHUNK = 64 * 1024


class CapturedOutput:
    """A pipe for a child's output, read by a thread, so that the child never waits for it.

    Only the last `LIMIT` bytes are kept. `write_end` is for the child; close it with
    `started()` once the child has it.
    """

    def __init__(self) -> None:
        self._read_end, self.write_end = os.pipe()
        self._lock = threading.Lock()
        self._kept = bytearray()
        self._dropped = False
        self._thread = threading.Thread(target=self._read, name="captured output", daemon=True)
        self._thread.start()

    def started(self) -> None:
        """Close our copy of the child's end: the output then ends with the child."""
        os.close(self.write_end)

    def wait_for_end(self, seconds: float = 1.0) -> None:
        """Wait until all output has been read: a process may have left, and still hold it."""
        self._thread.join(seconds)

    def text(self) -> str:
        """Return what is kept, from the start of a line."""
        with self._lock:
            text, dropped = self._kept.decode(errors="replace"), self._dropped
        # An incomplete line may start with a part of a secret, which nothing would mask.
        return text.partition("\n")[2] if dropped else text

    def _read(self) -> None:
        try:
            while data := os.read(self._read_end, _CHUNK):
                with self._lock:
                    self._kept += data
                    if len(self._kept) > LIMIT:
                        self._dropped = True
                        del self._kept[:-LIMIT]
        finally:
            os.close(self._read_end)
