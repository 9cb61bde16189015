"""The ledger over a real server, and launches at any point of their lives."""

from collections.abc import Iterator

import pytest

from tests.unit.core.lives import Lives
from tests.unit.core.scripted_session import ScriptedSession, pool_of
from xenlaunch import names
from xenlaunch.lease import Lease
from xenlaunch.ledger import Ledger
from xenlaunch.store import Store
from xenlaunch.xapi.pool import Pool


@pytest.fixture
def ledger(redis_url: str) -> Iterator[Ledger]:
    store = Store(redis_url)
    yield Ledger(store)
    store.close()
    store.redis.connection_pool.disconnect()


@pytest.fixture
def lives(ledger: Ledger) -> Lives:
    return Lives(ledger)


@pytest.fixture
def session() -> ScriptedSession:
    return ScriptedSession()


@pytest.fixture
def lease(lives: Lives) -> Lease:
    """The lease of a worker that is about to clone."""
    return lives.leased(names.CLONE)


@pytest.fixture
def pool(session: ScriptedSession, lease: Lease) -> Pool:
    return pool_of(session, lease)
