"""What no code can say for the made parts of the docs: one line for each field, state and code.

`tests/docs/test_generated.py` sees to it that each of these lists has exactly what the code has.
"""  # noqa: INP001  tools are run from the checkout, and are no package

from typing import Final

from xenlaunch import names, states

STATES: Final = {
    states.WAITING: "It is written down. It is being accepted, or stands in its pool's line.",
    states.RUNNING: "It has a host and a slot; its steps are carried out, or it is parked.",
    states.FINISHING: "The VM is up and gets its marks and its name; nobody can cancel it.",
    states.UNDOING: "What was made for it is being removed.",
    states.SUCCEEDED: "The VM runs under its own name.",
    states.FAILED: "There is no VM, but for what is named as left over.",
    states.CANCELLED: "The same, because its owner wanted it so.",
    states.DESTROYED: "It had ended, and its VM was removed on its owner's word.",
}

CLASSES: Final = {
    "SessionLost": (
        "Session: log in and send again",
        (
            "XAPI looks at the session before it does anything, so nothing ran. The step checks "
            "its lease, logs in, writes a new intent and sends once more, three times at most."
        ),
    ),
    "Redirected": (
        "Redirect: follow the master",
        "Nothing ran. The next call looks for the master, over the same trust as before.",
    ),
    "Busy": (
        "Busy: the same call again, later",
        (
            "The step parks with a due time that doubles from half a second to a minute, with "
            "jitter; Flower shows RETRY. After an hour of that in one step, its waits for a "
            "slot left out, the launch is undone."
        ),
    ),
    "Unsteady": (
        "Unsteady: the same call a few times more",
        (
            "The storage failed as it may for a moment, or as it does when it is broken. As for a "
            "busy pool, but after four times in a row the launch is undone."
        ),
    ),
    "Silent": (
        "Silent: when the pool answers again",
        (
            "The pool's breaker is open: nothing is sent, and the launch is parked until it is "
            "closed. After an hour of that in one step the launch is undone when the pool is back."
        ),
    ),
    "Place": (
        "Place: another host",
        (
            "This host is noted as avoided, with the reason; the memory that was reserved is free "
            "again, and the launch goes back to its pool's line. A VM goes elsewhere only when it "
            "is halted and nothing works on it. Where its clone lies on a local SR, that is "
            "removed and made anew elsewhere. When no host is left the launch ends with "
            "`NO_HOSTS_LEFT`, which names every host's reason."
        ),
    ),
    "LostRace": (
        "Lost race: look, and adopt",
        "Somebody made it first. The step is begun again a little later, as for a busy pool.",
    ),
    "OutcomeUnknown": (
        "Unknown outcome: look before anything is sent",
        (
            "It may have happened. The step is begun again, finds its open intent, logs the "
            "sender's session out, looks for the pool task and for the object, and sends only "
            "when there is neither. After ten times in a row the launch is undone; a start goes "
            "to another host after three."
        ),
    ),
    "ShutOut": (
        "Shut out: the same call again, when we are let in",
        (
            "The password is wrong, or cannot be read, or the user has no role in the pool. The "
            "launch waits and says so, as for a busy pool: the pools file may be put right "
            "meanwhile."
        ),
    ),
    "Refused": (
        "Refused: undo",
        "It is never tried on another host. Any code that is in no list counts as refused.",
    ),
}

