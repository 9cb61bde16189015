"""Declares which role a call takes: the least one, as a higher role may do what a lower one may.

    vm-admin                         the role, then what it is the least role for
      VM: clone copy *tags           by class; `*tags` stands for set_tags, add_(to_)tags and
                                     remove_(from_)tags

What is not named takes `read-only` if it is a getter and `pool-operator` if not. A role
`client-cert` beside another may do it too, though it is not above it. What `nobody` may do is left
to local root.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

#: from the highest to the lowest
ROLES: Final = (
    "pool-admin",
    "pool-operator",
    "vm-power-admin",
    "vm-admin",
    "vm-operator",
    "client-cert",
    "read-only",
)
_BESIDE: Final = "client-cert"
_LOWEST: Final = ROLES[-1]

_LEAST: Final = """
nobody
  session: change_password create_from_db_file
  pool: ha_schedule_plan_recomputation
  host: prepare_for_poweroff set_license_params ha_disarm_fencing preconfigure_ha
    ha_join_liveset ha_disable_failover_decisions ha_wait_for_shutdown_via_statefile
    ha_stop_daemon ha_release_resources local_assert_healthy request_backup
    request_config_file_sync propose_new_master commit_new_master abort_new_master
    get_uncooperative_domains signal_networking_change notify tickle_heartbeat
    enable_binary_storage disable_binary_storage install_ca_certificate uninstall_ca_certificate
    certificate_list crl_install crl_uninstall crl_list certificate_sync
    emergency_reset_server_certificate update_pool_secret update_master attach_static_vdis
    detach_static_vdis set_localdb_key write_uefi_certificates_to_disk set_uefi_certificates
    notify_accept_new_pool_secret notify_send_new_pool_secret cleanup_pool_secret set_sched_gran
    get_sched_gran emergency_disable_tls_verification emergency_reenable_tls_verification
    cert_distrib_atom emergency_clear_mandatory_guidance
  SR: set_virtual_allocation set_physical_utilisation
  VDI: db_introduce db_forget set_managed set_missing set_virtual_size set_physical_utilisation
    set_is_a_snapshot set_snapshot_of set_snapshot_time set_metadata_of_pool set_cbt_enabled
  VM: hard_reboot_internal atomic_set_resident_on set_NVRAM_EFI_variables
  VGPU: atomic_set_resident_on
  VTPM: get_contents set_contents
  VMPP: create_alert set_is_backup_running set_is_archive_running set_backup_last_run_time
    set_archive_last_run_time
  VMSS: set_last_run_time
pool-admin
  session: *other_config slave_login slave_local_login slave_local_login_with_password
    local_logout
  pool: is_slave enable_external_auth disable_external_auth external_auth_set_ldaps
    send_test_post enable_tls_verification audit_log_append has_extension
    add_to_guest_agent_config remove_from_guest_agent_config rotate_secret set_uefi_certificates
    set_custom_uefi_certificates set_telemetry_next_collection reset_telemetry_uuid enable_ssh
    disable_ssh set_ssh_enabled_timeout set_console_idle_timeout set_ssh_auto_mode
  subject: create destroy add_to_roles remove_from_roles
  host: send_debug_keys ha_xapi_healthcheck sync_data backup_rrds call_plugin has_extension
    call_extension enable_external_auth disable_external_auth external_auth_set_ldaps
    refresh_server_certificate install_server_certificate reset_server_certificate
    apply_guest_agent_config set_numa_affinity_policy rescan_drivers copy_primary_host_certs
    enable_ssh disable_ssh set_ssh_enabled_timeout set_console_idle_timeout set_ssh_auto_mode
  VM: set_is_default_template send_sysrq send_trigger update_allowed_operations query_services
    set_uefi_mode get_secureboot_readiness
  network: add_purpose remove_purpose
pool-operator client-cert
  pool: set_wlb_enabled enable_ha disable_ha install_ca_certificate uninstall_ca_certificate
    set_repositories add_repository remove_repository sync_updates check_update_readiness
    enable_client_certificate_auth disable_client_certificate_auth configure_repository_proxy
    disable_repository_proxy install_trusted_certificate uninstall_trusted_certificate
    sync_trusted_certificates_from exchange_trusted_certificates_on_join exchange_crls_on_join
  host: disable enable evacuate apply_updates
pool-operator
  pool: get_guest_secureboot_readiness
  secret: get_record get_by_uuid get_uuid get_value get_all get_all_where get_all_records_where
    get_all_records
  host: get_management_interface get_sm_diagnostics get_thread_diagnostics
  PCI: get_dom0_access_status
  SR: get_live_hosts
  VMPP: get_alerts
vm-power-admin client-cert
  VM: start_on resume_on pool_migrate pool_migrate_complete restart_device_models
