"""What a storm came to, as a table and as JSON."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from tests.storm.checker import Findings
from tests.storm.random_storm import Round
from tests.storm.recovery import percentile


@dataclass
class Tally:
    """All rounds of a storm that are done."""

    seed: str
    rounds: list[int] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    recoveries: list[float] = field(default_factory=list)
    from_death: list[float] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    named: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, done: Round) -> None:
        self.rounds.append(done.number)
        self.kills += done.kills
        self.ends += done.ends
        self.recoveries += [round(seconds, 2) for seconds in done.recoveries]
        self.from_death += [round(seconds, 2) for seconds in done.from_death]
        self.seconds += done.seconds
        self._note(done.findings)

    def _note(self, findings: Findings) -> None:
        self.duplicates += findings.duplicates
        self.leaks += findings.leaks
        self.lost += findings.lost
        self.wrong += findings.wrong
        self.named += findings.named

    @property
    def is_right(self) -> bool:
        return not (self.duplicates or self.leaks or self.lost or self.wrong)

    def to_json(self) -> str:
        return json.dumps(vars(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        found: dict[str, Any] = json.loads(text)
        counted = {name: Counter(found[name]) for name in ("kills", "ends")}
        return cls(**{**found, **counted})

    def lines(self) -> Iterator[str]:
        """The table, in Markdown."""
        yield f"| seed {self.seed} | |"
        yield "| --- | ---: |"
        for kind, count in self.kills.most_common():
            yield f"| {kind} | {count} |"
        yield f"| **kills** | **{sum(self.kills.values())}** |"
        for state, count in sorted(self.ends.items()):
            yield f"| launches {state} | {count} |"
        yield f"| **launches** | **{sum(self.ends.values())}** |"
        yield from _counts(self)
        yield f"| recoveries | {len(self.recoveries)} |"
        for share in (0.5, 0.99, 1.0):
            name = "longest" if share == 1 else f"p{share * 100:.0f}"
            yield f"| recovery {name} | {percentile(self.recoveries, share):.1f} s |"
        yield f"| longest, Redis' absence included | {max(self.from_death, default=0):.1f} s |"
        yield f"| time | {self.seconds / 60:.0f} min |"


def _counts(tally: Tally) -> Sequence[str]:
    return [
        f"| duplicates | {len(tally.duplicates)} |",
        f"| leaks | {len(tally.leaks)} |",
        f"| lost | {len(tally.lost)} |",
        f"| otherwise wrong | {len(tally.wrong)} |",
        f"| left over and named | {len(tally.named)} |",
    ]
