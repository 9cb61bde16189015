"""A template's copies on several SRs, as an upstream application asks for them."""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from xenlaunch import names

Answers: TypeAlias = list[dict[str, Any]]
Ask: TypeAlias = Callable[[str, tuple[Any, ...], float], Any]

ANSWER_SECONDS: Final = 30.0
"""How long a worker may take to look at the pools, or to begin."""

GOING_ON: Final = frozenset({"waiting", "copying", "removing"})
"""The states of a copy that change by themselves."""


class Templates:
    """The templates of a deployment's pools. All that it can do, a worker does.

    A copy is told of as a mapping: pool, template (name), sr (name), hosts (how many reach the SR
    now) of hosts_total, uuid, made_here (whether it may be removed), state (``there``, ``waiting``,
    ``copying``, ``removing``, ``failed``), percent (of what is copied, or None), launch (the id of
    the launch that makes it, or '') and error (text, or ''). A pool that cannot answer has pool and
    error only. Everything raises `NoWorker` where no worker answers.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def copies(
        self, template: str, pool: str | None = None, *, timeout: float = ANSWER_SECONDS
    ) -> Answers:
        """The copies of a template (by its name, or a uuid) on one pool, or on all that have it."""
        answer: Answers = self._ask(names.TASK_COPIES, (template, pool), timeout)
        return answer

    def spread(
        self,
        template: str,
        srs: Sequence[str],
        pool: str | None = None,
        *,
        timeout: float = ANSWER_SECONDS,
    ) -> Answers:
        """Have copies of a template made on these SRs (names or uuids): how each of them stands.

        Returns when the copying has been written down: it goes on whoever dies, and `copies` tells
        how far it is. Repeating is harmless: a copy that is there, or under way, is not made again.
        """
        answer: Answers = self._ask(names.TASK_SPREAD, (template, list(srs), pool), timeout)
        return answer

    def remove(
        self,
        template: str,
        srs: Sequence[str],
        pool: str | None = None,
        *,
        timeout: float = ANSWER_SECONDS,
    ) -> Answers:
        """Have the copies on these SRs removed that `spread` has made: how each of them stands.

        What was not made so stays, and so does the last copy. One that launches have chosen already
        goes when they have cloned it. What is being copied is stopped and undone.
        """
        asked = (template, list(srs), pool)
        answer: Answers = self._ask(names.TASK_REMOVE_COPIES, asked, timeout)
        return answer
