"""Become another program that dies with its parent: ``python lifeline.py PARENT_PID PROGRAM ARG…``.

Run as a script between fork and exec, because Python code in a forked child (``preexec_fn``) may
deadlock in a process that has threads. Linux kills the program when its parent dies, however that
happens. macOS has no such call: there a child outlives a parent that was killed outright, and only
then; an end of any other kind stops it in order.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
SIGKILL = 9
NOT_FOUND = 127


def main(parent: int, argv: list[str]) -> int:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL)
    if os.getppid() != parent:  # it died before the call above, so no signal will come
        return 1
    try:
        os.execvp(argv[0], argv)  # noqa: S606  becoming that program is the point
    except OSError as error:
        sys.stderr.write(f"cannot start {argv[0]}: {error.strerror}\n")
        return NOT_FOUND


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
