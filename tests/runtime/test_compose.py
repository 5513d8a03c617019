"""docker-compose.yml and the Dockerfile say what the distributed tests start."""

from __future__ import annotations

import re

import yaml

from tests.processes import ROOT

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
ENV_EXAMPLE = (ROOT / ".env.example").read_text()


def test_it_has_web_worker_beat_redis_and_postgres() -> None:
    assert set(COMPOSE["services"]) == {"web", "worker", "beat", "redis", "postgres"}
    assert COMPOSE["services"]["worker"]["command"][:4] == ["celery", "-A", "connect_sim", "worker"]


def test_every_process_of_ours_has_the_same_image_and_environment() -> None:
    ours = [COMPOSE["services"][name] for name in ("web", "worker", "beat")]
    assert all(service["build"] == "." for service in ours)
    assert all(service["environment"]["SIM_PROFILE"] == "server" for service in ours)


def test_every_variable_of_the_settings_is_in_the_example() -> None:
    settings = (ROOT / "connect_sim" / "settings.py").read_text()
    read = set(re.findall(r'env(?:\.\w+)?[(,]\s*"([A-Z_]+)"', settings))
    named = set(re.findall(r"^#?([A-Z_]+)=", ENV_EXAMPLE, re.M))
    assert len(read) > 20
    assert read == named


def test_the_image_copies_every_room() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    for room in ("connect_sim", "requests_queue", "webhooks", "portal", "sandbox"):
        assert f"COPY {room} {room}" in dockerfile
