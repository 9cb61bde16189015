"""The line that tests put between two who speak TCP."""

import gc
import socket
from urllib.parse import urlsplit

from tests.support.lines import Line


def test_who_has_said_all_is_still_answered() -> None:
    """Nobody but the line itself knows of a connection whose one end is quiet for good."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        with Line(f"http://127.0.0.1:{server.getsockname()[1]}/") as line:
            ours, theirs = _through(line, server)
            with ours, theirs:
                ours.shutdown(socket.SHUT_WR)
                assert theirs.recv(1) == b""
                for end in _through(line, server):  # the line has turned to something else
                    end.close()
                gc.collect()
                theirs.sendall(b"an answer")
                assert ours.recv(9) == b"an answer"


def _through(line: Line, server: socket.socket) -> tuple[socket.socket, socket.socket]:
    port = urlsplit(line.url).port
    ours = socket.create_connection(("127.0.0.1", port), timeout=10)
    theirs, _ = server.accept()
    theirs.settimeout(10)
    return ours, theirs
