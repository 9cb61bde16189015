"""The storm sees a batch that is neither whole nor gone."""

from random import Random
from typing import Any

import pytest

from tests.storm.policies import Batches
from xenlaunch import BatchPolicy, states
from xenlaunch.batches import ANYHOW
from xenlaunch.record import Record

WHOLE = BatchPolicy(all_or_nothing=True)


@pytest.mark.parametrize(
    ("policy", "ends", "is_wrong"),
    [
        (WHOLE, (states.SUCCEEDED, states.SUCCEEDED), False),
        (WHOLE, (states.FAILED, states.DESTROYED), False),
        (WHOLE, (states.FAILED, states.SUCCEEDED), True),
        (WHOLE, (states.SUCCEEDED,), True),
        (ANYHOW, (states.FAILED, states.SUCCEEDED), False),
        (BatchPolicy(tolerate=0), (states.FAILED, states.SUCCEEDED), False),
    ],
)
def test_all_or_nothing(policy: BatchPolicy, ends: tuple[str, ...], *, is_wrong: bool) -> None:
    nobody: Any = None
    batches = Batches(nobody, Random(1), asked={("a", "b"): policy})
    records = {one: Record({"id": one, "state": end}) for one, end in zip("ab", ends, strict=False)}

    assert bool(list(batches.wrong(records))) is is_wrong
