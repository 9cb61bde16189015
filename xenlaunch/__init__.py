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
    from xenlaunch.client import LaunchClient as LaunchClient
    from xenlaunch.model import Cd as Cd
    from xenlaunch.model import ExistingDisk as ExistingDisk
    from xenlaunch.model import Iso as Iso
    from xenlaunch.model import LaunchRequest as LaunchRequest
    from xenlaunch.model import LaunchResult as LaunchResult
    from xenlaunch.model import LaunchStatus as LaunchStatus
    from xenlaunch.model import NewDisk as NewDisk
    from xenlaunch.model import Nic as Nic

_HOME = {
    "LaunchClient": "xenlaunch.client",
    "LaunchRequest": "xenlaunch.model",
    "LaunchResult": "xenlaunch.model",
    "LaunchStatus": "xenlaunch.model",
    "NewDisk": "xenlaunch.model",
    "ExistingDisk": "xenlaunch.model",
    "Iso": "xenlaunch.model",
    "Cd": "xenlaunch.model",
    "Nic": "xenlaunch.model",
}

__all__ = sorted(_HOME)  # noqa: PLE0605  one list, of which __getattr__ is made too


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
