"""What an upstream application's client does against a real Redis where no worker runs."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from workers.embedded import EmbeddedServer, free_port
from xenlaunch import LaunchClient, LaunchRequest, names
from xenlaunch.errors import (
    BadRequest,
    BadSettings,
    LaunchCancelled,
    LaunchFailed,
    NoWorker,
    StillRunning,
    SubmitUnknown,
    TokenReused,
    TooLate,
    UnknownLaunch,
)
from xenlaunch.ledger import Ledger, batch_id
from xenlaunch.store import Store

REQUEST = LaunchRequest(name="web", template="debian-12")
NO_ROOM = {"code": "CANNOT_FIT", "params": ["host-1"], "message": "No host can take this VM."}


@pytest.fixture
def url(own_redis: EmbeddedServer) -> str:
    return own_redis.url


@pytest.fixture
def client(url: str) -> Iterator[LaunchClient]:
    with LaunchClient(url) as client:
        yield client


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    """The ledger as a worker that has registered sees it."""
    store = Store(url)
    ledger = Ledger(store)
    ledger.register("lab-east", "g1", ["lab"])
    yield ledger
    store.redis.connection_pool.disconnect()


def test_importing_the_package_loads_nothing_heavy() -> None:
    program = (
        "import sys, xenlaunch, xenlaunch.model;"
        "print([name for name in ('celery', 'redis', 'rich', 'click') if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert said.stdout == b"[]\n"


# Submitting


def test_before_any_worker_has_registered_nothing_is_accepted(client: LaunchClient) -> None:
    with pytest.raises(NoWorker, match="No worker has registered"):
        client.submit(REQUEST)
    with pytest.raises(NoWorker):
        client.submit_batch(REQUEST, 2)


def test_a_submit_is_a_waiting_launch_and_one_nudge(client: LaunchClient, ledger: Ledger) -> None:
    status = client.submit(REQUEST)

    nudges = redis.Redis.from_url(client.celery_app.conf.broker_url).llen(
        names.PREFIX + names.CONTROL_QUEUE
    )
    assert (status.name, status.state, status.batch, nudges) == ("web", "waiting", None, 1)
    assert client.status(status.id) == status


def test_the_same_token_finds_the_same_launch(client: LaunchClient, ledger: Ledger) -> None:
    first = client.submit(REQUEST, token="order-1")

    assert client.submit(REQUEST, token="order-1").id == first.id
    assert client.submit(REQUEST).id != first.id
    with pytest.raises(TokenReused, match="order-1"):
        client.submit(REQUEST.but(vcpus=2), token="order-1")


def test_a_batch_is_in_order_and_found_again_by_its_token(
    client: LaunchClient, ledger: Ledger
) -> None:
    batch = client.submit_batch(REQUEST, 12, name="web-{}", token="order-1")

    assert client.submit_batch(REQUEST, 12, name="web-{}", token="order-1") == batch
    assert [s.name for s in client.statuses(batch.id)] == [f"web-{n}" for n in range(1, 13)]
    assert {s.batch for s in client.list(batch=batch.id)} == {batch.id}
    assert len(client.list()) == 12


def test_a_list_of_requests_is_a_batch_too(client: LaunchClient, ledger: Ledger) -> None:
    batch = client.submit_batch([REQUEST, REQUEST.but(name="db")])

    assert [status.name for status in client.statuses(batch.id)] == ["web", "db"]
    with pytest.raises(BadRequest, match="leave the count and the overrides out"):
        client.submit_batch([REQUEST], 2)
    with pytest.raises(BadRequest, match="from 1 to"):
        client.submit_batch([])


@pytest.fixture
def trips(client: LaunchClient, monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """The ledger's round trips, one entry each, however many commands they carry."""
    counted: list[None] = []
    connection = client._ledger.store.redis.connection_pool.connection_class
    plain = connection.send_packed_command

    def sent(self: Any, *given: Any, **named: Any) -> Any:
        if self.decode_responses_for_ledger:
            counted.append(None)
        return plain(self, *given, **named)

    monkeypatch.setattr(connection, "send_packed_command", sent)
    # What nudges a worker goes over Celery's own connections, which decode nothing.
    monkeypatch.setattr(
        connection,
        "decode_responses_for_ledger",
        property(lambda self: self.encoder.decode_responses),
        raising=False,
    )
    return counted


def test_a_batch_of_a_thousand_takes_a_few_round_trips(
    client: LaunchClient, ledger: Ledger, trips: list[None]
) -> None:
    """Whatever is wanted of it: each of these counts all that goes to the ledger for it."""
    small = client.submit_batch(REQUEST, 2)  # the scripts are there from now on
    client.cancel(small.id)
    client.retry(small.id)

    def cost(wanted: Callable[[], object]) -> int:
        trips.clear()
        wanted()
        return len(trips)

    batch = batch_id("lab-east", "order-1")
    spent = {
        "submit": cost(lambda: client.submit_batch(REQUEST, 1000, token="order-1")),
        "status": cost(lambda: client.batch_status(batch)),
        "cancel": cost(lambda: client.cancel(batch)),
        "resume": cost(lambda: client.resume(batch)),
    }
    status = client.batch_status(batch)
    assert (status.state, status.waiting) == ("waiting", 1000)
    assert spent["status"] == 1
    assert max(spent.values()) <= 12, spent
    assert client.batch_status(small.id).count == 2


