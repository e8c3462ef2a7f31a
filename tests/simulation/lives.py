"""A whole life out of one number: the same number, the same life, byte for byte.

python -m tests.simulation.lives 4711            one life, told line by line
python -m tests.simulation.lives --lives 5000    many, from a random number on; stops at the first that fails
"""

import argparse
import random
import sys
import time
from dataclasses import replace
from zoneinfo import ZoneInfo

from newsletter.hours import Hours
from newsletter.model import OnUnknown
from tests.simulation.process import STEPS, Trigger
from tests.simulation.server import ANSWERS, Fault, Traits
from tests.simulation.world import Meddling, Plan, Setting, World

#: What people and other processes do beside a send.
MEDDLING = ("unsubscribe", "pause", "resume", "cancel", "stop", "send", "jump", "down", "up")
#: Up to which time a step is met in a send to so many people.
_TURNS = {"before-commit": 8, "after-commit": 8, "idle": 200}


def draw_setting(chance: random.Random) -> Setting:
    """What a life is like."""
    people = chance.randint(2, 9)
    names = [f"reader{number}@{('one', 'two')[number % 2]}.example.com" for number in range(1, people + 1)]
    extensions = chance.choice(
        [
            ("PIPELINING", "CHUNKING", "SIZE 1000000", "8BITMIME"),
            ("PIPELINING", "CHUNKING"),
            ("PIPELINING", "8BITMIME"),
            (),
        ]
    )
    return Setting(
        people=people,
        connections=chance.randint(1, 4),
        window=chance.choice([1, 1, 2, 3, 4]),
        per_connection=chance.choice([None, None, None, 1, 3]),
        rates=chance.choice([(), (), (), ("3/m",), ("2/s", "20/h")]),
        per_domain=chance.choice([(), (), (), ("2/m",)]),
        on_unknown=chance.choice([OnUnknown.resend, OnUnknown.resend, OnUnknown.hold]),
        canary=people > 3 and chance.random() < 0.15,
        traits=Traits(
            extensions=extensions,
            knows_bdat=chance.random() < 0.9,
            generous=chance.random() < 0.3,
            greylist=chance.choice([None, None, 200.0, 2_000.0]),
            unknown=tuple(name for name in names if chance.random() < 0.1),
            per_connection=chance.choice([None, None, None, 2, 5]),
            slowness=chance.choice([0.0, 0.05, 3.0]),
            capacity=chance.choice([700, 3_000, 65_536, 65_536]),
        ),
    )


def draw_hours(chance: random.Random) -> Hours | None:
    """In which hours mail may go; it is seven in the morning (UTC) when a life begins."""
    window, quiet, by_person = chance.choice(
        [
            *6 * [((), (), False)],
            (("07:00-07:01", "09:00-10:00"), (), False),
            ((), ("07:02-08:30", "20:00-06:00"), False),
            ((), (), True),
            (("06:00-18:00",), ("07:01-07:30",), True),
        ]
    )
    return Hours.parse(window, quiet, ZoneInfo("UTC"), by_person=by_person)


def draw_trigger(chance: random.Random, people: int) -> Trigger:
    """A moment in a send."""
    step = chance.choice(STEPS)
    most = _TURNS.get(step, (2 if "outbox" in step else 5) * people)
    return Trigger(step, chance.randint(1, chance.randint(1, most)))


def draw_meddling(chance: random.Random) -> tuple[str, int]:
    """What somebody does."""
    what = chance.choice(MEDDLING)
    return what, chance.choice([-90_000, -3_600, -60, 60, 3_600, 90_000]) if what == "jump" else chance.randrange(9)


def draw_plan(chance: random.Random, people: int) -> Plan:
    """What happens during a send."""
    faults = []
    for _ in range(chance.choice([0, 0, 1, 2, 4, 8])):
        step = chance.choice(["rcpt", "message", "message", *ANSWERS])
        # Early rather than late: a send that goes wrong is short.
        nth = chance.randint(1, chance.randint(1, 2 * people))
        faults.append(Fault(step, nth, chance.choice(ANSWERS[step])))
    meddling = [
        Meddling(draw_trigger(chance, people), *draw_meddling(chance)) for _ in range(chance.choice([0, 0, 1, 2, 3]))
    ]
    fate = draw_trigger(chance, people) if chance.random() < 0.5 else None
    return Plan(faults=tuple(faults), meddling=tuple(meddling), fate=fate)


def live(seed: int) -> list[str]:
    """Live one life; what happened in it.

    Raises:
        AssertionError: a promise was broken; says in which life, and after what.
    """
    chance = random.Random(seed)
    # Drawn apart: lives without hours are as they were before there were any.
    setting = replace(draw_setting(chance), hours=draw_hours(random.Random(f"hours of {seed}")))
    with World(chance.getrandbits(32), setting) as world:
        told = world.timeline.lines
        told.append(f"life {seed}: {setting}")
        try:
            for _ in range(chance.randint(2, 6)):
                match chance.choice(["send", "send", "send", "send", "meddle", "wait", "fetch"]):
                    case "send":
                        if chance.random() < 0.7:
                            world.publish()
                        plan = draw_plan(chance, setting.people)
                        told.append(f"plan: {plan}")
                        world.send(plan)
                    case "meddle":
                        what, amount = draw_meddling(chance)
                        if what != "stop":
                            world.meddle(what, amount)
                    case "fetch":
                        world.fetch()
                    case _:
                        world.timeline.pass_by(chance.choice([1.0, 300.0, 4_000.0]))
            world.settle()
        except AssertionError as broken:
            broken.add_note("\n".join([*told[-400:], f"python -m tests.simulation.lives {seed}"]))
            raise
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("seed", type=int, nargs="?")
    parser.add_argument("--lives", type=int, default=0)
    asked = parser.parse_args()
    if not asked.lives:
        seed = asked.seed if asked.seed is not None else random.SystemRandom().randrange(2**32)
        print("\n".join(live(seed)))
        return
    first = asked.seed if asked.seed is not None else random.SystemRandom().randrange(2**32)
    began = time.process_time()
    for seed in range(first, first + asked.lives):
        live(seed)
    print(f"{asked.lives} lives from {first} on, {time.process_time() - began:.1f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
