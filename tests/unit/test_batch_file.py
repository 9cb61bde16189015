"""What a file asks for: one VM, a batch of one request, or a list."""

import io
from pathlib import Path
from typing import Any

import pytest

from xenlaunch.batch_file import Asked, Said, read_asked
from xenlaunch.errors import BadRequest


def read(text: str, **said: Any) -> Asked:
    return read_asked(io.StringIO(text), "web.yaml", Said(**said))


MANY = """\
name: web
template: debian-12
batch:
  count: 4
  name: web-{:02}
  min_count: 3
  tolerate: 50%
  overrides:
    - {index: 1, memory: 8GiB}
    - {name: web-03, host: host-2}
    - {index: 4, name: db}
"""
LIST = """\
template: debian-12
memory: 2GiB
launches:
  - {name: web-1}
  - {name: db, memory: 8GiB}
batch: {name: shop, all_or_nothing: true}
"""


def test_a_mapping_is_one_request() -> None:
    asked = read("name: web\ntemplate: debian-12\n", name="shop-{}", pool="lab")

    assert not asked.is_batch
    assert [(one.name, one.pool) for one in asked.requests] == [("shop-1", "lab")]


def test_one_request_many_times_with_what_differs() -> None:
    asked = read(MANY)

    assert asked.is_batch
    assert [one.name for one in asked.requests] == ["web-01", "web-02", "web-03", "db"]
    assert [one.memory for one in asked.requests] == [8 << 30, None, None, None]
    assert [one.host for one in asked.requests] == [None, None, "host-2", None]
    assert (asked.policy.min_count, asked.policy.tolerate) == (3, "50%")


def test_the_command_line_goes_before_the_file() -> None:
    asked = read(MANY.partition("  overrides")[0], count=3, name="x-{}", policy={"tolerate": 0})

    assert [one.name for one in asked.requests] == ["x-1", "x-2", "x-3"]
    assert (asked.policy.min_count, asked.policy.tolerate) == (3, 0)


def test_a_list_with_what_they_share() -> None:
    asked = read(LIST)

    assert (asked.is_batch, asked.name, asked.policy.all_or_nothing) == (True, "shop", True)
    assert [(one.name, one.memory) for one in asked.requests] == [
        ("web-1", 2 << 30),
        ("db", 8 << 30),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "- {name: a, template: t}\n- {name: b, template: t}\n",
        '[{"name": "a", "template": "t"}, {"name": "b", "template": "t"}]',
        '{"launches": [{"name": "a"}, {"name": "b"}], "template": "t"}',
    ],
)
def test_a_list_alone_and_json(text: str) -> None:
    assert [one.name for one in read(text).requests] == ["a", "b"]


def test_files_for_the_guest_are_read_for_each(tmp_path: Path) -> None:
    (tmp_path / "user.yaml").write_text("#cloud-config\n")
    text = "- {name: a, template: t, guest: {user_data_file: user.yaml}}\n"
    asked = read_asked(io.StringIO(text), str(tmp_path / "web.yaml"), Said())

    assert asked.requests[0].guest is not None


@pytest.mark.parametrize(
    ("text", "said", "sentence"),
    [
        (MANY.replace("index: 1", "index: 5"), {}, "web.yaml:9: override 1 has an index"),
        (MANY.replace("web-03", "web-07"), {}, "web.yaml:10: override 2 is for 'web-07'"),
        (MANY.replace("index: 1", "index: 3"), {}, "web.yaml:10: override 2 is for 'web-03' like"),
        (MANY.replace("memory: 8GiB", "vcpus: many"), {}, "web.yaml:9: vcpus is not a whole"),
        (MANY.replace("min_count: 3", "min_count: 5"), {}, "At least 5 launches are to come up"),
        (MANY.replace("50%", "lots"), {}, "web.yaml:7: of the batch, tolerate is neither"),
        (MANY.replace("count: 4", "colour: red"), {}, "web.yaml:4: of the batch, colour is not"),
        (MANY.replace("  count: 4\n", ""), {}, "Say how many"),
        (MANY, {"count": 0}, "from 1 to"),
        ("name: web\ntemplate: t\nbatch: 5\n", {}, "web.yaml:3: batch is no mapping"),
        ("name: web\ntemplate: t\n", {"policy": {"tolerate": 1}}, "Say how many"),
        (LIST, {"count": 3}, "leave count and overrides out"),
        (LIST.replace("memory: 8GiB", "memory: lots"), {}, "web.yaml:5: launch 2: memory is not"),
        ("launches: []\ntemplate: t\n", {}, "a list of from 1 to"),
        ("- web\n", {}, "web.yaml:1: launch 1 is no mapping"),
        ("[]\n", {}, "a list of from 1 to"),
        ("template: t\nlaunches:\n  - {name: a}\n", {"policy": {"min_count": 2}}, "At least 2"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_line(
    text: str, said: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        read(text, **said)

    assert sentence in refused.value.message
    assert refused.value.message.startswith("web.yaml") or "from 1 to" in refused.value.message
