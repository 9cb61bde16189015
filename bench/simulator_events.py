"""Measures a pool with many VMs that many clients follow by event.from; prints JSON.

The simulator runs in a process of its own with 10,000 VMs. 200 listeners wait for changes of VMs;
one VM changes, and it is measured how long it takes until each of them has heard of it. The
protocol itself holds an answer back for 50 ms, to gather what changes together.

    python -m bench.simulator_events [--vms 10000] [--listeners 200] [--rounds 20]
"""

from __future__ import annotations

import argparse
import http.client
import json
import selectors
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from simulator.events import BATCH_SECONDS

_ROOT = Path(__file__).resolve().parents[1]


class Client:
    """One kept-alive connection with a session."""

    def __init__(self, url: str) -> None:
        place = urlsplit(url)
        self._line = http.client.HTTPConnection(place.hostname or "", place.port, timeout=120)
        self.session = self._post("session.login_with_password", "root", "xenroot")

    def call(self, method: str, *params: Any) -> Any:
        return self._post(method, self.session, *params)

    def _post(self, method: str, *params: Any) -> Any:
        self._line.request("POST", "/jsonrpc", _body(method, *params))
        answer = json.loads(self._line.getresponse().read())
        assert answer["error"] is None, answer["error"]
        return answer["result"]


def _body(method: str, *params: Any) -> bytes:
    return json.dumps({"method": method, "params": params, "id": 1}).encode()


class Listeners:
    """Sockets that each wait in one event.from."""

    def __init__(self, url: str, session: str, count: int) -> None:
        place = urlsplit(url)
        address = (place.hostname or "", place.port or 80)
        self._session = session
        self._lines = [socket.create_connection(address) for _ in range(count)]

    def wait_from(self, token: str) -> None:
        body = _body("event.from", self._session, ["vm"], token, 60.0)
        head = f"POST /jsonrpc HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n"
        for line in self._lines:
            line.sendall(head.encode() + body)

    def heard(self) -> Iterator[float]:
        """The moments in which each of them has heard."""
        answers = {line.fileno(): (line, bytearray()) for line in self._lines}
        with selectors.DefaultSelector() as ready:
            for line in self._lines:
                ready.register(line, selectors.EVENT_READ)
            while ready.get_map():
                for key, _ in ready.select(30):
                    line, answer = answers[key.fd]
                    answer += line.recv(65536)
                    if _is_whole(answer):
                        ready.unregister(line)
                        yield time.monotonic()

    def close(self) -> None:
        for line in self._lines:
            line.close()


def _is_whole(answer: bytearray) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return bool(end) and len(body) == int(length)


def _resident_mib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(status.partition("VmRSS:")[2].split()[0]) // 1024


def _fill(client: Client, vms: int) -> tuple[str, float]:
    """Clone so many VMs; gives one of them, and how many a second."""
    template = client.call("VM.get_by_name_label", "debian-12")[0]
    began = time.monotonic()
    for number in range(vms):
        vm = client.call("VM.clone", template, f"vm-{number}")
    return vm, vms / (time.monotonic() - began)


def _rounds(client: Client, listeners: Listeners, vm: str, rounds: int) -> dict[str, object]:
    last: list[float] = []
    each: list[float] = []
    for number in range(rounds):
        token = client.call("event.inject", "VM", vm)
        listeners.wait_from(token)
        time.sleep(3 * BATCH_SECONDS)  # so that all of them wait
        began = time.monotonic()
        client.call("VM.set_name_description", vm, f"change {number}")
        took = [(at - began) * 1000 for at in listeners.heard()]
        last.append(max(took))
        each += took
    return {
        "heard_ms_median": round(statistics.median(each), 1),
        "last_heard_ms_median": round(statistics.median(last), 1),
        "last_heard_ms_max": round(max(last), 1),
        "of_which_batching_ms": round(BATCH_SECONDS * 1000),
    }


def _measure(url: str, pid: int, args: argparse.Namespace) -> dict[str, object]:
    client = Client(url)
    before = _resident_mib(pid)
    vm, clones = _fill(client, args.vms)
    after = _resident_mib(pid)
    listeners = Listeners(url, client.session, args.listeners)
    heard = _rounds(client, listeners, vm, args.rounds)
    listeners.close()
    began = time.monotonic()
    for _ in range(2000):
        client.call("VM.get_power_state", vm)
    rate = 2000 / (time.monotonic() - began)
    began = time.monotonic()
    records = client.call("VM.get_all_records")
    return {
        "vms": len(records),
        "listeners": args.listeners,
        "memory_mib": after,
        "memory_kib_per_vm": round((after - before) * 1024 / args.vms, 1),
        "clones_per_second": round(clones),
        **heard,
        "one_http_client_calls_per_second": round(rate),
        "get_all_records_seconds": round(time.monotonic() - began, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vms", type=int, default=10_000)
    parser.add_argument("--listeners", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=20)
    args = parser.parse_args()
    command = [sys.executable, "-m", "simulator", "--port", "0", "--pool", "large"]
    command += ["--time-scale", "0"]
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True) as simulator:
        try:
            line = simulator.stdout.readline() if simulator.stdout else ""
            url = line.removeprefix("listening on ").strip()
            figures = _measure(url, simulator.pid, args)
        finally:
            simulator.terminate()
            simulator.wait(5)
    json.dump({"benchmark": "simulator_events", **figures}, sys.stdout)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
