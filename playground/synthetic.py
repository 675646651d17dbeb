"""A synthetic workspace from a seed: pure, the same for the same arguments, and nobody's real words.

Three months of scenes on weekdays. A scene is somebody's question or remark and what others say to it, in a
thread or below one another, with an edit, a reaction, a deploy bot or a joining person here and there.
"""

from dataclasses import dataclass, field
from random import Random
from typing import Any

from playground.cast import DOMAIN, PEOPLE, TEAM_NAME, bots, channels, users
from playground.channel import ts_of
from playground.export import write_export_zip
from playground.model import Message, SeedChannel, SeedWorkspace
from playground.text import rich_text
from playground.voices import TOPICS, VOICES, Topic

__all__ = ["make_workspace", "write_export_zip"]

DAYS = 90
_DAY_US = 86_400_000_000
_HOUR_US = 3_600_000_000
# Shares of channels; the first is the noisiest.
_WEIGHTS = {"C0ENG": 34, "C0GENERAL": 22, "C0SUPPORT": 17, "C0RANDOM": 15, "C0DESIGN": 12}
_REACTIONS = ("+1", "tada", "eyes", "heart", "joy", "rocket", "white_check_mark")
_STAFF = [user_id for user_id, *_ in PEOPLE]
_SECRETS_OF_THE_BOARD = (
    "the numbers for the board are in; private until friday",
    "KEEP THIS IN HERE!!! BOARD ONLY!!!",
    "one word to nobody; the merger talk is on monday ~ ada",
)
_SECRETS_OF_A_DM = ("between you and me; the surprise party is at six ~ ada", "I WILL NOT TELL ANYBODY!!!")


