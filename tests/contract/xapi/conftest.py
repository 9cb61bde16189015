"""Sessions with a simulated pool, closed after the test."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from pydantic import SecretStr

from tests.support.simulators import SimulatorProcess, StartSimulator
from xenlaunch.xapi.records import Records
from xenlaunch.xapi.session import Session
from xenlaunch.xapi.transport import Trust

OpenSession = Callable[..., Session]


@pytest.fixture
def pool(simulator: StartSimulator) -> SimulatorProcess:
    return simulator()


@pytest.fixture
def open_session(pool: SimulatorProcess) -> Iterator[OpenSession]:
    with ExitStack() as stack:

        def start(*addresses: str, password: str = pool.password) -> Session:
            session = Session(
                "lab",
                addresses or [pool.url],
                pool.username,
                lambda: SecretStr(password),
                Trust(allow_http=True),
                login_pause=0.0,
            )
            stack.callback(session.close)
            return session

        yield start


@pytest.fixture
def session(open_session: OpenSession) -> Session:
    return open_session()


@pytest.fixture
def records(session: Session) -> Iterator[Records]:
    records = Records(session, poll_seconds=5.0, pauses=lambda: iter([0.05] * 1000))
    records.start()
    records.ready(10)
    yield records
    records.stop()
    session.close()  # which ends the poll
    records._thread.join(10)
    assert not records._thread.is_alive()
