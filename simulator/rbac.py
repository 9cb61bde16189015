"""Who may call what: each user has a role, and local root needs none."""

from __future__ import annotations

import dataclasses
import functools
import uuid
import zlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from simulator.errors import ApiError
from simulator.schema.roles import ROLES, roles_for

if TYPE_CHECKING:
    from simulator.calls import Call
    from simulator.db import Database

#: XAPI gives its built-in roles the same names in every pool; that of the others is ours
_KNOWN: Final[Mapping[str, str]] = {"pool-admin": "0165f154-ba3e-034e-6b27-5d271af109ba"}
#: who may cancel and destroy tasks of others
_ANY: Final = ROLES[:2]
_NAMES: Final = uuid.UUID("6d0f1f1a-5a0c-4a5e-9a53-3b1f5c1f2b11")


@dataclasses.dataclass(frozen=True)
class User:
    """Someone who may log in."""

    name: str
    password: str
    role: str = ""  # "": local root, who may do anything


def read_users(given: Any) -> tuple[User, ...]:
    """Read a list of users as JSON has it: [{"name": …, "password": …, "role": …}]."""
    if not isinstance(given, list):
        raise TypeError("users are a list of {name, password, role}")
    users = tuple(map(_read_user, given))
    if len({user.name for user in users} - {"root"}) < len(users):
        raise ValueError("two users have one name, or one has root's")
    return users


def _read_user(given: Any) -> User:
    wanted = {"name", "password", "role"}
    if not isinstance(given, dict) or set(given) != wanted:
        raise ValueError("a user is {name, password, role}")
    if not all(isinstance(value, str) and value for value in given.values()):
        raise ValueError("name, password and role of a user are texts, and not empty")
    if given["role"] not in ROLES:
        raise ValueError(f"no role is called {given['role']!r}: {', '.join(ROLES)}")
    return User(**given)


def role_uuid(role: str) -> str:
    return _KNOWN.get(role) or str(uuid.uuid5(_NAMES, role))


def role_ref(role: str) -> str:
    return f"OpaqueRef:{role_uuid(role)}"


def identifier(user: str) -> str:
    """What a directory would know the user by."""
    return f"S-1-5-21-1-1-1-{1000 + zlib.crc32(user.encode())}"


@functools.cache
def permissions(role: str) -> list[str]:
    """What the role may do, as a session shows it."""
    from simulator.dispatch import METHODS  # which imports this

    return sorted(call.lower() for call in METHODS if role in roles_for(call))


def add_rows(db: Database, users: Iterable[User]) -> None:
    """The built-in roles, and a subject for each user of a directory."""
    for role in ROLES:
        db.create(
            "role",
            role_ref(role),
            uuid=role_uuid(role),
            name_label=role,
            name_description=f"What a {role} may do",
        )
    for user in users:
        db.create(
            "subject",
            subject_identifier=identifier(user.name),
            other_config={"subject-name": user.name, "subject-gecos": user.name},
            roles=[role_ref(user.role)],
        )


def check_own(call: Call, owner: str) -> None:
    """Refuse to meddle with another's task, unless the role allows that of all."""
    role = call.world.sessions.role_of(call.session)
    if role and owner != call.world.sessions.owner_of(call.session) and role not in _ANY:
        raise denied(f"{call.name.lower()}/any", _ANY)


@functools.cache
def _allowed(call: str) -> frozenset[str]:
    return frozenset(roles_for(call))


def check(role: str, call: str) -> None:
    """Refuse a call that the role does not allow; no role is local root's."""
    if not role or role in _allowed(call):
        return
    raise denied(call.lower(), roles_for(call))


def denied(permission: str, allowed: Iterable[str]) -> ApiError:
    named = ", ".join(allowed)
    said = f"No permission in user session. (Roles with this permission: {named})"
    return ApiError("RBAC_PERMISSION_DENIED", permission, said)
