"""Self-signed certificates, made at start by the `openssl` command, as a new host makes its own."""

from __future__ import annotations

import dataclasses
import hashlib
import ssl
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from simulator.values import moment

if TYPE_CHECKING:
    from simulator.db import Row
    from simulator.world import World

_DAYS: Final = 3650


@dataclasses.dataclass(frozen=True)
class Certificate:
    """A host's certificate, and what a server needs to show it."""

    pem: str
    context: ssl.SSLContext

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the certificate, as a client pins it."""
        return f"sha256:{self.digest('sha256').replace(':', '').lower()}"

    def digest(self, name: str) -> str:
        """A fingerprint as XAPI writes it: pairs of capital digits between colons."""
        digest = hashlib.new(name, ssl.PEM_cert_to_DER_cert(self.pem)).hexdigest()
        return ":".join(digest[i : i + 2] for i in range(0, len(digest), 2)).upper()


def make(address: str, name: str) -> Certificate:
    """Make a certificate for the address and the name: RSA of 2048 bits, as the real one's."""
    with tempfile.TemporaryDirectory(prefix="simulator-") as folder:
        certificate, key = Path(folder, "certificate.pem"), Path(folder, "key.pem")
        _openssl(
            *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-sha256", "-days", str(_DAYS)),
            *("-subj", f"/CN={address}", "-addext", f"subjectAltName=IP:{address},DNS:{name}"),
            *("-keyout", str(key), "-out", str(certificate)),
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        return Certificate(certificate.read_text(encoding="ascii"), context)


def _openssl(*arguments: str) -> None:
    try:
        done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise OSError("https needs the openssl command, which is not installed here") from None
    if done.returncode:
        raise OSError(f"openssl made no certificate: {done.stderr.strip()[-200:]}")


def give(world: World, host: Row) -> Certificate:
    """Make the host's certificate and enter it in the pool."""
    made = make(host["address"], host["hostname"] or host["name_label"])
    world.certificates[host.ref] = made.pem
    at = time.time()
    world.db.create(
        "Certificate",
        type="host",
        host=host.ref,
        not_before=moment(at),
        not_after=moment(at + _DAYS * 86400),
        fingerprint=made.digest("sha256"),
        fingerprint_sha256=made.digest("sha256"),
        fingerprint_sha1=made.digest("sha1"),
    )
    return made
