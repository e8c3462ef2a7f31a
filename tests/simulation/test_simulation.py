"""All of dispatch in a deterministic simulation: whatever happens, nobody is missed and nobody gets it twice.

The program is the real one from the lock to the socket: pipeline, store on
SQLite, outbox, lanes, circuit, limits, SMTP.  Time, the network, the mail server
and the death of processes are not: they come out of one number, or out of what
Hypothesis draws, so that a failure can be lived again, byte for byte.

    python -m tests.simulation.lives 4711        the life of a number, told line by line
"""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from newsletter.model import OnUnknown
from tests.simulation.lives import MEDDLING, live
from tests.simulation.process import STEPS, Trigger
from tests.simulation.server import ANSWERS, Fault, Traits
from tests.simulation.world import Meddling, Plan, Setting, World

ROOT = Path(__file__).resolve().parents[2]

# ------------------------------------------------------------------------------ out of a number


#: A second look at one costs nothing.
lived = cache(live)
FEW = range(20)


@pytest.mark.parametrize("first", FEW[::5])
def test_in_every_life_nobody_is_missed_and_nobody_gets_it_twice(first: int) -> None:
    for seed in range(first, first + 5):
        lived(seed)


@pytest.mark.soak
@pytest.mark.parametrize("first", range(100_000, 100_000 + 5_000, 250))
def test_in_thousands_of_lives_nobody_is_missed(first: int) -> None:
    for seed in range(first, first + 250):
        live(seed)


def test_the_same_number_is_the_same_life_in_every_process() -> None:
    """Byte for byte, also where Python puts strings into sets in another order."""
    here = lived(7)

    told = subprocess.run(
        [sys.executable, "-m", "tests.simulation.lives", "7"],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "4711", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )

    assert here == live(7)
    assert "\n".join(here) + "\n" == told.stdout
    assert "takes the message" in told.stdout


def test_lives_have_in_them_what_they_are_for() -> None:
    """A world in which nothing ever happens would keep every promise."""
    told = "\n".join(line for seed in FEW for line in lived(seed))

    for what in (
        "is killed at",
        "fault: message",
        "fault: rcpt",
        "> 450",
        "> 550",
        "> 421",
        "the client has gone",
        "< BDAT",
        "< DATA",
        "< RSET",
        "unsubscribe",
        "cancel",
        "pause",
        "stop",
        "send",
        "the clock jumps",
        "suppressed/",
        "failed/",
        "held/",
        "deferred/",
        "sending/",
        "cancelled/",
    ):
        assert what in told, f"{what!r} never came"


# ------------------------------------------------------------------- out of what Hypothesis draws


def triggers(most: int = 60) -> st.SearchStrategy[Trigger]:
    return st.builds(Trigger, st.sampled_from(STEPS), st.integers(1, most))


def faults() -> st.SearchStrategy[Fault]:
    return st.sampled_from(sorted(ANSWERS)).flatmap(
        lambda step: st.builds(Fault, st.just(step), st.integers(1, 9), st.sampled_from(ANSWERS[step]))
    )


SETTINGS = st.builds(
    Setting,
    people=st.integers(1, 5),
    connections=st.integers(1, 4),
    window=st.integers(1, 4),
    per_connection=st.sampled_from([None, 1, 2]),
    rates=st.sampled_from([(), ("3/m",)]),
    on_unknown=st.sampled_from([OnUnknown.resend, OnUnknown.hold]),
    traits=st.builds(
        Traits,
        extensions=st.sampled_from([("PIPELINING", "CHUNKING"), ("PIPELINING",), ()]),
        knows_bdat=st.booleans(),
        generous=st.booleans(),
        greylist=st.sampled_from([None, 200.0]),
        slowness=st.sampled_from([0.0, 2.0]),
        capacity=st.sampled_from([65_536, 700]),
    ),
)


class Lives(RuleBasedStateMachine):
    """What may happen, one thing after the other; how long it takes is drawn as one number."""

    @initialize(setting=SETTINGS, seed=st.integers(0, 2**16))
    def begin(self, setting: Setting, seed: int) -> None:
        self.world = World(seed, setting)
        self.world.publish()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            with self.world:
                self.world.settle()

    @rule()
    def publish(self) -> None:
        self.world.publish()

    @rule()
    def fetch(self) -> None:
        self.world.fetch()

    @rule(
        went_wrong=st.lists(faults(), max_size=4),
        meddling=st.lists(
            st.builds(Meddling, triggers(), st.sampled_from(MEDDLING), st.integers(0, 4)),
            max_size=2,
        ),
        fate=st.none() | triggers(),
    )
    def send(self, went_wrong: list[Fault], meddling: list[Meddling], fate: Trigger | None) -> None:
        self.world.send(Plan(faults=tuple(went_wrong), meddling=tuple(meddling), fate=fate))

    @rule(who=st.integers(0, 4))
    def unsubscribe(self, who: int) -> None:
        self.world.meddle("unsubscribe", who)

    @rule(what=st.sampled_from(["pause", "resume", "cancel"]))
    def decide(self, what: str) -> None:
        self.world.meddle(what)

    @precondition(lambda self: self.world.server.is_down)
    @rule()
    def repair(self) -> None:
        self.world.meddle("up")

    @rule(seconds=st.sampled_from([-90_000, -60, 60, 90_000]))
    def jump(self, seconds: int) -> None:
        self.world.meddle("jump", seconds)

    @rule(seconds=st.sampled_from([1.0, 300.0, 4_000.0]))
    def wait(self, seconds: float) -> None:
        self.world.timeline.pass_by(seconds)


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=10, stateful_step_count=6, deadline=None, print_blob=True)


@pytest.mark.soak
def test_many_more_of_them() -> None:
    run_state_machine_as_test(Lives, settings=settings(max_examples=1_000, stateful_step_count=20, deadline=None))


# ---------------------------------------------------------------------------- what it must be able to see


def test_a_send_beside_another_one_is_refused_and_takes_over_when_that_is_killed() -> None:
    with World(1, Setting(people=5)) as world:
        world.publish()

        told = world.send(Plan(meddling=(Meddling(Trigger("write", 6), "send"),), fate=Trigger("arrive", 9)))
        world.meddle("send")

        assert "killed" == told
        world.settle()


def test_a_story_that_somebody_may_have_got_goes_into_no_other_issue() -> None:
    """The server takes it and hangs up; the message waits for its second try when the issue is cancelled."""
    faults = [Fault("message", 1, "take drop"), *(Fault("connect", nth, "refuse") for nth in range(2, 9))]
    with World(1, Setting(people=1, connections=1)) as world:
        world.publish()
        world.send(Plan(faults=tuple(faults)))

        world.meddle("cancel")

        assert 1 == len(world.server.copies)
        world.settle()
        assert 1 == len(world.server.copies)


@pytest.mark.parametrize("window", [1, 4])
@pytest.mark.parametrize("step", STEPS)
def test_a_process_may_die_at_every_step(step: str, window: int) -> None:
    """Each step of a send in turn, the innards of its commits included; the next process finishes the work."""
    told, nth = "killed", 0
    with World(2, Setting(people=3, window=window)) as world:
        while told == "killed":
            nth += 7 if step == "idle" else 2
            world.publish()
            told = world.send(Plan(fate=Trigger(step, nth)))
        world.settle()

    assert nth > 4