def test_a_redis_that_goes_away_in_the_middle_leaves_the_token(
    client: LaunchClient, ledger: Ledger, own_redis: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = Ledger.submit

    def submit_into_the_void(self: Ledger, *arguments: Any) -> str:
        own_redis.kill()
        return submit(self, *arguments)

    monkeypatch.setattr(Ledger, "submit", submit_into_the_void)
    with pytest.raises(SubmitUnknown, match="order-1") as unknown:
        client.submit(REQUEST, token="order-1")

    assert unknown.value.token == "order-1"


def test_a_redis_that_is_not_there_leaves_the_token_too() -> None:
    """Whoever asks again asks with the same token, whatever has become of the first time."""
    with LaunchClient(f"redis://127.0.0.1:{free_port()}/0") as client:
        with pytest.raises(SubmitUnknown, match=r"Redis does not answer.*with the token 'order-1'"):
            client.submit(REQUEST, token="order-1")
        with pytest.raises(SubmitUnknown, match="with the token 'order-2'"):
            client.submit_batch(REQUEST, 2, token="order-2")


def test_a_url_that_is_none_is_refused_without_repeating_it() -> None:
    with pytest.raises(BadSettings) as refused:
        LaunchClient("rediss//:secret@host")

    assert "secret" not in refused.value.message


# Following


def test_a_result_says_why_there_is_none(client: LaunchClient, ledger: Ledger) -> None:
    refused, cancelled = client.submit(REQUEST).id, client.submit(REQUEST).id
    ledger.refuse(refused, "failed", NO_ROOM)
    client.cancel(cancelled)

    with pytest.raises(LaunchFailed, match="No host can take this VM") as failure:
        client.result(refused)
    assert (failure.value.code, failure.value.params) == ("CANNOT_FIT", ["host-1"])
    with pytest.raises(LaunchCancelled, match="Cancelled by its owner"):
        client.result(cancelled)


def test_waiting_ends_in_time_and_the_launch_goes_on(client: LaunchClient, ledger: Ledger) -> None:
    launch, batch = client.submit(REQUEST).id, client.submit_batch(REQUEST, 3)

    with pytest.raises(StillRunning, match=r"has not ended after 0\.05 s; it goes on"):
        client.result(launch, timeout=0.05)
    with pytest.raises(StillRunning, match="3 of 3 launches have not ended"):
        list(client.watch(batch.id, timeout=0))


def test_watching_shows_each_change_until_all_have_ended(
    client: LaunchClient, ledger: Ledger
) -> None:
    batch = client.submit_batch(REQUEST, 3)
    seen = []
    changes = client.watch(batch.id, timeout=30)
    for status in changes:
        seen.append((status.name, status.state))
        if len(seen) == 3:
            for launch in batch.launches:
                ledger.refuse(launch, "failed", NO_ROOM)

    expected = [(f"web-00{n}", state) for state in ("waiting", "failed") for n in (1, 2, 3)]
    assert seen == expected


def test_a_wait_outlives_a_restart_of_redis(
    client: LaunchClient, ledger: Ledger, own_redis: EmbeddedServer
) -> None:
    launch = client.submit(REQUEST).id
    changes = client.watch(launch, timeout=60)
    next(changes)

    with ThreadPoolExecutor(1) as elsewhere:
        waiting = elsewhere.submit(lambda: list(changes)[-1])
        own_redis.kill()
        own_redis.start()
        ledger.refuse(launch, "failed", NO_ROOM)
        last = waiting.result(timeout=30)

    assert last.state == "failed"


@pytest.mark.parametrize("ask", ["status", "statuses", "result", "cancel"])
def test_an_unknown_id_is_said(client: LaunchClient, ledger: Ledger, ask: str) -> None:
    with pytest.raises(UnknownLaunch, match="'l-nothing'"):
        getattr(client, ask)("l-nothing")


def test_a_list_can_be_of_one_state(client: LaunchClient, ledger: Ledger) -> None:
    client.submit(REQUEST)
    ledger.refuse(client.submit(REQUEST.but(name="db")).id, "failed", NO_ROOM)

    assert [status.name for status in client.list("failed")] == ["db"]
    assert [status.name for status in client.list()] == ["web", "db"]
    with pytest.raises(BadRequest, match="'finishing' is no state"):
        client.list("finishing")


# Cancelling


def test_what_waits_is_cancelled_at_once_and_again(client: LaunchClient, ledger: Ledger) -> None:
    launch = client.submit(REQUEST).id

    assert [status.state for status in client.cancel(launch)] == ["cancelled"]
    assert [status.state for status in client.cancel(launch)] == ["cancelled"]


def test_what_has_ended_cannot_be_cancelled(client: LaunchClient, ledger: Ledger) -> None:
    batch = client.submit_batch(REQUEST, 2)
    ledger.refuse(batch.launches[0], "failed", NO_ROOM)

    with pytest.raises(TooLate, match="has ended already: it failed"):
        client.cancel(batch.launches[0])
    assert [status.state for status in client.cancel(batch.id)] == ["failed", "cancelled"]


# Asking a worker


def test_no_worker_answers_in_time(client: LaunchClient, ledger: Ledger) -> None:
    with pytest.raises(NoWorker, match=r"No worker answered within 0\.1 s"):
        client.pools(timeout=0.1)
    with pytest.raises(NoWorker):
        client.plan(REQUEST, timeout=0.1)
