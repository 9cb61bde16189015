"""One session with a pool: logging in, finding the master, and never sending a change twice."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, Protocol

import pytest
from pydantic import SecretStr

from tests.support.waiting import wait_until
from tests.unit.xapi.conftest import Line, Serve
from xenlaunch.errors import BadSettings, Busy, OutcomeUnknown, PoolError, Refused, SessionLost
from xenlaunch.xapi.session import Login, Session
from xenlaunch.xapi.transport import Trust

PASSWORD = "hunter2"
PLAIN = Trust(allow_http=True)

Answer = Callable[[Line, dict[str, Any]], None]


class Host:
    """A member of a pool that knows sessions and nothing else; what more it says, a test says."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, list[Any]]] = []
        self.sessions: dict[str, str] = {}
        self.slave_of = ""
        self.answers: dict[str, Answer] = {}
        self._count = 0
        self._lock = threading.Lock()

    def __call__(self, line: Line) -> None:
        while True:
            call = line.request()
            self.calls.append((call["method"], call["params"]))
            if self.slave_of:
                line.error(call, "HOST_IS_SLAVE", self.slave_of)
            elif call["method"] in self.answers:
                self.answers[call["method"]](line, call)
            else:
                self._answer(line, call)

    def _answer(self, line: Line, call: dict[str, Any]) -> None:
        method, params = call["method"], call["params"]
        if method == "session.login_with_password":
            self._log_in(line, call)
        elif params[0] not in self.sessions:
            line.error(call, "SESSION_INVALID", params[0])
        elif method == "session.get_uuid":
            line.result(call, self.sessions[params[1]])
        elif method == "session.get_by_uuid":
            self._find(line, call)
        elif method == "session.logout":
            line.result(call, self.sessions.pop(params[0]) and "")
        else:
            line.result(call, f"{method} done")

    def _log_in(self, line: Line, call: dict[str, Any]) -> None:
        user, password, *_ = call["params"]
        if password == PASSWORD:
            line.result(call, self.log_in())
        else:
            line.error(call, "SESSION_AUTHENTICATION_FAILED", user, "denied")

    def _find(self, line: Line, call: dict[str, Any]) -> None:
        uuid = call["params"][1]
        found = [ref for ref, its in self.sessions.items() if its == uuid]
        if found:
            line.result(call, found[0])
        else:
            line.error(call, "UUID_INVALID", "session", uuid)

    def log_in(self) -> str:
        with self._lock:
            self._count += 1
            ref = f"OpaqueRef:session-{self._count}"
            self.sessions[ref] = f"uuid-{self._count}"
        return ref

    def methods(self) -> list[str]:
        return [method for method, _ in self.calls]


def hang_until(over: threading.Event) -> Answer:
    def hang(line: Line, call: dict[str, Any]) -> None:
        over.wait(10)
        line.result(call, "")

    return hang


class Open(Protocol):
    def __call__(self, *addresses: str, **options: Any) -> Session: ...


@pytest.fixture
def open_session() -> Iterator[Open]:
    with ExitStack() as stack:

        def start(*addresses: str, password: str = PASSWORD, **options: Any) -> Session:
            options = {"login_pause": 0.0, "patience": 5.0, **options}
            secret = SecretStr(password)
            session = Session("lab", addresses, "root", lambda: secret, PLAIN, **options)
            stack.callback(session.close)
            return session

        yield start


@pytest.fixture
def host() -> Host:
    return Host()


def test_the_first_question_logs_in(serve: Serve, host: Host, open_session: Open) -> None:
    session = open_session(serve(host).url)

    assert session.read("VM.get_all") == "VM.get_all done"
    assert host.methods() == ["session.login_with_password", "session.get_uuid", "VM.get_all"]
    assert host.calls[0][1] == ["root", PASSWORD, "1.1", "xenlaunch"]


def test_a_login_shows_its_uuid_and_never_its_ref(
    serve: Serve, host: Host, open_session: Open
) -> None:
    session = open_session(serve(host).url)

    assert session.login == Login("OpaqueRef:session-1", "uuid-1")
    assert repr(session.login) == "Login(uuid='uuid-1')"
    assert PASSWORD not in repr(session)


