"""Placing: only where it fits, never where it must not, and never more than there is."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.placement import (
    MIB,
    HostRoom,
    Need,
    NoRoom,
    Placed,
    could_ever,
    overhead,
    place,
    reserve,
    why_not,
)
from scheduler.strategies import PACK
from xenlaunch.groups import Group

GIB = 1 << 30


def host(number: int, **fields: Any) -> HostRoom:
    room: dict[str, Any] = {"memory": 8 * GIB, "free": 8 * GIB, "pcpus": 8, **fields}
    return HostRoom(f"OpaqueRef:h{number}", f"u-{number}", f"host-{number}", **room)


@st.composite
def pools(draw: st.DrawFn) -> list[HostRoom]:
    """A few hosts; as sizes are few, what just fits and what just does not are common."""
    hosts = []
    for number in range(draw(st.integers(0, 5))):
        memory = draw(st.integers(0, 6)) * GIB
        usable = draw(st.booleans() | st.just(True))
        hosts.append(
            host(
                number,
                memory=memory,
                free=min(memory, draw(st.integers(-1, 6)) * GIB),
                pcpus=draw(st.integers(0, 4)),
                coming=draw(st.integers(0, 2)),
                usable=usable,
                why_not="" if usable else "is disabled",
            )
        )
    return hosts


@st.composite
def needs(draw: st.DrawFn) -> Need:
    numbers = st.integers(0, 5)
    return Need(
        memory=draw(st.integers(0, 6)) * GIB,
        vcpus=draw(st.integers(1, 4)),
        preferred=draw(st.just("") | numbers.map("OpaqueRef:h{}".format)),
        avoid=tuple((f"u-{number}", "has refused it") for number in draw(st.sets(numbers))),
    )


def takes(room: HostRoom, need: Need) -> bool:
    """Whether this host can take this VM now, said as plainly as can be."""
    avoided = room.uuid in {uuid for uuid, _ in need.avoid}
    fits = need.memory <= room.free and need.vcpus <= room.pcpus
    return room.usable and not avoided and fits


@given(pools(), needs())
def test_a_vm_goes_only_where_it_fits_and_may_be(hosts: list[HostRoom], need: Need) -> None:
    verdict = place(hosts, need)

    if isinstance(verdict, Placed):
        assert takes(verdict.host, need)
    else:
        assert not any(takes(room, need) for room in hosts)


@given(pools(), needs())
def test_the_preferred_host_is_taken_when_it_fits(hosts: list[HostRoom], need: Need) -> None:
    verdict = place(hosts, need)
    fitting = [room for room in hosts if takes(room, need)]
    preferred = [room for room in fitting if room.ref == need.preferred]

    def each(room: HostRoom) -> tuple[float, int, str]:
        full = -(room.coming + 1) / max(room.memory, 1)
        return room.free / (room.coming + 1) or full, room.free, room.uuid

    best = max(fitting, key=each, default=None)
    expected = preferred[0] if preferred else best

    assert (verdict.host if isinstance(verdict, Placed) else None) == expected


@given(pools(), needs())
def test_it_is_never_only_when_no_host_could_ever(hosts: list[HostRoom], need: Need) -> None:
    verdict = place(hosts, need)
    avoided = {uuid for uuid, _ in need.avoid}
    ever = [
        room
        for room in hosts
        if need.memory <= room.memory and need.vcpus <= room.pcpus and room.uuid not in avoided
    ]

    if isinstance(verdict, NoRoom):
        assert verdict.never == (ever == [])
    else:
        assert could_ever(verdict.host, need)


@given(pools(), needs())
def test_every_host_that_does_not_take_it_says_why(hosts: list[HostRoom], need: Need) -> None:
    verdict = place(hosts, need)

    assert [bool(why_not(room, need)) for room in hosts] == [
        not takes(room, need) for room in hosts
    ]
    if isinstance(verdict, NoRoom):
        assert verdict.reasons == tuple((room.name, why_not(room, need)) for room in hosts)


@given(pools(), st.lists(needs(), max_size=20))
def test_no_host_is_ever_oversold(hosts: list[HostRoom], wanted: list[Need]) -> None:
    rooms = {room.ref: room for room in hosts}
    sold = dict.fromkeys(rooms, 0)
    for need in wanted:
        verdict = place(rooms.values(), need)
        if isinstance(verdict, Placed):
            rooms = reserve(rooms, verdict.host.ref, need)
            sold[verdict.host.ref] += need.memory

    assert [room.name for room in hosts if sold[room.ref] > max(room.free, 0)] == []


def test_a_reservation_leaves_the_hosts_as_they_were() -> None:
    before = {"OpaqueRef:h1": host(1), "OpaqueRef:h2": host(2)}
    after = reserve(before, "OpaqueRef:h1", Need(GIB, group=Group(name="db", keep="apart")))

    assert before["OpaqueRef:h1"].free == 8 * GIB
    assert after == {
        **before,
        "OpaqueRef:h1": host(1, free=7 * GIB, coming=1, members={"apart db": 1}),
    }


@pytest.mark.parametrize(
    ("room", "need", "reason"),
    [
        (host(1), Need(GIB), ""),
        (host(1), Need(8 * GIB), ""),
        (
            host(1),
            Need(8 * GIB + MIB),
            "has 8192 MiB of memory free, the VM needs 8193 MiB",
        ),
        (host(1), Need(GIB, vcpus=9), "has 8 CPUs, the VM needs 9"),
        (host(1, usable=False, why_not="is not live"), Need(GIB), "is not live"),
        (host(1), Need(GIB, avoid=(("u-1", "host-1: it broke"),)), "host-1: it broke"),
    ],
)
def test_the_reason_of_a_host(room: HostRoom, need: Need, reason: str) -> None:
    assert why_not(room, need) == reason


def test_a_pool_without_hosts_says_so() -> None:
    verdict = place([], Need(GIB))

    assert verdict == NoRoom((), never=True)
    assert str(verdict) == "the pool has no hosts"


def test_why_nothing_fits_is_told_host_by_host() -> None:
    verdict = place([host(1, free=0), host(2, usable=False, why_not="is disabled")], Need(GIB))

    assert str(verdict) == (
        "host-1: has 0 MiB of memory free, the VM needs 1024 MiB; host-2: is disabled"
    )
    assert isinstance(verdict, NoRoom)
    assert not verdict.never


# One MiB for Xen's own structures, one for video, then shadow pages: 256 a vCPU and 2 a MiB of
# memory, of 4 KiB each, in whole MiB; then 38 pages a vCPU, in whole MiB. By hand:
@pytest.mark.parametrize(
    ("mib", "vcpus", "expected"),
    [
        (0, 1, 1 + 1 + 1 + 1),
        (256, 1, 1 + 1 + 3 + 1),  # 256 + 512 = 768 pages = 3 MiB
        (1024, 1, 1 + 1 + 9 + 1),  # 256 + 2048 = 2304 pages = 9 MiB
        (1025, 1, 1 + 1 + 10 + 1),  # 2306 pages = 9.008 MiB
        (2048, 2, 1 + 1 + 18 + 1),  # 512 + 4096 = 4608 pages = 18 MiB; 76 pages
        (4096, 8, 1 + 1 + 40 + 2),  # 2048 + 8192 = 10240 pages = 40 MiB; 304 pages = 1.2 MiB
        (65536, 32, 1 + 1 + 544 + 5),  # 8192 + 131072 = 139264 pages = 544 MiB; 1216 pages
    ],
)
def test_the_overhead_is_that_of_xapi(mib: int, vcpus: int, expected: int) -> None:
    assert overhead(mib * MIB, vcpus) == expected * MIB


def test_a_shadow_multiplier_multiplies_the_shadow_alone() -> None:
    assert overhead(2048 * MIB, 2, multiplier=2.0) == (1 + 1 + 36 + 1) * MIB
    assert overhead(2048 * MIB, 2, multiplier=1.03) == (1 + 1 + 18 + 1) * MIB
    assert overhead(0, 1, multiplier=0.1) == (1 + 1 + 1 + 1) * MIB


def test_a_paravirtualised_vm_has_no_shadow() -> None:
    assert overhead(65536 * MIB, 32, pv=True) == MIB


@given(st.integers(0, 1 << 40), st.integers(1, 64))
def test_more_memory_or_more_cpus_never_cost_less(memory: int, vcpus: int) -> None:
    steps = [overhead(memory + extra * MIB, vcpus) for extra in range(4)]

    assert steps == sorted(steps)
    assert overhead(memory, vcpus + 1) >= overhead(memory, vcpus)


@pytest.mark.parametrize(
    ("gpus", "takes_it", "ever"),
    [((1, 4), True, True), ((0, 4), False, True), ((0, 0), False, False)],
)
def test_a_vm_with_a_gpu_goes_where_one_is_free(
    gpus: tuple[int, int],
    takes_it: bool,  # noqa: FBT001  what is expected
    ever: bool,  # noqa: FBT001  what is expected
) -> None:
    room, need = host(1, gpus=gpus), Need(memory=GIB, gpu="group type")

    assert (why_not(room, need) == "", could_ever(room, need)) == (takes_it, ever)
    assert why_not(room, Need(memory=GIB)) == ""


def placed(hosts: list[HostRoom], needs: list[Need]) -> list[str]:
    """The names of the hosts that launches get one after the other; '' for none."""
    rooms, names = {room.ref: room for room in hosts}, []
    for need in needs:
        verdict = place(rooms.values(), need)
        names.append(verdict.host.name if isinstance(verdict, Placed) else "")
        if isinstance(verdict, Placed):
            rooms = reserve(rooms, verdict.host.ref, need)
    return names


@pytest.mark.parametrize("size", [1, MIB, GIB], ids=["tiny", "small", "usual"])
def test_a_batch_is_spread_evenly_over_hosts_alike(size: int) -> None:
    names = placed([host(number, free=200 * GIB) for number in range(4)], [Need(size)] * 100)

    assert {names.count(f"host-{number}") for number in range(4)} == {25}


def test_a_batch_of_tiny_vms_is_spread_in_proportion_to_free_memory() -> None:
    names = placed([host(1, free=200 * GIB), host(2, free=100 * GIB)], [Need(MIB)] * 90)

    assert names.count("host-1") == 60


def test_of_one_launch_at_a_time_each_goes_where_most_memory_is_free() -> None:
    rooms = [host(1, free=5 * GIB), host(2, free=7 * GIB), host(3, free=6 * GIB)]

    assert placed(rooms, [Need(GIB)]) == ["host-2"]


def test_packing_fills_the_fullest_host_first() -> None:
    rooms = [host(1, free=5 * GIB), host(2, free=2 * GIB), host(3, free=3 * GIB)]
    names = placed(rooms, [Need(GIB, strategy=PACK)] * 6)

    assert names == ["host-2"] * 2 + ["host-3"] * 3 + ["host-1"]


def kept(keep: str, *, best_effort: bool = False) -> Need:
    return Need(
        GIB, group=Group.model_validate({"name": "db", "keep": keep, "best_effort": best_effort})
    )


def test_those_who_are_kept_apart_are_never_two_on_a_host() -> None:
    names = placed([host(number) for number in range(3)], [kept("apart")] * 4)

    assert sorted(names) == ["", "host-0", "host-1", "host-2"]


def test_who_is_kept_apart_as_well_as_can_be_goes_where_fewest_are() -> None:
    names = placed([host(1), host(2)], [kept("apart", best_effort=True)] * 5)

    assert sorted(names.count(f"host-{number}") for number in (1, 2)) == [2, 3]


def test_those_who_are_kept_together_are_on_one_host_or_wait() -> None:
    names = placed([host(1, free=2 * GIB), host(2, free=3 * GIB)], [kept("together")] * 4)

    assert names == ["host-2"] * 3 + [""]


def test_who_is_kept_together_as_well_as_can_be_goes_elsewhere_when_it_is_full() -> None:
    rooms = [host(1, free=2 * GIB), host(2, free=3 * GIB)]
    names = placed(rooms, [kept("together", best_effort=True)] * 4)

    assert names == ["host-2"] * 3 + ["host-1"]


def test_who_waits_for_its_group_is_told_so_and_never_refused() -> None:
    there = {"apart db": 1, "together db": 1}
    apart = place([host(1, members=there)], kept("apart"))
    together = place([host(1, members=there), host(2)], Need(9 * GIB, group=kept("together").group))
    full = place([host(1, members=there, free=0), host(2)], kept("together"))

    assert isinstance(apart, NoRoom)
    assert not apart.never
    assert str(apart) == "host-1: has a VM of the group 'db', which is kept apart"
    assert isinstance(together, NoRoom)
    assert together.never
    assert isinstance(full, NoRoom)
    assert not full.never
    assert full.reasons[1] == (
        "host-2",
        "is not where the group 'db' is kept together, which is host-1",
    )


@given(pools(), st.lists(st.sampled_from(("apart", "together")), max_size=12))
def test_groups_hold_whatever_comes_in_which_order(hosts: list[HostRoom], keeps: list[str]) -> None:
    names = placed(hosts, [kept(keep) for keep in keeps])
    taken = [(keep, name) for keep, name in zip(keeps, names, strict=True) if name]
    apart = [name for keep, name in taken if keep == "apart"]

    assert len(set(apart)) == len(apart)
    assert len({name for keep, name in taken if keep == "together"}) <= 1
