"""The kinds of launches that a storm tries: what is asked for, what befalls it, how it may end."""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.storm.rig import DEPLOYMENT
from xenlaunch import LaunchClient
from xenlaunch.model import LaunchRequest
from xenlaunch.record import Record

Rules = list[dict[str, Any]]


@dataclass(frozen=True)
class Life:
    """One kind of launch; ``ends`` has the states in which it may end.

    ``then`` is what its owner wants of it when it has ended, and ``ends`` how it ends after that.
    """

    name: str
    fields: Mapping[str, Any]
    ends: frozenset[str] = frozenset({"succeeded"})
    befalls: Callable[[str], Rules] = lambda _: []
    cancel_when: Callable[[Record], bool] | None = None
    dooms: tuple[str, ...] = ()
    leaves: bool = False
    then: Callable[[LaunchClient, str], object] | None = None

    def request(self, name: str, existing: str) -> LaunchRequest:
        fields = {"template": "debian-12", "memory": "64MiB", **self.fields, "name": name}
        return LaunchRequest.parse(_with_tag(_with_disk(fields, existing)))


def _with_disk(fields: Mapping[str, Any], existing: str) -> dict[str, Any]:
    """The fields with the uuid of the disk that is there already put where it is asked for."""
    disks = [
        {**disk, "vdi": existing} if disk.get("vdi") == "EXISTING" else disk
        for disk in fields.get("disks", ())
    ]
    return {**fields, "disks": disks}


