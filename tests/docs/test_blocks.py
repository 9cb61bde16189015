"""Blocks of the docs that are data or code are read by what would read them."""

from pathlib import Path

import pytest

from tests.docs.pages import Block, blocks
from workers.settings import read_pools
from xenlaunch.batch_file import Said, read_asked

KINDS = {"yaml", "toml", "python", "console", "sh", "text", "mermaid", "lua"}


def cases(kind: str) -> pytest.MarkDecorator:
    found = list(blocks(kind))
    return pytest.mark.parametrize("block", found, ids=[block.id for block in found])


@cases("yaml")
def test_a_request_is_one(block: Block, tmp_path: Path) -> None:
    path = tmp_path / "request.yaml"
    path.write_text(block.text)
    with path.open() as file:
        assert read_asked(file, block.id, Said()).requests


@cases("toml")
def test_a_pools_file_is_one(block: Block, tmp_path: Path) -> None:
    path = tmp_path / "pools.toml"
    path.write_text(block.text)

    assert read_pools(path).pools


@cases("python")
def test_python_compiles(block: Block) -> None:
    compile(block.text, block.id, "exec")


def test_every_block_says_what_it_is() -> None:
    unsaid = [block.id for block in blocks("") if block.text]

    assert unsaid == []
    assert {block.kind for block in blocks(*KINDS)} >= {"yaml", "toml", "python", "console"}
