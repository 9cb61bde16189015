"""What must hold of the stack in containers, as far as its files say it."""

import re
from typing import Any

import pytest
import yaml

from tests.support.paths import ROOT, tracked

FOLDER = ROOT / "compose"
SERVICES: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_hardened(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["image"] == "xenlaunch" or service["user"] == "redis"


@pytest.mark.parametrize("name", sorted(set(SERVICES) - {"secrets", "client"}))
def test_a_service_that_stays_is_looked_after(name: str) -> None:
    service = SERVICES[name]

    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"]


def test_there_is_one_build_and_one_published_port() -> None:
    assert [name for name, service in SERVICES.items() if "build" in service] == ["secrets"]

    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert ports == {"flower": ["127.0.0.1:${XENLAUNCH_FLOWER_PORT:-5555}:5555"]}


def test_a_service_sees_the_secrets_of_its_own_kind_alone() -> None:
    kinds = {"worker-1": "worker", "worker-2": "worker"}
    for name, service in SERVICES.items():
        seen = {
            volume["source"]
            for volume in service.get("volumes", ())
            if isinstance(volume, dict) and volume["source"].endswith("-secrets")
        }
        assert seen == (set() if name == "secrets" else {f"{kinds.get(name, name)}-secrets"})


def test_the_dockerfile_needs_no_frontend_and_copies_all_rooms() -> None:
    text = (FOLDER / "Dockerfile").read_text()

    assert "syntax=" not in text
    assert "<<" not in text
    assert text.count("USER xenlaunch") == 1
    rooms = ("tasks", "scheduler", "workers", "simulator")
    assert [room for room in rooms if f"COPY {room} {room}\n" not in text] == []
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {f"!{room}" for room in (*rooms, "xenlaunch", "flowerconfig.py")} <= set(ignored)


def test_no_secret_is_in_the_checkout() -> None:
    names = [path.name for path in tracked("compose")]

    assert not [name for name in names if name.endswith((".password", ".key", ".env"))]
    assert "#" not in (FOLDER / "users.acl").read_text().replace("\n#", "").lstrip("#")


def test_a_client_may_write_every_key_that_its_scripts_may_come_to() -> None:
    """A cancel comes to some of them only where a launch is in a certain state."""
    scripts = ("prelude", "submit", "submit_batch", "cancel", "confirm")
    texts = [(ROOT / "xenlaunch" / "lua" / f"{name}.lua").read_text() for name in scripts]
    named = {name for text in texts for name in re.findall(r"P \.\. '([a-z]+:?)", text)}
    (client,) = re.findall(r"^user client .*$", (FOLDER / "users.acl").read_text(), re.MULTILINE)
    allowed = {pattern.rstrip("*") for pattern in re.findall(r" ~xenlaunch:(\S+)", client)}

    assert named
    assert named - allowed == set()


def test_the_readme_has_ten_lines() -> None:
    lines = (FOLDER / "README.md").read_text().splitlines()

    assert [line.partition(".")[0] for line in lines if line[:1].isdigit()] == [
        str(number) for number in range(1, 11)
    ]