def test_many_threads_share_one_login(serve: Serve, host: Host, open_session: Open) -> None:
    session = open_session(serve(host).url)
    threads = [threading.Thread(target=session.read, args=("VM.get_all",)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert host.methods().count("session.login_with_password") == 1
    assert host.methods().count("VM.get_all") == 16


def test_a_question_is_asked_again_under_a_new_session(
    serve: Serve, host: Host, open_session: Open
) -> None:
    session = open_session(serve(host).url)
    first = session.login
    host.sessions.clear()

    assert session.read("VM.get_all") == "VM.get_all done"
    assert session.login != first


def test_a_change_is_not_sent_again_under_a_new_session(
    serve: Serve, host: Host, open_session: Open
) -> None:
    session = open_session(serve(host).url)
    login = session.login
    host.sessions.clear()

    with pytest.raises(SessionLost) as caught:
        session.send("VM.clone", "OpaqueRef:vm", as_login=login)

    assert host.methods().count("VM.clone") == 1  # refused by the session's check, before anything
    assert caught.value.params == []
    assert session.login != login


def test_a_change_under_a_login_of_before_is_not_sent(
    serve: Serve, host: Host, open_session: Open
) -> None:
    session = open_session(serve(host).url)
    login = session.login
    host.sessions.clear()
    session.read("VM.get_all")

    with pytest.raises(SessionLost):
        session.send("VM.clone", "OpaqueRef:vm", as_login=login)

    assert "VM.clone" not in host.methods()


def test_a_change_whose_answer_is_lost_is_unknown_and_not_sent_again(
    serve: Serve, host: Host, open_session: Open
) -> None:
    host.answers["VM.clone"] = lambda line, _: line.break_off()
    session = open_session(serve(host).url)

    with pytest.raises(OutcomeUnknown):
        session.send("VM.clone", "OpaqueRef:vm", as_login=session.login)

    assert host.methods().count("VM.clone") == 1


def test_a_question_whose_answer_is_lost_is_asked_again(
    serve: Serve, host: Host, open_session: Open
) -> None:
    broken = iter([True, False])

    def once(line: Line, call: dict[str, Any]) -> None:
        if next(broken):
            line.break_off()
        else:
            line.result(call, "there")

    host.answers["VM.get_all"] = once
    session = open_session(serve(host).url)

    assert session.read("VM.get_all") == "there"


def test_a_question_without_an_answer_in_time_is_busy(
    serve: Serve, host: Host, open_session: Open
) -> None:
    over = threading.Event()
    host.answers["VM.get_all"] = hang_until(over)
    session = open_session(serve(host).url)

    with pytest.raises(Busy, match="did not answer in time") as caught:
        session.read("VM.get_all", seconds=0.1)
    over.set()

    assert caught.value.code == "POOL_UNREACHABLE"
    assert host.methods().count("VM.get_all") == 1


def test_any_member_finds_the_master(serve: Serve, host: Host, open_session: Open) -> None:
    slave = Host()
    master_url, slave_url = serve(host).url, serve(slave).url
    slave.slave_of = master_url.partition("://")[2]
    session = open_session(slave_url)

    assert session.read("VM.get_all") == "VM.get_all done"
    assert slave.methods() == ["session.login_with_password"]


def test_a_member_that_is_down_is_passed_over(serve: Serve, host: Host, open_session: Open) -> None:
    gone = serve(Host())
    gone.close()

    assert open_session(gone.url, serve(host).url).read("VM.get_all") == "VM.get_all done"


def test_a_new_master_is_followed_and_a_change_is_not_carried_over(
    serve: Serve, host: Host, open_session: Open
) -> None:
    other = Host()
    session = open_session(serve(host).url)
    login = session.login
    host.slave_of = serve(other).url.partition("://")[2]

    with pytest.raises(SessionLost):
        session.send("VM.clone", "OpaqueRef:vm", as_login=login)

    assert session.read("VM.get_all") == "VM.get_all done"
    assert "VM.clone" not in other.methods()
    assert session.send("VM.clone", "OpaqueRef:vm", as_login=session.login) == "VM.clone done"


def test_a_master_that_comes_back_is_found_before_a_change_is_sent(
    serve: Serve, host: Host, open_session: Open
) -> None:
    """The line breaks, nothing is sent; the next change asks first where the master is."""
    first = serve(host)
    second = Host()
    second.sessions = host.sessions
    session = open_session(first.url, serve(second).url)
    login = session.login
    first.close()

    with pytest.raises(Busy, match="connection refused"):
        session.send("VM.clone", "OpaqueRef:vm", as_login=login)

    assert session.send("VM.clone", "OpaqueRef:vm", as_login=login) == "VM.clone done"
    assert second.methods() == ["session.get_uuid", "VM.clone"]


def test_hosts_that_name_each_other_are_an_unreachable_pool(
    serve: Serve, host: Host, open_session: Open
) -> None:
    other = Host()
    host.slave_of, other.slave_of = "x", "y"
    one, two = serve(host).url, serve(other).url
    host.slave_of, other.slave_of = two.partition("://")[2], one.partition("://")[2]

    with pytest.raises(Busy, match="no host says that it is the master"):
        open_session(one, two).read("VM.get_all")


def test_a_pool_that_cannot_be_reached_says_where_it_was_looked_for(
    serve: Serve, host: Host, open_session: Open
) -> None:
    servers = [serve(host), serve(host)]
    for server in servers:
        server.close()

    with pytest.raises(Busy, match="The pool lab cannot be reached") as caught:
        open_session(*(server.url for server in servers)).read("VM.get_all")

    assert caught.value.code == "POOL_UNREACHABLE"
    assert all(server.url in caught.value.message for server in servers)
    assert PASSWORD not in str(caught.value.as_record())


def test_a_host_that_still_boots_is_busy_in_its_own_words(
    serve: Serve, host: Host, open_session: Open
) -> None:
    host.answers["session.login_with_password"] = lambda line, call: line.error(
        call, "HOST_STILL_BOOTING"
    )

    with pytest.raises(Busy) as caught:
        open_session(serve(host).url).read("VM.get_all")

    assert caught.value.code == "HOST_STILL_BOOTING"


def test_a_wrong_password_is_refused_once_and_never_shown(
    serve: Serve, host: Host, open_session: Open
) -> None:
    now = [0.0]
    server = serve(host)
    session = open_session(
        server.url, server.url, password="wr0ng", login_pause=2.0, clock=lambda: now[0]
    )

    for _ in range(2):
        with pytest.raises(Refused, match="does not accept the user root") as caught:
            session.read("VM.get_all")
        assert caught.value.code == "SESSION_AUTHENTICATION_FAILED"
        assert "wr0ng" not in f"{caught.value.as_record()} {caught.value!r}"
    assert len(host.calls) == 1  # the second thread is told what the first one heard

    now[0] = 3.0
    with pytest.raises(Refused):
        session.read("VM.get_all")
    assert len(host.calls) == 2


def test_no_more_calls_than_its_share_go_into_a_pool(
    serve: Serve, host: Host, open_session: Open
) -> None:
    over = threading.Event()

    host.answers["VM.get_all"] = hang_until(over)
    session = open_session(serve(host).url, share=2, patience=0.05)
    session.read("SR.get_all")
    threads = [threading.Thread(target=session.read, args=("VM.get_all",)) for _ in range(2)]
    for thread in threads:
        thread.start()
    wait_until(lambda: host.methods().count("VM.get_all") == 2, 5, "both calls are in the pool")

    with pytest.raises(Busy) as caught:
        session.read("SR.get_all")
    assert caught.value.code == "POOL_BUSY_HERE"
    assert session.long_poll(["vm"], "", 1.0)  # waits for events are let in beside

    over.set()
    for thread in threads:
        thread.join()
    assert session.read("SR.get_all") == "SR.get_all done"


def test_another_session_is_ended_by_its_uuid(serve: Serve, host: Host, open_session: Open) -> None:
    session = open_session(serve(host).url)
    other = host.log_in()
    uuid = host.sessions[other]

    assert session.end(uuid) is True
    assert other not in host.sessions
    assert session.end(uuid) is False


def test_our_own_session_is_ended_too(serve: Serve, host: Host, open_session: Open) -> None:
    session = open_session(serve(host).url)
    login = session.login

    assert session.end(login.uuid) is True
    with pytest.raises(SessionLost):
        session.send("VM.clone", as_login=login)
    assert session.login != login


def test_it_logs_out_at_the_end(serve: Serve, host: Host, open_session: Open) -> None:
    session = open_session(serve(host).url)
    session.read("VM.get_all")
    session.close()

    assert host.sessions == {}
    with pytest.raises(Busy, match="has closed its session"):
        session.read("VM.get_all")


def test_a_pool_that_hangs_does_not_hold_the_end_up(
    serve: Serve, host: Host, open_session: Open
) -> None:
    over = threading.Event()
    host.answers["session.logout"] = hang_until(over)
    session = open_session(serve(host).url)
    session.read("VM.get_all")

    session.close(seconds=0.05)

    over.set()


def test_a_session_whose_uuid_cannot_be_had_is_not_left_behind(
    serve: Serve, host: Host, open_session: Open
) -> None:
    host.answers["session.get_uuid"] = lambda line, call: line.error(call, "TOO_BUSY")

    with pytest.raises(Busy):
        open_session(serve(host).url).read("VM.get_all")

    assert host.sessions == {}


def test_plain_http_is_bad_settings_from_the_start() -> None:
    with pytest.raises(BadSettings, match="allow_http"):
        Session("lab", ["http://127.0.0.1"], "root", lambda: SecretStr(""), Trust())
    with pytest.raises(BadSettings, match="has no address"):
        Session("lab", [], "root", lambda: SecretStr(""), Trust())


def test_errors_of_a_change_do_not_carry_its_parameters(
    serve: Serve, host: Host, open_session: Open
) -> None:
    host.answers["VM.set_xenstore_data"] = lambda line, _: line.break_off()
    session = open_session(serve(host).url)

    with pytest.raises(PoolError) as caught:
        session.send("VM.set_xenstore_data", {"user-data": "s3cret"}, as_login=session.login)

    errors: list[BaseException] = [caught.value]
    while (cause := errors[-1].__cause__ or errors[-1].__context__) is not None:
        errors.append(cause)
    said = " ".join(repr(error) for error in errors)
    assert "s3cret" not in said
    assert "OpaqueRef:session" not in said
