"""Slots: never more than there are, none idle while somebody waits, and given on in turn."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from scheduler.slots import AT_ONCE, HOST, LIMITS, SR, Given, Slots
from xenlaunch import slots as ledgers

SRS = ("sr:1", "sr:2", "sr:3")
RESOURCES = (*SRS, "host:1")
LAUNCHES = [f"launch-{number}" for number in range(9)]

launches = st.sampled_from(LAUNCHES)
turns = st.integers(0, 4)
wishes = st.just(("host:1",)) | st.sets(st.sampled_from(SRS), min_size=1).map(
    lambda srs: tuple(sorted(srs))
)


def test_an_sr_has_one_on_deck_and_a_host_has_one_beside_its_four() -> None:
    slots = Slots()
    taken = [slots.take(f"launch-{number}", ["sr:1"], number) for number in range(3)]
    started = [slots.take(f"launch-{number}", ["host:1"], number) for number in range(6)]

    assert taken == ["sr:1", "sr:1", None]
    assert started == ["host:1"] * 5 + [None]
    assert dict(LIMITS) == {"sr": 2, "host": 5}


def test_the_ledger_has_as_many() -> None:
    own = ledgers.Slots()

    assert dict(LIMITS) == {SR: own.sr, HOST: own.host}
    assert dict(AT_ONCE) == {SR: ledgers.AT_ONCE_SR, HOST: ledgers.AT_ONCE_HOST}
    assert (f"{SR}:", f"{HOST}:") == (ledgers.SR, ledgers.HOST)


def test_a_slot_is_given_to_the_least_turn_whoever_came_first() -> None:
    slots = Slots({"sr": 1})
    for launch, turn in (("holder", 1), ("late", 9), ("urgent", 2)):
        slots.take(launch, ["sr:1"], turn)

    assert slots.free("holder") == [Given("urgent", "sr:1")]
    assert slots.free("urgent") == [Given("late", "sr:1")]


def test_who_waits_for_several_takes_the_first_and_leaves_the_other_lines() -> None:
    slots = Slots({"sr": 1})
    slots.take("a", ["sr:1"], 1)
    slots.take("b", ["sr:2"], 2)
    slots.take("either", ["sr:1", "sr:2"], 3)
    slots.take("last", ["sr:1"], 4)

    assert slots.free("b") == [Given("either", "sr:2")]
    assert slots.free("a") == [Given("last", "sr:1")]
    assert slots.waits_for("either") == ()


def test_of_several_that_have_room_the_one_with_fewest_holders_is_taken() -> None:
    slots = Slots({"sr": 2})
    slots.take("a", ["sr:1"], 1)

    assert slots.take("b", ["sr:1", "sr:2"], 2) == "sr:2"
    assert slots.take("c", ["sr:1", "sr:2"], 3) == "sr:1"


def test_a_limit_that_is_lowered_takes_nothing_away_and_one_that_grows_gives_on() -> None:
    slots = Slots({"sr": 2, "host": 5})
    for number in range(4):
        slots.take(f"launch-{number}", ["sr:1"], number)

    assert slots.set_limit("sr:1", 1) == []
    assert slots.holders("sr:1") == ("launch-0", "launch-1")
    assert slots.free("launch-0") == []
    assert slots.set_limit("sr:1", 3) == [Given("launch-2", "sr:1"), Given("launch-3", "sr:1")]


class Lines(RuleBasedStateMachine):
    """Slots beside the simplest that could do the same: who waits is looked through each time."""

    def __init__(self) -> None:
        super().__init__()
        self.slots = Slots({"sr": 2, "host": 3})
        self.limits = {**dict.fromkeys(SRS, 2), "host:1": 3}
        self.held: list[tuple[str, str]] = []
        self.waiting: dict[str, tuple[int, tuple[str, ...]]] = {}

    def room(self, resource: str) -> int:
        return self.limits[resource] - sum(held == resource for _, held in self.held)

    def expect(self, resources: list[str]) -> list[Given]:
        given = []
        for resource in resources:
            for turn, launch in sorted((turn, one) for one, (turn, _) in self.waiting.items()):
                if resource in self.waiting[launch][1] and self.room(resource) > 0:
                    assert self.waiting.pop(launch)[0] == turn
                    self.held.append((launch, resource))
                    given.append(Given(launch, resource))
        return given

    @rule(launch=launches, resources=wishes, turn=turns)
    def take(self, launch: str, resources: tuple[str, ...], turn: int) -> None:
        self.waiting.pop(launch, None)
        has = [held for one, held in self.held if one == launch and held in resources]
        roomy = [one for one in resources if self.room(one) > 0]
        taken = self.slots.take(launch, resources, turn)

        if has:
            assert taken == has[0]
        elif roomy:
            assert taken in roomy
            fewest = min(sum(held == one for _, held in self.held) for one in roomy)
            assert sum(held == taken for _, held in self.held) == fewest
            self.held.append((launch, taken))
        else:
            assert taken is None
            self.waiting[launch] = (turn, resources)

    @rule(launch=launches)
    def free(self, launch: str) -> None:
        freed = [held for one, held in self.held if one == launch]
        self.waiting.pop(launch, None)
        self.held = [(one, held) for one, held in self.held if one != launch]

        assert self.slots.free(launch) == self.expect(freed)

    @rule(resource=st.sampled_from(RESOURCES), limit=st.integers(0, 4))
    def set_limit(self, resource: str, limit: int) -> None:
        self.limits[resource] = limit

        assert self.slots.set_limit(resource, limit) == self.expect([resource])

    @precondition(lambda self: self.waiting)
    @rule(picked=st.integers(0, 100), turn=turns)
    def take_again(self, picked: int, turn: int) -> None:
        launch = sorted(self.waiting)[picked % len(self.waiting)]
        self.take(launch, self.waiting[launch][1], turn)

    @invariant()
    def both_say_the_same(self) -> None:
        for resource in RESOURCES:
            holders = [launch for launch, held in self.held if held == resource]
            assert list(self.slots.holders(resource)) == holders
        for launch in LAUNCHES:
            assert self.slots.waits_for(launch) == self.waiting.get(launch, (0, ()))[1]

    @invariant()
    def nothing_is_idle_that_somebody_waits_for(self) -> None:
        wanted = {resource for _, resources in self.waiting.values() for resource in resources}
        assert all(self.room(resource) <= 0 for resource in wanted)


TestLines: Any = Lines.TestCase
TestLines.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
