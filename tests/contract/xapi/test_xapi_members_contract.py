"""Our client and a pool whose hosts all listen: it pins their certificates and finds the master."""

from __future__ import annotations

import re
from contextlib import closing

import pytest
from pydantic import SecretStr

from tests.support.simulators import SimulatorProcess, StartSimulator
from xenlaunch.errors import PoolError
from xenlaunch.xapi.session import Session
from xenlaunch.xapi.transport import Trust

_LINE = re.compile(r"^(host-\d) on (https://\S+), fingerprint (sha256:[0-9a-f]{64})$", re.MULTILINE)


_openssl = pytest.mark.full("openssl")


@pytest.fixture
def pool(simulator: StartSimulator) -> SimulatorProcess:
    return simulator("--listen-all", "--https-port", "0", hosts=3)


@pytest.fixture
def members(pool: SimulatorProcess) -> dict[str, tuple[str, str]]:
    """By name: address and fingerprint."""
    return {name: (url, pin) for name, url, pin in _LINE.findall(pool.child.log())}


def _session(pool: SimulatorProcess, addresses: list[str], pins: list[str]) -> Session:
    return Session(
        "lab",
        addresses,
        pool.username,
        lambda: SecretStr(pool.password),
        Trust(allow_http=not pins, pins=tuple(pins)),
        login_pause=0.0,
    )


@_openssl
def test_a_supporter_leads_to_the_master_and_every_member_has_its_own_certificate(
    pool: SimulatorProcess, members: dict[str, tuple[str, str]]
) -> None:
    pins = [pin for _, pin in members.values()]
    assert len(set(pins)) == 3

    with closing(_session(pool, [members["host-3"][0]], pins)) as session:
        hosts = session.read("host.get_all_records")
        rows = session.read("Certificate.get_all_records").values()

    written = {hosts[row["host"]]["name_label"]: row["fingerprint_sha256"] for row in rows}
    assert {name: f"sha256:{said.replace(':', '').lower()}" for name, said in written.items()} == {
        name: pin for name, (_, pin) in members.items()
    }
    assert sorted(host["address"] for host in hosts.values()) == [
        "127.0.0.1",
        "127.0.0.2",
        "127.0.0.3",
    ]


@_openssl
def test_a_master_whose_certificate_is_not_pinned_is_not_talked_to(
    pool: SimulatorProcess, members: dict[str, tuple[str, str]]
) -> None:
    address, pin = members["host-2"]
    with closing(_session(pool, [address], [pin])) as session, pytest.raises(PoolError):
        session.read("host.get_all")

    assert [call["outcome"] for call in pool.calls()] == ["HOST_IS_SLAVE"]


@_openssl
def test_a_session_follows_the_master_when_it_moves(
    pool: SimulatorProcess, members: dict[str, tuple[str, str]]
) -> None:
    addresses, pins = zip(*members.values(), strict=True)
    with closing(_session(pool, list(addresses), list(pins))) as session:
        before = session.read("host.get_all")
        pool.control("POST", "/master/host-2")

        assert session.read("host.get_all") == before
        master = session.read("pool.get_all_records").popitem()[1]["master"]
        assert session.read("host.get_name_label", master) == "host-2"


@_openssl
def test_the_certificate_is_the_one_that_the_pool_shows(
    pool: SimulatorProcess, members: dict[str, tuple[str, str]]
) -> None:
    address, pin = members["host-1"]
    with closing(_session(pool, [address], [pin])) as session:
        host = session.read("host.get_by_name_label", "host-1")[0]
        pem = session.read("host.get_server_certificate", host)

    assert pem.startswith("-----BEGIN CERTIFICATE-----")


def test_without_encryption_too_the_master_is_found_and_followed(
    simulator: StartSimulator,
) -> None:
    pool = simulator("--listen-all", hosts=3)
    supporter = pool.url.replace("127.0.0.1", "127.0.0.2")
    with closing(_session(pool, [supporter, pool.url], [])) as session:
        before = session.read("host.get_all")
        pool.control("POST", "/master/host-3")

        assert session.read("host.get_all") == before
        pool.control("POST", "/master/host-1")
        pool.control("POST", "/hosts/host-3/kill")
        assert session.read("host.get_all") == before
