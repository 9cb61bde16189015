"""Every measurement of this folder, one JSON line each: ``python -m bench``."""

import subprocess
import sys
from pathlib import Path

for file in sorted(Path(__file__).parent.glob("[a-z]*.py")):
    subprocess.run([sys.executable, "-m", f"bench.{file.stem}"], check=True)
