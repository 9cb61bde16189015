"""Whether a pool answers, as told by the begin and the end of calls."""

from collections.abc import Callable, Sequence

import pytest

from xenlaunch.errors import PoolError
from xenlaunch.xapi.pulse import Pulse
from xenlaunch.xapi.refusals import refusal

AWAY: Sequence[str] = ["lab", "https://a", "refused"]
LATE: Sequence[str] = ["VM.clone", "https://a", "no answer in time"]


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now

    def goes_on(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pulse(clock: Clock) -> Pulse:
    return Pulse(clock)


def fail(pulse: Pulse, code: str, params: Sequence[str] = ()) -> None:
    with pytest.raises(PoolError), pulse.call():
        raise refusal("", code, params)


def lose(pulse: Pulse, code: str, during: Callable[[], object], *, patient: bool = False) -> None:
    """A call to which this happens while it waits, and that is lost then."""

    def call() -> None:
        with pulse.call(patient=patient):
            during()
            raise refusal("event.from", code, LATE)

    with pytest.raises(PoolError):
        call()


def test_a_pool_of_which_nothing_was_asked_is_well(pulse: Pulse, clock: Clock) -> None:
    clock.goes_on(1000)

    assert (pulse.silence(), pulse.trouble(), pulse.is_quick()) == (0.0, "", True)


def test_a_call_that_nobody_answers_is_noticed_while_it_waits(pulse: Pulse, clock: Clock) -> None:
    with pulse.call():
        clock.goes_on(5.9)
        early = pulse.trouble()
        clock.goes_on(0.1)

        assert (early, pulse.trouble()) == ("", "no answer in time")
        assert not pulse.is_quick()


def test_one_slow_call_among_others_that_are_answered_is_no_trouble(
    pulse: Pulse, clock: Clock
) -> None:
    with pulse.call():
        for _ in range(10):
            clock.goes_on(5)
            with pulse.call():
                pass

            assert pulse.trouble() == ""


def test_a_pool_that_is_away_is_noticed_by_the_third_failure_after_a_while(
    pulse: Pulse, clock: Clock
) -> None:
    said = []
    for _ in range(4):
        fail(pulse, "POOL_UNREACHABLE", AWAY)
        said.append(pulse.trouble())
        clock.goes_on(1.5)

    assert said == ["", "", "refused", "refused"]


def test_a_storm_of_failures_in_one_moment_is_a_toolstack_that_restarts(
    pulse: Pulse, clock: Clock
) -> None:
    for _ in range(50):
        fail(pulse, "POOL_UNREACHABLE", AWAY)
        clock.goes_on(0.05)

    assert pulse.trouble() == ""


def test_what_is_refused_is_answered(pulse: Pulse, clock: Clock) -> None:
    for code in ("VM_BAD_POWER_STATE", "SESSION_INVALID", "HOST_IS_SLAVE") * 3:
        fail(pulse, "POOL_UNREACHABLE", AWAY)
        clock.goes_on(2)
        fail(pulse, code)

    assert (pulse.trouble(), pulse.silence()) == ("", 0.0)


def test_what_was_never_sent_says_nothing(pulse: Pulse, clock: Clock) -> None:
    for _ in range(3):
        fail(pulse, "POOL_UNREACHABLE", AWAY)
        fail(pulse, "SESSION_REPLACED")
        clock.goes_on(2)

    assert pulse.trouble() == "refused"


def test_a_patient_call_may_take_its_time_and_is_missed_when_that_is_up(
    pulse: Pulse, clock: Clock
) -> None:
    with pulse.call(patient=True):
        clock.goes_on(40)
        waiting = pulse.trouble()
    lose(pulse, "ANSWER_LATE", lambda: clock.goes_on(40), patient=True)

    assert (waiting, pulse.trouble()) == ("", "no answer in time")


def test_a_long_poll_that_is_cut_off_is_one_failure(pulse: Pulse, clock: Clock) -> None:
    lose(pulse, "CONNECTION_LOST", lambda: clock.goes_on(40), patient=True)

    assert pulse.trouble() == ""


def test_after_a_restart_what_was_sent_before_says_nothing(pulse: Pulse, clock: Clock) -> None:
    said = []

    def restart_meanwhile() -> None:
        clock.goes_on(10)
        pulse.restart()
        said.append(pulse.trouble())
        clock.goes_on(2)

    lose(pulse, "ANSWER_LATE", restart_meanwhile)

    assert [*said, pulse.trouble()] == ["", ""]


def test_a_pool_that_answers_slowly_is_not_quick(pulse: Pulse, clock: Clock) -> None:
    for _ in range(20):
        with pulse.call():
            clock.goes_on(2)

    assert (pulse.is_quick(), pulse.trouble()) == (False, "")
