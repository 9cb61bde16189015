"""The members of the pool, as a client meets them: the master, who answers, and the others.

A supporter answers hardly anything but HOST_IS_SLAVE and the address of the master. What any
member does answer, even while the pool is in trouble, are the emergency calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from simulator.errors import ApiError
from simulator.missing import named

if TYPE_CHECKING:
    from simulator.world import World

_EMERGENCY: Final = """
session: slave_local_login slave_local_login_with_password local_logout
pool: emergency_reset_master emergency_transition_to_master is_slave
host: propose_new_master commit_new_master abort_new_master local_assert_healthy
  signal_networking_change local_management_reconfigure ha_xapi_healthcheck emergency_ha_disable
  management_disable get_system_status_capabilities is_in_emergency_mode shutdown_agent
  emergency_reset_server_certificate emergency_disable_tls_verification
  emergency_reenable_tls_verification emergency_clear_mandatory_guidance
  update_firewalld_service_status
"""
EMERGENCY: Final = frozenset(named(_EMERGENCY))


def is_master(world: World, host: str) -> bool:
    return not host or host == world.db.only("pool")["master"]


def at(world: World, address: str) -> str:
    """The member that listens at the address, if members have their own."""
    return world.listening.get(address, "")


def is_alive(world: World, address: str) -> bool:
    """Whether the member answers at all; the one address of a pool always does."""
    if not address:
        return True
    row = world.db.find("host", at(world, address))
    metrics = row and world.db.find("host_metrics", row["metrics"])
    return bool(metrics and metrics["live"])


def check_master(world: World, call: str, host: str) -> None:
    """Send a client on to the master, unless any member answers the call."""
    if call not in EMERGENCY and not is_master(world, host):
        raise ApiError("HOST_IS_SLAVE", world.master()["address"])


def check_booted(world: World, sent_as: str) -> None:
    if world.is_booting and sent_as not in EMERGENCY:
        raise ApiError("HOST_STILL_BOOTING")