OWN_CODES: Final = {
    "ADOPTED_BY_ANOTHER": ("Busy", "Two Redis adopt one pool at once; it is in no launch's error."),
    "BATCH_STOPPED": ("Refused", "More of its batch failed than may, before it had begun."),
    "BATCH_UNDONE": ("Refused", "Fewer of its batch can come up than must: all of it is undone."),
    "CANCELLED": ("Refused", "Its owner cancelled the launch."),
    "NETWORK_INCOMPATIBLE_WITH_TRUNKS": ("Refused", "`trunks` on a network that is a VLAN itself."),
    "NO_POOL_ANSWERS": ("Busy", "None of several pools can be used now; it is in no error."),
    "CANNOT_FIT": ("Refused", "No host could take the VM even if it were empty and in service."),
    "CLONE_RUNNING": ("Busy", "An earlier clone of this launch is still worked on in the pool."),
    "CLONES_RUNNING": ("Busy", "Copying that may own a loose disk still runs in the pool."),
    "DISKS_UNCLEAR": (
        "Busy",
        "More loose disks than the launches that lost a clone can have left.",
    ),
    "CORES_DO_NOT_DIVIDE": (
        "Refused",
        "The cores per socket, asked for or the template's, do not divide the vCPUs.",
    ),
    "DOM0_HAS_NO_DEVICE": (
        "Busy",
        "The control domain of an 8.2 host has all its VIFs in use: one is needed for a moment.",
    ),
    "NETWORK_BEING_MADE": ("Busy", "Another launch, or somebody else, puts it on the hosts now."),
    "NETWORK_BEING_PRUNED": ("Busy", "Somebody has it removed as idle just now."),
    "NETWORK_NOT_FOUND": (
        "Refused",
        "No network has this name or uuid, or the pool has no host internal management network.",
    ),
    "NETWORK_HAS_NO_INTERFACE": ("Refused", "A VLAN or tunnel on what no host is connected to."),
    "POOL_SILENT": ("Silent", "The pool does not answer, and is left alone until it does."),
    "TRAFFIC_UNKNOWN": ("Refused", "Neither the pools file nor the hosts say which network."),
    "TUNNEL_PROTOCOL_UNKNOWN": ("Refused", "A tunnel of vxlan on a pool of the 8.2 generation."),
    "DEVICE_TAKEN": ("Refused", "A disk's `device` is one that the template uses already."),
    "DISK_TOO_LARGE": ("Refused", "A disk is larger than a VHD can be, and its SR has only those."),
    "DISK_SHRINKS": ("Refused", "`size` is less than the template's disk has."),
    "DISK_IN_OTHER_HANDS": ("Refused", "An undo leaves a disk that is attached to another VM."),
    "HOST_DOWN": ("Busy", "The VM was started, and then its host went down; refused after 600 s."),
    "FIRMWARE_NOT_UEFI": ("Refused", "`secure_boot` or `vtpm` without uefi."),
    "GPU_NOT_FOUND": ("Refused", "The pool has no GPU, or no group has the type enabled."),
    "VGPU_TYPE_NOT_FOUND": ("Refused", "No type of virtual GPU has this name or uuid."),
    "HVM_FIELD_ON_PV": ("Refused", "A field of HVM is given for a template that boots as PV."),
    "GENERATION_DIFFERS": (
        "Busy",
        "The pool bears another generation or epoch than its Redis: it stands still.",
    ),
    "HOST_SPEED_UNKNOWN": ("Place", "`cpu_speed` is asked for, the host tells no CPU's speed."),
    "HOST_WENT_DOWN": ("Place", "The VM's host was down, and is back: the VM does not run."),
    "INTERNAL": ("Refused", "A fault of xenlaunch itself; the worker's log has the traceback."),
    "VM_KEPT": ("Refused", "An adopted launch had failed, and its VM was kept; Redis lost why."),
    "LEDGER_ROLLED_BACK": ("Refused", "Redis is an older copy, and knew too little of the launch."),
    "MAC_IN_USE": ("Refused", "A MAC that was given is on a VIF, or claimed by another launch."),
    "MEMORY_NOT_FIXED": (
        "Refused",
        "A VM that runs virtual machines itself would have a range of memory.",
    ),
    "NO_HOSTS_LEFT": ("Refused", "Every host has refused the VM, or could never take it."),
    "POOL_NOT_FOUND": ("Refused", "The request names a pool that is not in the pools file."),
    "PV_ARGS_ON_HVM": ("Refused", "A field of PV is given for a template that boots as HVM."),
    "WAITED_TOO_LONG": ("Refused", "It had not begun within its `start_within`."),
    "WAIT_NEEDS_NIC": ("Refused", "It waits for an address by a NIC that the VM does not have."),
    "VCPUS_ABOVE_MAX": ("Refused", "`vcpus_max` is less than the template starts with."),
    "VTPM_BESIDE_HA": ("Refused", "`vtpm` on a pool that has high availability enabled."),
    "VTPM_UNKNOWN": (
        "Refused",
        "`vtpm`, or `create_vtpm` blocked, on a pool of the 8.2 generation.",
    ),
    "SETUP_NAMES_NO_NIC": ("Refused", "What the guest is told names the MAC of a NIC too many."),
    "SETUP_TOO_LARGE": ("Refused", "What the guest is told is too long, with its words filled in."),
    "SESSION_LOST": ("Busy", "The pool forgot our session three times in a row."),
    "SR_NOT_FOUND": ("Refused", "A new disk names no SR, and the pool has no default one."),
    "SOURCE_HAS_MEMORY": ("Refused", "`template` names a snapshot that has the VM's memory in it."),
    "SOURCE_NOT_HALTED": ("Refused", "`template` names a VM that is not halted."),
    "SOURCE_UNFINISHED": ("Refused", "`template` names a VM that a launch is making just now."),
    "SWEEP_STOPPED": (
        "Busy",
        "The sweeper leaves for now what it was about to remove; it is in no launch's error.",
    ),
    "COPY_EXISTS": ("Refused", "The template has a copy on this SR already."),
    "COPY_CHANGES": ("Refused", "The copy is being made or removed just now: ask again later."),
    "COPY_NOT_FOUND": ("Refused", "The template has no copy on this SR that could be removed."),
    "COPY_NOT_OURS": ("Refused", "A copy that `xenlaunch template spread` has not made stays."),
    "LAST_COPY": ("Refused", "The last copy of a template is not removed."),
    "SR_NOT_REACHED": ("Refused", "No host reaches the SR that a template is to be copied to."),
    "TEMPLATE_CHANGED": ("Refused", "A template was changed while it was copied."),
    "TEMPLATE_HAS_NO_DISKS": ("Refused", "A template without disks needs no copies."),
    "TEMPLATE_IN_USE": ("Busy", "A copy that is to go waits for those that are to clone it."),
    "TEMPLATE_DISK_NOT_FOUND": (
        "Refused",
        "`template_disks` speaks of a device at which the template has no disk.",
    ),
    "TEMPLATE_NOT_FOUND": ("Refused", "No template has this name or uuid; some that do are named."),
    "TIMED_OUT": ("Refused", "A pool task took longer than its step waits for it."),
    "VBDS_CHANGED": ("Refused", "At the end the VM lacks drives that were made for its disks."),
    "VDI_NOT_FOUND": ("Refused", "No disk of the pool has this uuid."),
    "VIFS_CHANGED": ("Refused", "At the end the VM's VIFs are not those that were made for it."),
    "VM_NOT_AT_REST": ("Busy", "A host refused the VM, which the pool still works on: wait first."),
    "VM_NOT_RUNNING": ("Refused", "The VM was started, and at the end it does not run."),
    "…_AMBIGUOUS": ("Refused", "Several objects have the name; their uuids are listed."),
    "…_NOT_FOUND": ("Refused", "No object of this class has the name or uuid."),
}

