"""The image of a drive that tells a guest what it is to be: an ISO 9660 file system, as bytes.

Of the two layouts each is found by its label: NoCloud, cloud-init's own, by ``cidata``, and
OpenStack's config drive, which others read too, by ``config-2``. A mapping is written as JSON,
which is YAML as well. With both Rock Ridge and Joliet the names are right for every guest.
"""

import json
import re
from collections.abc import Mapping
from io import BytesIO
from typing import Any, Final

from pycdlib import PyCdlib

from xenlaunch.guest import Guest

SIZE: Final = 2 << 20
"""The size of the disk, in bytes: the smallest that storages make, and enough for most images."""

LABELS: Final = {"nocloud": "cidata", "configdrive": "config-2"}


def image(guest: Guest, *, instance: str, uuid: str, name: str) -> bytes:
    """The drive of one guest: ``instance`` tells it from every other, ``name`` is the VM's."""
    host = hostname(name)
    if guest.drive == "nocloud":
        meta = {"instance-id": instance, "local-hostname": host}
        files = nocloud(guest, {**meta, **(guest.meta_data or {})})
    else:
        meta = {"uuid": uuid, "name": name, "hostname": host}
        files = configdrive(guest, {**meta, **(guest.meta_data or {})})
    return iso(LABELS[guest.drive], files)


def nocloud(guest: Guest, meta: Mapping[str, Any]) -> dict[str, bytes]:
    files = {"meta-data": written(meta), "user-data": user_data(guest)}
    if guest.network_config is not None:
        files["network-config"] = written(guest.network_config)
    return files


def configdrive(guest: Guest, meta: Mapping[str, Any]) -> dict[str, bytes]:
    files = {"openstack/latest/meta_data.json": written(meta)}
    if guest.user_data is not None:
        files["openstack/latest/user_data"] = user_data(guest)
    if guest.network_config is not None:
        files["openstack/latest/network_data.json"] = written(guest.network_config)
    return files


def user_data(guest: Guest) -> bytes:
    """A mapping is a cloud-config, which says so in its first line."""
    given = guest.user_data
    head = b"#cloud-config\n" if isinstance(given, Mapping) else b""
    return head + written("" if given is None else given)


def written(document: str | Mapping[str, Any]) -> bytes:
    text = document if isinstance(document, str) else json.dumps(document, indent=1)
    return text.encode()


def hostname(name: str) -> str:
    """The name of a VM as a guest can have it.

    >>> hostname("web 01 (blue)")
    'web-01-blue'
    """
    return re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-.")[:63] or "localhost"


def iso(label: str, files: Mapping[str, bytes]) -> bytes:
    """A file system of this label with these files, by their paths."""
    made = PyCdlib()
    made.new(interchange_level=3, vol_ident=label, joliet=3, rock_ridge="1.09")
    folders: set[str] = set()
    for number, (path, content) in enumerate(files.items()):
        *parents, name = path.split("/")
        at = ""
        for parent in parents:
            plain, at = f"{at.upper()}/{parent.upper()}", f"{at}/{parent}"
            if at not in folders:
                folders.add(at)
                made.add_directory(plain, rr_name=parent, joliet_path=at)
        made.add_fp(
            *(BytesIO(content), len(content), f"{at.upper()}/F{number}.;1"),
            rr_name=name,
            joliet_path=f"{at}/{name}",
        )
    whole = BytesIO()
    made.write_fp(whole)
    made.close()
    return whole.getvalue()
