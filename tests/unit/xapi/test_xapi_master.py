"""Any member's address finds the master, also when it moves."""

import threading

import pytest

from tests.support.waiting import wait_until
from tests.unit.xapi.conftest import PASSWORD, Host, Open, Serve, hang_until
from xenlaunch.errors import Busy, PoolError, SessionLost


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


def test_a_new_master_is_found_when_the_old_one_only_breaks_lines(
    serve: Serve, host: Host, open_session: Open
) -> None:
    other = Host()
    session = open_session(serve(host).url, serve(other).url)
    session.read("VM.get_all")
    for method in ("VM.get_all", "session.get_uuid", "session.login_with_password"):
        host.answers[method] = lambda line, _: line.break_off()

    assert session.read("VM.get_all") == "VM.get_all done"
    assert "VM.get_all" in other.methods()


def test_who_waits_while_the_master_is_looked_for_is_told_so(
    serve: Serve, host: Host, open_session: Open
) -> None:
    over = threading.Event()
    host.answers["session.login_with_password"] = hang_until(over)
    session = open_session(serve(host).url, patience=0.05)

    def ask() -> None:
        with pytest.raises(PoolError):
            session.read("VM.get_all")

    first = threading.Thread(target=ask)
    first.start()
    wait_until(lambda: host.calls, 5, "the first login")

    with pytest.raises(Busy, match="its master is still being looked for"):
        session.read("VM.get_all")
    over.set()
    first.join()


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
