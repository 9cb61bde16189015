"""A pool is this ledger's only while it bears its generation and its epoch."""

from collections.abc import Callable, Mapping
from typing import Any, cast

import pytest

from scheduler import generation as module
from scheduler.generation import Generations
from tests.unit.core.lives import DEPLOYMENT, POOL, Lives
from xenlaunch import generation, names
from xenlaunch.errors import Busy
from xenlaunch.generation import Borne, Known, judge
from xenlaunch.xapi.reach import Reach
from xenlaunch.xapi.records import Records
from xenlaunch.xapi.refusals import refusal
from xenlaunch.xapi.session import Login, Session

MINE = names.generation_key(DEPLOYMENT)
EPOCH = names.epoch_key(DEPLOYMENT)
NEW = Known("a")
OLD = Known("a", claimed=True, epoch="7")
WISHING = Known("a", claimed=True, epoch="7", wish="8")

VERDICTS = {
    "a fresh pool is free": (NEW, Borne(), generation.FREE),
    "one that was ours and bears nothing has lost it": (OLD, Borne(), generation.LOST),
    "so has one that bears an epoch alone": (NEW, Borne("", "7"), generation.LOST),
    "another word is another ledger's": (NEW, Borne("b", "7"), generation.ANOTHER),
    "nobody's while it is adopted": (OLD, Borne("!a", "7"), generation.ADOPTING),
    "just claimed": (NEW, Borne("a"), generation.OURS),
    "at the epoch": (OLD, Borne("a", "7"), generation.OURS),
    "at the wish": (WISHING, Borne("a", "8"), generation.OURS),
    "not yet at the wish": (WISHING, Borne("a", "7"), generation.OURS),
    "between two epochs": (WISHING, Borne("a"), generation.OURS),
    "without the epoch that it had": (OLD, Borne("a"), generation.LOST),
    "the pool has seen more": (OLD, Borne("a", "9"), generation.ROLLED_BACK),
    "more than is wished": (WISHING, Borne("a", "9"), generation.ROLLED_BACK),
    "a copy from before the first epoch": (NEW, Borne("a", "1"), generation.ROLLED_BACK),
}


@pytest.mark.parametrize("case", VERDICTS)
def test_whose_a_pool_is(case: str) -> None:
    known, borne, verdict = VERDICTS[case]

    assert judge(known, borne) == verdict


def test_every_verdict_but_ours_has_a_sentence_that_says_what_to_do() -> None:
    for verdict in {verdict for *_, verdict in VERDICTS.values()} - {"ours", "free"}:
        assert "'xenlaunch adopt'" in generation.trouble("lab", verdict)


class OnePool:
    """A pool's record of itself: the session writes it, the cache may be behind."""

    def __init__(self) -> None:
        self.other_config: dict[str, str] = {}
        self.cached: dict[str, str] | None = None
        self.silence = 0.0
        self.asked = 0
        self.login = Login("OpaqueRef:1", "1")
        self.before_send: Callable[[], object] = lambda: None

    def read(self, method: str) -> Any:
        assert method == "pool.get_all_records"
        self.asked += 1
        return {"OpaqueRef:pool": {"other_config": dict(self.other_config)}}

    def send(self, method: str, ref: str, key: str, *value: str, as_login: Login) -> Any:
        assert as_login == self.login
        self.before_send()
        if method == "pool.remove_from_other_config":
            self.other_config.pop(key, None)
        elif key in self.other_config:
            raise refusal(method, "MAP_DUPLICATE_KEY", ["pool", "other_config", ref, key])
        else:
            self.other_config[key] = value[0]

    def all(self, _: str) -> Mapping[str, Any]:
        seen = self.other_config if self.cached is None else self.cached
        return {"OpaqueRef:pool": {"other_config": dict(seen)}}

    def age(self) -> float:
        return self.silence

    def reach(self, _: str) -> Reach:
        return Reach(POOL, cast("Session", self), cast("Records", self))


@pytest.fixture
def one() -> OnePool:
    return OnePool()


@pytest.fixture
def generations(lives: Lives, one: OnePool) -> Generations:
    lives.ledger.register(DEPLOYMENT, "a", [POOL])
    ticks = iter(range(0, 100_000, 10))
    return Generations(lives.ledger, DEPLOYMENT, one.reach, clock=lambda: next(ticks))


def refused(generations: Generations) -> str:
    with pytest.raises(Busy) as busy:
        generations.permit(POOL)
    assert busy.value.code == "GENERATION_DIFFERS"
    return busy.value.message


def test_a_fresh_pool_is_claimed_at_once(generations: Generations, one: OnePool) -> None:
    generations.permit(POOL)

    assert one.other_config == {MINE: "a"}
    assert generations._ledger.claims()[f"claimed:{POOL}"] == "1"


def test_a_permit_costs_no_call_while_the_cache_agrees(
    generations: Generations, one: OnePool
) -> None:
    generations.permit(POOL)
    before = one.asked
    for _ in range(100):
        generations.permit(POOL)

    assert one.asked == before


