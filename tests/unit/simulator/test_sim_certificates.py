"""The certificates that are made at start, or why none is."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Callable
from typing import Any

import pytest

from simulator import certificates
from simulator.__main__ import main


def test_without_openssl_it_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")

    assert main(["--port", "0", "--https-port", "0"]) == 2
    assert capsys.readouterr().err == (
        "simulator: https needs the openssl command, which is not installed here\n"
    )


@pytest.mark.full("openssl")
def test_a_host_shows_the_certificate_that_it_was_given(pretend: Callable[..., None]) -> None:
    async def scenario(pool: Any) -> None:
        host = pool.one("host", "host-1")
        given = certificates.give(pool.world, host)
        row = pool.db.get("Certificate", host["certificates"][0])
        der = ssl.PEM_cert_to_DER_cert(await pool.call("host.get_server_certificate", host.ref))

        digest = hashlib.sha256(der).hexdigest()
        assert given.fingerprint == f"sha256:{digest}"
        assert row["fingerprint"] == row["fingerprint_sha256"]
        assert row["fingerprint"].replace(":", "").lower() == digest
        assert row["type"] == "host"
        other = pool.one("host", "host-2").ref
        refused = await pool.refused("host.get_server_certificate", other)
        assert refused == ["CERTIFICATE_DOES_NOT_EXIST", "host-2"]

    pretend(scenario)
