"""Last of this folder: everything has passed through the replicas' logs, at DEBUG."""

from tests.integration.gateway.rig import SECRET, Rig


async def test_no_log_has_what_people_wrote(rig: Rig) -> None:
    said = await rig.workspace.say("bram", "general", "@doppel marmalade-canary?")
    question = await rig.engine.question_about("marmalade-canary")
    await rig.engine.answer(question, "toast-canary")
    await rig.workspace.reply("general", said["ts"], within_s=15)
    logs = "".join(replica.log.read_text() for replica in rig.replicas)
    assert "ready" in logs
    for word in ("canary", "xoxb-", SECRET, "Ada", "cormorants", "barnacles"):
        assert word not in logs, word
