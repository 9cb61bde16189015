"""What is made from the code is as the code has it, and leaves nothing out."""

import ast
import re

from tools import docs_setting_words, docs_words
from tools.docs_parts import MODELS, is_described, known_classes
from tools.make_docs import stale

from tests.support.paths import ROOT
from workers.settings import OwnerSettings, PoolSettings, PoolsFile
from xenlaunch import names, states
from xenlaunch.xapi.refusals import NEXT

CODE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+")
NO_CODES = re.compile(r"XENLAUNCH_|FLOWER_|TCP_|SO_")
ERRORS = {"Refused", "Busy", "Place", "LostRace", "OutcomeUnknown", "PoolError"}


def test_no_page_is_stale() -> None:
    assert list(stale()) == [], "say: make docs"


def test_every_field_of_a_request_is_explained() -> None:
    assert [name for name, kind in MODELS.items() if not is_described(kind)] == []


def test_every_key_of_the_pools_file_is_explained() -> None:
    assert set(docs_setting_words.POOL_KEYS) == set(PoolSettings.model_fields)
    assert set(docs_setting_words.FILE_KEYS) == set(PoolsFile.model_fields) - {
        *("deployment", "pools", "owners")
    }
    assert set(docs_setting_words.OWNER_KEYS) == set(OwnerSettings.model_fields)


def test_every_state_and_every_class_of_error_is_explained() -> None:
    assert set(docs_words.STATES) == set(states.STATES)
    assert set(docs_words.CLASSES) >= {kind.__name__ for kind in NEXT.values()}
    assert set(docs_words.CLASSES) == known_classes()


def test_every_question_is_explained() -> None:
    tasks = {
        value
        for key, value in vars(names).items()
        if key.startswith("TASK_") and isinstance(value, str)
    }

    assert set(docs_words.CONTROL_TASKS) == tasks - set(names.TASK_OF.values())


def test_every_code_of_our_own_is_explained() -> None:
    said = set()
    for room in ("xenlaunch", "tasks", "scheduler", "workers"):
        for path in (ROOT / room).rglob("*.py"):
            said |= codes_in(ast.parse(path.read_text()))

    assert set(docs_words.OWN_CODES) == said - set(NEXT)


def codes_in(tree: ast.AST) -> set[str]:
    """All that looks like a code; single words count where an error is made of them."""
    found = set()
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if CODE.fullmatch(text) and not NO_CODES.match(text):
                found.add(text)
            case ast.JoinedStr(values=[*_, ast.Constant(value=str(end))]) if CODE.fullmatch(
                f"X{end}"
            ):
                found.add(f"…{end}")
            case ast.Call(func=ast.Name(id=kind), args=[ast.Constant(value=str(text)), *_]) if (
                kind in ERRORS
            ):
                found.add(text)
    return found
