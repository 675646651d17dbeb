"""`docker compose up` for real: the story, one killed process after the other, stores that restart, down and up again.

In the order in which it happens; needs a Docker engine, and minutes.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.compose import Project
from tests.support.story import Workspace, text_of
from tests.support.waiting import eventually

pytestmark = [pytest.mark.story, pytest.mark.engine, pytest.mark.timeout(4000)]

SERVICES = ("gateway", "scraper", "trainer", "inference")
BACK_S = 900  # an engine loads for most of a minute, on a busy machine for many
OUTSIDE = "1.1.1.1"
CONNECT = f"""
import socket
try:
    socket.create_connection(("{OUTSIDE}", 443), 3).close()
    print("open")
except OSError as error:
    print(error.strerror or error)
routes = [line.split()[1] for line in open("/proc/net/route")][1:]
print("default route" if "00000000" in routes else "no default route")
"""


async def test_everything_is_up_and_two_replicas_of_inference_share_the_work(project: Project) -> None:
    found = await project.containers()
    names = [c["Config"]["Labels"]["com.docker.compose.service"] for c in found]
    assert sorted(names) == sorted((*SERVICES, "inference", "nats", "postgres", "minio", "playground"))
    await project.all_healthy(within_s=30)


async def test_a_yes_trains_the_persona_and_the_next_mention_is_answered_in_that_voice(
    project: Project, workspace: Workspace
) -> None:
    await workspace.command("bram", "general", "train @ada")
    await workspace.answer_consent("ada", allow=True)

    async def told() -> bool:
        said = [text_of(m) for m in await workspace.bot_messages("general")]
        return any("U0ADA" in text and "is ready" in text for text in said)

    await eventually(told, what="ada's persona is ready", within_s=600)
    await answered_as_ada(workspace, "are the tests green again?")


async def answered_as_ada(workspace: Workspace, text: str) -> None:
    """A mention is answered once, in her voice."""
    asked = await workspace.say("chiyo", "general", f"@doppel {text}")
    answer = await workspace.reply("general", asked["ts"], within_s=300)
    assert "Ada" in answer["username"], answer
    await workspace.answered_once("general", asked["ts"])


async def test_the_voice_report_shows_the_plot_that_the_gateway_read_from_the_bucket(
    workspace: Workspace,
) -> None:
    roots = [m for m in await workspace.bot_messages("general") if "is ready" in text_of(m)]

    async def picture() -> dict[str, Any] | None:
        thread = await workspace.bot_messages("general", roots[0]["ts"])
        return next((m for m in thread if m.get("files")), None)

    assert await eventually(picture, what="the report's picture", within_s=60)


async def test_the_operator_s_command_runs_beside_it(project: Project) -> None:
    status = await project.doppel("status")
    assert [row["user_id"] for row in status["personas"] if row["active_run"]] == ["U0ADA"]
    assert {row["state"] for row in status["runs"]} == {"published"}


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_is_nobody_in_particular_and_can_change_nothing(
    project: Project, service: str
) -> None:
    said = await project.python(
        service,
        "import os, pathlib\n"
        "try: pathlib.Path('/app/x').write_text('x'); print('writable')\n"
        "except OSError as error: print(error.strerror)\n"
        "caps = [line.split()[1] for line in open('/proc/self/status') if line.startswith('CapEff')]\n"
        "print(os.getuid(), int(caps[0], 16))",
    )
    assert said.splitlines() == ["Read-only file system", "10001 0"]


@pytest.mark.parametrize("service", ["trainer", "inference"])
async def test_what_learns_and_what_answers_cannot_reach_the_outside(project: Project, service: str) -> None:
    assert (await project.python(service, CONNECT)).splitlines() == [
        "Network is unreachable",
        "no default route",
    ]


async def test_the_gateway_has_a_way_out(project: Project) -> None:
    assert (await project.python("gateway", CONNECT)).splitlines()[-1] == "default route"


@pytest.mark.parametrize("service", ["gateway", "scraper"])
async def test_there_is_no_torch_where_none_is_needed_and_no_other_room(
    project: Project, service: str
) -> None:
    said = await project.python(
        service,
        "import importlib.util as u, os\n"
        "print(u.find_spec('torch'), u.find_spec('vllm'), sorted(os.listdir('/app/services')))",
    )
    assert said == f"None None ['__init__.py', '{service}']"


async def test_a_container_holds_its_own_passwords_only(project: Project) -> None:
    held: dict[str, str] = {}
    for service in SERVICES:
        names = ("nats_password", "postgres_password", "s3_secret_key")
        held |= dict.fromkeys(await secrets_of(project, service, *names), service)
    assert len(held) == 3 * len(SERVICES)
    environments = {c["Name"]: " ".join(c["Config"]["Env"]) for c in await project.containers()}
    assert not [name for name, env in environments.items() if any(secret in env for secret in held)]


async def test_each_process_is_killed_and_the_next_mention_is_answered(
    project: Project, workspace: Workspace
) -> None:
    for container in await project.containers():
        name, pid = container["Name"], container["State"]["Pid"]
        if container["Config"]["Labels"]["com.docker.compose.service"] == "playground":
            continue  # the workspace itself: in memory
        if not is_here(pid, container["Id"]):
            pytest.skip("the engine's processes are not this machine's, so none can be killed")
        os.kill(pid, signal.SIGKILL)
        await project.all_healthy({name: container["State"]["StartedAt"]}, within_s=BACK_S)
        await answered_as_ada(workspace, f"what about {name.strip('/').replace('-', ' ')}?")


def is_here(pid: int, container_id: str) -> bool:
    """Whether that process of this machine is that container's."""
    try:
        return container_id in Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return False


async def test_a_mention_while_the_stores_restart_is_answered_once(
    project: Project, workspace: Workspace
) -> None:
    restart = project.compose("restart", "nats", "postgres", "minio")
    await together(restart, lambda: answered_as_ada(workspace, "is everything back?"))
    await project.all_healthy(within_s=BACK_S)
    await answered_as_ada(workspace, "and now?")


async def together(first: Awaitable[object], then: Callable[[], Awaitable[object]]) -> None:
    """Both at once."""
    async with asyncio.TaskGroup() as group:
        group.create_task(_await(first))
        group.create_task(_await(then()))


async def _await(work: Awaitable[object]) -> None:
    await work


async def test_down_and_up_again_keeps_everything(project: Project) -> None:
    before = await project.doppel("status")
    await project.compose("down", timeout_s=300)
    await project.up("--scale", "inference=2")
    after = await project.doppel("status")
    for what in ("personas", "runs", "corpora"):
        assert after[what] == before[what], what


async def test_after_it_the_persona_still_answers(workspace: Workspace) -> None:
    await answered_as_ada(workspace, "do you still know me?")


async def test_nothing_that_people_wrote_and_no_password_is_in_any_log(
    project: Project, workspace: Workspace
) -> None:
    canary = "zyxwvut-canary-marmalade"
    await answered_as_ada(workspace, f"what is {canary}?")
    logs = await project.compose("logs", "--no-color", timeout_s=120)
    names = ("nats_password", "s3_secret_key", "encryption_keys", "slack_bot_token")
    secrets = await secrets_of(project, "gateway", *names)
    assert not [word for word in (canary, *secrets) if word in logs]


async def secrets_of(project: Project, service: str, *names: str) -> list[str]:
    """What those files of a container hold."""
    code = f"for name in {names!r}: print(open('/run/secrets/' + name).read())"
    found = (await project.python(service, code)).split()
    assert len(found) == len(names)
    return found