def _with_tag(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields with a tag for each name, so that each makes a VLAN and finds none."""
    tag = 1 + zlib.crc32(fields["name"].encode()) % 4094
    nics = [{**nic, "vlan": tag} if nic.get("vlan") else nic for nic in fields.get("nics", ())]
    return {**fields, **({"nics": nics} if nics else {})}


def on_vm(launch: str, **rule: Any) -> Rules:
    """A rule that strikes the calls of this launch and of no other, whichever attempt they are."""
    return [{**rule, "mark": f"{DEPLOYMENT}/{launch}/*"}]


def fails_to_start(launch: str) -> Rules:
    return on_vm(launch, method="VM.start_on", error=["BOOTLOADER_FAILED", "vm", "no kernel"])


def fails_once_to_start(launch: str) -> Rules:
    return [{**rule, "times": 1} for rule in fails_to_start(launch)]


def finds_no_memory(launch: str) -> Rules:
    full = ["HOST_NOT_ENOUGH_FREE_MEMORY", "4294967296", "1048576"]
    return on_vm(launch, method="VM.start_on", error=full, times=1)


def finds_the_pool_busy(launch: str) -> Rules:
    return [
        *on_vm(launch, method="VM.start_on", error=["TOO_MANY_PENDING_TASKS"], times=2),
        *on_vm(launch, method="VM.set_memory_limits", error=["TOO_MANY_PENDING_TASKS"], times=1),
    ]


def clones_slowly(launch: str) -> Rules:
    return on_vm(launch, method="VM.clone", phase="vbd", action="delay", seconds=1.0, times=1)


def starts_slowly(launch: str) -> Rules:
    return on_vm(launch, method="VM.start_on", phase="placed", action="delay", seconds=1.0, times=1)


def cannot_be_named(launch: str) -> Rules:
    """For some seconds: its VM is finished, and bears its working name."""
    return on_vm(launch, method="VM.set_name_label", error=["TOO_MANY_PENDING_TASKS"], times=5)


def late(method: str, phase: str, seconds: float) -> Callable[[str], Rules]:
    def rules(launch: str) -> Rules:
        return on_vm(launch, method=method, phase=phase, action="delay", seconds=seconds, times=1)

    return rules


clones_late: Final = late("VM.clone", "vbd", 10)
starts_late: Final = late("VM.start_on", "placed", 10)
starts_later: Final = late("VM.start_on", "placed", 12)


def is_cut(phase: str, method: str = "VM.clone") -> Callable[[str], Rules]:
    """The toolstack restarts in the middle of the clone, just before this phase of it."""

    def rules(launch: str) -> Rules:
        return on_vm(launch, method=method, phase=phase, action="restart", times=1)

    return rules


def in_step(step: str, what: str = "") -> Callable[[Record], bool]:
    """Whether a launch is parked in a step, waiting for what."""

    def there(record: Record) -> bool:
        parked = record.parked or {}
        return record.step == step and what in str(parked.get("what", "" if what else " "))

    return there


TWO_NICS: Final = [
    {"network": "guest"},
    {"network": "Host internal management network", "mtu": 1400},
]
RICH: Final[dict[str, Any]] = {
    "memory": "128MiB",
    "vcpus": 3,
    "cpu_speed": 500,
    "limit_cpu_use": True,
    "after_crash": "restart",
    "host": "host-2",
    "disks": [
        {"new": "1GiB", "sr": "sr-1"},
        {"vdi": "EXISTING", "mode": "RO"},
        {"iso": "tools.iso"},
        {"cd": "empty", "device": 7},
    ],
    "nics": TWO_NICS,
}
SMALL: Final[dict[str, Any]] = {"disks": [{"new": "1GiB"}], "nics": [{"network": "guest"}]}

SOURCE: Final = "golden"
"""The VM that a launch has made before all others, with three disks, from which some are made."""

TOLD: Final[dict[str, Any]] = {
    "template": SOURCE,
    "clone": "full",
    "sr": "sr-1",
    "template_disks": [
        {"device": 0, "size": "9GiB", "name": "moved", "description": "new", "sr": "sr-2"},
        {"device": 1, "keep": False},
        {"device": 2, "size": "2GiB", "name": "grown", "description": "where it lies"},
    ],
    "gpu": {"type": "Pretended GPU quarter"},
    "nics": [{"network": "guest"}],
    "guest": {
        "user_data": "#cloud-config\n# {name} {mac}\n",
        "xenstore_data": {"told": "{name}"},
        "remove_after": "agent",
    },
    "wait_seconds": 120,
}
"""A whole copy with other disks than its source's, a GPU, and a drive that goes once read."""

GUARDED: Final[dict[str, Any]] = {
    **SMALL,
    "blocked_operations": {"destroy": "ask first", "hard_shutdown": "ask first"},
}

FAILED: Final = frozenset({"failed"})
DESTROYED: Final = frozenset({"destroyed"})
CANCELLED: Final = frozenset({"cancelled", "succeeded"})

LIVES: Final[tuple[Life, ...]] = (
    Life("rich", {**RICH, "wait_for": "address", "wait_seconds": 120}),
    Life("fails at its start", RICH, FAILED, fails_to_start),
    Life(
        "is kept",
        {**SMALL, "on_failure": "keep"},
        FAILED,
        fails_to_start,
        leaves=True,
    ),
    Life("goes elsewhere", SMALL, befalls=finds_no_memory),
    Life("finds the pool busy", SMALL, befalls=finds_the_pool_busy),
    Life(
        "is cancelled while it clones",
        SMALL,
        CANCELLED,
        clones_slowly,
        cancel_when=in_step("clone", "the clone"),
    ),
    Life(
        "is cancelled while it starts",
        SMALL,
        CANCELLED,
        starts_slowly,
        cancel_when=in_step("start", "the VM to start"),
    ),
    *(
        Life(f"is cut before the {phase} of its clone", SMALL, befalls=is_cut(phase))
        for phase in ("disk", "row", "vbd", "vif", "result")
    ),
    Life("asks for what there is not", {"nics": [{"network": "nowhere"}]}, FAILED),
    Life("asks for a pool that there is not", {"pool": "attic"}, FAILED),
    Life("is on a VLAN", {"nics": [{"network": "guest", "vlan": "TAG"}]}),
    Life("boots paravirtualised", {"template": "centos-6-pv", "pv_args": "quiet"}),
    Life("is copied and told", TOLD),
    Life("is copied and told, and fails", TOLD, FAILED, fails_to_start),
    Life("is cut in its copy", TOLD, befalls=is_cut("disk", "VM.copy")),
    # Those of whom their owner wants something else when they have ended.
    Life("is destroyed", GUARDED, DESTROYED, then=LaunchClient.destroy),
    Life("fails, and is tried again", {}, befalls=fails_once_to_start, then=LaunchClient.retry),
    Life(
        "is kept, and tried again",
        {**SMALL, "on_failure": "keep"},
        befalls=fails_once_to_start,
        then=LaunchClient.retry,
    ),
    # Those whose worker has died already, at a call that may have happened: what is looked for.
    Life("lost its clone", SMALL, dooms=("after Async.VM.clone clone #1",)),
    Life("lost its clone's answer", SMALL, dooms=("before outcome clone open with task #1",)),
    Life("lost its disk", SMALL, dooms=("after Async.VDI.create vdi:0 #1",)),
    Life("lost a drive", SMALL, dooms=("after VBD.create vbd:0 #1",)),
    Life("lost an interface", SMALL, dooms=("after VIF.create vif:0 #1",)),
    Life("lost its start", SMALL, dooms=("after Async.VM.start_on start:* #1",)),
    Life("lost its name", SMALL, dooms=("after VM.set_name_label name #1",)),
    # Those whose second worker has died as well: at the same call, sent or not sent again.
    Life("lost its clone twice", SMALL, dooms=2 * ("before Async.VM.clone clone #1",)),
    Life(
        "lost its start twice",
        SMALL,
        dooms=("before Async.VM.start_on start:* #1", "after Async.VM.start_on start:* #1"),
    ),
    Life(
        "lost a drive twice",
        SMALL,
        dooms=("before VBD.create vbd:0 #1", "after VBD.create vbd:0 #1"),
    ),
    Life(
        "lost its clone, and fails",
        SMALL,
        FAILED,
        fails_to_start,
        dooms=("after Async.VM.clone clone #1",),
    ),
    Life(
        "lost its undo",
        SMALL,
        FAILED,
        fails_to_start,
        dooms=("after Async.VDI.destroy undo:disk:* #1",),
    ),
)
"""The lives that are led to success, failure and cancel; each is run once to list its points."""

BY_NAME: Final = {life.name: life for life in LIVES}

CLONING: Final = "is cloning"
STARTING: Final = "is starting"
UNNAMED: Final = "waits for its name"
AT_BOTH: Final = (
    Life("has succeeded", RICH),
    Life("was kept", {**SMALL, "on_failure": "keep"}, FAILED, fails_to_start, leaves=True),
    Life(STARTING, SMALL, befalls=starts_late),
    Life(UNNAMED, SMALL, befalls=cannot_be_named),
)
AT_A_LOSS: Final[Mapping[str, tuple[Life, ...]]] = {
    "wiped": (*AT_BOTH, Life(CLONING, SMALL, befalls=clones_late)),
    "rolled back": (
        *AT_BOTH,
        Life(CLONING, SMALL, FAILED, lambda one: clones_late(one) + starts_later(one)),
    ),
}
"""What launches are doing when Redis loses what it knew, and how they end for all that.

Of the one that was cloning an older copy knows too little when its VM starts: it is undone.
"""
