"""Where the checkout is, and what git keeps of it."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def tracked(*patterns: str) -> list[Path]:
    """The files that git tracks, or would after `git add`, and that are there."""
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [
        path for name in sorted(set(names.split("\0"))) if name and (path := ROOT / name).is_file()
    ]
