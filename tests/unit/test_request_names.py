"""The names of a batch: a pattern with the number in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xenlaunch.batches import name_of, numbered, parse_pattern
from xenlaunch.errors import BadRequest
from xenlaunch.model import MAX_BATCH, LaunchRequest

REQUEST = LaunchRequest(name="web", template="debian-12", vcpus=2)


def names(count: int, pattern: str | None) -> list[str]:
    return [request.name for request in numbered(REQUEST, count, pattern)]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (None, ["web-001", "web-002"]),
        ("web-{}", ["web-1", "web-2"]),
        ("web-{index}", ["web-1", "web-2"]),
        ("web-{:02}", ["web-01", "web-02"]),
        ("{index:03}.web", ["001.web", "002.web"]),
        ("{:02d}-{}", ["01-1", "02-2"]),
        ("{{web}}-{}", ["{web}-1", "{web}-2"]),
    ],
)
def test_the_number_is_where_the_pattern_has_it(pattern: str | None, expected: list[str]) -> None:
    assert names(2, pattern) == expected


def test_a_batch_of_one_may_have_a_name_without_a_number() -> None:
    assert names(1, "web") == ["web"]


def test_all_but_the_name_is_the_same() -> None:
    assert {request.but(name="web") for request in numbered(REQUEST, 3)} == {REQUEST}


@pytest.mark.parametrize(
    "pattern",
    [
        "web", "", "{", "}", "web-{", "{number}", "{0}", "{index.real}", "{index[0]}", "{!r}",
        "{:x}", "{:>3}", "{:3}", "{:{}}", "{:0999999999}", "{:,}", "{:03.2}",
        "{}\x1b", "xenlaunch:{}",
    ],
)  # fmt: skip
def test_any_other_pattern_is_refused_in_a_sentence(pattern: str) -> None:
    with pytest.raises(BadRequest) as refused:
        numbered(REQUEST, 2, pattern)

    assert refused.value.message.endswith(".")


@pytest.mark.parametrize("count", [-1, 0, MAX_BATCH + 1])
def test_a_count_out_of_bounds_is_refused(count: int) -> None:
    with pytest.raises(BadRequest, match=f"from 1 to {MAX_BATCH}"):
        numbered(REQUEST, count)


def test_names_that_come_out_too_long_are_refused() -> None:
    with pytest.raises(BadRequest, match="name is longer than 255"):
        numbered(REQUEST, 2, "x" * 253 + "-{:03}")


@given(
    before=st.text(st.characters(categories=["L", "N", "P"]), max_size=20),
    after=st.text(st.characters(categories=["L", "N", "P"]), max_size=20),
    width=st.sampled_from(["", "02", "03", "04"]),
    count=st.integers(2, 40),
)
def test_no_two_names_of_a_batch_are_equal(before: str, after: str, width: str, count: int) -> None:
    escaped = [text.replace("{", "{{").replace("}", "}}") for text in (before, after)]
    pattern = "".join([escaped[0], "{", f":{width}" if width else "", "}", escaped[1]])

    made = [name_of(parse_pattern(pattern), index) for index in range(1, count + 1)]

    assert len(set(made)) == count
    assert all(name.startswith(before) and name.endswith(after) for name in made)


@given(st.text(max_size=30))
def test_no_text_is_more_than_a_pattern_or_a_refusal(pattern: str) -> None:
    try:
        made = name_of(parse_pattern(pattern), 7)
    except BadRequest:
        return
    assert len(made) <= 99 * (len(pattern) + 1)


@given(st.text(max_size=12).map(lambda name: name.replace("\0", "")))
def test_without_a_pattern_braces_in_the_name_mean_themselves(name: str) -> None:
    try:
        request = LaunchRequest.parse({"name": name, "template": "debian-12"})
    except BadRequest:
        return

    assert [r.name for r in numbered(request, 2)] == [f"{name}-001", f"{name}-002"]
