"""Every measurement of this folder, one JSON line each: ``python -m bench``."""

import subprocess
import sys
from typing import Final

MEASUREMENTS: Final = ("simulator_calls", "simulator_events")

for name in MEASUREMENTS:
    subprocess.run([sys.executable, "-m", f"bench.{name}"], check=True)
