"""The settings: variables of the environment, and the pools file that one of them names."""

import math
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from xenlaunch import password_file as where
from xenlaunch.errors import BadSettings
from xenlaunch.fields import Label
from xenlaunch.nics import Traffic
from xenlaunch.slots import Slots

REDIS_URL: Final = where.URL
REDIS_PASSWORD_FILE: Final = where.PASSWORD_FILE
POOLS: Final = "XENLAUNCH_POOLS"
STOP_SECONDS: Final = "XENLAUNCH_STOP_SECONDS"
ALIVE_FILE: Final = "XENLAUNCH_ALIVE_FILE"
FLOWER_PASSWORD_FILE: Final = "XENLAUNCH_FLOWER_PASSWORD_FILE"  # noqa: S105  a variable's name

Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class PoolSettings(_Strict):
    """One pool: where it is, who we are there, and how we know that it is the right one."""

    addresses: Annotated[tuple[str, ...], Field(min_length=1)]
    username: str = "root"
    password_file: Path | None = None
    password_env: str | None = None
    allow_http: bool = False
    ca_file: Path | None = None
    pins: tuple[str, ...] = ()
    in_flight: Annotated[int, Field(ge=1, le=10_000)] = 400
    sr_slots: Annotated[int, Field(ge=1, le=50)] = Slots.sr
    host_slots: Annotated[int, Field(ge=1, le=50)] = Slots.host
    copy_slots: Annotated[int, Field(ge=1, le=50)] = Slots.copy
    traffic: dict[Traffic, Annotated[str, Field(min_length=1)]] = {}

    @model_validator(mode="after")
    def _one_password(self) -> "PoolSettings":
        if (self.password_file is None) == (self.password_env is None):
            raise PydanticCustomError("password", "needs either password_file or password_env")
        return self

    def password(self) -> SecretStr:
        """The password, read anew each time, so that it can be changed under a running worker."""
        if self.password_env is not None:
            found = os.environ.get(self.password_env)
            if found is None:
                raise BadSettings(f"The variable {self.password_env} holds no password.")
            return SecretStr(found)
        assert self.password_file is not None  # noqa: S101  one of the two is there
        try:
            return SecretStr(self.password_file.read_text().rstrip("\r\n"))
        except OSError as lost:
            raise BadSettings(
                f"The password file {self.password_file} cannot be read: {lost.strerror}."
            ) from None


class OwnerSettings(_Strict):
    """One owner of launches."""

    weight: Annotated[float, Field(ge=0.01, le=100, strict=True)] = 1.0


class PoolsFile(_Strict):
    """Whose VMs these are, and on which pools."""

    deployment: Word
    sweep_grace_seconds: Annotated[float, Field(ge=0, le=86_400)] = 600
    sweep_every_seconds: Annotated[float, Field(ge=0.1, le=3_600)] = 60
    pools: Annotated[dict[Word, PoolSettings], Field(min_length=1)]
    owners: dict[Label, OwnerSettings] = {}


@dataclass(frozen=True)
class Settings:
    """All that a worker process is told from outside."""

    redis_url: str
    deployment: str
    pools: Mapping[str, PoolSettings]
    sweep_grace_seconds: float = 600
    sweep_every_seconds: float = 60
    stop_seconds: float = 15.0
    """How long a worker that is asked to end waits for the steps that it is at."""
    owners: Mapping[str, OwnerSettings] = field(default_factory=dict)

    @property
    def weights(self) -> dict[str, float]:
        """The share of each owner in a pool's line beside that of others, which is 1."""
        return {owner: said.weight for owner, said in self.owners.items()}


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process. Raises `BadSettings` with a sentence that says what to do."""
    environment = os.environ if environment is None else environment
    path = Path(_required(environment, POOLS, "the path of the pools file, pools.toml"))
    pools = read_pools(path)
    url = _required(environment, REDIS_URL, "the Redis to use, such as redis://127.0.0.1:6379/0")
    url = where.with_password(url, environment.get(REDIS_PASSWORD_FILE))
    sweeping = (pools.sweep_grace_seconds, pools.sweep_every_seconds)
    stop = _stop_seconds(environment)
    return Settings(
        url, pools.deployment, pools.pools, *sweeping, stop_seconds=stop, owners=pools.owners
    )


def _stop_seconds(environment: Mapping[str, str]) -> float:
    written = environment.get(STOP_SECONDS) or "15"
    try:
        seconds = float(written)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < math.inf:
        raise BadSettings(f"{STOP_SECONDS} is a number of seconds such as 15, not {written!r}.")
    return seconds


def named_file(name: str, environment: Mapping[str, str] | None = None) -> Path | None:
    """The file that a variable names, if it is set."""
    found = (os.environ if environment is None else environment).get(name)
    return Path(found) if found else None


def redis_url(environment: Mapping[str, str] | None = None) -> str | None:
    return (os.environ if environment is None else environment).get(REDIS_URL)


def _required(environment: Mapping[str, str], name: str, what: str) -> str:
    found = environment.get(name)
    if not found:
        raise BadSettings(f"Set {name}: {what}.")
    return found


def read_pools(path: Path) -> PoolsFile:
    try:
        fields = tomllib.loads(path.read_text())
        return PoolsFile.model_validate(_beside(path, fields))
    except OSError as lost:
        raise BadSettings(f"The pools file {path} cannot be read: {lost.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as wrong:
        raise BadSettings(f"The pools file {path} is not TOML: {wrong}.") from None
    except ValidationError as wrong:
        findings = "; ".join(_finding(error) for error in wrong.errors(include_url=False))
        raise BadSettings(f"The pools file {path}: {findings}.") from None


def _beside(path: Path, fields: dict[str, Any]) -> dict[str, Any]:
    """Files that the pools file names lie beside it, unless their path says otherwise."""
    pools = fields.get("pools")
    for pool in pools.values() if isinstance(pools, dict) else ():
        for name in ("password_file", "ca_file"):
            if isinstance(pool, dict) and isinstance(pool.get(name), str):
                pool[name] = path.parent / pool[name]
    return fields


def _finding(error: Any) -> str:
    place = ".".join(str(part) for part in error["loc"]) or "it"
    return f"{place}: {error['msg']}"
