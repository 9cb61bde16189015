"""The ledger over a real server, and launches at any point of their lives."""

from collections.abc import Iterator

import pytest

from tests.unit.core.lives import Lives
from xenlaunch.ledger import Ledger
from xenlaunch.store import Store


@pytest.fixture
def ledger(redis_url: str) -> Iterator[Ledger]:
    store = Store(redis_url)
    yield Ledger(store)
    store.close()
    store.redis.connection_pool.disconnect()


@pytest.fixture
def lives(ledger: Ledger) -> Lives:
    return Lives(ledger)
