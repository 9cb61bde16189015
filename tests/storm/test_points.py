"""Nothing that writes is without a crash point."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.storm.doomed_worker import CALLS, CHANGING_READS, WRITES
from tests.support.paths import ROOT
from xenlaunch.xapi.session import Session

WRITING = {
    *("hset", "hsetnx", "hdel", "hincrby", "set", "setex", "psetex", "delete", "unlink"),
    *("zadd", "zrem", "zincrby", "zremrangebyscore", "zremrangebyrank", "sadd", "srem"),
    *("lpush", "rpush", "lpop", "rpop", "blpop", "xadd", "xtrim", "expire", "pexpire"),
}


def functions(path: Path) -> Iterator[tuple[str, ast.FunctionDef]]:
    """The functions of a file, with the class that each is in."""
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            yield module, node
        if isinstance(node, ast.ClassDef):
            methods = (inner for inner in node.body if isinstance(inner, ast.FunctionDef))
            yield from ((f"{module}.{node.name}", method) for method in methods)


def of_redis(node: ast.AST) -> bool:
    """Whether something is a call that writes into Redis, by its name and what it is called on."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return False
    return node.func.attr in WRITING and ast.unparse(node.func.value).endswith(("redis", "pipe"))


def test_every_write_beside_the_scripts_has_its_points() -> None:
    found = {
        (owner, function.name)
        for room in ("xenlaunch", "scheduler", "tasks", "workers")
        for path in sorted((ROOT / room).rglob("*.py"))
        for owner, function in functions(path)
        if any(of_redis(node) for node in ast.walk(function))
    }

    assert found == {(owner, name) for owner, names in WRITES.items() for name in names}


def test_every_question_that_changes_something_has_its_points() -> None:
    """`Session.read` may be asked again; what it is asked that is no question is on a list."""
    asked = {
        node.args[0].value
        for room in ("xenlaunch", "scheduler", "tasks", "workers")
        for path in sorted((ROOT / room).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "read"
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    }
    questions = {name for name in asked if name.partition(".")[2].startswith(("get_", "assert_"))}

    assert asked - questions - {"event.inject"} == CHANGING_READS


def test_every_way_to_a_pool_has_its_points() -> None:
    """Who adds another to `Session` says here whether it changes something."""
    public = {name for name, one in vars(Session).items() if callable(one) and name[0] != "_"}

    assert public - {"close", "long_poll", "probe"} == set(CALLS)
