"""What a pool's licence does not include is refused before anything is made."""

from types import SimpleNamespace
from typing import Any

import pytest

from tasks.licence import check_licence
from xenlaunch.errors import Refused
from xenlaunch.model import LaunchRequest

RANGE = {"memory": {"min": "1GiB", "max": "2GiB"}}
LOCKED = {"nics": [{"network": "guest"}, {"network": "guest", "ipv4_allowed": ["10.0.0.1"]}]}
PLAIN = {"memory": {"min": "1GiB", "max": "1GiB"}, "nics": [{"network": "guest"}]}


def check(fields: dict[str, Any], restrictions: dict[str, str]) -> None:
    request = LaunchRequest.parse({"name": "web", "template": "debian-12", **fields})
    rows = {"OpaqueRef:pool": {"restrictions": restrictions}}
    records: Any = SimpleNamespace(all=lambda _: rows)
    check_licence(request, records)


@pytest.mark.parametrize(
    ("fields", "key", "feature"),
    [(RANGE, "restrict_dmc", "DMC"), (LOCKED, "restrict_vif_locking", "VIF_locking")],
)
def test_what_it_leaves_out_is_refused(fields: dict[str, Any], key: str, feature: str) -> None:
    with pytest.raises(Refused) as refused:
        check(fields, {key: "true"})

    assert (refused.value.code, refused.value.params) == ("LICENCE_RESTRICTION", [feature])
    check(fields, {key: "false"})
    check(fields, {})
    check(PLAIN, {key: "true"})
