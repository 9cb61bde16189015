"""Which launches make the copies of a pool's templates, as the ledger knows it.

A copy is known by its template's name and its SR. The launches that make it, one after another
(for it may be removed, and made anew), are numbered: whoever asks for the copy while one of them
is under way finds that one, and of many who see at once that it is over only one begins the next.
"""

from dataclasses import dataclass

from xenlaunch.copying import copy_request
from xenlaunch.ledger import Ledger, launch_id
from xenlaunch.record import Record
from xenlaunch.store import reachable


@dataclass(frozen=True)
class Copying:
    """The latest launch that was to make a copy on an SR; its record, unless that has expired."""

    sr: str
    number: str
    launch: str
    record: Record | None


class Copyings:
    """The ledger's knowledge of one pool's copies. SRs and templates are uuids, but for names."""

    def __init__(self, ledger: Ledger, deployment: str, pool: str) -> None:
        self._ledger = ledger
        self._deployment = deployment
        self._pool = pool
        self._key = ledger.store.key("copies", pool)

    def of(self, name: str) -> dict[str, Copying]:
        """The latest launch for each SR that a copy of this template was ever wanted on."""
        with reachable():
            numbers: dict[str, str] = self._ledger.store.redis.hgetall(self._key)
        pairs = [(field.split("/", 1), number) for field, number in numbers.items()]
        wanted = {sr: number for (sr, template), number in pairs if template == name}
        launches = {sr: self._launch(name, sr, number) for sr, number in wanted.items()}
        records = {record.id: record for record in self._ledger.records(list(launches.values()))}
        return {
            sr: Copying(sr, wanted[sr], launch, records.get(launch))
            for sr, launch in launches.items()
        }

    def begin(self, name: str, template: str, sr: str, before: Copying | None) -> str:
        """Have a copy made by the launch after that one, which is over; the launch's id.

        One of which there is no record may never have been submitted: then it is, now.
        """
        seen = before.number if before else ""
        number = seen
        if before is None or before.record is not None:
            number = str(self._ledger.store.run("spread", self._pool, f"{sr}/{name}", seen))
        request = copy_request(name, template, sr, self._pool)
        return self._ledger.submit(self._deployment, request, self._token(name, sr, number))

    def _launch(self, name: str, sr: str, number: str) -> str:
        return launch_id(self._deployment, self._token(name, sr, number))

    def _token(self, name: str, sr: str, number: str) -> str:
        return f"copy {number} of {name} on {sr} in {self._pool}"
