"""Where Redis is, with the password taken from a file where it is kept apart from the address."""

from pathlib import Path
from typing import Final
from urllib.parse import quote

from xenlaunch.errors import BadSettings

URL: Final = "XENLAUNCH_REDIS_URL"
PASSWORD_FILE: Final = "XENLAUNCH_REDIS_PASSWORD_FILE"  # noqa: S105  a variable's name


def with_password(url: str, password_file: str | None) -> str:
    """The URL with the password that the file holds; without a file as it is.

    Raises `BadSettings` where the file cannot be read.
    """
    if not password_file:
        return url
    try:
        password = Path(password_file).read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as lost:
        raise BadSettings(
            f"{PASSWORD_FILE}: the file {password_file} cannot be read: {lost.strerror}."
        ) from None
    return insert_password(url, password)


def insert_password(url: str, password: str) -> str:
    """The URL with this password, unless it has one.

    >>> insert_password("redis://worker@redis:6379/0", "a/b")
    'redis://worker:a%2Fb@redis:6379/0'
    >>> insert_password("redis://redis:6379/0", "secret")
    'redis://:secret@redis:6379/0'
    """
    scheme, mark, rest = url.partition("://")
    user, _, host = rest.rpartition("@")
    if ":" in user:
        return url
    return f"{scheme}{mark}{user}:{quote(password, safe='')}@{host}" if mark else url
