"""What a pool's licence does not include is refused before anything is made."""

from types import SimpleNamespace
from typing import Any

import pytest

from tasks.licence import check_licence
from xenlaunch.errors import Refused
from xenlaunch.model import LaunchRequest

RANGE = {"memory": {"min": "1GiB", "max": "2GiB"}}
LOCKED = {"nics": [{"network": "guest"}, {"network": "guest", "ipv4_allowed": ["10.0.0.1"]}]}
ADDRESS = {"nics": [{"network": "guest"}, {"network": "guest", "ipv6": "2001:db8::3/64"}]}
GPU = {"gpu": {"type": "quarter"}}
NESTS = {"nested_virtualisation": True}
BY_PLATFORM = {"platform": {"nested-virt": "TRUE"}}
PLAIN = {"memory": {"min": "1GiB", "max": "1GiB"}, "nics": [{"network": "guest"}]}
NESTED = ("restrict_nested_virt", "Nested_virt")


def check(fields: dict[str, Any], restrictions: dict[str, str], **more: Any) -> None:
    request = LaunchRequest.parse({"name": "web", "template": "debian-12", **fields})
    rows = {"OpaqueRef:pool": {"restrictions": restrictions}}
    records: Any = SimpleNamespace(all=lambda _: rows)
    template = {"platform": more.pop("platform", {})}
    check_licence(request, template, records, **more)


@pytest.mark.parametrize(
    ("fields", "key", "feature"),
    [
        (RANGE, "restrict_dmc", "DMC"),
        (LOCKED, "restrict_vif_locking", "VIF_locking"),
        (ADDRESS, "restrict_guest_ip_setting", "Guest_ip_setting"),
        (GPU, "restrict_gpu", "GPU"),
        (NESTS, *NESTED),
        (BY_PLATFORM, *NESTED),
    ],
)
def test_what_it_leaves_out_is_refused(fields: dict[str, Any], key: str, feature: str) -> None:
    with pytest.raises(Refused) as refused:
        check(fields, {key: "true"})

    assert (refused.value.code, refused.value.params) == ("LICENCE_RESTRICTION", [feature])
    check(fields, {key: "false"})
    check(fields, {})
    check(PLAIN, {key: "true"})


def test_what_the_template_has_of_it_counts_unless_the_request_says_otherwise() -> None:
    key, feature = NESTED
    own = {"platform": {"nested-virt": "1"}}
    with pytest.raises(Refused) as refused:
        check({}, {key: "true"}, **own)

    assert refused.value.params == [feature]
    check({"nested_virtualisation": False}, {key: "true"}, **own)


def test_the_old_generation_asks_for_no_licence_for_its_own_key() -> None:
    check(NESTS, {NESTED[0]: "true"}, is_8_2=True)
    with pytest.raises(Refused):
        check(BY_PLATFORM, {NESTED[0]: "true"}, is_8_2=True)
