"""What the benchmarks of a run share: a folder, the handler, and the baseline."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import servers
from benchmarks.processes import Process, environment, module, running
from benchmarks.servers import Unavailable


@dataclass(slots=True)
class Run:
    """Processes and options of a run. `quick` asks for small sizes."""

    folder: Path
    handler: Process
    handler_url: str
    baseline: Process
    quick: bool
    # Parts that could not be measured, and why, of the benchmark that is running.
    not_measured: list[str] = field(default_factory=list)

    @contextmanager
    def optional(self, part: str) -> Iterator[None]:
        """Note that a part is not measured if a server that it needs is not installed."""
        try:
            yield
        except Unavailable as error:
            self.not_measured.append(f"{part}: {error}")
            print(f"NOT MEASURED, {part}: {error}.", flush=True)

    @contextmanager
    def subfolder(self, name: str) -> Iterator[Path]:
        """Yield a folder for the data of one benchmark, and delete it at the end."""
        with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=self.folder) as folder:
            yield Path(folder)


@contextmanager
def started(*, quick: bool) -> Iterator[Run]:
    """Run the handler and the baseline until the block ends."""
    port = servers.free_port()
    with tempfile.TemporaryDirectory(prefix="connect-sim-bench-") as name:
        folder, env = Path(name), environment()
        with (
            running(module("handler", str(port)), env, folder / "handler.log") as handler,
            running(module("baseline"), env, folder / "baseline.log") as baseline,
        ):
            handler.ask("ready")
            yield Run(folder, handler, f"http://127.0.0.1:{port}", baseline, quick)
