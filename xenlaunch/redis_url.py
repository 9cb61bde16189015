"""Where Redis is: one server, or a set of which Sentinel knows the master.

    redis://127.0.0.1:6379/0
    sentinel://:password@10.0.0.1,10.0.0.2:26379,10.0.0.3/0?master=xenlaunch

Kombu and Celery write the second form in a way of their own, and with options beside it.
"""

import re
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import parse_qsl, quote, unquote

from xenlaunch.errors import BadSettings

SENTINEL_PORT: Final = 26379
SCHEME: Final = "sentinel://"

_SHAPE: Final = re.compile(
    r"sentinel://(?:(?P<user>[^:@/]*):(?P<password>[^@/]*)@)?"
    r"(?P<hosts>[^@/?#]+)(?:/(?P<db>\d*))?\?(?P<options>[^#]+)"
)
_OPTIONS: Final = {"master", "replicas", "sentinel_password"}

EXAMPLE: Final = "sentinel://10.0.0.1,10.0.0.2,10.0.0.3/0?master=xenlaunch"


@dataclass(frozen=True)
class RedisUrl:
    """A URL of Redis, taken apart. Without a master's name it is that of one server."""

    url: str
    sentinels: tuple[tuple[str, int], ...] = ()
    master: str = ""
    db: int = 0
    username: str = ""
    password: str = ""
    sentinel_password: str = ""
    replicas: int = 0
    """How many replicas must have what is acknowledged, before it counts as acknowledged."""

    @classmethod
    def parse(cls, url: str) -> Self:
        """Raises `BadSettings`, which does not repeat the URL: a password may be in it.

        >>> RedisUrl.parse("sentinel://a,b:26380/0?master=lab").sentinels
        (('a', 26379), ('b', 26380))
        """
        if not url.startswith(SCHEME):
            return cls(url)
        try:
            return cls._of_sentinels(url)
        except (ValueError, KeyError):
            raise BadSettings(
                f"The URL of the Sentinels is none: write it like {EXAMPLE}."
            ) from None

    @classmethod
    def _of_sentinels(cls, url: str) -> Self:
        # Kombu's own list, `sentinel://a;sentinel://b`, is understood too.
        shape = _SHAPE.fullmatch(url.replace(";sentinel://", ","))
        if shape is None:
            raise ValueError
        options = dict(parse_qsl(shape["options"], strict_parsing=True))
        if options.keys() - _OPTIONS:
            raise ValueError
        return cls(
            url,
            tuple(_host(host) for host in shape["hosts"].split(",")),
            options["master"],
            int(shape["db"] or 0),
            unquote(shape["user"] or ""),
            unquote(shape["password"] or ""),
            options.get("sentinel_password", ""),
            int(options.get("replicas", 1)),
        )

    @property
    def login(self) -> dict[str, str]:
        """Who we are to the servers themselves, as redis-py names it."""
        found = {"username": self.username, "password": self.password}
        return {name: word for name, word in found.items() if word}

    @property
    def sentinel_login(self) -> dict[str, str]:
        return {"password": self.sentinel_password} if self.sentinel_password else {}

    # Celery

    @property
    def for_celery(self) -> str:
        """The URL as Celery takes it, as broker and as result backend."""
        if not self.master:
            return self.url
        who = f"{quote(self.username)}:{quote(self.password)}@" if self.login else ""
        return ";".join(
            f"{SCHEME}{who}{f'[{host}]' if ':' in host else host}:{port}/{self.db}"
            for host, port in self.sentinels
        )

    @property
    def celery_options(self) -> dict[str, Any]:
        """What goes beside it, into the transport options of the broker and of the backend."""
        if not self.master:
            return {}
        return {"master_name": self.master, "sentinel_kwargs": self.sentinel_login}


def _host(text: str) -> tuple[str, int]:
    """A host with or without a port; IPv6 addresses stand in brackets.

    >>> _host("[fe80::1]:26380"), _host("a")
    (('fe80::1', 26380), ('a', 26379))
    """
    found = re.fullmatch(r"(?:\[([^\]]+)\]|([^:\[\]]+))(?::(\d+))?", text)
    if found is None:
        raise ValueError(text)
    return found[1] or found[2], int(found[3] or SENTINEL_PORT)
