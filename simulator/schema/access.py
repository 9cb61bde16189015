"""Declares who calls and what runs: sessions, tasks, events, messages, the pool, users and roles.

The form is explained in ``simulator.schema.declare``.
"""

from typing import Final

ACCESS: Final = """
class session: silent unlisted
  D  uuid               string
  D  this_host          host ref
  D  this_user          user ref
  D  last_active        datetime
  D  pool               bool
  RW other_config       (string -> string) map = {}
  D  is_local_superuser bool = false
  D  subject            subject ref = "OpaqueRef:NULL"
  D  validation_time    datetime = "19700101T00:00:00Z"
  D  auth_user_sid      string = ""
  D  auth_user_name     string = ""
  S  rbac_permissions   string set = []
  D  tasks              task ref set
  S  parent             session ref = "OpaqueRef:NULL"
  D  originator         string = ""
  D  client_certificate bool = false

class task
  D  uuid               string
  D  name_label         string = ""
  D  name_description   string = ""
  D  allowed_operations enum task_allowed_operations set = []
  D  current_operations (string -> enum task_allowed_operations) map = {}
  D  created            datetime
  D  finished           datetime
  D  status             enum task_status_type
  D  resident_on        host ref
  D  progress           float
  D  type               string
  D  result             string
  D  error_info         string set
  D  other_config       (string -> string) map = {}
  D  subtask_of         task ref = "OpaqueRef:NULL"
  D  subtasks           task ref set
  D  backtrace          string = "()"

class event: rowless silent
  S  id        int
  S  timestamp datetime
  S  class     string
  S  operation enum event_operation
  S  ref       string
  S  obj_uuid  string

class message: rowless
  D  uuid      string
  D  name      string
  D  priority  int
  D  cls       enum cls
  D  obj_uuid  string
  D  timestamp datetime
  D  body      string

class pool: unnamed
  D  uuid                                   string
  RW name_label                             string
  RW name_description                       string
  D  master                                 host ref
  RW default_SR                             SR ref
  RW suspend_image_SR                       SR ref
  RW crash_dump_SR                          SR ref
  RW other_config                           (string -> string) map
  D  ha_enabled                             bool = false
  D  ha_configuration                       (string -> string) map = {}
  D  ha_statefiles                          string set = []
  D  ha_host_failures_to_tolerate           int = 0
  D  ha_plan_exists_for                     int = 0
  RW ha_allow_overcommit                    bool = false
  D  ha_overcommitted                       bool = false
  D  blobs                                  (string -> blob ref) map = {}
  RW tags                                   string set = []
  RW gui_config                             (string -> string) map = {}
  RW health_check_config                    (string -> string) map = {}
  D  wlb_url                                string = ""
  D  wlb_username                           string = ""
  RW wlb_enabled                            bool = false
  RW wlb_verify_cert                        bool = false
  D  redo_log_enabled                       bool = false
  D  redo_log_vdi                           VDI ref = "OpaqueRef:NULL"
  D  vswitch_controller                     string = ""
  D  restrictions                           (string -> string) map = {}
  D  metadata_VDIs                          VDI ref set
  D  ha_cluster_stack                       string = ""
  D  allowed_operations                     enum pool_allowed_operations set = []
  D  current_operations                     (string -> enum pool_allowed_operations) map = {}
  D  guest_agent_config                     (string -> string) map = {}
  D  cpu_info                               (string -> string) map = {}
  RW policy_no_vendor_device                bool = false
  RW live_patching_disabled                 bool = false
  D  igmp_snooping_enabled                  bool = false
  S  uefi_certificates                      string = ""
  S  custom_uefi_certificates               string = ""
  RW is_psr_pending                         bool = false
  D  tls_verification_enabled               bool = false
  D  repositories                           Repository ref set = []
  D  client_certificate_auth_enabled        bool = false
  D  client_certificate_auth_name           string = ""
  D  repository_proxy_url                   string = ""
  D  repository_proxy_username              string = ""
  D  repository_proxy_password              secret ref = "OpaqueRef:NULL"
  RW migration_compression                  bool = false
  RW coordinator_bias                       bool = true
  S  local_auth_max_threads                 int = 8
  S  ext_auth_max_threads                   int = 1
  D  ext_auth_cache_enabled                 bool = true
  D  ext_auth_cache_size                    int = 50
  D  ext_auth_cache_expiry                  int = 300
  D  telemetry_uuid                         secret ref = "OpaqueRef:NULL"
  D  telemetry_frequency                    enum telemetry_frequency = "weekly"
  D  telemetry_next_collection              datetime = "19700101T00:00:00Z"
  D  last_update_sync                       datetime = "19700101T00:00:00Z"
  D  update_sync_frequency                  enum update_sync_frequency = "weekly"
  D  update_sync_day                        int = 0
  D  update_sync_enabled                    bool = false
  D  recommendations                        (string -> string) map = {}
  RW license_server                         (string -> string) map = {}
  RW ha_reboot_vm_on_internal_shutdown      bool = true
  RW limit_console_sessions                 bool = false
  RW vm_console_idle_timeout                int = 0
  RW auto_update_vm_secureboot_certificates bool = false

class subject: made
  D  uuid               string
  S  subject_identifier string = ""
  S  other_config       (string -> string) map = {}
  D  roles              role ref set = ["OpaqueRef:0165f154-ba3e-034e-6b27-5d271af109ba"]

class role
  D  uuid             string
  S  name_label       string = ""
  S  name_description string = ""
  S  subroles         role ref set = []
  D  is_internal      bool = false

class secret: silent made
  D  uuid         string
  RW value        string
  RW other_config (string -> string) map = {}

class blob
  D  uuid             string
  RW name_label       string = ""
  RW name_description string = ""
  D  size             int
  RW public           bool = false
  S  last_updated     datetime
  S  mime_type        string
"""
