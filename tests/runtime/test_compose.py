"""Services, variables and packages of docker-compose.yml, .env.example and the Dockerfile."""

from __future__ import annotations

import re

import yaml

from tests.processes import ROOT

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
ENV_EXAMPLE = (ROOT / ".env.example").read_text()


def test_compose_file_has_all_services() -> None:
    assert set(COMPOSE["services"]) == {"web", "worker", "beat", "redis", "postgres"}
    assert COMPOSE["services"]["worker"]["command"][:4] == ["celery", "-A", "connect_sim", "worker"]


def test_processes_share_image_and_profile() -> None:
    services = [COMPOSE["services"][name] for name in ("web", "worker", "beat")]
    assert all(service["build"] == "." for service in services)
    assert all(service["environment"]["SIM_PROFILE"] == "server" for service in services)


def test_env_example_has_every_variable_of_the_settings() -> None:
    settings = (ROOT / "connect_sim" / "settings.py").read_text()
    read = set(re.findall(r'env(?:\.\w+)?[(,]\s*"([A-Z_]+)"', settings))
    named = set(re.findall(r"^#?([A-Z_]+)=", ENV_EXAMPLE, re.M))
    assert len(read) > 20
    assert read == named


def test_image_copies_every_package() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    for package in ("connect_sim", "requests_queue", "webhooks", "portal", "sandbox"):
        assert f"COPY {package} {package}" in dockerfile
