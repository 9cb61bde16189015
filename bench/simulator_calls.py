"""Measures how many calls a second the simulator answers; prints JSON.

The simulator runs in a process of its own, the clients in others, so that the figure is what one
core of the simulator can do. Calls: VM.get_power_state over JSON-RPC on kept-alive connections.

    python bench/simulator_calls.py [--seconds 3] [--connections 4]
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

_ROOT = Path(__file__).resolve().parents[1]


def _call(connection: http.client.HTTPConnection, body: bytes) -> bytes:
    connection.request("POST", "/jsonrpc", body, {"Content-Type": "application/json"})
    return connection.getresponse().read()


def _body(method: str, *params: str) -> bytes:
    return json.dumps({"method": method, "params": params, "id": 1}).encode()


def _connect(url: str) -> http.client.HTTPConnection:
    place = urlsplit(url)
    return http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)


def hammer(url: str, session: str, vm: str, seconds: float) -> int:
    """Send requests in small pipelines over a raw socket, so that the client is not measured."""
    connection = _connect(url)
    connection.connect()
    body = _body("VM.get_power_state", session, vm)
    head = f"POST /jsonrpc HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    _call(connection, body)
    line = connection.sock
    line.sendall(head + body)
    size = len(line.recv(65536))
    batch, calls = 8, 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        line.sendall((head + body) * batch)
        left = size * batch
        while left > 0:
            left -= len(line.recv(65536))
        calls += batch
    connection.close()
    return calls


def _measure(url: str, seconds: float, connections: int) -> dict[str, object]:
    connection = _connect(url)
    login = _body("session.login_with_password", "root", "xenroot")
    session = json.loads(_call(connection, login))["result"]
    vm = json.loads(_call(connection, _body("VM.get_all", session)))["result"][0]
    one = _body("VM.get_power_state", session, vm)
    started, single = time.monotonic(), 0
    while time.monotonic() - started < seconds / 2:
        _call(connection, one)
        single += 1
    single_rate = single / (time.monotonic() - started)
    connection.close()
    with ProcessPoolExecutor(connections) as clients:
        began = time.monotonic()
        work = [clients.submit(hammer, url, session, vm, seconds) for _ in range(connections)]
        calls = sum(one.result() for one in work)
        took = time.monotonic() - began
    return {
        "calls": calls,
        "seconds": round(took, 2),
        "calls_per_second": round(calls / took),
        "one_http_client_calls_per_second": round(single_rate),
        "connections": connections,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--connections", type=int, default=4)
    args = parser.parse_args()
    command = [sys.executable, "-m", "simulator", "--port", "0", "--time-scale", "0"]
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True) as simulator:
        try:
            line = simulator.stdout.readline() if simulator.stdout else ""
            url = line.removeprefix("listening on ").strip()
            before = os.times()
            figures = _measure(url, args.seconds, args.connections)
        finally:
            simulator.terminate()
            simulator.wait(5)
        used = os.times().children_user - before.children_user
    json.dump(
        {"benchmark": "simulator_calls", **figures, "cpu_seconds": round(used, 2)}, sys.stdout
    )
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
