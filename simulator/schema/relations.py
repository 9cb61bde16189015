"""Declares the relations: the right side is a set of refs that the database computes."""

from typing import Final

#: the field that is written, the set that follows it
ONE_TO_MANY: Final = (
    ("VM.snapshot_of", "VM.snapshots"),
    ("VDI.snapshot_of", "VDI.snapshots"),
    ("VM.parent", "VM.children"),
    ("task.subtask_of", "task.subtasks"),
    ("PIF.bond_slave_of", "Bond.slaves"),
    ("Bond.master", "PIF.bond_master_of"),
    ("VLAN.tagged_PIF", "PIF.VLAN_slave_of"),
    ("tunnel.access_PIF", "PIF.tunnel_access_PIF_of"),
    ("tunnel.transport_PIF", "PIF.tunnel_transport_PIF_of"),
    ("PBD.host", "host.PBDs"),
    ("PBD.SR", "SR.PBDs"),
    ("VBD.VDI", "VDI.VBDs"),
    ("crashdump.VDI", "VDI.crash_dumps"),
    ("VBD.VM", "VM.VBDs"),
    ("crashdump.VM", "VM.crash_dumps"),
    ("VIF.VM", "VM.VIFs"),
    ("VIF.network", "network.VIFs"),
    ("PIF.host", "host.PIFs"),
    ("PIF.network", "network.PIFs"),
    ("VDI.SR", "SR.VDIs"),
    ("VTPM.VM", "VM.VTPMs"),
    ("console.VM", "VM.consoles"),
    ("VM.resident_on", "host.resident_VMs"),
    ("host_cpu.host", "host.host_CPUs"),
    ("VM.protection_policy", "VMPP.VMs"),
    ("VM.snapshot_schedule", "VMSS.VMs"),
    ("VM.appliance", "VM_appliance.VMs"),
    ("PGPU.GPU_group", "GPU_group.PGPUs"),
    ("VGPU.GPU_group", "GPU_group.VGPUs"),
    ("VGPU.type", "VGPU_type.VGPUs"),
    ("VGPU.VM", "VM.VGPUs"),
    ("VGPU.resident_on", "PGPU.resident_VGPUs"),
    ("PCI.host", "host.PCIs"),
    ("PGPU.host", "host.PGPUs"),
    ("VDI.metadata_of_pool", "pool.metadata_VDIs"),
    ("Certificate.host", "host.certificates"),
)

MANY_TO_MANY: Final = (
    ("host.updates", "pool_update.hosts"),
    ("role.subroles", "role.subroles"),
    ("PGPU.supported_VGPU_types", "VGPU_type.supported_on_PGPUs"),
    ("PGPU.enabled_VGPU_types", "VGPU_type.enabled_on_PGPUs"),
    ("GPU_group.supported_VGPU_types", "VGPU_type.supported_on_GPU_groups"),
    ("GPU_group.enabled_VGPU_types", "VGPU_type.enabled_on_GPU_groups"),
)
