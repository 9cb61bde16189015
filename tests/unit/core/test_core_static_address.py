"""A static address is asked of a template only where its guest's tools are known to set one."""

from types import SimpleNamespace
from typing import Any

import pytest

from tasks.suits_guest import check_addresses
from xenlaunch.errors import Refused
from xenlaunch.model import LaunchRequest

NETWORK = {"network": "guest"}
METRICS = {
    "windows": {"other": {"feature-static-ip-setting": "1"}},
    "linux": {"other": {"feature-shutdown": "1"}},
    "unwilling": {"other": {"feature-static-ip-setting": "0"}},
}


def check(*guests: str, nics: list[dict[str, Any]]) -> None:
    request = LaunchRequest.parse({"name": "web", "template": "debian-12", "nics": nics})
    rows = [{"name_label": "debian-12", "guest_metrics": guest} for guest in guests]
    records: Any = SimpleNamespace(get=lambda _, ref: METRICS.get(ref))
    check_addresses(request, rows, records)


@pytest.mark.parametrize("guest", ["linux", "unwilling", "OpaqueRef:NULL"])
@pytest.mark.parametrize("address", [{"ipv4": "10.1.2.3/24"}, {"ipv6": "2001:db8::3/64"}])
def test_a_template_that_is_not_known_to_set_it(guest: str, address: dict[str, str]) -> None:
    with pytest.raises(Refused) as refused:
        check(guest, nics=[NETWORK, {**NETWORK, **address}])

    assert (refused.value.code, refused.value.params) == ("VM_LACKS_FEATURE", ["debian-12"])
    assert f"leave out {next(iter(address))} of nics.1, and" in refused.value.message


def test_each_copy_that_may_be_cloned_must_be_known() -> None:
    static = [{**NETWORK, "ipv4": "10.1.2.3/24"}]
    check("windows", "windows", nics=static)
    with pytest.raises(Refused):
        check("windows", "linux", nics=static)


def test_nothing_is_asked_of_a_template_without_a_static_address() -> None:
    check("linux", nics=[NETWORK])