vm-power-admin
  host: migrate_receive
  SR: scan
  VDI: pool_migrate revert
  VM: set_affinity snapshot snapshot_with_quiesce revert checkpoint set_memory_dynamic_max
    set_memory_dynamic_min set_memory_dynamic_range set_memory_static_max set_memory_static_min
    set_memory_static_range set_memory_limits set_memory set_memory_target_live
    set_HVM_shadow_multiplier set_shadow_multiplier_live migrate_send assert_can_migrate
    assert_can_migrate_sender create_new_blob
  VMPP: archive_now
  network: attach_for_vm detach_for_vm
vm-admin
  VDI: create destroy *other_config *xenstore_data *sm_config snapshot clone resize
    resize_online introduce pool_introduce update copy force_unlock forget set_sharable
    set_read_only set_name_label set_name_description generate_config set_on_boot
    set_allow_caching checksum enable_cbt disable_cbt data_destroy get_nbd_info
  VBD: create destroy set_userdevice set_bootable set_type set_unpluggable *other_config
    set_qos_algorithm_type *qos_algorithm_params plug unplug unplug_force
    unplug_force_no_safety_check assert_attachable pause unpause set_mode
  VBD_metrics: *other_config
  VM: create destroy set_name_label set_name_description set_user_version set_is_a_template
    *VCPUs_params set_actions_after_softreboot set_actions_after_shutdown
    set_actions_after_reboot set_PV_bootloader set_PV_kernel set_PV_ramdisk set_PV_args
    set_PV_bootloader_args set_PV_legacy_args *HVM_boot_params set_PCI_bus set_recommendations
    *xenstore_data set_suspend_SR set_hardware_platform_version clone copy provision csvm
    set_VCPUs_number_live add_to_VCPUs_params_live *NVRAM set_VCPUs_max set_VCPUs_at_startup
    record_data_source forget_data_source_archives set_bios_strings copy_bios_strings
    import_convert set_groups set_has_vendor_device set_actions_after_crash set_domain_type
    set_HVM_boot_policy update_secureboot_certificates_on_boot *blocked_operations sysprep
    *other_config *platform
  VM_metrics: *other_config
  VM_guest_metrics: *other_config
  console: create destroy *other_config
  VTPM: create destroy
  network: create destroy set_MTU
  VIF: create destroy *other_config set_qos_algorithm_type *qos_algorithm_params plug unplug
    unplug_force move *trunks
  VIF_metrics: *other_config
vm-operator client-cert
  VM: shutdown suspend
vm-operator
  pool: *tags *gui_config
  host: *tags mxgpu_vf_setup nvidia_vf_setup allocate_resources_for_vm
  SR: *tags
  VDI: *tags list_changed_blocks
  VBD: eject insert
  VM: *tags start pause unpause clean_shutdown clean_reboot hard_shutdown hard_reboot resume
    s3_suspend s3_resume call_plugin call_host_plugin
  network: *tags
  VIF: configure_ipv4 configure_ipv6
read-only
  session: login_with_password logout
  task: create destroy cancel set_status set_progress set_result set_error_info *other_config
  event: register unregister next from inject
  message: get
  pool: ha_compute_hypothetical_max_host_failures_to_tolerate retrieve_wlb_configuration
    retrieve_wlb_recommendations
  host: list_methods query_data_source is_in_emergency_mode compute_free_memory
    compute_memory_overhead retrieve_wlb_evacuate_recommendations list_timezones
  SR: query_data_source
  VDI: read_database_pool_uuid
  VM: compute_memory_overhead wait_memory_target_live maximise_memory query_data_source
    assert_operation_valid assert_can_boot_here assert_agile retrieve_wlb_recommendations
    assert_can_be_recovered recover
  VM_appliance: assert_can_be_recovered recover
"""


def _read(text: str) -> Iterator[tuple[str, str]]:
    role = ""
    for line in text.replace("\n    ", " ").strip().splitlines():
        if not line.startswith("  "):
            role = line
            continue
        cls, _, verbs = line.strip().partition(": ")
        for verb in verbs.split():
            for one in _family(verb):
                yield f"{cls}.{one}", role


def _family(verb: str) -> tuple[str, ...]:
    if not verb.startswith("*"):
        return (verb,)
    field = verb[1:]
    return tuple(f"{how}_{field}" for how in ("set", "add", "remove", "add_to", "remove_from"))


_LEAST_OF: Final[Mapping[str, str]] = dict(_read(_LEAST))


def roles_for(call: str) -> tuple[str, ...]:
    """The roles that may make the call, from the highest; local root may make any.

    >>> roles_for("VM.start_on")
    ('pool-admin', 'pool-operator', 'vm-power-admin', 'client-cert')
    """
    verb = call.partition(".")[2]
    default = _LOWEST if verb.startswith("get_") else "pool-operator"
    least, _, beside = _LEAST_OF.get(call, default).partition(" ")
    if least == "nobody":
        return ()
    above = ROLES[: ROLES.index(least) + 1]
    if least == _LOWEST:
        return above
    return (*(role for role in above if role != _BESIDE), *([beside] if beside else []))
