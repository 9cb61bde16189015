"""Declares hosts with their processors, devices and certificates.

The form is explained in ``simulator.schema.declare``.
"""

from typing import Final

HOSTS: Final = """
class host
  D  uuid                               string
  RW name_label                         string = ""
  RW name_description                   string = ""
  D  memory_overhead                    int = 0
  D  allowed_operations                 enum host_allowed_operations set = []
  D  current_operations                 (string -> enum host_allowed_operations) map = {}
  D  API_version_major                  int
  D  API_version_minor                  int
  D  API_version_vendor                 string
  D  API_version_vendor_implementation  (string -> string) map
  D  enabled                            bool
  S  software_version                   (string -> string) map
  RW other_config                       (string -> string) map
  S  capabilities                       string set
  D  cpu_configuration                  (string -> string) map
  D  sched_policy                       string
  D  supported_bootloaders              string set
  D  resident_VMs                       VM ref set
  RW logging                            (string -> string) map
  D  PIFs                               PIF ref set
  RW suspend_image_sr                   SR ref
  RW crash_dump_sr                      SR ref
  D  crashdumps                         host_crashdump ref set
  D  patches                            host_patch ref set
  D  updates                            pool_update ref set
  D  PBDs                               PBD ref set
  D  host_CPUs                          host_cpu ref set
  D  cpu_info                           (string -> string) map = {}
  RW hostname                           string
  RW address                            string
  D  metrics                            host_metrics ref
  D  license_params                     (string -> string) map
  D  ha_statefiles                      string set = []
  D  ha_network_peers                   string set = []
  D  blobs                              (string -> blob ref) map = {}
  RW tags                               string set = []
  D  external_auth_type                 string = ""
  D  external_auth_service_name         string = ""
  D  external_auth_configuration        (string -> string) map = {}
  D  edition                            string = ""
  RW license_server (string -> string) map = {"address": "localhost", "port": "27000"}
  D  bios_strings                       (string -> string) map = {}
  D  power_on_mode                      string = ""
  D  power_on_config                    (string -> string) map = {}
  S  local_cache_sr                     SR ref = "OpaqueRef:NULL"
  D  chipset_info                       (string -> string) map = {}
  D  PCIs                               PCI ref set
  D  PGPUs                              PGPU ref set
  D  PUSBs                              PUSB ref set
  S  ssl_legacy                         bool = true
  RW guest_VCPUs_params                 (string -> string) map = {}
  RW display                            enum host_display = "enabled"
  D  virtual_hardware_platform_versions int set = [0]
  D  control_domain                     VM ref = "OpaqueRef:NULL"
  D  updates_requiring_reboot           pool_update ref set
  D  features                           Feature ref set
  S  iscsi_iqn                          string = ""
  S  multipathing                       bool = false
  S  uefi_certificates                  string = ""
  D  certificates                       Certificate ref set
  D  editions                           string set = []
  D  pending_guidances                  enum update_guidances set = []
  D  tls_verification_enabled           bool = false
  D  last_software_update               datetime = "19700101T00:00:00Z"
  D  https_only                         bool = false
  D  latest_synced_updates_applied      enum latest_synced_updates_applied_state = "unknown"
  D  numa_affinity_policy               enum host_numa_affinity_policy = "default_policy"
  D  pending_guidances_recommended      enum update_guidances set = []
  D  pending_guidances_full             enum update_guidances set = []
  D  last_update_hash                   string = ""
  D  ssh_enabled                        bool = true
  D  ssh_enabled_timeout                int = 0
  D  ssh_expiry                         datetime = "19700101T00:00:00Z"
  D  console_idle_timeout               int = 0
  D  ssh_auto_mode                      bool = false
  D  max_cstate                         string = ""
  D  secure_boot                        bool = false
  D  ntp_mode                           enum host_ntp_mode = "Factory"
  D  ntp_custom_servers                 string set = []
  D  timezone                           string = "UTC"

class host_metrics
  D  uuid         string
  D  memory_total int
  D  memory_free  int = 0
  D  live         bool
  D  last_updated datetime
  RW other_config (string -> string) map = {}

class host_cpu
  D  uuid         string
  D  host         host ref
  D  number       int
  D  vendor       string
  D  speed        int
  D  modelname    string
  D  family       int
  D  model        int
  D  stepping     string
  D  flags        string
  D  features     string
  D  utilisation  float
  RW other_config (string -> string) map = {}

class PCI
  D  uuid                  string
  S  class_id              string = ""
  S  class_name            string = ""
  S  vendor_id             string = ""
  S  vendor_name           string = ""
  S  device_id             string = ""
  S  device_name           string = ""
  S  host                  host ref = "OpaqueRef:NULL"
  S  pci_id                string = ""
  D  dependencies          PCI ref set
  RW other_config          (string -> string) map = {}
  S  subsystem_vendor_id   string = ""
  S  subsystem_vendor_name string = ""
  S  subsystem_device_id   string = ""
  S  subsystem_device_name string = ""
  S  driver_name           string = ""

class PGPU
  D  uuid                          string
  S  PCI                           PCI ref = "OpaqueRef:NULL"
  S  GPU_group                     GPU_group ref = "OpaqueRef:NULL"
  D  host                          host ref = "OpaqueRef:NULL"
  RW other_config                  (string -> string) map = {}
  D  supported_VGPU_types          VGPU_type ref set
  D  enabled_VGPU_types            VGPU_type ref set
  D  resident_VGPUs                VGPU ref set
  D  supported_VGPU_max_capacities (VGPU_type ref -> int) map = {}
  D  dom0_access                   enum pci_dom0_access = "enabled"
  D  is_system_display_device      bool = false
  D  compatibility_metadata        (string -> string) map = {}

class GPU_group
  D  uuid                 string
  RW name_label           string = ""
  RW name_description     string = ""
  D  PGPUs                PGPU ref set
  D  VGPUs                VGPU ref set
  D  GPU_types            string set = []
  RW other_config         (string -> string) map = {}
  RW allocation_algorithm enum allocation_algorithm = "depth_first"
  D  supported_VGPU_types VGPU_type ref set
  D  enabled_VGPU_types   VGPU_type ref set

class VGPU_type
  D  uuid                    string
  S  vendor_name             string = ""
  S  model_name              string = ""
  S  framebuffer_size        int = 0
  S  max_heads               int = 0
  S  max_resolution_x        int = 0
  S  max_resolution_y        int = 0
  D  supported_on_PGPUs      PGPU ref set
  D  enabled_on_PGPUs        PGPU ref set
  D  VGPUs                   VGPU ref set
  D  supported_on_GPU_groups GPU_group ref set
  D  enabled_on_GPU_groups   GPU_group ref set
  S  implementation          enum vgpu_type_implementation = "passthrough"
  S  identifier              string = ""
  S  experimental            bool = false
  D  compatible_types_in_vm  VGPU_type ref set = []

class Certificate
  D  uuid               string
  D  name               string = ""
  D  type               enum certificate_type = "host"
  S  host               host ref = "OpaqueRef:NULL"
  S  not_before         datetime = "19700101T00:00:00Z"
  S  not_after          datetime = "19700101T00:00:00Z"
  S  fingerprint        string = ""
  S  fingerprint_sha256 string = ""
  S  fingerprint_sha1   string = ""
  S  purpose            enum certificate_purpose set = []

class pool_update
  D  uuid                 string
  S  name_label           string = ""
  S  name_description     string = ""
  S  version              string = ""
  S  installation_size    int = 0
  S  key                  string = ""
  S  after_apply_guidance enum update_after_apply_guidance set = []
  S  vdi                  VDI ref
  D  hosts                host ref set
  RW other_config         (string -> string) map = {}
  S  enforce_homogeneity  bool = false
"""
