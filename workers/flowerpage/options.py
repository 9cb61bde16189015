"""How Flower is set where nobody says otherwise: on loopback, with a password, and bounded."""

import os
import secrets
from pathlib import Path
from typing import Any, Final

# Flower defines its options when this is imported.
from flower.options import options

from workers.settings import FLOWER_PASSWORD_FILE, named_file
from xenlaunch.errors import BadSettings

ROOT: Final = Path(__file__).resolve().parents[2]
USER: Final = "xenlaunch"
COLUMNS: Final = "name,args,state,received,runtime,worker"
FOLDER: Final = ROOT / ".xenlaunch" / "flower"


def defaults() -> dict[str, Any]:
    """Flower's options by name; those that the command line or the environment set stay."""
    ours: dict[str, Any] = {
        "address": "127.0.0.1",
        "max_tasks": 20_000,  # about 100 MB
        "max_workers": 500,
        "purge_offline_workers": 3600,
        # Saved each minute, because Flower's own way is to save at a clean end alone.
        "persistent": True,
        "state_save_interval": 60_000,
        "tasks_columns": COLUMNS,
        # Launches are cancelled on our page, by the ledger; a worker is stopped where it runs.
        "read_only": True,
    }
    ours = {name: value for name, value in ours.items() if _is_unset(name)}
    if _is_unset("db"):
        FOLDER.mkdir(mode=0o700, parents=True, exist_ok=True)
        ours["db"] = str(FOLDER / "tasks")
    if not options.basic_auth and not options.auth:
        ours["basic_auth"] = [f"{USER}:{password()}"]
    return ours


def password() -> str:
    """Flower's password, from its file, which is made where nobody has named one."""
    named = named_file(FLOWER_PASSWORD_FILE)
    path = named or FOLDER / "password"
    if named is None and not path.exists():
        FOLDER.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(12))
    try:
        found = path.read_text(encoding="utf-8").strip()
    except OSError as lost:
        raise BadSettings(f"Flower's password file {path}: {lost.strerror}.") from None
    if not found:
        raise BadSettings(f"Flower's password file {path} is empty.")
    return found


def _is_unset(name: str) -> bool:
    option = options._options[options._normalize_name(name)]  # noqa: SLF001  tornado has no other way to ask
    return bool(option.value() == option.default)
