"""The files under monitoring/: promtool accepts them, and every metric in them exists."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.metrics.scraping import KEY, fetch, names
from tests.processes import ROOT, free_port, sandbox

FOLDER = ROOT / "monitoring"
RULES = yaml.safe_load((FOLDER / "rules.yml").read_text())
DASHBOARD = json.loads((FOLDER / "grafana-dashboard.json").read_text())
# Prometheus adds these to each scrape.
OF_PROMETHEUS = {"up"}
_METRIC = re.compile(r"\b(?:connect_sim|process|python|up)(?:_\w+)?\b(?=[{\[)\s]|$)")


@pytest.fixture(scope="module")
def promtool() -> str:
    path = shutil.which("promtool")
    if path is None:
        pytest.skip(
            "promtool is not installed (Debian's package prometheus): rules were not tested"
        )
    return path


@pytest.fixture(scope="module")
def scrapes(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Return what a real sandbox exports: of its process, and of its database."""
    port = free_port()
    variables = {"SIM_METRICS_PORT": str(port), "SIM_METRICS_KEY": KEY}
    with sandbox(tmp_path_factory.mktemp("sandbox"), **variables) as running:
        running.as_vendor("GET", "/requests?limit=1")
        process = fetch(f"http://127.0.0.1:{port}/metrics")
        database = fetch(f"{running.url}/metrics", KEY)
    assert (process[0], database[0]) == (200, 200)
    return process[1], database[1]


def run(promtool: str, *arguments: str, text: str = "") -> str:
    result = subprocess.run(
        [promtool, *arguments], input=text, cwd=FOLDER, capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


def expressions() -> dict[str, str]:
    """Return the queries of the rules and of the dashboard, by where they are."""
    rules = {rule["alert"]: rule["expr"] for group in RULES["groups"] for rule in group["rules"]}
    panels = {
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in DASHBOARD["panels"]
        for target in panel.get("targets", ())
    }
    return {**rules, **panels}


def test_rules_are_valid_and_fire_when_they_must(promtool: str) -> None:
    assert "SUCCESS" in run(promtool, "check", "rules", "rules.yml")
    assert "SUCCESS" in run(promtool, "test", "rules", "rules_test.yml")


def test_rule_tests_fail_for_rules_that_miss_the_outage(promtool: str, tmp_path: Path) -> None:
    """What lateness since creation would be: a threshold that a 40 minute delay never reaches."""
    for file in ("rules.yml", "rules_test.yml"):
        text = (FOLDER / file).read_text()
        (tmp_path / file).write_text(text.replace("[5m]))) > 60", "[5m]))) > 7200"))
    result = subprocess.run(
        [promtool, "test", "rules", str(tmp_path / "rules_test.yml")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode != 0 and "ConnectSimDeliveriesLate" in result.stderr


def test_example_of_a_configuration_is_valid(promtool: str) -> None:
    run(promtool, "check", "config", "--syntax-only", "prometheus.yml")


def test_scrapes_follow_the_conventions(promtool: str, scrapes: tuple[str, str]) -> None:
    for text in scrapes:
        assert run(promtool, "check", "metrics", text=text).strip() == ""


def test_queries_are_valid(promtool: str, tmp_path: Path) -> None:
    # A panel's variable is a duration.
    rules = [
        {"record": f"query:{n}", "expr": query.replace("$__rate_interval", "5m")}
        for n, query in enumerate(expressions().values())
    ]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    run(promtool, "check", "rules", str(file))


def test_every_metric_of_the_files_exists(scrapes: tuple[str, str]) -> None:
    existing = names(scrapes[0]) | names(scrapes[1]) | OF_PROMETHEUS
    used = {where: set(_METRIC.findall(query)) for where, query in expressions().items()}
    assert all(used.values()), [where for where, metrics in used.items() if not metrics]
    assert {
        where: metrics - existing for where, metrics in used.items() if metrics - existing
    } == {}


def test_every_metric_is_documented(scrapes: tuple[str, str]) -> None:
    page = (ROOT / "docs" / "metrics.md").read_text()
    documented = set(re.findall(r"^\| `(connect_sim_\w+)`", page, re.MULTILINE))
    suffix = re.compile(r"_(bucket|sum|count)$")
    exported = {
        suffix.sub("", name) if name.endswith(("_bucket", "_sum", "_count")) else name
        for text in scrapes
        for name in names(text)
        if name.startswith("connect_sim_")
    }
    assert documented == exported


def test_every_alert_is_documented_and_says_what_to_do() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text()
    documented = set(re.findall(r"^\| `(ConnectSim\w+)`", page, re.MULTILINE))
    rules = [rule for group in RULES["groups"] for rule in group["rules"]]
    assert documented == {rule["alert"] for rule in rules}
    for rule in rules:
        assert set(rule["annotations"]) == {"summary", "description"}, rule["alert"]
