"""The second step: a VM cloned from the template, and made what was asked for."""

from tasks import lookup
from tasks.binding import CLONE, bind
from tasks.copied import COPY_SECONDS
from tasks.cpu import promised_speed
from tasks.drives import is_marked
from tasks.graphics import give_gpu
from tasks.hunt import hunt, named
from tasks.once import all_or_none
from tasks.owning import disowned, own
from tasks.shape import Change, changes
from tasks.undo import remove_vm
from xenlaunch import names
from xenlaunch.errors import Busy
from xenlaunch.model import Launch
from xenlaunch.slots import copy_slot, sr_slot
from xenlaunch.xapi.pool import NULL, Finder, Pool

SECONDS = 3600


def clone(launch: Launch, pool: Pool) -> Launch:
    """Clone the template under the working name, then set memory, CPUs and what to do when."""
    launch = bind(launch, pool)
    assert launch.template is not None  # noqa: S101  connect has pinned it
    is_full = launch.request.clone == "full"
    vm = pool.run(
        CLONE,
        "VM.copy" if is_full else "VM.clone",
        launch.template.ref,
        lambda attempt: working_name(launch, attempt),
        *([launch.template.copy_to or NULL] if is_full else []),
        what="the clone",
        seconds=COPY_SECONDS if is_full else SECONDS,
        makes="VM",
        find=lambda: whole_clone(launch, pool),
        on={(copy_slot if is_full else sr_slot)(disk.sr) for disk in launch.template.disks},
    )
    record = pool.read("VM.get_record", vm)
    pool.know("VM", vm, record["uuid"])
    own(pool, vm, record)
    become_vm(pool, vm, record)
    shape(launch, pool, vm, disowned(record, pool.mark(record["uuid"])))
    give_gpu(launch.but(vm=vm), pool)
    return launch.but(vm=vm, vm_uuid=record["uuid"], leftovers=named(pool))


def working_name(launch: Launch, attempt: int) -> str:
    return names.working_name(launch.deployment, launch.id, attempt)


def whole_clone(launch: Launch, pool: Pool) -> str | None:
    """A clone that was made though nobody heard of it; what there is of one that is not, goes.

    XAPI clones the disks one by one, then makes the VM, then its VBDs, then its VIFs; so a VM of
    our name counts only when it has all of the template's and nothing works on it any more. One
    that has our mark already was made before Redis lost its memory of it: it is the sweeper's.
    """
    assert launch.template is not None  # noqa: S101  connect has pinned it
    for vm in pool.read("VM.get_by_name_label", working_name(launch, pool.attempts(CLONE))):
        record = pool.read("VM.get_record", vm)
        if is_marked(record, pool.mark("")):
            continue
        if record["current_operations"]:
            raise Busy("CLONE_RUNNING", [vm], "The pool still works on an earlier clone.")
        parts = (len(record["VBDs"]), len(record["VIFs"]))
        if parts == (launch.template.vbds, launch.template.vifs):
            return str(vm)
        pool.know("VM", vm, record["uuid"])
        all_or_none(pool, remove_vm(pool, vm))
    hunt(launch, pool)
    return None


def become_vm(pool: Pool, vm: str, record: lookup.Row) -> None:
    """Make a VM of what is a template still."""
    if "disks" in record["other_config"]:
        pool.do("disks", "VM.remove_from_other_config", vm, "disks")
    if record["is_a_template"]:
        pool.do("provision", "VM.provision", vm)


def shape(launch: Launch, pool: Pool, vm: str, record: lookup.Row) -> None:
    """Set what the request asks for and the clone has not yet."""
    request = launch.request
    if request.host is not None:
        host, _ = lookup.one("host", pool.records.all("host"), request.host)
        if record["affinity"] != host:
            pool.do("affinity", "VM.set_affinity", vm, host)
    speed = promised_speed(launch, pool.records)
    for change in changes(request, record, speed, is_8_2=lookup.has_8_2(pool.records)):
        pool.do(change.key, change.method, vm, *change.args, find=finder(pool, vm, change))


def finder(pool: Pool, vm: str, change: Change) -> Finder | None:
    """How to look for a change that is an error the second time; all others bear repeating."""
    if change.method == "VM.add_to_other_config":
        key, value = change.args
        return lambda: "" if pool.read("VM.get_other_config", vm).get(key) == value else None
    if change.method == "VTPM.create":
        return lambda: next(iter(pool.read("VM.get_VTPMs", vm)), None)
    return None
