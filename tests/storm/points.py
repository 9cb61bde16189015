"""Crash points: where a worker may die, each with a name, and whose turn it is.

Workers pass points; each pass is written down under the launch that it is about (its *subject*),
in a file that all workers share. A point's name says on which side of what it lies, and which
passage of the kind it is: ``after intent clone #1``. A subject may be doomed: to points at which
whoever passes them dies, in their order; passages are counted anew after each death.

Nobody lists points by hand: a launch is run, and what it has passed are its points.
"""

import fcntl
import os
import re
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

STRUCK: Final = "-- struck "
NEXT: Final = " #next"
"""Instead of a number: whichever passage comes next."""

_REF: Final = re.compile(
    r"OpaqueRef:[\w-]+|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\bl-[a-z2-7]{16}\b"
    r"|\bxl[0-9a-f]{13}\b",
    re.IGNORECASE,
)


def general(text: str) -> str:
    """A text without what differs from launch to launch.

    >>> general("undo:vm:OpaqueRef:5d-1")
    'undo:vm:*'
    """
    return _REF.sub("*", text)


class Points:
    """The points that are passed and the dooms that wait, in one folder for all processes."""

    def __init__(self, folder: Path, stall: float = 0.0) -> None:
        self._stall = stall
        self._passed = folder / "passed"
        self._doomed = folder / "doomed"

    def prepare(self) -> None:
        for folder in (self._passed, self._doomed):
            folder.mkdir(parents=True, exist_ok=True)

    def doom(self, subject: str, points: Sequence[str]) -> None:
        (self._doomed / subject).write_text("\n".join(points))

    def subjects(self) -> list[str]:
        return sorted(path.name for path in self._passed.iterdir())

    def forget(self, subject: str) -> None:
        """Begin anew with a subject that lives longer than a launch."""
        for folder in (self._passed, self._doomed):
            (folder / subject).unlink(missing_ok=True)

    def passed(self, subject: str) -> list[str]:
        """The names of the points that were passed since the last death, in order."""
        with self._opened(subject) as lines:
            return list(numbered(since_last_death(lines)))

    def struck(self, subject: str) -> list[str]:
        with self._opened(subject) as lines:
            return [line.removeprefix(STRUCK) for line in lines if line.startswith(STRUCK)]

    def go_past(self, subject: str, point: str) -> None:
        """Pass a point, or die at it."""
        with self._opened(subject, point) as lines:
            name = list(numbered(since_last_death(lines)))[-1]
            deaths = sum(line.startswith(STRUCK) for line in lines)
            for doom in self._dooms(subject)[deaths : deaths + 1]:
                if doom in (name, f"{point}{NEXT}"):
                    with (self._passed / subject).open("a") as file:
                        file.write(f"{STRUCK}{doom}\n")
                    self._strike()

    def _strike(self) -> None:
        """Die; or, where that is wanted, stand still for a while and go on."""
        if not self._stall:
            os.kill(os.getpid(), signal.SIGKILL)
        subprocess.Popen(["/bin/sh", "-c", f"sleep {self._stall}; kill -CONT {os.getpid()}"])
        os.kill(os.getpid(), signal.SIGSTOP)

    def _dooms(self, subject: str) -> list[str]:
        try:
            return (self._doomed / subject).read_text().splitlines()
        except FileNotFoundError:
            return []

    @contextmanager
    def _opened(self, subject: str, new: str = "") -> Iterator[list[str]]:
        """The lines of a subject, with a new one if given, while nobody else writes any."""
        with (self._passed / subject).open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if new:
                file.write(f"{new}\n")
                file.flush()
            file.seek(0)
            yield file.read().splitlines()


def since_last_death(lines: Sequence[str]) -> Sequence[str]:
    last = max((n for n, line in enumerate(lines, 1) if line.startswith(STRUCK)), default=0)
    return lines[last:]


def numbered(lines: Sequence[str]) -> Iterator[str]:
    """Each line with the number of its kind.

    >>> list(numbered(["a", "b", "a"]))
    ['a #1', 'b #1', 'a #2']
    """
    counted: Counter[str] = Counter()
    for line in lines:
        counted[line] += 1
        yield f"{line} #{counted[line]}"