@dataclass
class _Writer:
    """Collects messages; makes ids and timestamps from the seed alone."""

    rng: Random
    team_id: str
    end_us: int
    count: int = 0
    taken: set[tuple[str, int]] = field(default_factory=set[tuple[str, int]])

    def moment(self) -> int:
        """A working hour of some weekday within the span."""
        while True:
            day = self.rng.randrange(1, DAYS + 1)
            start = (self.end_us // _DAY_US - day) * _DAY_US
            if ((start // _DAY_US) + 3) % 7 < 5:  # 1970-01-01 was a Thursday
                return start + 8 * _HOUR_US + self.rng.randrange(9 * _HOUR_US)

    def write(
        self, channel: SeedChannel, at_us: int, fields: dict[str, Any], root: str | None = None
    ) -> Message:
        """One message at about `at_us`."""
        while (channel.id, at_us) in self.taken:
            at_us += 1
        self.taken.add((channel.id, at_us))
        message: Message = {"type": "message", "team": self.team_id, **fields, "ts": ts_of(at_us)}
        if root is not None:
            message["thread_ts"] = root
        channel.messages.append(message)
        self.count += channel.kind == "public"
        return message

    def say(
        self, channel: SeedChannel, at_us: int, user_id: str, text: str, root: Message | None = None
    ) -> Message:
        """Somebody writes."""
        fields: dict[str, Any] = {"user": user_id, "text": text, "client_msg_id": self._uuid()}
        fields["blocks"] = rich_text(text)
        message = self.write(channel, at_us, fields, None if root is None else root["ts"])
        if root is not None:
            message["parent_user_id"] = root["user"]
        if self.rng.random() < 0.04:
            edited_at = ts_of(at_us + self.rng.randrange(5_000_000, 90_000_000))
            message["edited"] = {"user": user_id, "ts": edited_at}
        if self.rng.random() < 0.12:
            people = self.rng.sample([each for each in _STAFF if each != user_id], self.rng.randrange(1, 4))
            name = self.rng.choice(_REACTIONS)
            message["reactions"] = [{"name": name, "users": people, "count": len(people)}]
        return message

    def _uuid(self) -> str:
        digits = f"{self.rng.getrandbits(128):032x}"
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def make_workspace(
    seed: int, *, now: int, message_count: int = 2600, team_id: str = "T0DOPPEL", app_id: str = "A0DOPPEL"
) -> SeedWorkspace:
    """About `message_count` messages in public channels over the 90 days before `now` (Unix seconds)."""
    writer = _Writer(
        Random(seed),  # noqa: S311  reproducible on purpose
        team_id,
        now * 1_000_000,
    )
    made = channels(now - (DAYS + 10) * 86_400)
    by_id = {channel.id: channel for channel in made}
    for channel in made:
        _open(writer, channel, now)
    while writer.count < message_count:
        channel = by_id[writer.rng.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]]
        _scene(writer, channel)
    for channel in made:
        channel.messages = sorted(
            (message for message in channel.messages if message["ts"] < ts_of(writer.end_us)),
            key=lambda message: message["ts"],
        )
    return SeedWorkspace(team_id, TEAM_NAME, DOMAIN, users(team_id, app_id), made, bots(app_id))


def _open(writer: _Writer, channel: SeedChannel, now: int) -> None:
    """Joining notes in public channels; what must stay private in the others."""
    start = (now - DAYS * 86_400) * 1_000_000
    if channel.kind == "public":
        for number, user_id in enumerate(member for member in channel.members if member in VOICES):
            text = f"<@{user_id}> has joined the channel"
            writer.write(
                channel,
                start + number * 60_000_000,
                {"subtype": "channel_join", "user": user_id, "text": text},
            )
        return
    texts = _SECRETS_OF_THE_BOARD if channel.kind == "private" else _SECRETS_OF_A_DM
    for number in range(30):
        user_id = channel.members[number % 2]
        writer.say(channel, start + number * 2 * _DAY_US, user_id, texts[number % len(texts)])


def _scene(writer: _Writer, channel: SeedChannel) -> None:
    rng = writer.rng
    topic = rng.choice(TOPICS[channel.id])
    at = writer.moment()
    draw = rng.random()
    if draw < 0.05:
        _deploy(writer, channel, at, topic)
    elif draw < 0.22:
        _chatter(writer, channel, at, topic)
    else:
        _question(writer, channel, at, topic, in_thread=rng.random() < 0.75)


def _deploy(writer: _Writer, channel: SeedChannel, at: int, topic: Topic) -> None:
    """A bot's post: never anybody's words."""
    text = f"Deployed build {writer.rng.randrange(100, 999)} of {topic.thing}: <https://ci.example.com/builds|log>"
    identity = {"subtype": "bot_message", "bot_id": "B0DEPLOY", "app_id": "A0DEPLOY", "username": "deploybot"}
    writer.write(channel, at, {**identity, "text": text})


def _chatter(writer: _Writer, channel: SeedChannel, at: int, topic: Topic) -> None:
    """Remarks below one another."""
    for user_id in writer.rng.sample(_cast(channel, writer, at), writer.rng.randrange(2, 5)):
        writer.say(channel, at, user_id, VOICES[user_id].remark(writer.rng, topic))
        at += writer.rng.randrange(20_000_000, 400_000_000)


def _question(writer: _Writer, channel: SeedChannel, at: int, topic: Topic, *, in_thread: bool) -> None:
    """A question, Ada's answer more often than not, others', and the asker's thanks."""
    rng = writer.rng
    cast = _cast(channel, writer, at)
    asker = rng.choice([user_id for user_id in cast if user_id != "U0ADA" or rng.random() < 0.4])
    text = VOICES[asker].ask(rng, topic)
    ada_answers = asker != "U0ADA" and "U0ADA" in channel.members and rng.random() < 0.8
    if ada_answers and rng.random() < 0.35:
        text = f"<@U0ADA> {text}"
    root = writer.say(channel, at, asker, text)
    under = root if in_thread else None
    others = [user_id for user_id in cast if user_id not in (asker, "U0ADA")]
    answerers = rng.sample(others, rng.randrange(1, 4))
    if ada_answers:
        answerers.insert(rng.choice((0, 0, 1)), "U0ADA")
    for user_id in answerers:
        at += rng.randrange(15_000_000, 600_000_000)
        message = writer.say(channel, at, user_id, VOICES[user_id].answer(rng, topic), under)
        if under is not None and rng.random() < 0.02:
            message["subtype"] = "thread_broadcast"
    at += rng.randrange(15_000_000, 300_000_000)
    writer.say(channel, at, asker, VOICES[asker].thanks(rng, topic), under)
    if ada_answers and rng.random() < 0.35:
        at += rng.randrange(10_000_000, 200_000_000)
        writer.say(channel, at, "U0ADA", VOICES["U0ADA"].thanks(rng, topic), under)


def _cast(channel: SeedChannel, writer: _Writer, at: int) -> list[str]:
    """Who speaks there then: whoever left did so halfway through."""
    has_left = at > writer.end_us - DAYS // 2 * _DAY_US
    return [user for user in channel.members if user in VOICES and not (has_left and user == "U0GONE")]