def test_a_cache_that_is_behind_refuses_nobody(generations: Generations, one: OnePool) -> None:
    generations.permit(POOL)
    one.cached = {}
    generations.permit(POOL)


@pytest.mark.parametrize(
    "later", [{"generation": "b"}, {"generation": "a", f"epoch:{POOL}": "1"}, {}]
)
def test_an_answer_counts_only_for_the_ledger_that_it_was_given_to(
    lives: Lives, one: OnePool, later: dict[str, str]
) -> None:
    """A Redis may be wiped, or go back, within the moment for which an answer is believed."""
    lives.ledger.register(DEPLOYMENT, "a", [POOL])
    generations = Generations(lives.ledger, DEPLOYMENT, one.reach, clock=lambda: 1000.0)
    one.cached = {}
    generations.permit(POOL)
    lives.redis.delete(lives.ledger.store.key("deployment"))
    if later:
        lives.redis.hset(lives.ledger.store.key("deployment"), mapping={**later, "name": "x"})
    one.other_config[EPOCH] = "7"
    generations.heard(later)

    refused(generations)


def test_a_cache_that_hears_nothing_is_not_believed(generations: Generations, one: OnePool) -> None:
    generations.permit(POOL)
    one.cached = dict(one.other_config)
    one.other_config[MINE] = "b"
    one.silence = module.LISTEN_SECONDS + 1

    assert "another Redis" in refused(generations)


def test_of_two_that_are_new_to_a_pool_one_is_first(generations: Generations, one: OnePool) -> None:
    one.before_send = lambda: one.other_config.setdefault(MINE, "b")

    assert "another Redis" in refused(generations)
    assert one.other_config == {MINE: "b"}


def test_the_epoch_grows_only_after_something_has_happened(
    generations: Generations, one: OnePool, lives: Lives
) -> None:
    generations.permit(POOL)
    generations.keep(POOL)
    assert EPOCH not in one.other_config
    lives.submitted()
    generations.keep(POOL)
    generations.keep(POOL)

    assert one.other_config[EPOCH] == "1"
    generations.permit(POOL)


def test_the_epoch_grows_once_in_a_while(
    generations: Generations, one: OnePool, lives: Lives, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        lives.submitted()
        generations.keep(POOL)
    assert one.other_config[EPOCH] == "1"
    monkeypatch.setattr(module, "EPOCH_EVERY", 0)
    lives.submitted()
    generations.keep(POOL)

    assert one.other_config[EPOCH] == "2"


@pytest.mark.parametrize("dies_at", [1, 2])
def test_a_new_epoch_that_was_broken_off_is_carried_on(
    generations: Generations,
    one: OnePool,
    lives: Lives,
    monkeypatch: pytest.MonkeyPatch,
    dies_at: int,
) -> None:
    monkeypatch.setattr(module, "EPOCH_EVERY", 0)
    generations.permit(POOL)
    lives.submitted()
    generations.keep(POOL)
    lives.submitted()
    sends = iter(range(1, 10))

    def die() -> None:
        if next(sends) == dies_at:
            raise InterruptedError

    one.before_send = die
    with pytest.raises(InterruptedError):
        generations.keep(POOL)
    generations.permit(POOL)
    one.before_send = lambda: None
    generations.keep(POOL)

    assert one.other_config[EPOCH] == "2"
    generations.permit(POOL)


def test_an_older_copy_of_redis_is_told_from_this_one(
    generations: Generations, one: OnePool, lives: Lives, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EPOCH_EVERY", 0)
    generations.permit(POOL)
    lives.submitted()
    generations.keep(POOL)
    copy = lives.redis.dump(lives.key("deployment"))
    lives.submitted()
    generations.keep(POOL)
    lives.redis.restore(lives.key("deployment"), 0, copy, replace=True)
    generations.refresh()

    assert "older copy" in refused(generations)


def test_an_older_copy_does_not_pass_for_the_last_in_its_first_moment(
    generations: Generations, one: OnePool, lives: Lives, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This process has not read it yet when it would let the epoch grow, or begin a step."""
    monkeypatch.setattr(module, "EPOCH_EVERY", 0)
    generations.permit(POOL)
    launch = lives.running()
    generations.keep(POOL)
    copy = lives.redis.dump(lives.key("deployment"))
    lives.submitted()
    generations.keep(POOL)
    lives.redis.restore(lives.key("deployment"), 0, copy, replace=True)
    generations.keep(POOL)
    assert one.other_config[EPOCH] == "2"
    assert lives.ledger.claims()[f"epoch:{POOL}"] == "1"
    generations.heard(lives.lease(launch).claims)

    assert "older copy" in refused(generations)


def test_what_follows_from_a_wiped_redis_is_another_generation(
    generations: Generations, lives: Lives
) -> None:
    generations.permit(POOL)
    lives.redis.flushall()
    generations.refresh()
    refused(generations)
    lives.ledger.register(DEPLOYMENT, "b", [POOL])

    assert "lost its data" in refused(generations)