CONTROL_TASKS: Final = {
    names.TASK_LOOK: "A nudge: look at this launch or batch now. It has no result.",
    names.TASK_CANCEL: "Cancels a launch, for Flower, which writes no ledger. It has no result.",
    names.TASK_ADOPT: "Answers `xenlaunch adopt`.",
    names.TASK_NETWORKS: "Answers `xenlaunch networks prune`.",
    names.TASK_COPIES: "Answers `xenlaunch template list`.",
    names.TASK_SPREAD: "Answers `xenlaunch template spread`: has copies made.",
    names.TASK_REMOVE_COPIES: "Answers `xenlaunch template remove`: has copies removed.",
    names.TASK_PLAN: "Answers `xenlaunch plan`.",
    names.TASK_POOLS: "Answers `xenlaunch pools`.",
}

_DEVICE = "The device number. Without one the first that is free is taken; a CD gets 3 if it can."
_ROLE = "`root` boots and cannot be unplugged; `data` and `swap` can."
_CD_BOOTS = "Whether a paravirtualised guest may boot from it; others go by `boot_order`."
_DRIVE: Final = {
    "role": _ROLE,
    "mode": "Read and write, or read only; a disk that is read-only itself needs `RO`.",
    "device": _DEVICE,
    "bootable": "Whether it is marked as one to boot from. Without it as `role` has it.",
    "unpluggable": "Whether it can be unplugged while the VM runs. Without it as `role` has it.",
    "qos": "How it ranks among the disks of its host. Without it as any other.",
}

