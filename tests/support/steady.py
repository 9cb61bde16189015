"""Hypothesis without chance from outside: what it draws is told by the seed and the code alone."""

from typing import Final

from hypothesis.internal.conjecture.providers import AVAILABLE_PROVIDERS, HypothesisProvider

STEADY: Final = "steady"
"""The backend's name, for `hypothesis.settings`."""


class Steady(HypothesisProvider):
    """Draws as Hypothesis does, but for the numbers that it finds in whatever modules are loaded.

    So a seed draws the same alone and amid a suite, today and after a change elsewhere.
    """

    def _maybe_draw_constant(self, *_asked: object, **_more: object) -> None:
        return None


AVAILABLE_PROVIDERS[STEADY] = f"{__name__}.{Steady.__name__}"
