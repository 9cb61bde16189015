"""Declares virtual machines with their metrics, consoles and virtual devices.

The form is explained in ``simulator.schema.declare``.
"""

from typing import Final

VMS: Final = """
class VM: made
  D  uuid                          string
  D  allowed_operations            enum vm_operations set = []
  D  current_operations            (string -> enum vm_operations) map = {}
  RW name_label                    string = ""
  RW name_description              string = ""
  S  power_state                   enum vm_power_state = "Halted"
  RW user_version                  int
  RW is_a_template                 bool
  D  is_default_template           bool = false
  S  suspend_VDI                   VDI ref = "OpaqueRef:NULL"
  D  resident_on                   host ref
  D  scheduled_to_be_resident_on   host ref = "OpaqueRef:NULL"
  RW affinity                      host ref
  D  memory_overhead               int = 0
  S  memory_target                 int = 0
  S  memory_static_max             int
  S  memory_dynamic_max            int
  S  memory_dynamic_min            int
  S  memory_static_min             int
  RW VCPUs_params                  (string -> string) map
  S  VCPUs_max                     int
  S  VCPUs_at_startup              int
  RW actions_after_softreboot      enum on_softreboot_behavior = "soft_reboot"
  RW actions_after_shutdown        enum on_normal_exit
  RW actions_after_reboot          enum on_normal_exit
  S  actions_after_crash           enum on_crash_behaviour
  D  consoles                      console ref set
  D  VIFs                          VIF ref set
  D  VBDs                          VBD ref set
  D  VUSBs                         VUSB ref set
  D  crash_dumps                   crashdump ref set
  D  VTPMs                         VTPM ref set
  RW PV_bootloader                 string
  RW PV_kernel                     string
  RW PV_ramdisk                    string
  RW PV_args                       string
  RW PV_bootloader_args            string
  RW PV_legacy_args                string
  S  HVM_boot_policy               string
  RW HVM_boot_params               (string -> string) map
  S  HVM_shadow_multiplier         float = 1.0
  S  platform                      (string -> string) map
  RW PCI_bus                       string
  S  other_config                  (string -> string) map
  D  domid                         int
  D  domarch                       string
  S  last_boot_CPU_flags           (string -> string) map = {}
  D  is_control_domain             bool
  D  metrics                       VM_metrics ref
  D  guest_metrics                 VM_guest_metrics ref
  S  last_booted_record            string = ""
  RW recommendations               string
  RW xenstore_data                 (string -> string) map = {}
  S  ha_always_run                 bool = false
  S  ha_restart_priority           string = ""
  D  is_a_snapshot                 bool = false
  D  snapshot_of                   VM ref = "OpaqueRef:NULL"
  D  snapshots                     VM ref set
  D  snapshot_time                 datetime = "19700101T00:00:00Z"
  D  transportable_snapshot_id     string = ""
  D  blobs                         (string -> blob ref) map = {}
  RW tags                          string set = []
  S  blocked_operations            (enum vm_operations -> string) map = {}
  D  snapshot_info                 (string -> string) map = {}
  D  snapshot_metadata             string = ""
  D  parent                        VM ref = "OpaqueRef:NULL"
  D  children                      VM ref set
  D  bios_strings                  (string -> string) map = {}
  S  protection_policy             VMPP ref = "OpaqueRef:NULL"
  S  is_snapshot_from_vmpp         bool = false
  S  snapshot_schedule             VMSS ref = "OpaqueRef:NULL"
  S  is_vmss_snapshot              bool = false
  S  appliance                     VM_appliance ref = "OpaqueRef:NULL"
  S  start_delay                   int = 0
  S  shutdown_delay                int = 0
  S  order                         int = 0
  D  VGPUs                         VGPU ref set
  D  attached_PCIs                 PCI ref set
  RW suspend_SR                    SR ref = "OpaqueRef:NULL"
  S  version                       int = 0
  S  generation_id                 string = "0:0"
  RW hardware_platform_version     int = 0
  S  has_vendor_device             bool = true
  D  requires_reboot               bool = false
  S  reference_label               string = ""
  S  domain_type                   enum domain_type = "unspecified"
  S  NVRAM                         (string -> string) map = {}
  D  pending_guidances             enum update_guidances set = []
  D  pending_guidances_recommended enum update_guidances set = []
  D  pending_guidances_full        enum update_guidances set = []
  D  groups                        VM_group ref set
  D  secureboot_certificates_state enum vm_secureboot_certificates_state = "ok"

class VM_metrics
  D  uuid                string
  D  memory_actual       int
  D  VCPUs_number        int
  D  VCPUs_utilisation   (int -> float) map = {}
  D  VCPUs_CPU           (int -> int) map
  D  VCPUs_params        (string -> string) map
  D  VCPUs_flags         (int -> string set) map
  D  state               string set
  D  start_time          datetime
  D  install_time        datetime
  D  last_updated        datetime
  RW other_config        (string -> string) map = {}
  D  hvm                 bool = false
  D  nested_virt         bool = false
  D  nomigrate           bool = false
  D  current_domain_type enum domain_type = "unspecified"
  S  numa_optimised      bool = false
  S  numa_nodes          int = 0
  D  numa_node_memory    (int -> int) map = {}

class VM_guest_metrics
  D  uuid                  string
  D  os_version            (string -> string) map
  D  netbios_name          (string -> string) map = {}
  D  PV_drivers_version    (string -> string) map
  D  PV_drivers_up_to_date bool
  D  memory                (string -> string) map = {}
  D  disks                 (string -> string) map = {}
  D  networks              (string -> string) map
  D  other                 (string -> string) map
  D  last_updated          datetime
  RW other_config          (string -> string) map = {}
  D  live                  bool = false
  D  can_use_hotplug_vbd   enum tristate_type = "unspecified"
  D  can_use_hotplug_vif   enum tristate_type = "unspecified"
  D  PV_drivers_detected   bool = false
  D  services              (string -> string) map = {}

class VM_appliance: made
  D  uuid               string
  RW name_label         string = ""
  RW name_description   string = ""
  D  allowed_operations enum vm_appliance_operation set = []
  D  current_operations (string -> enum vm_appliance_operation) map = {}
  D  VMs                VM ref set

class console: made
  D  uuid         string
  D  protocol     enum console_protocol
  D  location     string
  D  VM           VM ref
  RW other_config (string -> string) map

class VGPU
  D  uuid                        string
  D  VM                          VM ref
  D  GPU_group                   GPU_group ref
  D  device                      string = "0"
  D  currently_attached          bool = false
  RW other_config                (string -> string) map = {}
  D  type                        VGPU_type ref = "OpaqueRef:NULL"
  D  resident_on                 PGPU ref = "OpaqueRef:NULL"
  D  scheduled_to_be_resident_on PGPU ref = "OpaqueRef:NULL"
  D  compatibility_metadata      (string -> string) map = {}
  RW extra_args                  string = ""
  D  PCI                         PCI ref = "OpaqueRef:NULL"

class VTPM
  D  uuid                string
  D  allowed_operations  enum vtpm_operations set = []
  D  current_operations  (string -> enum vtpm_operations) map = {}
  S  VM                  VM ref
  D  backend             VM ref = "OpaqueRef:NULL"
  D  persistence_backend enum persistence_backend = "xapi"
  S  is_unique           bool = false
  D  is_protected        bool = false

class VMPP: made
  D  uuid                   string
  RW name_label             string = ""
  RW name_description       string = ""
  RW is_policy_enabled      bool = true
  RW backup_type            enum vmpp_backup_type = "snapshot"
  S  backup_retention_value int = 7
  S  backup_frequency       enum vmpp_backup_frequency = "daily"
  S  backup_schedule        (string -> string) map = {}
  D  is_backup_running      bool
  D  backup_last_run_time   datetime = "19700101T00:00:00Z"
  S  archive_target_type    enum vmpp_archive_target_type = "none"
  S  archive_target_config  (string -> string) map = {}
  S  archive_frequency      enum vmpp_archive_frequency = "never"
  S  archive_schedule       (string -> string) map = {}
  D  is_archive_running     bool
  D  archive_last_run_time  datetime = "19700101T00:00:00Z"
  D  VMs                    VM ref set
  S  is_alarm_enabled       bool = false
  S  alarm_config           (string -> string) map = {}
  D  recent_alerts          string set = []

class VMSS: made
  D  uuid               string
  RW name_label         string = ""
  RW name_description   string = ""
  RW enabled            bool = true
  S  type               enum vmss_type
  S  retained_snapshots int = 7
  S  frequency          enum vmss_frequency
  S  schedule           (string -> string) map = {}
  D  last_run_time      datetime = "19700101T00:00:00Z"
  D  VMs                VM ref set
"""
