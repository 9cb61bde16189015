"""What a copy of a template on another SR is asked for as: a launch whose VM stays a template.

It waits its turn, is carried out, watched, cancelled and undone as every launch is, in fewer steps.
Nobody writes such a request: a worker makes it, of a template and an SR that it has looked up.
"""

import json
from typing import Literal

from xenlaunch import names
from xenlaunch.fields import Label
from xenlaunch.model import LaunchRequest

FIRST_OF_ALL = 0
"""The priority of a copy: it is there to make room for those who wait."""


class CopyRequest(LaunchRequest):
    """One copy that somebody wants: ``template`` and ``sr`` are uuids, ``name`` what all bear."""

    name: Label
    makes: Literal["template"]  # without a default, so that its canonical form tells its kind


def copy_request(name: str, template: str, sr: str, pool: str) -> CopyRequest:
    """The request for a copy of the template with this name and uuid, on the SR with this uuid."""
    return CopyRequest(
        name=name,
        template=template,
        sr=sr,
        pool=pool,
        clone="full",
        priority=FIRST_OF_ALL,
        makes="template",
    )


def read_request(text: str) -> LaunchRequest:
    """A request of either kind, as it lies in a record."""
    kind = CopyRequest if makes_template(text) else LaunchRequest
    return kind.model_validate_json(text)


def makes_template(text: str) -> bool:
    """Whether this is the request for a copy, without reading all of it where it is not.

    >>> makes_template('{"name": "web", "other_config": {"makes": "template"}}')
    False
    """
    return '"makes"' in text and "makes" in json.loads(text)


def steps_of(text: str) -> tuple[str, ...]:
    """The steps of a launch with this request, in their order."""
    return names.COPY_STEPS if makes_template(text) else names.STEPS
