"""Declares storage: SRs, their connections to hosts, disks, and disks as a VM sees them.

The form is explained in ``simulator.schema.declare``.
"""

from typing import Final

STORAGE: Final = """
class SR
  D  uuid                 string
  S  name_label           string = ""
  S  name_description     string = ""
  D  allowed_operations   enum storage_operations set = []
  D  current_operations   (string -> enum storage_operations) map = {}
  D  VDIs                 VDI ref set
  D  PBDs                 PBD ref set
  D  virtual_allocation   int
  D  physical_utilisation int
  S  physical_size        int
  S  type                 string
  S  content_type         string
  D  shared               bool
  RW other_config         (string -> string) map
  RW tags                 string set = []
  RW sm_config            (string -> string) map = {}
  D  blobs                (string -> blob ref) map = {}
  D  local_cache_enabled  bool = false
  D  introduced_by        DR_task ref = "OpaqueRef:NULL"
  D  clustered            bool = false
  D  is_tools_sr          bool = false

class SM
  D  uuid                    string
  D  name_label              string = ""
  D  name_description        string = ""
  D  type                    string
  D  vendor                  string
  D  copyright               string
  D  version                 string
  D  required_api_version    string
  D  configuration           (string -> string) map
  D  capabilities            string set = []
  D  features                (string -> int) map = {}
  RW other_config            (string -> string) map = {}
  D  driver_filename         string = ""
  D  required_cluster_stack  string set = []
  D  supported_image_formats enum image_format_type set = []

class PBD: made
  D  uuid               string
  S  host               host ref
  S  SR                 SR ref
  S  device_config      (string -> string) map
  D  currently_attached bool
  RW other_config       (string -> string) map = {}

class VDI: made
  D  uuid                 string
  S  name_label           string = ""
  S  name_description     string = ""
  D  allowed_operations   enum vdi_operations set = []
  D  current_operations   (string -> enum vdi_operations) map = {}
  S  SR                   SR ref
  D  VBDs                 VBD ref set
  D  crash_dumps          crashdump ref set
  S  virtual_size         int
  D  physical_utilisation int
  S  type                 enum vdi_type
  S  sharable             bool
  S  read_only            bool
  RW other_config         (string -> string) map
  D  storage_lock         bool
  D  location             string = ""
  D  managed              bool
  D  missing              bool
  D  parent               VDI ref
  RW xenstore_data        (string -> string) map = {}
  RW sm_config            (string -> string) map = {}
  D  is_a_snapshot        bool = false
  D  snapshot_of          VDI ref = "OpaqueRef:NULL"
  D  snapshots            VDI ref set
  D  snapshot_time        datetime = "19700101T00:00:00Z"
  RW tags                 string set = []
  D  allow_caching        bool = false
  D  on_boot              enum on_boot = "persist"
  D  metadata_of_pool     pool ref = "OpaqueRef:NULL"
  D  metadata_latest      bool = false
  D  is_tools_iso         bool = false
  D  cbt_enabled          bool = false

class VBD: made
  D  uuid                     string
  D  allowed_operations       enum vbd_operations set = []
  D  current_operations       (string -> enum vbd_operations) map = {}
  S  VM                       VM ref
  S  VDI                      VDI ref
  S  device                   string = ""
  RW userdevice               string
  RW bootable                 bool
  S  mode                     enum vbd_mode
  RW type                     enum vbd_type
  RW unpluggable              bool = true
  D  storage_lock             bool
  S  empty                    bool
  RW other_config             (string -> string) map
  S  currently_attached       bool = false
  D  status_code              int
  D  status_detail            string
  D  runtime_properties       (string -> string) map
  RW qos_algorithm_type       string
  RW qos_algorithm_params     (string -> string) map
  D  qos_supported_algorithms string set
  D  metrics                  VBD_metrics ref = "OpaqueRef:NULL"

class VBD_metrics
  D  uuid         string
  D  io_read_kbs  float = 0.0
  D  io_write_kbs float = 0.0
  D  last_updated datetime = "19700101T00:00:00Z"
  RW other_config (string -> string) map = {}

class crashdump
  D  uuid         string
  S  VM           VM ref
  S  VDI          VDI ref
  RW other_config (string -> string) map = {}
"""
