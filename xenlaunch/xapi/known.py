"""What the ledger knows of one launch, for the step that has its lease: asked, and added to.

Nothing here is sent to a pool.
"""

from collections.abc import Callable, Mapping, Sequence

from xenlaunch.deed import Deed
from xenlaunch.errors import Busy, Refused
from xenlaunch.lease import DONE, OPEN, Lease, Made


class Known:
    """A launch as far as it is written down."""

    def __init__(self, lease: Lease, clock: Callable[[], float]) -> None:
        self._lease = lease
        self._clock = clock

    def made(self, cls: str) -> list[str]:
        """The refs of all objects of a class that exist because of this launch, as far as known."""
        return sorted({fact.ref for fact in self._lease.made if fact.cls == cls})

    def mark(self, subject: str) -> str:
        """What is written on an object of this launch: on a VM with its own uuid as the subject."""
        launch = self._lease.launch
        return f"{launch.deployment}/{launch.id}/{subject}"

    def now(self) -> float:
        return self._clock()

    def waited(self, code: str = "") -> float:
        """For how many seconds this step has been going on, parked or not, or met this trouble."""
        now = self._clock()
        return self._lease.troubled(now, code) if code else self._lease.waited(now)

    def noted(self, ref: str) -> str | None:
        """What was written down about something that this launch waits for."""
        return self._lease.notes.get(ref)

    @property
    def outcome(self) -> str:
        """How the launch will end when it is undone: ``failed``, ``cancelled`` …"""
        return self._lease.record.outcome

    @property
    def came_up(self) -> bool:
        """Whether the launch had succeeded before it came to this."""
        return bool(self._lease.record.fields.get("result"))

    @property
    def vm(self) -> str:
        """The launch's VM, once its clone has been written down."""
        return self._lease.launch.vm

    @property
    def lent(self) -> tuple[str, ...]:
        """The disks that were there before, and that this launch only attaches."""
        return self._lease.launch.sources

    @property
    def failed_at(self) -> str:
        """The step from which the launch has turned to its undo."""
        return self._lease.record.failed_at

    def in_a_row(self, code: str) -> int:
        """How often in a row this step has been tried again for trouble of this code."""
        return self._lease.in_a_row(code)

    @property
    def touched(self) -> bool:
        """Whether this launch has as much as intended to change anything here."""
        return bool(self._lease.calls or self._lease.made)

    def attempts(self, key: str) -> int:
        """How often this call has been begun."""
        call = self._lease.calls.get(key)
        return call.attempt if call else 0

    def since(self, key: str) -> float:
        """When this call was begun for the last time, in seconds."""
        return self._lease.calls[key].since

    def deed(self) -> str:
        """What is written on the VM of this launch when it becomes its owner's."""
        return Deed.of(self._lease.record, int(self._clock() * 1000)).to_text()

    def value(self, key: str) -> str:
        """What a call that is done came to: the ref of what it made."""
        return self._lease.calls[key].value

    def is_doubtful(self, key: str) -> bool:
        """Whether this call was begun, and is not known to have been done."""
        call = self._lease.calls.get(key)
        return call is not None and call.state != DONE

    def is_done(self, key: str) -> bool:
        """Whether this call is known to have been done."""
        call = self._lease.calls.get(key)
        return call is not None and call.state == DONE

    def begun(self, prefix: str) -> list[str]:
        """The keys, of those that begin so, of calls that were at least intended."""
        return [key for key in self._lease.calls if key.startswith(prefix)]

    def is_open(self, key: str) -> bool:
        """Whether this call was begun, and its end is not yet written down."""
        call = self._lease.calls.get(key)
        return call is not None and call.state == OPEN

    # Writing down

    def know(self, cls: str, ref: str, uuid: str = "") -> None:
        """Write down that an object exists because of this launch, found out by looking."""
        if Made(cls, ref, uuid) not in self._lease.made:
            self._lease.came_to_know(Made(cls, ref, uuid))

    def remember(self, key: str, value: str) -> None:
        """Keep something for whoever does this step again."""
        self._lease.remember(key, value)

    def recall(self, key: str) -> str | None:
        """What was kept, if anything was."""
        kept = self._lease.calls.get(key)
        return kept.value if kept else None

    def hunt(self, what: str) -> list[str]:
        """Say which disks without a mark are looked for ('': none any more); what all look for."""
        return self._lease.hunt(what)

    def users(self, template: str, renamed: str) -> list[str]:
        """The launches that had chosen this template when that call took its name, or may have."""
        return self._lease.users(template, self.since(renamed))

    def use(self, bridges: Sequence[str]) -> None:
        """Have these networks of the deployment's stay until the launch has ended.

        Raises `Busy` where one of them is just being pruned.
        """
        pruned = self._lease.use_networks(bridges)
        if pruned:
            said = f"The network with the bridge {pruned} is being pruned: it is made anew then."
            raise Busy("NETWORK_BEING_PRUNED", [pruned], said)

    def claim(self, disks: Mapping[str, str]) -> None:
        """Have these disks, uuids by ref, be this launch's alone until it has ended.

        Raises `Refused` where another launch has one.
        """
        taken = self._lease.claim_disks(sorted(disks)) if disks else ""
        if taken:
            said = (
                f"The disk {disks[taken]} is asked for with mode RW by another launch that has not "
                "ended, and is not sharable."
            )
            raise Refused("VDI_IN_USE", [disks[taken]], said)

    def no_way_back(self) -> None:
        """From here the launch will succeed: it can no longer be cancelled."""
        self._lease.finishing()
