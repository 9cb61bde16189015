"""Every measurement of this folder, one JSON line each: ``python -m bench``."""

import subprocess
import sys
from typing import Final

MEASUREMENTS: Final = (
    ("bench.simulator_calls",),
    ("bench.simulator_events",),
    ("bench.schedule", "--json"),
)

for measurement in MEASUREMENTS:
    subprocess.run([sys.executable, "-m", *measurement], check=True)
