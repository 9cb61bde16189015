"""The sixth step: the VM starts on the chosen host."""

from xenlaunch.errors import Refused
from xenlaunch.model import Launch
from xenlaunch.xapi.pool import Pool

KEY = "start"
SECONDS = 600


def start(launch: Launch, pool: Pool) -> Launch:
    """Start the VM, and park until the pool says that it runs."""
    assert launch.host is not None  # noqa: S101  a launch is begun with a host
    try:
        pool.run(
            KEY,
            "VM.start_on",
            *(launch.vm, launch.host.ref, False, True),
            what="the VM to start",
            seconds=SECONDS,
            find=lambda: "" if is_running(launch, pool) else None,
        )
    except Refused as refused:
        # Somebody was quicker, or a start of ours was not heard of: it runs, and that was wanted.
        if refused.code != "VM_BAD_POWER_STATE" or not is_running(launch, pool):
            raise
    return launch


def is_running(launch: Launch, pool: Pool) -> bool:
    return bool(pool.read("VM.get_power_state", launch.vm) == "Running")
