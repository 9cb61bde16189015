"""Launches that have landed: their reservation is gone, so their VM has to be seen.

What is read of a pool is a moment old. A launch that ended since the last look has its VM on a host
that might not be counted there yet, and its memory would be given away twice. So whoever is to give
room reads the reservations first, and hears all that the pool has done before that, if one is gone.
"""

from collections.abc import Callable, Collection


class Landing:
    """What one dispatcher knew of the reservations of a pool when it last looked."""

    def __init__(self) -> None:
        self._held: set[str] | None = None
        self._version = ""

    def heed(self, held: Collection[str], version: str, catch_up: Callable[[], None]) -> None:
        """Catch up with the pool where a launch is gone that was held, or may have come and gone.

        Another version tells that somebody else has given room since.
        """
        gone = self._held is None or version != self._version or not self._held <= set(held)
        if gone:
            self._held = None  # where catching up fails, the next look has to
            catch_up()
        self._held, self._version = set(held), version

    def promised(self, launch: str, version: str) -> None:
        """This dispatcher has given a launch room, with which the version became this."""
        if self._held is not None:
            self._held.add(launch)
        self._version = version
