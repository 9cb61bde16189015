"""Holds the simulator against what a real pool once said: records, and recorded traffic of 2014."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from simulator import pool, wire_xml
from simulator.calls import Param
from simulator.dispatch import METHODS, serve
from simulator.schema.declare import CLASSES
from simulator.values import NULL, reader
from simulator.world import Options, World

_ROOT = Path(__file__).resolve().parents[3]
_REFERENCE = Path(os.environ.get("XENLAUNCH_REFERENCE", _ROOT.parent / "shared" / "reference"))
_RECORDS = sorted((_REFERENCE / "records").glob("*.json"))
_WIRE = sorted((_REFERENCE / "wire").glob("*.yml"))

pytestmark = pytest.mark.skipif(
    not (_RECORDS and _WIRE),
    reason="no records and no recorded traffic at hand to compare with (XENLAUNCH_REFERENCE)",
)


@pytest.mark.parametrize("file", _RECORDS, ids=lambda file: file.stem)
def test_every_field_of_a_real_record_is_there_with_its_type(file: Path) -> None:
    read = 0
    for cls, records in json.loads(file.read_text(encoding="utf-8")).items():
        for record in records.values():
            for name, value in record.items():
                field = CLASSES[cls].fields.get(name)
                assert field, f"{cls}.{name}"
                reader(field.type.removesuffix(" option"))(value)
                read += 1
    assert read > 100


#: the structs whose members are not data: the envelope, and a record in it
_FIXED = ("param/value/struct", "/Value/struct")


def _exchanges(file: Path) -> Iterator[tuple[str, str]]:
    """The requests and answers of a recording."""
    for one in yaml.safe_load(file.read_text(encoding="utf-8"))["http_interactions"]:
        yield one["request"]["body"]["string"], one["response"]["body"]["string"]


class Player:
    """Plays a recording to a pool of its own: each ref of it stands for one of ours."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.session = world.sessions.open("root", "recording").ref
        self.known: dict[str, str] = {NULL: NULL}

    async def play(self, request: str) -> bytes:
        method, params = wire_xml.decode(request.encode())
        declared = METHODS[method]
        if method == "session.login_with_password":
            params = ["root", "xenroot"]
        else:
            given = zip(declared.params, params[1:], strict=True)
            params = [self.session, *(self._ours(param, value) for param, value in given)]
        value = serve(self.world, method, params, {})
        return wire_xml.success(await value if inspect.isawaitable(value) else value)

    def _ours(self, param: Param, value: Any) -> Any:
        if param.type.endswith(" ref"):
            return self._ref(param.type.removesuffix(" ref"), value)
        cls = CLASSES.get(param.type.removesuffix(" record"))
        if cls is None or not isinstance(value, dict):
            return value
        types = {name: field.type for name, field in cls.fields.items()}
        return {
            name: self._ref(types[name].removesuffix(" ref"), one)
            if types.get(name, "").endswith(" ref")
            else one
            for name, one in value.items()
        }

    def _ref(self, cls: str, recorded: str) -> str:
        """The ref of ours that the recorded one is: learnt, or else any that will do."""
        if recorded not in self.known:
            rows = [row for row in self.world.db.all(cls) if not row.values.get("read_only")]
            if cls == "VM":  # without devices, so that there is room for the recording's
                rows = self.world.db.by_name("VM", "Other install media")
            self.known[recorded] = rows[0].ref
        return self.known[recorded]

    def learn(self, recorded: ET.Element, ours: ET.Element) -> None:
        """Where both answers are one ref, theirs stands for ours from now on."""
        theirs, mine = ([e.text or "" for e in one.iter("value")][-1] for one in (recorded, ours))
        if theirs.startswith("OpaqueRef:") and mine.startswith("OpaqueRef:"):
            self.known[theirs] = mine


def _assert_same_shape(recorded: ET.Element, ours: ET.Element, path: str) -> None:
    """The same tags in the same places; a record of ours may have gained members since."""
    assert recorded.tag == ours.tag, path
    if recorded.tag == "struct":
        members = [{m.findtext("name"): m for m in one} for one in (recorded, ours)]
        missing = members[0].keys() - members[1].keys()
        assert not missing or not path.endswith(_FIXED), (path, missing)
        for name in members[0].keys() & members[1].keys():
            theirs, mine = (one[name].find("value") for one in members)
            assert theirs is not None
            assert mine is not None
            _assert_same_shape(theirs, mine, f"{path}/{name}")
    else:
        # A list of ours may be of another length: the pool is another.
        for theirs, mine in zip(recorded, ours, strict=recorded.tag != "data"):
            _assert_same_shape(theirs, mine, f"{path}/{theirs.tag}")


@pytest.mark.parametrize("file", _WIRE, ids=lambda file: file.stem)
def test_recorded_traffic_is_answered_in_the_same_shape(file: Path) -> None:
    async def scenario() -> int:
        world = World(Options(hosts=1, srs=1, time_scale=0))
        pool.build(world)
        player, played = Player(world), 0
        for request, answer in _exchanges(file):
            recorded = ET.fromstring(answer)  # noqa: S314 - a file of our own
            ours = ET.fromstring(await player.play(request))  # noqa: S314 - made here
            _assert_same_shape(recorded, ours, file.stem)
            player.learn(recorded, ours)
            played += 1
        await world.stop()
        return played

    assert asyncio.run(scenario())
