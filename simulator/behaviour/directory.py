"""Who is who: subjects and roles; and what is kept for others: secrets and blobs."""

from __future__ import annotations

from typing import Any

from simulator.calls import Call, call
from simulator.errors import ApiError
from simulator.generic import read_constructor
from simulator.rbac import permissions
from simulator.values import now


@call("subject.create(args: subject record) -> subject ref", has_async=True)
def create_subject(call: Call, args: Any) -> str:
    values = read_constructor("subject", args)
    known = {row["subject_identifier"] for row in call.db.all("subject")}
    if values["subject_identifier"] in known:
        raise ApiError("SUBJECT_ALREADY_EXISTS")
    return call.db.create("subject", **values).ref


@call("subject.add_to_roles(self: subject ref, role: role ref) -> void")
def add_to_roles(call: Call, ref: str, role: str) -> str:
    row = call.db.get("subject", ref)
    if call.db.find("role", role) is None:
        raise ApiError("ROLE_NOT_FOUND")
    if role in row["roles"]:
        raise ApiError("ROLE_ALREADY_EXISTS")
    call.db.set(row, "roles", [*row["roles"], role])
    return ""


@call("subject.remove_from_roles(self: subject ref, role: role ref) -> void")
def remove_from_roles(call: Call, ref: str, role: str) -> str:
    row = call.db.get("subject", ref)
    if role not in row["roles"]:
        raise ApiError("ROLE_NOT_FOUND")
    call.db.set(row, "roles", [one for one in row["roles"] if one != role])
    return ""


@call("subject.get_permissions_name_label(self: subject ref) -> string set", changes=False)
def subject_permissions(call: Call, ref: str) -> list[str]:
    roles = call.db.rows("role", call.db.get("subject", ref)["roles"])
    return sorted({said for role in roles for said in permissions(role["name_label"])})


@call("role.get_permissions_name_label(self: role ref) -> string set", changes=False)
def role_permissions(call: Call, ref: str) -> list[str]:
    return permissions(call.db.get("role", ref)["name_label"])


@call("role.get_by_permission_name_label(label: string) -> role ref set", changes=False)
def roles_with(call: Call, label: str) -> list[str]:
    roles = call.db.all("role")
    return [role.ref for role in roles if label in permissions(role["name_label"])]


@call(
    "secret.introduce(uuid: string, value: string, "
    "other_config: (string -> string) map = {}) -> secret ref"
)
def introduce_secret(call: Call, uuid: str, value: str, other: dict[str, str]) -> str:
    return call.db.create("secret", uuid=uuid, value=value, other_config=other).ref


@call("blob.create(mime_type: string, public: bool = false) -> blob ref")
def create_blob(call: Call, mime_type: str, public: bool) -> str:  # noqa: FBT001 - as on the wire
    kind = mime_type or "application/octet-stream"
    return call.db.create("blob", mime_type=kind, public=public, last_updated=now()).ref


@call("blob.destroy(self: blob ref) -> void")
def destroy_blob(call: Call, ref: str) -> str:
    call.db.destroy(call.db.get("blob", ref))
    return ""
