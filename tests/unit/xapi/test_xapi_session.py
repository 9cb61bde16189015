"""One session with a pool: logging in, and never sending a change twice."""

import threading
from typing import Any

import pytest
from pydantic import SecretStr

from tests.support.waiting import wait_until
from tests.unit.xapi.conftest import PASSWORD, Host, Line, Open, Serve, hang_until
from xenlaunch.errors import (
    BadSettings,
    Busy,
    OutcomeUnknown,
    PoolError,
    Refused,
    SessionLost,
    ShutOut,
)
from xenlaunch.xapi.session import Login, Session
from xenlaunch.xapi.transport import Trust


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


def test_what_the_pool_repeats_of_a_secret_is_hidden(
    serve: Serve, host: Host, open_session: Open
) -> None:
    host.answers["VM.set_name_label"] = lambda line, call: line.error(
        call, "INTERNAL_ERROR", f"no string: {call['params']}"
    )
    session = open_session(serve(host).url)

    with pytest.raises(Refused) as caught:
        session.send("VM.set_name_label", "s3cret", as_login=session.login, hide=["s3cret"])

    assert "(hidden)" in caught.value.message
    assert "s3cret" not in str(caught.value.as_record())


def test_a_wrong_password_is_refused_once_and_never_shown(
    serve: Serve, host: Host, open_session: Open
) -> None:
    now = [0.0]
    server = serve(host)
    session = open_session(
        server.url, server.url, password="wr0ng", login_pause=2.0, clock=lambda: now[0]
    )

    for _ in range(2):
        with pytest.raises(ShutOut, match="does not accept the user root") as caught:
            session.read("VM.get_all")
        assert caught.value.code == "SESSION_AUTHENTICATION_FAILED"
        assert "wr0ng" not in f"{caught.value.as_record()} {caught.value!r}"
    assert len(host.calls) == 1  # the second thread is told what the first one heard

    now[0] = 21.0
    with pytest.raises(ShutOut):
        session.read("VM.get_all")
    assert len(host.calls) == 2


@pytest.mark.parametrize(
    ("error", "next_"),
    [
        (["CANNOT_CONTACT_HOST", "OpaqueRef:h"], Busy),
        (["INTERNAL_ERROR", "Connection reset"], Busy),
        (["HANDLE_INVALID", "task", "OpaqueRef:t"], OutcomeUnknown),
    ],
)
def test_a_question_leaves_nothing_unknown_but_a_job(
    serve: Serve, host: Host, open_session: Open, error: list[str], next_: type[PoolError]
) -> None:
    host.answers["task.get_record"] = lambda line, call: line.error(call, *error)

    with pytest.raises(next_) as caught:
        open_session(serve(host).url).read("task.get_record", "OpaqueRef:t")

    assert [caught.value.code, *caught.value.params] == error
    assert host.methods().count("task.get_record") == 1


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


def test_a_session_that_goes_while_it_is_looked_up_is_lost_and_nothing_is_refused(
    serve: Serve, host: Host, open_session: Open
) -> None:
    host.answers["session.get_uuid"] = lambda line, call: line.error(
        call, "HANDLE_INVALID", "session", call["params"][0]
    )

    with pytest.raises(Busy):
        open_session(serve(host).url).read("VM.get_all")


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
