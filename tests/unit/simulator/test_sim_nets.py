"""VLANs, tunnels, bonds, and interfaces up and down, with what XAPI says against them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from simulator.faults import Rule

Pretend = Callable[..., None]


async def network(pool: Any, name: str = "", **more: Any) -> Any:
    return await pool.done("network.create", {"name_label": name, "other_config": {}, **more})


def guest_pifs(pool: Any) -> Any:
    return pool.db.rows("PIF", pool.one("network", "guest")["PIFs"])


def test_a_vlan_has_an_interface_of_its_own(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        under, net = guest_pifs(pool)[0], await network(pool, "vlan 7")

        vlan = pool.db.get("VLAN", await pool.done("VLAN.create", under.ref, 7, net))

        over = pool.db.get("PIF", vlan["untagged_PIF"])
        assert (vlan["tag"], vlan["tagged_PIF"]) == (7, under.ref)
        assert (over["device"], over["VLAN"], over["physical"]) == (under["device"], 7, False)
        assert (over["MAC"], over["VLAN_master_of"]) == ("fe:ff:ff:ff:ff:ff", vlan.ref)
        assert over["currently_attached"]
        assert under["VLAN_slave_of"] == [vlan.ref]

        await pool.done("VLAN.destroy", vlan.ref)

        assert not pool.db.find("PIF", over.ref)
        assert under["VLAN_slave_of"] == []

    pretend(scenario)


def test_a_vlan_is_refused_where_it_does_not_fit(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        under, net = guest_pifs(pool)[0], await network(pool)
        unmanaged = await network(pool, managed=False)
        guest = under["network"]
        vlan = await pool.done("VLAN.create", under.ref, 7, net)
        over, more = pool.db.get("VLAN", vlan)["untagged_PIF"], await network(pool)
        connected = ["NETWORK_ALREADY_CONNECTED", under["host"], under.ref]
        for pif, tag, wanted, error in (
            (under.ref, 8, unmanaged, ["NETWORK_UNMANAGED", unmanaged]),
            (under.ref, 8, guest, connected),
            (over, 8, more, ["PIF_IS_VLAN", over]),
            (under.ref, 4095, more, ["VLAN_TAG_INVALID", "4095"]),
            (under.ref, -1, more, ["VLAN_TAG_INVALID", "-1"]),
            (under.ref, 7, more, ["PIF_VLAN_EXISTS", under["device"]]),
        ):
            assert await pool.refused("VLAN.create", pif, tag, wanted) == error
        assert len(pool.db.all("VLAN")) == 1

    pretend(scenario)


def test_a_pool_wide_vlan_is_on_every_live_host(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        pool.world.kill_host(pool.one("host", "host-3"))
        first, net = guest_pifs(pool)[0], await network(pool)

        made = await pool.call("pool.create_VLAN_from_PIF", first.ref, net, 9)

        hosts = {pool.db.get("PIF", ref)["host"] for ref in made}
        live = {h.ref for h in pool.db.all("host") if h["name_label"] != "host-3"}
        assert hosts == live
        assert {v["untagged_PIF"] for v in pool.db.all("VLAN")} == set(made)

    pretend(scenario)


def test_a_pool_wide_vlan_is_there_whole_or_not_at_all(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        pifs = guest_pifs(pool)
        net, other = await network(pool), await network(pool)
        await pool.done("VLAN.create", pifs[2].ref, 9, other)
        for make, where in (
            ("pool.create_VLAN_from_PIF", pifs[0].ref),
            ("pool.create_VLAN", pifs[0]["device"]),
        ):
            refused = await pool.refused(make, where, net, 9)

            assert refused == ["PIF_VLAN_EXISTS", pifs[2]["device"]]
            assert [v["tag"] for v in pool.db.all("VLAN")] == [9]
            assert pool.db.get("network", net)["PIFs"] == []

    pretend(scenario)


def test_a_restart_leaves_half_a_pool_wide_vlan(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        pool.world.faults.rules.append(
            Rule.read(
                {"method": "pool.create_VLAN*", "phase": "host", "nth": 3, "action": "restart"}
            )
        )
        first, net = guest_pifs(pool)[0], await network(pool)
        await pool.call("Async.pool.create_VLAN_from_PIF", first.ref, net, 9)
        await pool.until(lambda: pool.world.restarts, "xapi restarts")

        assert len(pool.db.get("network", net)["PIFs"]) == 2

    pretend(scenario)


def test_what_a_vm_uses_stays_up(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        first, net = guest_pifs(pool)[0], await network(pool)
        vlan = await pool.done("VLAN.create", first.ref, 9, net)
        vm = await pool.vm()
        (vif,) = pool.db.rows("VIF", vm["VIFs"])
        pool.db.set(vif, "network", net)
        await pool.done("VM.start_on", vm.ref, first["host"], False, False)
        over = pool.db.get("VLAN", vlan)["untagged_PIF"]

        assert await pool.refused("VLAN.destroy", vlan) == ["VIF_IN_USE", net, vif.ref]
        assert await pool.refused("PIF.unplug", over) == ["VIF_IN_USE", net, vif.ref]
        other = next(h for h in pool.db.all("host") if h.ref != first["host"])
        await pool.done("VM.hard_shutdown", vm.ref)
        refused = await pool.refused("VM.start_on", vm.ref, other.ref, False, False)
        assert refused == ["VM_REQUIRES_NETWORK", vm.ref, net]
        await pool.done("PIF.unplug", over)
        assert not pool.db.get("PIF", over)["currently_attached"]
        await pool.done("network.attach", net, first["host"])
        assert pool.db.get("PIF", over)["currently_attached"]

    pretend(scenario)


def test_the_management_interface_stays_up(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        pif = next(p for p in pool.db.all("PIF") if p["management"])
        guest = guest_pifs(pool)[0]
        await pool.done("PIF.set_disallow_unplug", guest.ref, True)

        refused = await pool.refused("PIF.unplug", pif.ref)
        assert refused == ["PIF_IS_MANAGEMENT_INTERFACE", pif.ref]
        refused = await pool.refused("PIF.unplug", guest.ref)
        assert refused == ["PIF_DOES_NOT_ALLOW_UNPLUG", guest.ref]

    pretend(scenario)


def test_a_tunnel_needs_an_address_under_it(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        under = guest_pifs(pool)[0]
        net, other = await network(pool), await network(pool)

        refused = await pool.refused("tunnel.create", under.ref, net)

        assert refused == ["TRANSPORT_PIF_NOT_CONFIGURED", under.ref]
        (tunnel,) = pool.db.all("tunnel")  # it is found out when the rows are there
        access = pool.db.get("PIF", tunnel["access_PIF"])
        assert (access["device"], access["MTU"], access["VLAN"]) == ("tunnel0", -1, -1)
        assert tunnel["status"] == {"active": "false"}
        assert not access["currently_attached"]
        address = ("Static", "192.0.2.77", "255.255.255.0", "", "")
        await pool.done("PIF.reconfigure_ip", under.ref, *address)
        await pool.done("PIF.plug", access.ref)
        assert access["currently_attached"]
        refused = await pool.refused("tunnel.create", access.ref, other)
        assert refused == ["IS_TUNNEL_ACCESS_PIF", access.ref]
        refused = await pool.refused("VLAN.create", access.ref, 7, other)
        assert refused == ["IS_TUNNEL_ACCESS_PIF", access.ref]
        second = await pool.done("tunnel.create", under.ref, other, "vxlan")
        assert pool.db.get("tunnel", second)["protocol"] == "vxlan"
        await pool.done("tunnel.destroy", tunnel.ref)
        assert not pool.db.find("PIF", access.ref)

    pretend(scenario)


def test_a_tunnel_needs_openvswitch_on_every_host(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        under, net = guest_pifs(pool)[0], await network(pool)

        assert await pool.refused("tunnel.create", under.ref, net) == ["OPENVSWITCH_NOT_ACTIVE"]
        assert pool.db.all("tunnel") == []

    pretend(scenario, network_backend="bridge")


def test_a_bond_takes_over_what_was_on_its_members(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        host = pool.one("host", "host-1")
        management, guest = pool.db.rows("PIF", host["PIFs"])
        net, more = await network(pool, "bonded"), await network(pool)
        vlan = pool.db.get("VLAN", await pool.done("VLAN.create", guest.ref, 7, more))

        refused = await pool.refused("Bond.create", net, [guest.ref], "")
        assert refused == ["PIF_BOND_NEEDS_MORE_MEMBERS"]
        members = [management.ref, guest.ref]
        bond = pool.db.get("Bond", await pool.done("Bond.create", net, members, ""))

        master = pool.db.get("PIF", bond["master"])
        assert (master["device"], master["management"]) == ("bond0", True)
        assert master["IP"] == host["address"]
        assert not management["management"]
        assert sorted(bond["slaves"]) == sorted(members)
        assert vlan["tagged_PIF"] == master.ref
        third, fourth = await network(pool), await network(pool)
        for call, args, error in (
            ("VLAN.create", (guest.ref, 8, third), "CANNOT_ADD_VLAN_TO_BOND_SLAVE"),
            ("tunnel.create", (guest.ref, third), "CANNOT_ADD_TUNNEL_TO_BOND_SLAVE"),
            ("PIF.plug", (guest.ref,), "CANNOT_PLUG_BOND_SLAVE"),
        ):
            assert await pool.refused(call, *args) == [error, guest.ref]
        refused = await pool.refused("Bond.create", fourth, members, "")
        assert refused == ["PIF_ALREADY_BONDED", management.ref]
        vm = await pool.vm()
        refused = await pool.refused("VM.start_on", vm.ref, host.ref, False, False)
        assert refused == ["HOST_CANNOT_ATTACH_NETWORK", host.ref, guest["network"]]

        await pool.done("Bond.destroy", bond.ref)

        assert management["management"]
        assert guest["bond_slave_of"] == "OpaqueRef:NULL"
        assert vlan["tagged_PIF"] == management.ref

    pretend(scenario)


def test_a_private_network_is_pinned_by_who_is_on_its_way_too(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        net = await network(pool, "private")
        first, second = await pool.vm("a"), await pool.vm("b")
        for vm in (first, second):
            (vif,) = pool.db.rows("VIF", vm["VIFs"])
            pool.db.set(vif, "network", net)
        here, there = pool.db.all("host")[:2]
        pool.world.memory.schedule(first, here.ref)

        refused = await pool.refused("VM.start_on", second.ref, there.ref, False, False)
        assert refused == ["VM_REQUIRES_NETWORK", second.ref, net]
        assert await pool.call("VM.get_possible_hosts", second.ref) == [here.ref]
        pool.db.put(pool.db.get("network", net), "other_config", "assume_network_is_shared", "true")
        await pool.done("VM.start_on", second.ref, there.ref, False, False)

    pretend(scenario)


def dom0_vif(pool: Any, net: str) -> dict[str, Any]:
    domain = pool.one("host", "host-2")["control_domain"]
    qos = {"qos_algorithm_type": "", "qos_algorithm_params": {}, "other_config": {}}
    mac = "fe:ff:ff:ff:ff:ff"
    return {"device": "0", "network": net, "VM": domain, "MAC": mac, "MTU": 1500, **qos}


def test_the_control_domain_takes_an_interface_in_the_old_generation(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        net, host = await network(pool, "private"), pool.one("host", "host-2")
        vif = await pool.done("VIF.create", dom0_vif(pool, net))
        await pool.done("VIF.plug", vif)

        assert pool.db.get("VIF", vif)["currently_attached"]
        vm = await pool.vm()
        pool.db.set(pool.db.rows("VIF", vm["VIFs"])[0], "network", net)
        assert await pool.call("VM.get_possible_hosts", vm.ref) == [host.ref]
        await pool.done("VIF.unplug", vif)
        assert len(await pool.call("VM.get_possible_hosts", vm.ref)) == 4

    pretend(scenario, profile="8.2")


def test_the_control_domain_takes_none_today(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        net = await network(pool)
        vif = await pool.done("VIF.create", dom0_vif(pool, net))

        refused = await pool.refused("VIF.plug", vif)
        assert refused == ["OPERATION_NOT_ALLOWED", "Control domain does not support hotplug"]

    pretend(scenario)
