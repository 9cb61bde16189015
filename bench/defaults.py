"""What the defaults rest on: tables from the model, in Markdown; ``python -m bench.defaults``.

The pages of the docs have them as made parts, so what they say is what the code does now.
"""

from collections.abc import Callable, Iterator
from typing import Final

from bench.bound import bound
from bench.model import report
from bench.model.pool import GIB, Launch, Shape
from bench.schedule import MEANS, Owner, Run, launches

SEEDS: Final = (1, 2)
BATCH: Final = 500
ONE: Final = (Owner("one", 1.0),)
SHAPES: Final = tuple((srs, hosts) for srs in (1, 2, 4) for hosts in (1, 4, 16))
ROOMY: Final = 2048 * GIB
"""So much memory that it is not what is measured."""

Rows = Iterator[tuple[str, ...]]


def ratio(shape: Shape, hop: float) -> float:
    """The makespan of a batch by its bound, on an average of some runs whose times vary."""
    least = bound(BATCH, shape.srs, shape.hosts, MEANS)
    runs = (Run(BATCH, shape=shape, hop=hop, seed=seed, owners=ONE).go() for seed in SEEDS)
    spans = [report.makespan(run.by_pool["pool-0"]) for run in runs]
    return sum(spans) / len(spans) / least


def on_deck() -> Rows:
    """How long a batch takes by how many wait on deck, and by the shape of its pool."""
    yield "SRs", "hosts", "least, s", "none on deck", "one", "two"
    for srs, hosts in SHAPES:
        found = (ratio(Shape(hosts, srs, ROOMY, on_deck=deck), 0.15) for deck in (0, 1, 2))
        least = bound(BATCH, srs, hosts, MEANS)
        yield str(srs), str(hosts), f"{least:.0f}", *(f"{one:.2f}" for one in found)


def hops() -> Rows:
    """The same by how long we take from the end of one call to the launch's next."""
    yield "between two calls", "none on deck", "one", "two"
    for hop in (0.05, 0.15, 0.5, 1.0, 2.0):
        found = (ratio(Shape(memory=ROOMY, on_deck=deck), hop) for deck in (0, 1, 2))
        yield f"{hop:g} s", *(f"{one:.2f}" for one in found)


def latecomer(in_flight: int, *, address: bool) -> tuple[float, float]:
    """1,000 launches of one owner by their bound; and, half a minute later, three of another:
    when the last of them is up.
    """
    shape = Shape(in_flight=in_flight, memory=ROOMY)
    run = Run(0, shape=shape, seed=None, address=address)
    many, few = launches("many", 1000, Owner("many", 0)), launches("few", 3, Owner("few", 0))
    for launch in many:
        run.served[0].submit(launch)
    for launch in few:
        run.clock.after(30.0, run.served[0].submit, launch)
    run.clock.run()
    waited = run.served[0].times.wait
    least = bound(1003, shape.srs, shape.hosts, MEANS) + waited
    return report.makespan([*many, *few]) / least, report.makespan(few) - waited


def in_flight() -> Rows:
    """How many launches of a pool to have in flight."""
    yield "in flight", "ratio", "three of another owner", "with an address: ratio", "three"
    for most in (16, 32, 64, 128, 400, 1000):
        plain, address = latecomer(most, address=False), latecomer(most, address=True)
        yield (
            str(most),
            *(f"{plain[0]:.2f}", f"{plain[1]:.0f} s"),
            *(f"{address[0]:.2f}", f"{address[1]:.0f} s"),
        )


def shares() -> Rows:
    """When each owner's last VM is up, and when it should be."""
    yield "owner's launches", "weight", "its last VM is up after", "by its share"
    for wanted in (((1000, 1), (100, 1), (3, 1)), ((1000, 1), (100, 4), (30, 2))):
        run = Run(0, seed=None)
        every: list[Launch] = []
        for count, weight in wanted:
            name = f"{count} of {weight}"
            every += launches(name, count, Owner(name, 0, weight))
        for launch in every:
            run.served[0].submit(launch)
        run.clock.run()
        owners = report.by_owner(every)
        for (count, weight), (name, own) in zip(wanted, owners.items(), strict=True):
            share = report.predicted(name, owners, run.served[0], MEANS)
            last = report.makespan(own)
            yield f"{count:,}", str(weight), f"{last:.1f} s", f"{share:.1f} s"


TABLES: Final[dict[str, Callable[[], Rows]]] = {
    "on-deck": on_deck,
    "hops": hops,
    "in-flight": in_flight,
    "shares": shares,
}


def table(name: str) -> Iterator[str]:
    """One of the tables, in Markdown."""
    head, *rows = TABLES[name]()
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def main() -> None:
    for name in TABLES:
        print(f"\n{name}\n")
        print("\n".join(table(name)))


if __name__ == "__main__":
    main()
