"""xenlaunch SPEAKS: requests, states, errors, the ledger, the client and the command line.

It is the only room that a wheel carries, and what an upstream application imports::

    from xenlaunch import LaunchClient, LaunchRequest

    client = LaunchClient("redis://127.0.0.1:6379/0")
    launch = client.submit(LaunchRequest(name="web", template="debian-12"))
    print(client.result(launch.id, timeout=600).vm_uuid)

The names load when they are first used, so that importing the package stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xenlaunch.batch_status import BatchStatus as BatchStatus
    from xenlaunch.batches import BatchPolicy as BatchPolicy
    from xenlaunch.client import LaunchClient as LaunchClient
    from xenlaunch.disks import Cd as Cd
    from xenlaunch.disks import ExistingDisk as ExistingDisk
    from xenlaunch.disks import Iso as Iso
    from xenlaunch.disks import NewDisk as NewDisk
    from xenlaunch.disks import TemplatesDisk as TemplatesDisk
    from xenlaunch.gpus import Gpu as Gpu
    from xenlaunch.model import LaunchRequest as LaunchRequest
    from xenlaunch.model import LaunchResult as LaunchResult
    from xenlaunch.model import LaunchStatus as LaunchStatus
    from xenlaunch.nics import Nic as Nic

_HOME = {
    "BatchPolicy": "xenlaunch.batches",
    "BatchStatus": "xenlaunch.batch_status",
    "LaunchClient": "xenlaunch.client",
    "LaunchRequest": "xenlaunch.model",
    "LaunchResult": "xenlaunch.model",
    "LaunchStatus": "xenlaunch.model",
    "TemplatesDisk": "xenlaunch.disks",
    "NewDisk": "xenlaunch.disks",
    "ExistingDisk": "xenlaunch.disks",
    "Iso": "xenlaunch.disks",
    "Cd": "xenlaunch.disks",
    "Nic": "xenlaunch.nics",
    "Gpu": "xenlaunch.gpus",
}

__all__ = sorted(_HOME)  # noqa: PLE0605  one list, of which __getattr__ is made too


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
