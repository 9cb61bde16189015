"""Thousands of interleavings of two workers, a pool, an owner and the wires between them.

They are the same each time: `MODEL_SECONDS` says for how long, `MODEL_EXAMPLES` how many at least,
`MODEL_SEED` where they begin. A story that goes wrong is shrunk and told.
"""

import os
import sys

import pytest

from tests.model.telling import tell

SECONDS = float(os.environ.get("MODEL_SECONDS", "40"))
EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "50"))
SEED = int(os.environ.get("MODEL_SEED", "1"))


@pytest.mark.timeout(max(600, SECONDS * 2, EXAMPLES))
def test_whatever_dies_or_stalls_or_comes_late_a_launch_gives_one_vm_or_none(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = tell(SEED, lambda n, seconds: n >= EXAMPLES and seconds >= SECONDS, shrink=True)
    with capsys.disabled():
        sys.stdout.write(f"\n{told}: {dict(told.ends)}\n")

    # A world in which nothing can come up has no stories to tell.
    assert 2 * told.ends["succeeded"] > told.ends.total()
