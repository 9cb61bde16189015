"""Makes the stack's secrets, each where only those read it who need it: ``make_secrets.py DIR``.

``DIR`` has one folder for each kind of service. What is there already stays as it is, so that this
may run at every start. The pool's password is that of the simulated pool, and no other's.
"""  # noqa: INP001  it is copied into the image, and is no package

import hashlib
import secrets
import sys
from pathlib import Path
from typing import Final

ROLES: Final = ("worker", "client", "flower")


def make(folder: Path) -> None:
    """Fill the folder: passwords, and Redis' list of users with their digests."""
    users = Path(__file__).with_name("users.acl").read_text(encoding="utf-8")
    for role in ROLES:
        password = keep(folder / role / "redis.password", secrets.token_urlsafe(32))
        users = users.replace(f"{{{role}}}", f"#{hashlib.sha256(password.encode()).hexdigest()}")
    keep(folder / "flower" / "flower.password", secrets.token_urlsafe(18))
    pool = keep(folder / "simulator" / "lab.password", secrets.token_urlsafe(32))
    keep(folder / "worker" / "lab.password", pool)
    rules = [line for line in users.splitlines() if line and not line.startswith("#")]
    (folder / "redis" / "users.acl").write_text("\n".join(rules) + "\n", encoding="utf-8")


def keep(path: Path, secret: str) -> str:
    """What the file holds; the secret, if there is no file yet."""
    if not path.exists():
        path.write_text(secret, encoding="utf-8")
        path.chmod(0o444)
    return path.read_text(encoding="utf-8")


if __name__ == "__main__":
    make(Path(sys.argv[1]))
