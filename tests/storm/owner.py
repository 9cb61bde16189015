"""The owner of the pool, who has disks there, and does away with the VMs that came up."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pydantic import SecretStr

from tests.storm.rig import DEPLOYMENT
from tests.support.simulators import SimulatorProcess
from tests.support.waiting import wait_until
from xenlaunch import names
from xenlaunch.errors import PoolError, Refused
from xenlaunch.xapi.session import Session
from xenlaunch.xapi.transport import Trust

State = Mapping[str, Mapping[str, Mapping[str, Any]]]


class Owner:
    """Somebody else with a session in the pool."""

    def __init__(self, pool: SimulatorProcess) -> None:
        password = SecretStr(pool.password)
        trust = Trust(allow_http=True, ca_file=None, pins=())
        self.pool = pool
        self.session = Session(
            "storm", [pool.url], pool.username, lambda: password, trust, originator="owner"
        )

    def close(self) -> None:
        self.session.close()

    def make_disk(self, name: str, sr: str, **more: object) -> str:
        """Make a disk that has nothing to do with any launch; its uuid."""
        srs = self.pool.state()["SR"]
        fields = {
            "name_label": name,
            "SR": next(ref for ref, row in srs.items() if row["name_label"] == sr),
            "virtual_size": 1 << 30,
            "type": "user",
            "sharable": False,
            "read_only": False,
            "other_config": {},
            **more,
        }
        vdi = self.session.send("VDI.create", fields, as_login=self.session.login)
        return str(self.session.read("VDI.get_uuid", vdi))

    def halt(self, name: str) -> None:
        """Stop a VM, and return when the pool says that it has stopped."""
        [vm] = self.session.read("VM.get_by_name_label", name)
        self.session.send("VM.hard_shutdown", vm, as_login=self.session.login)

    def leave_half_made(self, launch: str) -> None:
        """Leave what a launch would leave that nobody remembers: a half-made VM, and a new disk."""
        rows = self.pool.state()["VM"].items()
        template = next(
            ref for ref, row in rows if row["is_a_template"] and row["name_label"] == "debian-12"
        )
        name = names.working_name(DEPLOYMENT, launch, 1)
        login = self.session.login
        vm = self.session.send("VM.clone", template, name, as_login=login)
        self.session.send("VM.provision", vm, as_login=login)
        self.make_disk(
            "of nobody",
            "sr-1",
            name_description=names.MADE_BY_US,
            other_config={names.OTHER_CONFIG_MARK: f"{DEPLOYMENT}/{launch}/vdi:0"},
        )

    def remove_new(self, before: State) -> None:
        """Remove the VMs that were not there before, with the disks that were not."""
        state = self.pool.state()
        vms = [ref for ref in state["VM"] if ref not in before["VM"]]
        with ThreadPoolExecutor(16) as together:
            list(together.map(self._remove_vm, vms))
            left = self.pool.state()["VDI"]
            disks = [ref for ref in left if ref not in before["VDI"]]
            list(together.map(lambda ref: self._insist("VDI.destroy", ref), disks))
        self.pool.control("DELETE", "/faults")
        self.pool.control("DELETE", "/calls")

    def _remove_vm(self, vm: str) -> None:
        self._insist("VM.hard_shutdown", vm)
        self._insist("VM.destroy", vm)

    def _insist(self, method: str, ref: str) -> None:
        """Until it is done, or cannot be done any more."""

        def done() -> bool:
            try:
                self.session.read(method, ref)
            except PoolError as error:
                return isinstance(error, Refused)
            return True

        wait_until(done, 60, f"{method} {ref}")
