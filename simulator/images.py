"""What is on the disks: only blocks that are not all zeros are kept, and copies share them."""

from __future__ import annotations

from typing import Final

BLOCK: Final = 64 * 1024
_ZEROS: Final = bytes(BLOCK)


class Image:
    r"""The bytes of one disk; all that was never written is zeros.

    >>> image = Image()
    >>> image.write(BLOCK - 1, b"ab")
    >>> image.read(BLOCK - 2, 4), image.used
    (b'\x00ab\x00', 131072)
    """

    def __init__(self, blocks: dict[int, bytes] | None = None) -> None:
        self._blocks = {} if blocks is None else blocks

    @property
    def used(self) -> int:
        return len(self._blocks) * BLOCK

    def copy(self) -> Image:
        return Image(dict(self._blocks))

    def write(self, offset: int, part: bytes) -> None:
        done = 0
        while done < len(part):
            number, start = divmod(offset + done, BLOCK)
            piece = part[done : done + BLOCK - start]
            self._put(number, start, piece)
            done += len(piece)

    def _put(self, number: int, start: int, piece: bytes) -> None:
        block = piece
        if len(piece) < BLOCK:
            old = self._blocks.get(number, _ZEROS)
            block = old[:start] + piece + old[start + len(piece) :]
        if block == _ZEROS:
            self._blocks.pop(number, None)
        else:
            self._blocks[number] = block

    def read(self, offset: int, length: int) -> bytes:
        first, last = offset // BLOCK, (offset + length - 1) // BLOCK
        whole = b"".join(self._blocks.get(n, _ZEROS) for n in range(first, last + 1))
        start = offset - first * BLOCK
        return whole[start : start + length]


class Images:
    """The contents of the pool's disks, by ref; a disk that is not here is empty."""

    def __init__(self) -> None:
        self._of: dict[str, Image] = {}

    def of(self, vdi: str) -> Image:
        return self._of.setdefault(vdi, Image())

    def copy(self, source: str, target: str) -> None:
        if source in self._of:
            self._of[target] = self._of[source].copy()

    def drop(self, vdi: str) -> None:
        self._of.pop(vdi, None)
