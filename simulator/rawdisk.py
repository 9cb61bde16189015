"""Disks over plain HTTP: `PUT /import_raw_vdi` writes one, `GET /export_raw_vdi` reads it.

    PUT /import_raw_vdi?session_id=OpaqueRef:…&vdi=REF-OR-UUID&format=raw&task_id=OpaqueRef:…

The session may be a cookie of that name, or be left out where the request says `Authorization:
Basic`. A `task_id` is a task that the client made with task.create: it ends as the transfer does,
if it is the user's own and has not ended. A disk that is written to is in use meanwhile: the
control domain of a host has it, as a VBD shows. An image that is shorter than the disk leaves the
rest of it as it was; one that is longer, or finds its SR full, is broken off. Who may not is told
so with 401 or 403; all else that is wrong is the 500 page, with XAPI's code on it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

from simulator import rbac
from simulator.behaviour.vbd import attach_at_once
from simulator.behaviour.vdi import seeing
from simulator.calls import Call
from simulator.errors import ApiError
from simulator.http import Request, Response, error_page
from simulator.images import BLOCK
from simulator.schema.roles import roles_for
from simulator.tasks import RUNNING

if TYPE_CHECKING:
    from simulator.db import Row
    from simulator.world import World

PUT: Final = ("PUT", "/import_raw_vdi")
GET: Final = ("GET", "/export_raw_vdi")
_ROLES: Final = roles_for("VDI.create")
_AT_ONCE: Final = 16 * BLOCK


class Transfer:
    """One request for a disk's contents: looked at before the first byte of a body is taken."""

    def __init__(self, world: World, target: str, headers: dict[str, str]) -> None:
        self.world = world
        query = parse_qs(target.partition("?")[2])
        self._said = {name: values[-1] for name, values in query.items()}
        self._headers = headers
        self.offset = 0
        self.failed: Response | None = None
        self._task = ""
        try:
            self.vdi = self._checked()
        except ApiError as refused:
            self.fail(refused)

    def _checked(self) -> Row:
        self._check_user()
        if self._said.get("format", "raw") != "raw":
            raise ApiError("UNIMPLEMENTED_IN_SM_BACKEND", "format")
        return self._find()

    def _check_user(self) -> None:
        sessions, session = self.world.sessions, self._session()
        if session:
            sessions.check(session)
            role, owner = sessions.role_of(session), sessions.owner_of(session)
        else:
            user, password = _basic(self._headers.get("authorization", ""))
            role = sessions.prove(user, password)
            owner = rbac.identifier(user) if role else ""
        if role and role not in _ROLES:
            raise rbac.denied("http/raw_vdi", _ROLES)
        task = self._said.get("task_id", "")
        if self.world.tasks.owner_of.get(task) == owner:
            self._task = task

    def _session(self) -> str:
        """What the query names, or a cookie, as browsers and XenCenter send it."""
        if named := self._said.get("session_id", ""):
            return named
        cookies = (one.strip().partition("=") for one in self._headers.get("cookie", "").split(";"))
        return {name: value for name, _, value in cookies}.get("session_id", "")

    def _find(self) -> Row:
        wanted, db = self._said.get("vdi", ""), self.world.db
        return db.find("VDI", wanted) or db.by_uuid("VDI", wanted)

    def fail(self, refused: ApiError) -> None:
        self.failed = _page(refused)
        if (task := self._pending()) is not None:
            self.world.tasks.fail(task, refused)

    def _pending(self) -> Row | None:
        """The task that ends as this does, unless it has ended."""
        task = self.world.db.find("task", self._task)
        return task if task is not None and task["status"] in RUNNING else None

    def succeed(self) -> None:
        if (task := self._pending()) is not None:
            self.world.tasks.succeed(task, "")


class Upload(Transfer):
    """Bytes that are written to a disk as they come."""

    _attached: Row | None = None

    def _checked(self) -> Row:
        vdi = super()._checked()
        call = Call(self.world, "VDI.import", "VDI.import", self._session())
        host = seeing(call, self.world.db.get("SR", vdi["SR"]))
        domain = self.world.db.get("VM", host["control_domain"])
        self._attached = attach_at_once(call, vdi, domain)
        return vdi

    def fail(self, refused: ApiError) -> None:
        self._detach()
        super().fail(refused)

    def _detach(self) -> None:
        if self._attached is not None:
            self.world.db.destroy(self._attached)
            self._attached = None
            self.world.locks.wake()

    def feed(self, part: bytes) -> None:
        if self.failed is not None:
            return
        if self.world.db.find("VDI", self.vdi.ref) is not self.vdi:
            self.fail(ApiError("HANDLE_INVALID", "VDI", self.vdi.ref))
        elif self.offset + len(part) > self.vdi["virtual_size"]:
            self.fail(_broken_off())
        else:
            image = self.world.images.of(self.vdi.ref)
            before = image.used
            image.write(self.offset, part)
            self.offset += len(part)
            if image.used > before:
                self._take_space(image.used)

    def answer(self) -> Response:
        if self.failed is not None:
            return self.failed
        self._detach()
        self.succeed()
        return Response(b"", "application/octet-stream")

    def close(self) -> None:
        """The client is gone: what it has not sent will not come."""
        if self._attached is not None:
            self.fail(_broken_off())

    def _take_space(self, used: int) -> None:
        more = max(0, used - self.vdi["physical_utilisation"])
        sr = self.world.db.get("SR", self.vdi["SR"])
        if more > max(0, sr["physical_size"] - sr["physical_utilisation"]):
            self.fail(_broken_off())
            return
        self.world.db.set(sr, "physical_utilisation", sr["physical_utilisation"] + more)
        utilisation = self.vdi["physical_utilisation"] + more
        self.world.db.set(self.vdi, "physical_utilisation", utilisation)


def _broken_off() -> ApiError:
    """What XAPI says when the disk takes no more, be it at its end or its SR full."""
    return ApiError("VDI_IO_ERROR", "Device I/O errors")


class Download(Transfer):
    """A disk, from its beginning to its end."""

    def answer(self) -> Response:
        if self.failed is not None:
            return self.failed
        size = self.vdi["virtual_size"]
        return Response(b"", "application/octet-stream", stream=(size, self._parts(size)))

    def _parts(self, size: int) -> Iterator[bytes]:
        image = self.world.images.of(self.vdi.ref)
        for offset in range(0, size, _AT_ONCE):
            yield image.read(offset, min(_AT_ONCE, size - offset))
        self.succeed()


def _is(wanted: tuple[str, str], method: str, target: str) -> bool:
    """Whether it is asked for: by the beginning of the path, as XAPI has it."""
    return method == wanted[0] and target.startswith(wanted[1])


def open_upload(world: World, method: str, target: str, headers: dict[str, str]) -> Upload | None:
    """An upload, if that is what the request is."""
    if not _is(PUT, method, target) or world.is_booting:
        return None
    return Upload(world, target, headers)


def download(world: World, request: Request) -> Response | None:
    if not _is(GET, request.method, request.target):
        return None
    return Download(world, request.target, request.headers).answer()


_STATUS: Final = {
    "SESSION_INVALID": 401,
    "SESSION_AUTHENTICATION_FAILED": 401,
    "RBAC_PERMISSION_DENIED": 403,
}


def _page(refused: ApiError) -> Response:
    return error_page(_STATUS.get(refused.code, 500), refused.code)


def _basic(header: str) -> tuple[str, str]:
    try:
        said = base64.b64decode(header.removeprefix("Basic "), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        said = ""
    user, _, password = said.partition(":")
    return user, password
