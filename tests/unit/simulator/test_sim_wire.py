"""The bytes on the wire, typed by hand from what is known of XAPI's."""

from __future__ import annotations

import json
import socket
import xmlrpc.client
from typing import Any

import pytest

NULL = "OpaqueRef:NULL"
_OK = (
    '<?xml version="1.0"?><methodResponse><params><param><value><struct>'
    "<member><name>Status</name><value>Success</value></member>"
    "<member><name>Value</name>{}</member></struct></value></param></params></methodResponse>"
)
_REFUSED = (
    '<?xml version="1.0"?><methodResponse><params><param><value><struct>'
    "<member><name>Status</name><value>Failure</value></member>"
    "<member><name>ErrorDescription</name><value><array><data>{}</data></array></value></member>"
    "</struct></value></param></params></methodResponse>"
)


def exchange(port: int, *requests: bytes) -> list[tuple[int, dict[str, str], bytes]]:
    """Send all requests at once on one connection and read as many answers."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        line.sendall(b"".join(requests))
        stream = line.makefile("rb")
        answers = [read_answer(stream) for _ in requests]
        stream.close()
    return answers


def read_answer(stream: Any) -> tuple[int, dict[str, str], bytes]:
    status = int(stream.readline().split()[1])
    headers = {}
    while line := stream.readline().strip().decode():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return status, headers, stream.read(int(headers["content-length"]))


def post(path: str, body: bytes | str, version: str = "1.1", extra: str = "") -> bytes:
    raw = body.encode() if isinstance(body, str) else body
    head = f"POST {path} HTTP/{version}\r\nHost: x\r\nContent-Length: {len(raw)}\r\n{extra}\r\n"
    return head.encode() + raw


def xml_call(method: str, *values: str) -> str:
    params = "".join(f"<param><value>{v}</value></param>" for v in values)
    return (
        f"<?xml version='1.0'?>\n<methodCall>\n<methodName>{method}</methodName>\n"
        f"<params>\n{params}</params>\n</methodCall>\n"
    )


def xml(sim: Any, method: str, *values: str, path: str = "/") -> str:
    ((status, headers, body),) = exchange(sim.port, post(path, xml_call(method, *values)))
    assert status == 200
    assert headers["content-type"] == "text/xml"
    assert headers["access-control-allow-origin"] == "*"
    return body.decode()


def text(value: str) -> str:
    return f"<string>{value}</string>"


def refusal(*parts: str) -> str:
    return _REFUSED.format("".join(f"<value>{part}</value>" for part in parts))


@pytest.fixture
def session(shared_simulator: Any) -> str:
    return str(shared_simulator.login())


def test_login_answers_with_a_bare_ref(shared_simulator: Any) -> None:
    answer = xml(shared_simulator, "session.login_with_password", text("root"), text("xenroot"))

    head, _, rest = answer.partition("OpaqueRef:")
    assert head + rest[36:] == _OK.format("<value></value>")
    assert rest[8] == rest[13] == rest[18] == rest[23] == "-"


def test_a_wrong_password_is_a_failure_inside_http_200(shared_simulator: Any) -> None:
    answer = xml(shared_simulator, "session.login_with_password", text("root"), text("guess"))

    assert answer == refusal("SESSION_AUTHENTICATION_FAILED", "root", "Authentication failure")


@pytest.mark.parametrize("path", ["/", "/RPC2", "/xmlrpc"])
def test_xml_is_spoken_on_several_paths(shared_simulator: Any, session: str, path: str) -> None:
    answer = xml(
        shared_simulator, "VM.get_by_name_label", text(session), text("no&lt;ne"), path=path
    )

    assert answer == _OK.format("<value><array><data></data></array></value>")


def test_values_in_xml(shared_simulator: Any, session: str) -> None:
    sim = shared_simulator
    vm = sim.rpc("VM.get_by_name_label", session, "debian-12")["result"][0]

    assert xml(sim, "VM.get_VCPUs_max", text(session), vm) == _OK.format("<value>2</value>")
    assert xml(sim, "VM.get_is_a_template", session, vm) == _OK.format(
        "<value><boolean>1</boolean></value>"
    )
    assert xml(sim, "VM.get_HVM_shadow_multiplier", session, vm) == _OK.format(
        "<value><double>1</double></value>"
    )
    assert xml(sim, "VM.get_snapshot_time", session, vm) == _OK.format(
        "<value><dateTime.iso8601>19700101T00:00:00Z</dateTime.iso8601></value>"
    )
    assert xml(sim, "VM.get_HVM_boot_params", session, vm) == _OK.format(
        "<value><struct><member><name>order</name><value>cdn</value></member></struct></value>"
    )
    assert xml(sim, "VM.get_affinity", session, vm) == _OK.format(f"<value>{NULL}</value>")


def test_strings_are_escaped_and_lose_control_characters(
    shared_simulator: Any, session: str
) -> None:
    sim = shared_simulator
    vm = sim.rpc("VM.get_by_name_label", session, "Other install media")["result"][0]
    sim.rpc("VM.set_name_description", session, vm, 'a<b>&"c"\x01\n')

    assert xml(sim, "VM.get_name_description", session, vm) == _OK.format(
        "<value>a&lt;b&gt;&amp;&quot;c&quot;\n</value>"
    )


def test_a_setter_answers_with_an_empty_string(shared_simulator: Any, session: str) -> None:
    sim = shared_simulator
    vm = sim.rpc("VM.get_by_name_label", session, "Other install media")["result"][0]

    answer = xml(sim, "VM.set_user_version", session, vm, "<string>9007199254740993</string>")

    assert answer == _OK.format("<value></value>")
    assert sim.rpc("VM.get_user_version", session, vm)["result"] == 9007199254740993


@pytest.mark.parametrize("number", ["<i4>7</i4>", "<int>7</int>", "<i8>7</i8>", "7"])
def test_ints_are_taken_in_every_spelling(shared_simulator: Any, session: str, number: str) -> None:
    sim = shared_simulator
    vm = sim.rpc("VM.get_by_name_label", session, "Other install media")["result"][0]

    assert xml(sim, "VM.set_user_version", session, vm, number) == _OK.format("<value></value>")


def test_a_bool_must_be_a_boolean(shared_simulator: Any, session: str) -> None:
    sim = shared_simulator
    vm = sim.rpc("VM.get_by_name_label", session, "Other install media")["result"][0]

    answer = xml(sim, "VM.set_is_a_template", session, vm, "<string>true</string>")

    wrong = "Failure(&quot;Expected bool, got 'S(true)'&quot;)"
    assert answer == refusal("INTERNAL_ERROR", wrong)


def test_list_methods_is_not_wrapped(shared_simulator: Any) -> None:
    answer = xml(shared_simulator, "system.listMethods")

    assert answer.startswith(
        '<?xml version="1.0"?><methodResponse><params><param><value><array><data><value>'
    )
    assert "<value>VM.clone</value>" in answer
    assert "<value>VM_clone</value>" in answer
    assert "<value>Async.VM.clone</value>" in answer
    assert "<value>Async.VM.get_record</value>" not in answer


def test_that_it_is_alive_is_wrapped_as_any_answer(shared_simulator: Any) -> None:
    assert xml(shared_simulator, "system.isAlive:a&amp;b") == (
        '<?xml version="1.0"?><methodResponse><params><param><value><struct>'
        "<member><name>Status</name><value>Success</value></member>"
        "<member><name>Value</name><value>a&amp;b</value></member>"
        "</struct></value></param></params></methodResponse>"
    )


def test_json_of_both_versions(shared_simulator: Any, session: str) -> None:
    vm = shared_simulator.rpc("VM.get_by_name_label", session, "debian-12")["result"][0]
    first = json.dumps({"method": "VM.get_VCPUs_max", "params": [session, vm], "id": "a"})
    second = json.dumps(
        {"jsonrpc": "2.0", "method": "VM.get_VCPUs_max", "params": [session, vm], "id": 3}
    )
    bad = json.dumps({"method": "no.such", "params": [], "id": 4})
    bad_second = json.dumps({"jsonrpc": "2.0", "method": "no.such", "params": [], "id": 5})

    answers = exchange(
        shared_simulator.port, *(post("/jsonrpc", b) for b in (first, second, bad, bad_second))
    )

    assert [(code, head["content-type"], body) for code, head, body in answers] == [
        (200, "application/json", b'{"result":2,"error":null,"id":"a"}'),
        (200, "application/json", b'{"jsonrpc":"2.0","result":2,"id":3}'),
        (
            200,
            "application/json",
            b'{"result":null,"error":["MESSAGE_METHOD_UNKNOWN","no.such"],"id":4}',
        ),
        (
            200,
            "application/json",
            (
                b'{"jsonrpc":"2.0","error":{"code":1,"message":"MESSAGE_METHOD_UNKNOWN",'
                b'"data":["no.such"]},"id":5}'
            ),
        ),
    ]


def test_event_from_is_the_only_i4(shared_simulator: Any, session: str) -> None:
    subscription = "<array><data><value>pool</value></data></array>"

    answer = xml(shared_simulator, "event.from", session, subscription, "", "<double>0</double>")

    counts = "<member><name>pool</name><value><i4>1</i4></value></member>"
    assert f"<name>valid_ref_counts</name><value><struct>{counts}</struct></value>" in answer
    assert "<name>operation</name><value>add</value>" in answer


def _with(params: str) -> str:
    """A call with these parameters, whatever they are."""
    return f"<methodCall><methodName>VM.get_all</methodName>{params}</methodCall>"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/", "<methodCall><methodName>VM.get_all</methodName><para"),
        ("/", "<call><methodName>VM.get_all</methodName></call>"),
        ("/", "<?xml version='1.0' encoding='utf-7'?>" + _with("")),
        ("/", "<?xml version='1.0' encoding='punycode'?>" + _with("")),
        ("/", _with("<params><param>text</param></params>")),
        ("/", _with("<params><value>x</value></params>")),
        ("/", _with("<params><param/></params>")),
        ("/", _with("<params><param><value><float>1</float></value></param></params>")),
        ("/", _with("<params><param><value>a<i4>1</i4></value></param></params>")),
        ("/", _with("<params><param><value><i4>1</i4><i4>2</i4></value></param></params>")),
        ("/", _with("<params><param><value><array><value/></array></value></param></params>")),
        (
            "/",
            _with(
                "<params><param><value><struct><member><name>a</name><value/></member>"
                "<member><name>b</name></member></struct></value></param></params>"
            ),
        ),
        ("/", "nonsense"),
        ("/", ""),
        ("/", "<a/>"),
        ("/", b"<methodCall><methodName>\xff\xfe</methodName></methodCall>"),
        ("/", "<methodCall>" + "<value><array><data>" * 5000),
        ("/", "<methodCall><methodName>x</methodName><value><int>x</int></value></methodCall>"),
        ("/", "<methodCall><int>3</int><member><name>n</name></member></methodCall>"),
        ("/jsonrpc", "{"),
        ("/jsonrpc", "[]"),
        ("/jsonrpc", '{"method":"VM.get_all","params":[]}'),
        ("/jsonrpc", '{"method":"VM.get_all","params":[],"id":null}'),
        ("/jsonrpc", '{"method":7,"params":[],"id":1}'),
        ("/jsonrpc", '{"method":"a","params":{},"id":1}'),
        ("/jsonrpc", b'{"method":"\xff","params":[],"id":1}'),
        ("/jsonrpc", '{"method":"a","id":1,"params":' + "[" * 100_000 + "]" * 100_000 + "}"),
    ],
)
def test_what_is_malformed_gets_the_500_page(
    shared_simulator: Any, path: str, body: str | bytes
) -> None:
    ((status, headers, page),) = exchange(shared_simulator.port, post(path, body))

    assert status == 500
    assert headers["content-type"] == "text/html"
    assert page.startswith(
        b"<html><body><h1>HTTP 500 internal server error</h1>An unexpected error"
    )


def test_a_member_may_say_its_value_first(shared_simulator: Any, session: str) -> None:
    member = "<member><value>0.01</value><name>timeout</name></member>"
    record = f"<struct>{member}</struct>"

    answer = xml(shared_simulator, "network.create", text(session), record)

    assert "Dispatcher_FieldNotFound(&quot;other_config&quot;)" in answer


def test_a_moment_is_no_string(shared_simulator: Any) -> None:
    moment = "<dateTime.iso8601>20260821T12:34:56Z</dateTime.iso8601>"

    answer = xml(shared_simulator, "VM.get_all", moment)

    assert answer == refusal(
        "INTERNAL_ERROR",
        "Failure(&quot;Expected string, got 'D(20260821T12:34:56Z)'&quot;)",
    )


def test_entities_are_refused_before_they_grow(shared_simulator: Any) -> None:
    entities = '<!ENTITY a "ha">' + "".join(
        f'<!ENTITY a{n} "{f"&a{n - 1};" * 10 if n else "&a;" * 10}">' for n in range(9)
    )
    bomb = (
        f"<?xml version='1.0'?><!DOCTYPE x [{entities}]>"
        "<methodCall><methodName>&a8;</methodName></methodCall>"
    )

    ((status, _, _),) = exchange(shared_simulator.port, post("/", bomb))

    assert status == 500


def test_a_body_over_the_limit_is_refused_unread(shared_simulator: Any) -> None:
    head = b"POST /jsonrpc HTTP/1.1\r\nHost: x\r\nContent-Length: 10485760\r\n\r\n"

    ((status, headers, _),) = exchange(shared_simulator.port, head)

    assert status == 500
    assert headers["connection"] == "close"


def test_http_1_0_closes_and_http_1_1_keeps_the_connection(shared_simulator: Any) -> None:
    body = '{"method":"system.isAlive:abc","params":[],"id":1}'

    ((_, old, _),) = exchange(shared_simulator.port, post("/jsonrpc", body, "1.0"))
    answers = exchange(shared_simulator.port, *[post("/jsonrpc", body)] * 3)

    assert old["connection"] == "close"
    assert [(head["connection"], body) for _, head, body in answers] == [
        ("keep-alive", b'{"result":"abc","error":null,"id":1}')
    ] * 3


@pytest.mark.parametrize(("method", "status"), [("OPTIONS", 200), ("HEAD", 404), ("GET", 404)])
def test_what_is_not_posted_leaves_the_connection_in_order(
    shared_simulator: Any, method: str, status: int
) -> None:
    body = '{"method":"system.isAlive:abc","params":[],"id":1}'
    asked = f"{method} / HTTP/1.1\r\nHost: x\r\n\r\n".encode()

    first, second = exchange(shared_simulator.port, asked, post("/jsonrpc", body))

    assert first[0] == status
    assert first[1]["access-control-allow-headers"] == "X-Requested-With"
    assert second[2] == b'{"result":"abc","error":null,"id":1}'


@pytest.mark.parametrize("path", ["/jsonrpc", "/jsonrpc?a=b", "/jsonrpc/"])
def test_a_path_is_known_by_its_beginning(shared_simulator: Any, path: str) -> None:
    body = '{"method":"system.isAlive:abc","params":[],"id":1}'

    ((_, _, answer),) = exchange(shared_simulator.port, post(path, body))

    assert answer == b'{"result":"abc","error":null,"id":1}'


def test_a_slow_call_does_not_let_a_later_one_overtake(shared_simulator: Any, session: str) -> None:
    slow = {"method": "event.from", "params": [session, ["vm"], "", 0.01], "id": 1}
    quick = {"method": "session.get_uuid", "params": [session, session], "id": 2}

    answers = exchange(
        shared_simulator.port, *(post("/jsonrpc", json.dumps(call)) for call in (slow, quick))
    )

    assert [json.loads(body)["id"] for _, _, body in answers] == [1, 2]


def test_a_client_that_is_not_ours_can_use_it(shared_simulator: Any) -> None:
    with xmlrpc.client.ServerProxy(shared_simulator.url, allow_none=True) as server:
        login: Any = server.session.login_with_password("root", "xenroot", "1.0", "stdlib")
        session = login["Value"]
        found: Any = server.VM.get_by_name_label(session, "centos-6-pv")
        record: Any = server.VM.get_record(session, found["Value"][0])
        gone: Any = server.session.logout(session)

    assert record["Status"] == "Success"
    assert record["Value"]["memory_static_max"] == "1073741824"
    assert record["Value"]["is_a_template"] is True
    assert record["Value"]["HVM_boot_policy"] == ""
    assert record["Value"]["PV_bootloader"] == "pygrub"
    assert gone == {"Status": "Success", "Value": ""}
