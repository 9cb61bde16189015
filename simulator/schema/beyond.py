"""Names the classes of XAPI that this pool has nothing of: listed, and empty."""

from typing import Final

_LISTED: Final = """
Caller Cluster Cluster_host DR_task Driver_variant Feature Host_driver Observer PUSB
PVS_cache_storage PVS_proxy PVS_server PVS_site Rate_limit Repository SDN_controller USB_group
VM_group VUSB host_crashdump host_patch network_sriov pool_patch
"""
LISTED: Final = tuple(_LISTED.split())
