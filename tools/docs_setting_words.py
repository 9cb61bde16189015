"""What the docs say of settings, figures and options that say nothing about themselves."""  # noqa: INP001  tools are run from the checkout, and are no package

from typing import Final

FILE_KEYS: Final = {
    "sweep_grace_seconds": "How long the sweeper lets stand what no launch is known of.",
    "sweep_every_seconds": "How often the sweeper looks at a pool.",
}

OWNER_KEYS: Final = {
    "weight": "Its share of each pool's line beside the others', which have 1 each.",
}

POOL_KEYS: Final = {
    "addresses": "Members of the pool, any of them, with scheme: `https://10.0.0.1`. The master is "
    "found from there.",
    "username": "Who logs in.",
    "password_file": "A file with the password, beside the pools file unless its path is absolute. "
    "Either this or `password_env`.",
    "password_env": "The environment variable that holds the password.",
    "allow_http": "Allows addresses that begin with `http://`, without encryption.",
    "ca_file": "The certificates that the members' own are checked against; without it and without "
    "pins the system's.",
    "pins": "SHA-256 fingerprints of the members' certificates, `sha256:…`. Any of them will do.",
    "in_flight": "How many launches may be in flight at once; the others wait in the line.",
    "sr_slots": "How many calls that make, clone, resize or remove a disk each SR may have at "
    "once: one that XAPI works on, and one that is there when that is done.",
    "host_slots": "How many calls that start or stop a VM each host may have at once: four that it "
    "works on, and one that is there when one of those is done.",
    "copy_slots": "How many calls that write whole disks to it (a full clone, a disk that is "
    "moved, a copy of a template) each SR may have at once.",
    "traffic": "Which network each traffic type of a request means, by name or uuid.",
}

FIGURES: Final = {
    "xenlaunch.ledger:Times.lease": "A lease lasts, when it is not renewed",
    "workers.roles:LEASE_MS": "A role's lease lasts",
    "workers.roles:KEEP_EVERY": "Leases and roles are renewed every",
    "xenlaunch.ledger:Times.resend": "A step that nobody has claimed is sent again after",
    "xenlaunch.ledger:Times.resend_most": "… doubling each time, up to",
    "xenlaunch.ledger:Times.keep": "A launch that has ended is kept for",
    "scheduler.generation:EPOCH_EVERY": "An older copy of Redis is noticed if it is older than",
    "workers.duties:DISPATCH_EVERY": "A pool's line is looked at at least every",
    "workers.watcher:RESYNC_SECONDS": "All that is parked is compared with the pool every",
    "xenlaunch.xapi.pulse:SILENT_SECONDS": "A pool is left alone when no call was answered for",
    "xenlaunch.xapi.pulse:FAILING_SECONDS": "… or when it was not reached, again and again, for",
    "workers.prober:EVERY_SECONDS": "A pool that is left alone is probed every",
    "tasks.step:PATIENCE": "A step puts up with a busy or unreachable pool for",
    "tasks.step:LONGEST_DELAY": "The pause between two tries at a busy pool grows to about",
    "tasks.step:UNKNOWN_TRIES": "An unknown outcome is looked into so many times in a row",
    "tasks.step:UNSTEADY_TRIES": "What a storage fails to do is tried so many times in a row",
    "tasks.clone:SECONDS": "A clone may take",
    "tasks.copied:COPY_SECONDS": "The whole copy of a disk may take",
    "tasks.start:SECONDS": "A start may take",
    "tasks.poll:HOST_SECONDS": "A VM whose host went down is waited for",
    "workers.config:VISIBILITY_SECONDS": "Celery repeats a message that was not acknowledged after",
}

OPTIONS: Final = {
    "--hosts": "how many hosts",
    "--latency": "NAME=SECONDS sets one latency, neither scaled nor jittered; may be repeated",
    "--password-file": "a file with the password of root",
}
"""Options of the simulator that say nothing about themselves."""
