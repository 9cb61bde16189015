"""The password of Redis, from a file, in the URL: for workers and the command line alike."""

from pathlib import Path

import pytest

from workers.settings import load
from xenlaunch.cli import run
from xenlaunch.errors import BadSettings
from xenlaunch.password_file import insert_password, with_password

POOLS = 'deployment = "d"\n[pools.lab]\naddresses = ["https://a"]\npassword_env = "NONE"\n'


@pytest.fixture
def password_file(tmp_path: Path) -> str:
    path = tmp_path / "redis.password"
    path.write_text("p@ss/word\n")
    return str(path)


@pytest.mark.parametrize(
    ("url", "with_it"),
    [
        ("redis://worker@redis:6379/0", "redis://worker:p%40ss%2Fword@redis:6379/0"),
        ("redis://redis", "redis://:p%40ss%2Fword@redis"),
        ("rediss://u@h/1?ssl_cert_reqs=none", "rediss://u:p%40ss%2Fword@h/1?ssl_cert_reqs=none"),
        ("redis://u:known@h/1", "redis://u:known@h/1"),
    ],
)
def test_the_password_goes_into_the_url(url: str, with_it: str) -> None:
    assert insert_password(url, "p@ss/word") == with_it


def test_without_a_file_the_url_stays_as_it_is() -> None:
    assert with_password("redis://h", None) == with_password("redis://h", "") == "redis://h"


def test_a_workers_settings_have_it(password_file: str, tmp_path: Path) -> None:
    pools = tmp_path / "pools.toml"
    pools.write_text(POOLS)
    environment = {
        "XENLAUNCH_REDIS_URL": "redis://worker@h/0",
        "XENLAUNCH_REDIS_PASSWORD_FILE": password_file,
        "XENLAUNCH_POOLS": str(pools),
    }

    assert load(environment).redis_url == "redis://worker:p%40ss%2Fword@h/0"


def test_a_file_that_cannot_be_read_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = str(tmp_path / "missing")
    monkeypatch.setenv("XENLAUNCH_REDIS_URL", "redis://h")
    monkeypatch.setenv("XENLAUNCH_REDIS_PASSWORD_FILE", missing)

    with pytest.raises(BadSettings, match="missing cannot be read: No such file"):
        with_password("redis://h", missing)
    assert run(["pools"]) == 2
    assert "XENLAUNCH_REDIS_PASSWORD_FILE: the file" in capsys.readouterr().err