FIELDS: Final[dict[str, dict[str, str]]] = {
    "Batch": {
        "count": "How many launches; a list has as many as stand in it.",
        "name": "The pattern of their names, with `{}` or `{index}`; of a list, the batch's name.",
        "overrides": "What differs for some: each says for which by its `index` or its `name`.",
        "min_count": "Where fewer than that can come up, all of the batch is undone.",
        "tolerate": "Where more fail than that (a number, or a percentage of all), what has not "
        "begun is cancelled.",
        "all_or_nothing": "The same as a `min_count` of all.",
    },
    "LaunchRequest": {
        "name": "The VM's name once its launch succeeds. It cannot begin with `xenlaunch:`.",
        "template": "Name or uuid of a template, or else of a halted VM or a snapshot. Templates "
        "of one name and one shape on several SRs are one; the copy on the SR with most room is "
        "taken.",
        "clone": "`fast`: the disks share what they have in common with the template's. `full`: "
        "they are copied whole, which takes longer and leaves no chain behind.",
        "sr": "Name or uuid of the SR that a full copy goes to. Without it where the template is.",
        "pool": "Which pool, or several to choose from. Of several, and without it of all, each "
        "gets launches in proportion to its [room](placement.md#which-pool).",
        "vcpus": "vCPUs that are there at start-up. Without it as the template has it.",
        "vcpus_max": "vCPUs that it may ever have. Without it as many as `vcpus`.",
        "cores_per_socket": "How the vCPUs look to the guest; it must divide them.",
        "memory": "The VM's memory: a size, fixed, or `{min: …, max: …}`, between which XAPI may "
        "balloon it. Without it the template's.",
        "cpu_speed": "MHz that each vCPU is promised: becomes the scheduler's weight.",
        "limit_cpu_use": "Makes `cpu_speed` a limit as well: becomes the scheduler's cap.",
        "cpu_formula": "How weight and cap are reckoned from `cpu_speed`: as in the article that "
        "xenlaunch began with, or as the newest CloudStack does.",
        "cpu_weight": "The scheduler's weight, plainly; Xen's own default is 256.",
        "cpu_cap": "The scheduler's cap in per cent of one CPU, plainly: 150 is one and a half.",
        "nested_virtualisation": "Lets the guest be a hypervisor; its memory is fixed then.",
        "firmware": "What the VM boots with. Without it as the template has it. Where the "
        "template's device model is for another firmware, it is changed as well.",
        "secure_boot": "Whether uefi boots only what is signed.",
        "vtpm": "Gives the VM a TPM; needs uefi.",
        "boot_order": "Devices to boot from, first first: `c` disk, `d` CD, `n` network.",
        "pv_args": "Kernel arguments of a template that boots paravirtualised.",
        "pv_kernel": "Its kernel, by its path on the host, which is then booted without a boot "
        "loader.",
        "pv_ramdisk": "Its initial RAM disk, by its path on the host.",
        "pv_bootloader": "Its boot loader. Without it the template's, and `pygrub` where there is "
        "neither loader nor kernel.",
        "platform": "Keys of XAPI's `platform` to set; the others stay as the template has them.",
        "after_crash": "What XAPI does after the guest crashes; `destroy` halts the VM.",
        "after_shutdown": "What XAPI does after the guest shuts down; `destroy` halts the VM.",
        "after_reboot": "What XAPI does after the guest reboots. Without it the template's.",
        "order": "The VM's place when a whole pool or appliance is started.",
        "start_delay": "Seconds that XAPI waits after it has started the VM; the launch waits "
        "twice as long, and has its host's slot meanwhile.",
        "shutdown_delay": "Seconds that XAPI waits after it has shut the VM down.",
        "ha_restart_priority": "Whether a pool with HA restarts the VM; `none`: it does not.",
        "description": "The VM's description.",
        "tags": "Tags, beside the template's.",
        "other_config": "Keys of XAPI's `other_config` to set, but for those that are XAPI's own.",
        "blocked_operations": "Operations that XAPI refuses once the launch has succeeded, each "
        "with the reason that it gives.",
        "template_disks": "What becomes of the template's own disks. One of which nothing is said "
        "stays as it is.",
        "disks": "Disks and CD drives beside the template's own, in order.",
        "nics": "Network interfaces, in order. Left out: the template's. `[]`: none.",
        "gpu": "One virtual GPU, by `{group: …, type: …}`, or by one of the two.",
        "host": "Name or uuid of the host to prefer: taken if the VM fits there, and its affinity.",
        "pin": "Makes `host` the only host that will do: it is waited for.",
        "placement": "How the host is chosen: `spread` shares launches out by the memory that is "
        "free, `pack` fills the fullest host first.",
        "group": "VMs to keep together on one host or apart on several, as [below](#placement).",
        "guest": "What the guest is told, as its [own page](guest.md) says.",
        "wait_for": "What the launch ends with: the VM `running`, its guest's `agent` seen, or a "
        "usable `address` told; which address, and a port, as [on its page](guest.md#waiting).",
        "wait_seconds": "How long to wait for it once the VM runs. What has not come by then is a "
        "success with a note that says what is missing.",
        "on_failure": "`keep`: a failed launch's VM stays as it is, marked, and is named as left "
        "over. A cancelled launch is always removed.",
        "priority": "Place in the pool's line: 0 goes first.",
        "owner": "Who wants it. Within a priority each owner has its share of a pool's line, by "
        "the [weights](operations.md#owners) in the pools file, however many it has waiting.",
        "start_within": "Seconds from the submit, or from a retry, in which it must have begun to "
        "be cloned. It fails when it has waited longer, and says what for.",
    },
    "TemplatesDisk": {
        "device": "Which of the template's disks: its device number, the first has 0.",
        "keep": "`false`: the VM is made without it.",
        "size": "Makes it larger; one that is smaller than it is now is refused.",
        "name": "Its name. Without it the template's.",
        "description": "Its description. Without it the template's.",
        "sr": "Name or uuid of the SR to move it to. Without it where the template has it.",
    },
    "NewDisk": {
        "new": "Makes a disk of this size. An undo destroys it.",
        "sr": "Name or uuid of the SR. Without it the pool's default one.",
        "name": "The disk's name. Without it the VM's, its role and its place in the list.",
        "description": "The disk's description, once the launch succeeds.",
        **_DRIVE,
    },
    "ExistingDisk": {
        "vdi": "The uuid of a disk that is there. It is attached, and never destroyed.",
        **_DRIVE,
    },
    "Qos": {
        "sched": "The scheduler's class: XAPI's `sched`.",
        "priority": "Its rank within that class, XAPI's `class`; `normal` without it.",
    },
    "Iso": {
        "iso": "Name or uuid of an image on one of the pool's ISO libraries.",
        "device": _DEVICE,
        "bootable": _CD_BOOTS,
    },
    "Cd": {
        "cd": "An empty drive.",
        "device": _DEVICE,
        "bootable": _CD_BOOTS,
    },
    "Group": {
        "name": "What the others ask for that belong to it.",
        "keep": "`together`: all on one host; `apart`: no two on one host.",
        "best_effort": "Goes against it rather than wait for a host.",
    },
    "Gpu": {
        "group": "Name or uuid of a group of GPUs. Without it the one with most GPUs of the type.",
        "type": "Name of the model, or uuid, of a type of virtual GPU. Without it a whole GPU is "
        "passed through.",
    },
    "Nic": {
        "network": "Name or uuid of a network that is there; with `vlan` or `tunnel` the one that "
        "these are built on.",
        "traffic": "Instead of `network`: what the traffic is. The pools file says which network "
        "that means, else the hosts do: see below.",
        "broadcast": "The article's broadcast type. Left out it follows from the rest: `vlan`, "
        "`tunnel`, or `native`.",
        "vlan": "The tag of a VLAN, which is made on all hosts where it is not there yet.",
        "tunnel": "The key of an Open vSwitch tunnel, which is made where it is not there yet.",
        "protocol": "What a tunnel speaks. Without it `gre`, the only one that the 8.2 generation "
        "knows.",
        "device": "The device number. Without one the first that no other NIC asks for.",
        "rate": "The most that it may send: `10MBps` are megabytes a second, `100Mbps` megabits.",
        "locking_mode": "What XAPI lets the VM send from. Without it `locked` where addresses are "
        "allowed, else as the network has it.",
        "ipv4_allowed": "The only IPv4 addresses that the VM may send from.",
        "ipv6_allowed": "The only IPv6 addresses that the VM may send from.",
        "ipv4": "A static address that XAPI has the guest's tools set, with its prefix: "
        "`10.1.2.3/24`. Only where those of the template are known to: see below.",
        "ipv4_gateway": "The gateway that goes with `ipv4`.",
        "ipv6": "The same for IPv6: `2001:db8::3/64`.",
        "ipv6_gateway": "The gateway that goes with `ipv6`.",
        "trunks": "The tags that the VM may send itself; not on a VLAN.",
        "mac": "Must be unused in the pool. Without it one is derived from the launch's id and the "
        "device, always the same.",
        "mtu": "Without it the network's.",
    },
    "Guest": {
        "user_data": "cloud-init's user-data: text, or a mapping, which becomes a `#cloud-config`.",
        "meta_data": "Keys beside `instance-id` (the launch's ID) and `local-hostname` (the VM's "
        "name, as far as a host can have it), or in place of them.",
        "network_config": "Of a NoCloud drive the network configuration in cloud-init's format, of "
        "a config drive OpenStack's `network_data.json`: text, or a mapping.",
        "xenstore_data": "Keys of xenstore below `vm-data/`, which any guest with Xen's tools can "
        "read. They stay on the VM.",
        "drive": "The layout: cloud-init's NoCloud, with the label `cidata`, or OpenStack's config "
        "drive, with the label `config-2`, which cloudbase-init reads too.",
        "sr": "Name or uuid of the SR for the drive. Without it the one of the template's disks.",
        "fill": "Fills in `{index}`, `{name}`, `{mac}` and `{mac:N}`.",
        "remove_after": "Removes the drive when the guest's `agent` was seen or it has told a "
        "usable `address`.",
    },
    "Awaited": {
        "nic": "Only addresses of this NIC, by its device number. Without it those of any.",
        "family": "Only addresses of this kind.",
        "cidr": "Only addresses in this range, like `10.1.0.0/16`.",
        "port": "And then this TCP port, which must take a connection from the worker.",
    },
}
