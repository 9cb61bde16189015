"""What a file asks for: one VM, one request so many times, or a list of requests."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, TextIO

from pydantic import Field, StrictInt

from xenlaunch.batches import ANYHOW, BatchPolicy, name_of, numbered, parse_pattern
from xenlaunch.errors import BadRequest
from xenlaunch.fields import Label
from xenlaunch.guest_files import with_files
from xenlaunch.model import MAX_BATCH, LaunchRequest
from xenlaunch.request_file import Written, read_written, request_in

BATCH: Final = "batch"
LAUNCHES: Final = "launches"


class BatchFields(BatchPolicy):
    """What a request file says below ``batch``: how many, their names, what differs, the policy."""

    count: Annotated[StrictInt, Field(ge=1, le=MAX_BATCH)] | None = None
    name: Label | None = None
    overrides: Annotated[tuple[dict[str, Any], ...], Field(max_length=MAX_BATCH)] = ()

    @property
    def policy(self) -> BatchPolicy:
        return BatchPolicy(
            min_count=self.min_count, tolerate=self.tolerate, all_or_nothing=self.all_or_nothing
        )


@dataclass(frozen=True)
class Said:
    """What the command line says, which goes before what the file says."""

    count: int | None = None
    name: str | None = None
    pool: str | None = None
    policy: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """The launches that are asked for; ``name`` is the batch's own."""

    requests: tuple[LaunchRequest, ...]
    is_batch: bool
    name: str = ""
    policy: BatchPolicy = ANYHOW


def read_asked(file: TextIO, source: str, said: Said) -> Asked:
    """What a YAML or JSON file asks for.

    A mapping is one request; with ``batch`` in it, or a count, it is that so many times. A list is
    one request each, and so is ``launches``, beside which stand the fields that they share.
    Raises `BadRequest`, with a line for each finding: where it is in the source, and a sentence.
    """
    written = read_written(file, source)
    fields = written.fields
    if isinstance(fields, list):
        return _each(written, fields, {}, said)
    if isinstance(fields, dict) and LAUNCHES in fields:
        shared = {name: value for name, value in fields.items() if name not in (BATCH, LAUNCHES)}
        return _each(written, fields[LAUNCHES], shared, said)
    if isinstance(fields, dict) and (BATCH in fields or said.count is not None or said.policy):
        return _numbered(written, said)
    first = None if said.name is None else name_of(parse_pattern(said.name), 1)
    request = request_in(written, {"name": first, "pool": said.pool})
    return Asked((request,), is_batch=False, name=request.name)


def _numbered(written: Written, said: Said) -> Asked:
    fields = {name: value for name, value in written.fields.items() if name != BATCH}
    batch = _batch_in(written, said)
    count, pattern = said.count or batch.count, said.name or batch.name
    if said.count == 0:
        count = 0  # which is refused like any other that cannot be
    if count is None:
        raise BadRequest(f"{written.source}: Say how many: count below batch, or --count.")
    first = None if pattern is None else name_of(parse_pattern(pattern), 1)
    one = request_in(
        Written(fields, written.node, written.source), {"name": first, "pool": said.pool}
    )
    with written.telling_where({}):
        overrides = [with_files(override, written.folder) for override in batch.overrides]
        requests = numbered(one, count, pattern, overrides)
        batch.policy.check(count)
    return Asked(requests, is_batch=True, name=pattern or one.name, policy=batch.policy)


def _each(written: Written, launches: object, shared: Mapping[str, Any], said: Said) -> Asked:
    batch = _batch_in(written, said)
    if said.count is not None or batch.count is not None or batch.overrides:
        raise BadRequest(
            f"{written.source}: A list of launches is launched once each, as it is: leave count "
            "and overrides out."
        )
    if not isinstance(launches, list) or not 1 <= len(launches) <= MAX_BATCH:
        raise BadRequest(f"{written.source}: launches is a list of from 1 to {MAX_BATCH} requests.")
    chosen = {} if said.pool is None else {"pool": said.pool}
    path = [LAUNCHES] if isinstance(written.fields, dict) else []
    with written.telling_where(chosen):
        requests = tuple(
            _one(written, [*path, place], launch, shared, chosen)
            for place, launch in enumerate(launches)
        )
        batch.policy.check(len(requests))
    name = said.name or batch.name or ""
    return Asked(requests, is_batch=True, name=name, policy=batch.policy)


def _one(
    written: Written,
    path: list[str | int],
    launch: object,
    shared: Mapping[str, Any],
    chosen: Mapping[str, str],
) -> LaunchRequest:
    number = f"launch {int(path[-1]) + 1}"
    if not isinstance(launch, dict):
        raise BadRequest(None, [(path, f"{number} is no mapping of fields")])
    try:
        return LaunchRequest.parse(with_files({**shared, **launch, **chosen}, written.folder))
    except BadRequest as bad:
        findings = bad.findings or [((), str(bad).rstrip("."))]
        found = [((*path, *within), f"{number}: {sentence}") for within, sentence in findings]
        raise BadRequest(str(bad), found) from None


def _batch_in(written: Written, said: Said) -> BatchFields:
    """What stands below ``batch``, and the command line's policy."""
    below = written.fields.get(BATCH, {}) if isinstance(written.fields, dict) else {}
    with written.telling_where({}):
        if not isinstance(below, dict):
            raise BadRequest(None, [([BATCH], "batch is no mapping of fields such as count")])
        return BatchFields.parse({**below, **said.policy})
