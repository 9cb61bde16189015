"""The embedded server keeps what it has acknowledged, and its address."""

from pathlib import Path

import pytest
import redis

from workers.child import ChildFailed
from workers.embedded import EmbeddedServer


def test_what_was_acknowledged_survives_a_kill(own_redis: EmbeddedServer) -> None:
    url = own_redis.url
    with redis.Redis.from_url(url) as client:
        client.set("kept", "yes")
    own_redis.kill()
    own_redis.start()

    assert own_redis.url == url
    with redis.Redis.from_url(url, decode_responses=True) as client:
        assert client.get("kept") == "yes"


def test_a_port_that_is_taken_is_an_error_that_says_so(
    own_redis: EmbeddedServer, tmp_path: Path
) -> None:
    with pytest.raises(ChildFailed, match="already in use"):
        EmbeddedServer(tmp_path / "second", port=own_redis.port).start()


def test_it_listens_on_loopback_only_and_never_evicts(own_redis: EmbeddedServer) -> None:
    with redis.Redis.from_url(own_redis.url, decode_responses=True) as client:
        settings = client.config_get("bind", "maxmemory-policy", "appendfsync")

    assert settings == {
        "bind": "127.0.0.1",
        "maxmemory-policy": "noeviction",
        "appendfsync": "always",
    }


def test_stop_is_quick_and_may_be_said_twice(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path).start()
    server.stop()
    server.stop()

    assert not server.running


def test_each_kind_of_server_is_put_on_disk_at_once(any_redis_url: str) -> None:
    with redis.Redis.from_url(any_redis_url, decode_responses=True) as client:
        assert client.config_get("appendonly", "save") == {"appendonly": "yes", "save": ""}
