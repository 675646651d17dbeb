"""What people type after /doppel."""

import re
from dataclasses import dataclass
from typing import Final

MAX_TEXT: Final = 4000
_ID: Final = r"[UW][A-Z0-9]{1,30}"
_MENTION: Final = re.compile(rf"<@({_ID})(?:\|[^<>]{{0,80}})?>")
_BARE_ID: Final = re.compile(rf"@?({_ID})")
_NAME: Final = re.compile(r"@?([\w.\-]{1,80}(?: [\w.\-]{1,80}){0,4})")
_SPACES: Final = re.compile(r"[\s\u00a0]+")

USAGE: Final = (
    "*/doppel train @ada* asks Ada whether she may be imitated; on her yes, her persona is trained.\n"
    "*/doppel status* shows who is trained and what is under way.\n"
    "*/doppel import* says how a Slack export, or another history, is brought in.\n"
    "Mention me in a channel to ask something; begin with *as @ada* to choose who answers."
)


@dataclass(frozen=True)
class Who:
    """A person as typed: an id, or a name to be looked up."""

    user_id: str | None = None
    name: str = ""


@dataclass(frozen=True)
class Train:
    """Train the persona of `who`."""

    who: Who


@dataclass(frozen=True)
class Status:
    """Who is trained, what is under way."""


@dataclass(frozen=True)
class Import:
    """How a history is brought in: by a command, since Slack hands us no large files."""


@dataclass(frozen=True)
class Help:
    """How to use it; `problem` says what was wrong with what was typed."""

    problem: str = ""


Command = Train | Status | Import | Help


def parse(text: str) -> Command:
    """Read a command. What is not understood becomes help, with a reason."""
    words = _SPACES.sub(" ", text[:MAX_TEXT]).strip()
    verb, _, rest = words.partition(" ")
    match verb.lower():
        case "" | "help":
            return Help()
        case "status":
            return Status()
        case "import":
            return Import()
        case "train":
            who = parse_who(rest)
            return Train(who) if who else Help("Say who, for example: /doppel train @ada")
        case _:
            return Help("I don't know that word.")


def parse_who(text: str) -> Who | None:
    """``<@U1|ada>``, ``<@U1>``, ``U1``, ``@ada`` or ``ada``; None where it is no person."""
    typed = text.strip()
    if found := _MENTION.fullmatch(typed):
        return Who(user_id=found[1])
    if found := _BARE_ID.fullmatch(typed):
        return Who(user_id=found[1])
    if found := _NAME.fullmatch(typed):
        return Who(name=found[1])
    return None


def first_answer(command: Command, team_id: str) -> str:
    """What the asker sees at once."""
    match command:
        case Train():
            return "On it. I tell you here how it goes."
        case Status():
            return "One moment, I look it up."
        case Import():
            return (
                "Run this where doppel is installed, with the export as Slack gave it "
                f"(or a .jsonl or .csv of another chat):\n`doppel import FILE.zip --team {team_id}`"
            )
        case Help(problem):
            return f"{problem}\n{USAGE}" if problem else USAGE
