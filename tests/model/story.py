"""The story of a run: hypothesis says who goes on, and what befalls them.

Each rule is one sentence, told in the order in which it happened; what fails is shrunk to the
shortest story that still goes wrong.
"""

from collections import Counter
from typing import Any, Final

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.model.effects import Actor, Ambush, Trouble
from tests.model.tinyrows import NETWORK
from tests.model.verdict import verdict
from tests.model.world import Worker, World

picks: Final = st.integers(0, 7)
REQUESTS: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"nics": [{"network": NETWORK}]},
    {"disks": [{"new": "1GiB"}], "nics": []},
    {"on_failure": "keep"},
)
ROLES: Final = ("recover", "dispatch", "begin", "watch")
TROUBLES: Final = tuple(trouble for trouble in Trouble if trouble is not Trouble.NONE)


class Story(RuleBasedStateMachine):
    """Two workers, one pool, one or two launches."""

    def __init__(self, ends: Counter[str]) -> None:
        super().__init__()
        self.ends = ends
        self.world = World(note)
        self.wakes_late = False
        self.cancelled = 0

    def teardown(self) -> None:
        note("Then all troubles are over, and what was held back arrives.")
        try:
            self.world.settle(wakes_late=self.wakes_late)
            for launch in self.world.launches:
                note(f"In the end {launch} is {self.world.state(launch)}.")
                self.ends[self.world.ledger.record(launch).state] += 1
            wrong = verdict(self.world)
        finally:
            self.world.close()
        assert not wrong, "; ".join(wrong)

    @initialize(
        request=st.sampled_from(REQUESTS), rounds=st.integers(0, 16), wakes_late=st.booleans()
    )
    def begin(self, request: dict[str, Any], rounds: int, *, wakes_late: bool) -> None:
        self.wakes_late = wakes_late
        launch = self.world.submit(**request)
        note(f"Somebody wants {request or 'a VM'}; for {rounds} s all goes well.")
        self._go_well(rounds)
        note(f"  {launch} is {self.world.state(launch)}.")

    def _go_well(self, rounds: int) -> None:
        for _ in range(rounds):
            self.world.round()

    # Who is there

    def going(self) -> list[Worker]:
        return self.world.going()

    def actors(self) -> list[Actor]:
        return [actor for actor in self.world.actors if actor.process.goes]

    # What happens

    @rule(rounds=st.integers(1, 12))
    def goes_well(self, rounds: int) -> None:
        note(f"For {rounds} s all goes well.")
        self._go_well(rounds)

    @rule(rounds=st.integers(1, 12), skip=st.integers(0, 30), trouble=st.sampled_from(TROUBLES))
    def goes_well_but_for_an_effect(self, rounds: int, skip: int, trouble: Trouble) -> None:
        note(f"For {rounds} s all goes well, but for the changing effect {skip + 1}.")
        self.world.ambush = Ambush(trouble, skip, only_pool=False)
        self._go_well(rounds)

    @rule(rounds=st.integers(1, 12), skip=st.integers(0, 8), trouble=st.sampled_from(TROUBLES))
    def goes_well_but_for_a_call(self, rounds: int, skip: int, trouble: Trouble) -> None:
        note(f"For {rounds} s all goes well, but for the pool's changing call {skip + 1}.")
        self.world.ambush = Ambush(trouble, skip, only_pool=True)
        self._go_well(rounds)

    @precondition(lambda self: self.actors())
    @rule(pick=picks, times=st.integers(1, 12))
    def goes_on(self, pick: int, times: int) -> None:
        actor = self.actors()[pick % len(self.actors())]
        note(f"{actor} goes on for {times} effects.")
        for _ in range(times):
            if actor in self.world.actors and actor.process.goes:
                self.world.go_on(actor)

    @precondition(lambda self: self.actors())
    @rule(pick=picks, skip=st.integers(0, 3), trouble=st.sampled_from(TROUBLES))
    def meets(self, pick: int, skip: int, trouble: Trouble) -> None:
        """Somebody goes on to one of the next changing effects, which meets with trouble."""
        self._meet(self.actors()[pick % len(self.actors())], skip, trouble, only_pool=False)

    @precondition(lambda self: self.actors())
    @rule(pick=picks, skip=st.integers(0, 1), trouble=st.sampled_from(TROUBLES))
    def meets_at_the_pool(self, pick: int, skip: int, trouble: Trouble) -> None:
        self._meet(self.actors()[pick % len(self.actors())], skip, trouble, only_pool=True)

    def _meet(self, actor: Actor, skip: int, trouble: Trouble, *, only_pool: bool) -> None:
        note(f"{actor} goes on to meet trouble.")
        ambush = Ambush(trouble, skip, only_pool)
        while actor in self.world.actors and actor.waits is not None:
            if ambush.heeds(actor.waits):
                if ambush.skip == 0:
                    self.world.go_on(actor, trouble)
                    return
                ambush.skip -= 1
            self.world.go_on(actor)

    @precondition(lambda self: self.world.queue and self.going())
    @rule(pick=picks, keep=st.sampled_from((False, False, False, True)))
    def message_is_taken(self, pick: int, *, keep: bool) -> None:
        worker = self.going()[pick % len(self.going())]
        launch, steps = self.world.queue[pick % len(self.world.queue)]
        again = ", and will come again" if keep else ""
        note(f"{worker.name} takes the message {steps[0]} of {launch}{again}.")
        self.world.deliver(pick % len(self.world.queue), worker, keep=keep)

    @precondition(lambda self: self.world.queue)
    @rule(pick=picks)
    def message_is_lost(self, pick: int) -> None:
        launch, steps = self.world.take_message(pick % len(self.world.queue))
        note(f"The message {steps[0]} of {launch} is lost.")

    @precondition(lambda self: self.going())
    @rule(pick=picks, role=st.sampled_from(ROLES))
    def role_has_a_turn(self, pick: int, role: str) -> None:
        worker = self.going()[pick % len(self.going())]
        note(f"{worker.name} has a turn to {role}.")
        self.world.take_turn(role, worker)

    @rule(seconds=st.sampled_from((1, 4, 12, 70)))
    def time_passes(self, seconds: int) -> None:
        note(f"{seconds} s pass.")
        self.world.pass_time(seconds)

    @precondition(lambda self: self.world.pool.jobs)
    @rule(times=st.integers(1, 8))
    def pool_works(self, times: int) -> None:
        note(f"The pool works at {', '.join(self.world.pool.work() for _ in range(times))}.")

    @precondition(lambda self: self.world.pool.jobs)
    @rule(code=st.sampled_from(("SR_BACKEND_FAILURE_44", "VDI_IN_USE", "CANNOT_CONTACT_HOST")))
    def job_fails(self, code: str) -> None:
        note(f"The pool's {self.world.pool.fail(code) or 'nothing'} fails with {code}.")

    @rule()
    def xapi_restarts(self) -> None:
        note("xapi restarts: its sessions and tasks are gone.")
        self.world.pool.restart()

    @precondition(lambda self: self.world.wire)
    @rule(pick=picks)
    def arrives_late(self, pick: int) -> None:
        note(f"{self.world.arrive(pick % len(self.world.wire))} arrives, late.")

    @precondition(lambda self: self.going())
    @rule(pick=picks)
    def stands_still(self, pick: int) -> None:
        worker = self.going()[pick % len(self.going())]
        note(f"{worker.name} stands still.")
        worker.stands_still = True

    @precondition(lambda self: any(worker.stands_still for worker in self.world.workers))
    @rule()
    def wakes(self) -> None:
        for worker in self.world.workers:
            if worker.stands_still:
                note(f"{worker.name} wakes up.")
                worker.stands_still = False

    @precondition(lambda self: self.going())
    @rule(pick=picks)
    def dies(self, pick: int) -> None:
        worker = self.going()[pick % len(self.going())]
        note(f"{worker.name} is killed.")
        self.world.kill(worker)

    @precondition(lambda self: any(worker.is_dead for worker in self.world.workers))
    @rule()
    def is_started_again(self) -> None:
        note("Whoever died is started again.")
        self.world.replace_dead()

    @precondition(lambda self: self.cancelled < len(self.world.launches))
    @rule()
    def cancels(self) -> None:
        self.cancelled = len(self.world.launches)
        launch = self.world.launches[-1]
        note(f"The owner cancels {launch}: {self.world.cancel(launch)}.")

    @precondition(lambda self: len(self.world.launches) == 1)
    @rule()
    def another_is_wanted(self) -> None:
        note(f"Somebody wants another VM: {self.world.submit()}.")
