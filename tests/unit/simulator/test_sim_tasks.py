"""Sessions and tasks: their life, and who ends it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from simulator.dispatch import serve
from simulator.errors import ApiError
from simulator.faults import Rule
from simulator.tasks import COMPLETED_KEPT_SECONDS, PENDING_KEPT_SECONDS

Pretend = Callable[..., None]


def test_a_session_is_found_by_uuid_and_logged_out_by_another(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        other = await serve(pool.world, "session.login_with_password", ["root", "xenroot"], {})
        uuid = await pool.call("session.get_uuid", other)
        assert await pool.call("session.get_by_uuid", uuid) == other

        serve(pool.world, "session.logout", [other], {})

        before = pool.db.generation
        with pytest.raises(ApiError) as refused:
            serve(pool.world, "Async.VM.clone", [other, pool.one("VM", "debian-12").ref, "x"], {})
        assert refused.value.description == ["SESSION_INVALID", other]
        assert pool.db.generation == before
        assert await pool.refused("session.get_by_uuid", uuid) == ["UUID_INVALID", "session", uuid]

    pretend(scenario)


def test_a_call_under_way_outlives_its_session(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        pool.world.latency.set({"VDI.clone": 0.05})
        template = pool.one("VM", "debian-12").ref
        task = await pool.call("Async.VM.clone", template, "late")
        pool.world.sessions.close(pool.session)

        assert (await pool.ended(task))["status"] == "success"

    pretend(scenario)


def test_a_session_lists_its_tasks_for_as_long_as_they_are_there(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        pool.world.latency.set({"VDI.clone": 0.05, "subtask.read": 0})
        other = await pool.login("root", "xenroot")
        made = await pool.call("task.create", "mine", "")
        clone = await pool.call("Async.VM.clone", pool.one("VM", "debian-12").ref, "web")
        await pool.until(lambda: pool.db.get("task", clone)["subtasks"], "a disk is cloned")
        (disk,) = pool.db.get("task", clone)["subtasks"]

        assert await other.call("session.get_tasks", pool.session) == [made, clone, disk]
        assert await other.call("session.get_tasks", other.session) == []
        await pool.ended(clone)
        await pool.until(lambda: not pool.db.find("task", disk), "its end is read")
        await other.call("task.destroy", clone)
        assert await pool.call("session.get_tasks", pool.session) == [made]
        pool.world.sessions.close(pool.session)
        await other.call("task.set_status", made, "success")
        await other.call("task.destroy", made)

    pretend(scenario)


def test_an_async_call_gives_its_task_and_its_result(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        template = pool.one("VM", "debian-12").ref
        headers = {"x-http-other-config-xenlaunch": "lab:7", "subtask-of": "OpaqueRef:none"}
        task = await pool.call("Async.VM.clone", template, "web", headers=headers)
        begun = dict(pool.db.get("task", task).record())
        row = await pool.ended(task)

        assert begun["status"] == "pending"
        assert begun["allowed_operations"] == ["cancel"]
        assert begun["type"] == "<none/>"
        assert begun["other_config"] == {"http:xenlaunch": "lab:7"}
        assert row["name_label"] == "Async.VM.clone"
        assert row["result"] == f"<value>{pool.one('VM', 'web').ref}</value>"
        assert (row["status"], row["progress"], row["allowed_operations"]) == ("success", 1.0, [])
        assert row["backtrace"] == "()"

    pretend(scenario)


def test_void_is_an_empty_value_and_a_failure_has_its_error(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm = await pool.vm()
        task = await pool.ended(await pool.call("Async.VM.hard_shutdown", vm.ref))
        assert (task["status"], task["result"]) == ("failure", "")
        assert task["error_info"] == [
            "VM_BAD_POWER_STATE",
            vm.ref,
            "paused, suspended, running",
            "halted",
        ]
        done = await pool.ended(await pool.call("Async.VM.destroy", vm.ref))
        assert (done["status"], done["result"]) == ("success", "<value></value>")

    pretend(scenario)


def test_a_synchronous_call_has_a_task_only_while_it_runs(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        await pool.call("VM.clone", pool.one("VM", "debian-12").ref, "web")
        assert pool.db.all("task") == []
        assert pool.db.tables["task"].deletions

    pretend(scenario)


def test_a_sub_operation_is_seen_to_end_with_its_result(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        seen: dict[str, dict[str, Any]] = {}
        token = (await pool.call("event.from", ["task"], "", 0.0))["token"]
        task = await pool.call("Async.VM.clone", pool.one("VM", "debian-12").ref, "web")
        gone: set[str] = set()
        while len(gone) < 1:
            answer = await pool.call("event.from", ["task"], token, 10.0)
            token = answer["token"]
            for event in answer["events"]:
                if event["operation"] == "del":
                    gone.add(event["ref"])
                else:
                    seen[event["ref"]] = dict(event["snapshot"].row.record())

        (sub,) = gone
        (vbd,) = pool.db.rows("VBD", pool.one("VM", "web")["VBDs"])
        assert seen[sub]["name_label"] == "Async.VDI.clone"
        assert (seen[sub]["status"], seen[sub]["subtask_of"]) == ("success", task)
        assert seen[sub]["result"] == f"<value>{vbd['VDI']}</value>"
        assert seen[task]["status"] == "success"

    pretend(scenario)


def test_a_sub_operation_is_seen_to_fail_with_its_error(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        error = ["SR_BACKEND_FAILURE_46", "", "x", ""]
        pool.world.faults.rules.append(Rule.read({"method": "VDI.clone", "error": error}))
        task = await pool.call("Async.VM.clone", pool.one("VM", "debian-12").ref, "web")
        await pool.ended(task)

        (sub,) = pool.db.rows("task", pool.db.get("task", task)["subtasks"])
        assert (sub["status"], sub["error_info"]) == ("failure", error)
        await pool.until(lambda: not pool.db.get("task", task)["subtasks"], "xapi has read it")

    pretend(scenario)


def test_the_header_subtask_of_hangs_the_task_under_another(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        parent = await pool.call("task.create", "mine", "a group")
        template = pool.one("VM", "debian-12").ref
        task = await pool.call("Async.VM.clone", template, "web", headers={"subtask-of": parent})
        assert await pool.call("task.get_subtasks", parent) == [task]
        await pool.ended(task)

    pretend(scenario)


def test_cancel_ends_a_waiting_clone_and_leaves_nothing(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        pool.world.latency.set({"VDI.clone": 60})
        disks = len(pool.db.all("VDI"))
        task = await pool.call("Async.VM.clone", pool.one("VM", "debian-12").ref, "web")
        await pool.until(lambda: pool.db.get("task", task)["subtasks"], "the disk is being cloned")

        await pool.call("task.cancel", task)

        row = await pool.ended(task)
        assert (row["status"], row["error_info"]) == ("cancelled", [])
        assert pool.db.by_name("VM", "web") == []
        assert len(pool.db.all("VDI")) == disks
        await pool.call("task.cancel", task)  # of an ended task: nothing

    pretend(scenario)


def test_destroy_of_a_pending_task_takes_effect_at_its_end(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        pool.world.latency.set({"VDI.clone": 0.05})
        task = await pool.call("Async.VM.clone", pool.one("VM", "debian-12").ref, "web")
        await pool.call("task.destroy", task)
        assert pool.db.get("task", task)["status"] == "pending"

        await pool.until(lambda: pool.db.by_name("VM", "web"), "the clone ends")
        await pool.until(lambda: pool.db.find("task", task) is None, "its task goes")
        assert await pool.refused("task.get_record", task) == ["HANDLE_INVALID", "task", task]

    pretend(scenario)


def test_collection_by_age_and_by_number(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        tasks, at = pool.world.tasks, time.time()
        for number in range(150):
            tasks.succeed(tasks.create(f"done {number}"), "")
        for number in range(100):
            tasks.create(f"pending {number}")
        tasks.collect(at)
        # 250 young ones are too many; of 150 completed, 200 - 150 are kept.
        assert len(pool.db.all("task")) == 150

        tasks.collect(at + COMPLETED_KEPT_SECONDS + 60)
        assert len(pool.db.all("task")) == 100
        tasks.collect(at + PENDING_KEPT_SECONDS + 60)
        assert pool.db.all("task") == []

    pretend(scenario)


def test_more_than_200_completed_all_go(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        tasks = pool.world.tasks
        for number in range(201):
            tasks.succeed(tasks.create(f"done {number}"), "")
        tasks.collect(time.time())
        assert pool.db.all("task") == []

    pretend(scenario)


def test_sessions_have_caps_and_an_idle_limit(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        sessions = pool.world.sessions
        for _ in range(405):
            sessions.open("root", "")
        sessions.collect(time.time())
        assert len(pool.db.all("session")) == 401  # and the test's own, of another originator
        sessions.collect(time.time() + 25 * 3600)
        assert pool.db.all("session") == []

    pretend(scenario)
