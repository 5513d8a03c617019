"""B1 to B3: CPU time and SQL statements of a delivery."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks import measure, servers, subjects
from benchmarks.measure import Drain
from benchmarks.processes import Process, tree_cpu
from benchmarks.run import Run
from benchmarks.setups import DISTRIBUTED, EMBEDDED, in_both
from benchmarks.subjects import DEFAULTS, TUNED, TUNED_ENV, Subject
from benchmarks.table import Bound, Row, in_rounds

ROUNDS = 3
_POST_FLOORS, _POST_AIM = {EMBEDDED: Bound(0.5), DISTRIBUTED: Bound(0.6)}, Bound(0.3)
_STATEMENTS, _FEWER_STATEMENTS = Bound(0.03), Bound(0.02)
_STATEMENTS_WEBHOOKS = 100
# django-webhook: options of its worker, floor, aim.
_KINDS = {
    "defaults": (DEFAULTS, {}, Bound(1 / 22), Bound(1 / 30)),
    "tuned": (TUNED, TUNED_ENV, Bound(1 / 14), Bound(1 / 20)),
}


@dataclass(frozen=True, slots=True)
class Sizes:
    """Deliveries of each webhook in a drain of ours, and of django-webhook; posts; rounds."""

    each: int
    django_webhook_each: int
    posts: int
    rounds: int


QUICK, FULL = Sizes(10, 2, 400, 1), Sizes(51, 10, 2_000, ROUNDS)


def measure_posts(run: Run) -> list[Row]:
    """B1: the CPU time of a delivery, beside that of a post of one `requests.Session`."""
    sizes = QUICK if run.quick else FULL
    return in_both(run, lambda part, subject: _beside_posts(part, subject, run, sizes))


def _beside_posts(part: str, subject: Subject, run: Run, sizes: Sizes) -> list[Row]:
    posts = subject.workload.ask("posts")
    measure.drain(subject, run.handler, 3)
    drains, loops = [], []
    used = _Servers(subject) if part == DISTRIBUTED else None
    for _ in range(sizes.rounds):
        loops.append(run.baseline.ask("loop", posts=posts, count=sizes.posts))
        drains.append(measure.drain(subject, run.handler, sizes.each))
    name = "Session.post"
    deliveries = sizes.rounds * sizes.each * subject.webhooks
    return [
        in_rounds(
            part,
            "CPU per delivery, ms",
            [each.cpu for each in drains],
            [each["cpu"] for each in loops],
            name,
            _POST_FLOORS[part],
            _POST_AIM,
            scale=1e3,
        ),
        in_rounds(
            part,
            "deliveries per second",
            [each.rate for each in drains],
            [each["rate"] for each in loops],
            name,
        ),
        *(used.rows(deliveries) if used else []),
    ]


class _Servers:
    """What PostgreSQL and Redis use for deliveries, including their insertion."""

    def __init__(self, subject: Subject) -> None:
        self._database = subject.env["DATABASE_URL"]
        broker = subject.env["CELERY_BROKER_URL"]
        self._pids = (servers.postgres_pid(self._database), servers.redis_pid(broker))
        self._before = self._read()

    def _read(self) -> list[float]:
        return [*map(tree_cpu, self._pids), servers.database_size(self._database)]

    def rows(self, deliveries: int) -> list[Row]:
        """Return the use since the object was made, per delivery."""
        spent = zip(self._read(), self._before, strict=True)
        postgres, broker, size = ((after - before) / deliveries for after, before in spent)
        return [
            Row(DISTRIBUTED, "CPU of PostgreSQL per delivery, ms", postgres * 1e3),
            Row(DISTRIBUTED, "CPU of Redis per delivery, ms", broker * 1e3),
            Row(DISTRIBUTED, "disk space per delivery, KiB", size / 1024),
        ]


def measure_django_webhook(run: Run) -> list[Row]:
    """B2: the CPU time of a delivery in all worker processes, beside that of django-webhook."""
    sizes = QUICK if run.quick else FULL
    rows: list[Row] = []
    with (
        run.optional("django-webhook"),
        run.subfolder("django-webhook") as folder,
        servers.redis_server(folder) as broker,
        servers.postgres_server() as server,
        servers.database(server, "ours") as ours,
        servers.database(server, "theirs") as theirs,
        subjects.distributed(folder, ours, broker, _fixtures(run)) as subject,
        subjects.django_webhook(folder, run.handler_url, theirs, f"{broker}/1") as other,
    ):
        measure.drain(subject, run.handler, 3)
        drains: list[Drain] = []
        others: dict[str, list[Drain]] = {kind: [] for kind in _KINDS}
        for _ in range(sizes.rounds):
            drains.append(measure.drain(subject, run.handler, sizes.each))
            for kind, (options, variables, *_) in _KINDS.items():
                drained = measure.django_webhook_drain(
                    other, run.handler, sizes.django_webhook_each, options, **variables
                )
                others[kind].append(drained)
        rows = [row for kind in _KINDS for row in _beside(kind, drains, others[kind])]
    return rows


def _fixtures(run: Run) -> subjects.Fixtures:
    def fixtures(workload: Process) -> None:
        workload.ask("fixtures", handler=run.handler_url)

    return fixtures


def _beside(kind: str, drains: list[Drain], others: list[Drain]) -> list[Row]:
    _, _, floor, aim = _KINDS[kind]
    name = f"django-webhook, {kind}"
    return [
        in_rounds(
            DISTRIBUTED,
            "CPU per delivery, ms",
            [each.cpu for each in drains],
            [each.cpu for each in others],
            name,
            floor,
            aim,
            scale=1e3,
        ),
        in_rounds(
            DISTRIBUTED,
            "deliveries per second",
            [each.rate for each in drains],
            [each.rate for each in others],
            name,
        ),
    ]


def measure_statements(run: Run) -> list[Row]:
    """B3: the SQL statements of a drain of 4,000 deliveries to 100 webhooks."""
    each, rounds = (10, 1) if run.quick else (40, ROUNDS)

    def statements(part: str, subject: Subject) -> list[Row]:
        measure.drain(subject, run.handler, 3)
        values = [measure.drain(subject, run.handler, each).statements for _ in range(rounds)]
        figure = f"SQL statements per delivery, {each * _STATEMENTS_WEBHOOKS:,} deliveries"
        floor, aim = _STATEMENTS, _FEWER_STATEMENTS
        return [in_rounds(part, figure, values, bound=floor, aim=aim)]

    return in_both(run, statements, webhooks=_STATEMENTS_WEBHOOKS)
