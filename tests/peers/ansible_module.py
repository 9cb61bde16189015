"""Ansible's `xenserver_guest_info`, unchanged, asked of many VMs of a pool by one process.

``python -m tests.peers.ansible_module`` reads a line of JSON, the pool's address and password and
the VMs' uuids, and prints what the module answers of each. Run by Ansible itself, as in
`test_ansible.py`, it takes seconds of a processor for each VM.
"""

import json
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout, suppress
from io import StringIO
from typing import Any

from ansible.module_utils.testing import patch_module_args
from ansible_collections.community.general.plugins.modules import xenserver_guest_info


def main(asked: Mapping[str, Any]) -> None:
    way_in = {"hostname": asked["pool"], "username": "root", "password": asked["password"]}
    said = {uuid: ask({**way_in, "validate_certs": False, "uuid": uuid}) for uuid in asked["vms"]}
    sys.stdout.write(json.dumps(said))


def ask(arguments: dict[str, Any]) -> Any:
    answer = StringIO()
    with patch_module_args(arguments), redirect_stdout(answer), suppress(SystemExit):
        xenserver_guest_info.main()
    return json.loads(answer.getvalue())


if __name__ == "__main__":
    main(json.loads(sys.stdin.readline()))
