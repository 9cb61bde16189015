"""What a request tells the guest: cloud-init's data on a drive, and words in xenstore.

All of it may be secret. It lies in the launch's own record, apart from the rest of the request,
and goes from there when the launch ends; it is in no repr, message, result, event or log.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    JsonValue,
    StrictBool,
    StrictStr,
    Tag,
    model_validator,
)
from pydantic_core import PydanticCustomError

from xenlaunch.fields import AtOnce, Carried, Key, Label
from xenlaunch.frozen import Frozen

LONGEST: Final = 65_536
"""The most characters of one document."""

LONGEST_VALUE: Final = 2048
"""The most characters of a value in xenstore, also with its words filled in."""

WORDS: Final = re.compile(r"(?<![{$])\{(index|name|mac(?::(?:0|[1-9]\d?))?)\}(?!\})")
"""What is filled in. ``${name}`` and ``{{name}}`` belong to shells and templates, and stay."""

_XENSTORE_KEY: Final = re.compile(r"[A-Za-z0-9_@:.-]+(/[A-Za-z0-9_@:.-]+)*")


def _check_document(value: Any) -> Any:
    try:
        (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)).encode()
    except UnicodeEncodeError:
        raise PydanticCustomError(
            "document", "has half a character in it, a surrogate without its other half"
        ) from None
    if len(value if isinstance(value, str) else json.dumps(value)) > LONGEST:
        raise PydanticCustomError(
            "document", "is longer than {most} characters", {"most": str(LONGEST)}
        )
    return value


def _check_key(value: str) -> str:
    key = value.removeprefix("vm-data/")
    if not _XENSTORE_KEY.fullmatch(key):
        raise PydanticCustomError(
            "xenstore", "is no key of xenstore: letters, digits and - _ @ : . between slashes"
        )
    return key


Mapped = Annotated[dict[Key, JsonValue], AfterValidator(_check_document)]
Document = Annotated[
    Annotated[StrictStr, AfterValidator(_check_document), Tag("text")]
    | Annotated[Mapped, Tag("Mapped")],
    Discriminator(lambda value: "Mapped" if isinstance(value, Mapping) else "text"),
]
XenstoreKey = Annotated[Key, AfterValidator(_check_key)]
XenstoreValue = Annotated[Carried, Field(max_length=LONGEST_VALUE)]


class Guest(Frozen):
    """What is told to the guest, and how. A document is text, or a mapping that becomes JSON."""

    user_data: Document | None = Field(default=None, repr=False)
    meta_data: Mapped | None = Field(default=None, repr=False)
    network_config: Document | None = Field(default=None, repr=False)
    xenstore_data: Annotated[
        dict[XenstoreKey, XenstoreValue], Field(max_length=64, repr=False), AtOnce
    ] = Field(default_factory=dict, repr=False)
    drive: Literal["nocloud", "configdrive"] = "nocloud"
    sr: Label | None = None
    fill: StrictBool = True
    remove_after: Literal["never", "agent", "address"] = "never"

    @model_validator(mode="after")
    def _has_what_it_removes(self) -> Self:
        if self.remove_after != "never" and not self.wants_drive:
            raise PydanticCustomError("guest", "has remove_after, and no data for a drive")
        return self

    @property
    def wants_drive(self) -> bool:
        """Whether there is anything to put on a drive."""
        given = (self.user_data, self.meta_data, self.network_config)
        return any(one is not None for one in given)

    def without_data(self) -> Self:
        """The same as far as the pool is concerned, and nothing of what is told in it."""
        numbers = ("" if nic is None else f":{nic}" for nic in self.macs_named())
        word = "".join(f"{{mac{number}}}" for number in sorted(numbers))
        hidden: dict[str, Any] = {"user_data": word, "network_config": word, "meta_data": {}}
        given = {name: hidden[name] for name in hidden if getattr(self, name) is not None}
        return self.but(**given, xenstore_data=dict.fromkeys(self.xenstore_data, word))

    def macs_named(self) -> frozenset[int | None]:
        """The NICs whose words are used: None for ``{mac}``, and the N of each ``{mac:N}``."""
        texts = [one for part in self._parts() for one in _texts(part)] if self.fill else []
        found = {word for text in texts for word in WORDS.findall(text) if word.startswith("mac")}
        return frozenset(int(word[4:]) if word[4:] else None for word in found)

    def filled(self, words: Mapping[str, str]) -> Self:
        """The same with every word that is known put in its place."""
        if not self.fill:
            return self

        def fill(text: str) -> str:
            return WORDS.sub(lambda found: words.get(found[1], found[0]), text)

        parts = ("user_data", "meta_data", "network_config", "xenstore_data")
        return self.but(**{name: _through(getattr(self, name), fill) for name in parts})

    def _parts(self) -> tuple[Any, ...]:
        return (self.user_data, self.meta_data, self.network_config, self.xenstore_data)


def _through(value: Any, change: Callable[[str], str]) -> Any:
    """A value of JSON with each text in it changed; the keys of its mappings stay."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {key: _through(one, change) for key, one in value.items()}
    return [_through(one, change) for one in value] if isinstance(value, list) else value


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for one in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(one)
