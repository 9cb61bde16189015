"""A set-up drive as somebody reads it who has the pool's password: over HTTP, and by its label."""

import base64
import io
import shutil
import subprocess
import urllib.request
from pathlib import Path
from urllib.parse import urlencode

from pycdlib import PyCdlib

from tests.support.simulators import SimulatorProcess

BLKID = shutil.which("blkid", path="/usr/sbin:/sbin:/usr/bin:/bin")
"""What cloud-init itself looks for a drive with, where this machine has it."""


def exported(pool: SimulatorProcess, vdi: str) -> bytes:
    """All of a disk, by its uuid."""
    login = base64.b64encode(f"root:{pool.password}".encode()).decode()
    query = urlencode({"vdi": vdi, "format": "raw"})
    request = urllib.request.Request(  # noqa: S310  ours
        f"{pool.url}/export_raw_vdi?{query}", headers={"Authorization": f"Basic {login}"}
    )
    with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310  ours
        return bytes(answer.read())


def label_of(image: bytes, folder: Path) -> str:
    """The file system's label, as blkid tells it; without that the primary descriptor's own."""
    if BLKID is None:
        return image[16 * 2048 + 40 : 16 * 2048 + 72].decode().rstrip()
    file = folder / "drive"
    file.write_bytes(image)
    asked = [BLKID, "-p", "-o", "value", "-s", "LABEL", str(file)]
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()


def files_of(image: bytes) -> dict[str, str]:
    """The files by their paths, the same by both kinds of long names."""
    drive = PyCdlib()
    drive.open_fp(io.BytesIO(image))
    try:
        joliet, rock_ridge = _files(drive, "joliet_path"), _files(drive, "rr_path")
    finally:
        drive.close()
    assert joliet == rock_ridge
    return joliet


def _files(drive: PyCdlib, kind: str) -> dict[str, str]:
    found = {}
    for folder, _, names in drive.walk(**{kind: "/"}):
        for name in names:
            path = f"{folder.rstrip('/')}/{name}"
            content = io.BytesIO()
            drive.get_file_from_iso_fp(content, **{kind: path})
            found[path.lstrip("/")] = content.getvalue().decode()
    return found
