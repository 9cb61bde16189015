"""Runs the console blocks of a page as somebody would who types them."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.docs.pages import Block, blocks
from tests.support.paths import ROOT

CURL = """\
#!{python}
import sys, urllib.request
words, method, data, out = sys.argv[1:], None, None, None
url = [w for w in words if w.startswith("http")][0]
for option, value in zip(words, words[1:]):
    if option == "-X": method = value
    if option == "-d": data = value.encode()
    if option == "-o": out = value
asked = urllib.request.Request(url, data=data, method=method)
answer = urllib.request.urlopen(asked, timeout=20).read()
if out: open(out, "wb").write(answer)
else: print(answer.decode())
"""
XENLAUNCH = "#!{python}\nfrom xenlaunch.cli import main\nmain()\n"
PYTHON = '#!/bin/sh\nexec {python} "$@"\n'

_LOOSE = [
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "UUID"),
    (re.compile(r"\b[0-9a-f]{2}(:[0-9a-f]{2}){5}\b"), "MAC"),
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:]+Z"), "WHEN"),
    (re.compile(r"\d+(\.\d+)*"), "N"),
    (re.compile(r"\s+"), " "),
]
_COUNTS = re.compile(r"\d+ of \d+ running|\d+ launches|\d+ succeeded of \d+")
_LETTERS = str.maketrans("0123456789", "abcdefghij")
_PROGRESS = re.compile(r"^N s .* running")


class Shell:
    """A folder with a page's files in it, and the programs that its commands name."""

    def __init__(self, folder: Path, env: Mapping[str, str], swap: Mapping[str, str]) -> None:
        self.folder = folder
        self.swap = swap
        programs = folder / "bin"
        programs.mkdir(parents=True)
        for name, text in (("curl", CURL), ("xenlaunch", XENLAUNCH), ("python", PYTHON)):
            (programs / name).write_text(text.format(python=sys.executable))
            (programs / name).chmod(0o755)
        path = f"{programs}{os.pathsep}{os.environ['PATH']}"
        self.env = {**os.environ, **env, "PATH": path, "PYTHONPATH": str(ROOT)}

    def differences(self, page: Path) -> Iterator[str]:
        """Write the page's files, run its console blocks, and tell what came out otherwise."""
        for block in blocks("yaml", "python", page=page):
            if block.file:
                (self.folder / block.file).write_text(block.text)
        for block in blocks("console", page=page):
            yield from self._run(block)

    def _run(self, block: Block) -> Iterator[str]:
        lines = block.text.splitlines()
        script = "\n".join(line[2:] for line in lines if line.startswith("$ "))
        for word, instead in self.swap.items():
            script = script.replace(word, instead)
        ran = subprocess.run(
            ["bash", "-c", f"exec 2>&1\n{script}"],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        said = iter([loose(line) for line in ran.stdout.splitlines()])
        wanted = [loose(line) for line in lines if not line.startswith("$ ")]
        for line in wanted:
            # What is shown of progress depends on the moment; all else must come, in this order.
            if line and not _PROGRESS.match(line) and line not in said:
                yield f"{block.id}: {line!r} did not come; this did:\n{ran.stdout}"
                return


def loose(line: str) -> str:
    """The line without what differs from one time to the next; counts of launches stay."""
    if line.isdecimal():  # an exit code
        return line
    line = _COUNTS.sub(lambda count: count[0].translate(_LETTERS), line)
    for pattern, instead in _LOOSE:
        line = pattern.sub(instead, line)
    return line.strip()
