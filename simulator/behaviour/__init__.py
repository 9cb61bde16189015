"""What the calls do, one file a class; the VM, being the largest, one file an act."""

from __future__ import annotations

import importlib
from typing import Final

_FILES: Final = (
    "access",
    "appliance",
    "bond",
    "devices",
    "directory",
    "gpu",
    "host",
    "message",
    "migrate",
    "network",
    "pif",
    "policies",
    "sr",
    "tunnel",
    "vbd",
    "vdi",
    "vif",
    "vlan",
    "vm_clone",
    "vm_config",
    "vm_provision",
    "vm_snapshot",
    "vm_start",
    "vm_stop",
    "vm_suspend",
)


def load() -> None:
    """Import every file, so that the calls it declares are known."""
    for name in _FILES:
        importlib.import_module(f"simulator.behaviour.{name}")
