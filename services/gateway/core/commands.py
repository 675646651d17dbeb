"""What people type after /doppel."""

import re
from dataclasses import dataclass
from typing import Final

from services.gateway.core.rules import Change, parse_change

MAX_TEXT: Final = 4000
_ID: Final = r"[UW][A-Z0-9]{1,30}"
_MENTION: Final = re.compile(rf"<@({_ID})(?:\|[^<>]{{0,80}})?>")
_BARE_ID: Final = re.compile(rf"@?({_ID})")
_NAME: Final = re.compile(r"@?([\w.\-]{1,80}(?: [\w.\-]{1,80}){0,4})")
_SPACES: Final = re.compile(r"[\s\u00a0]+")
_ASKER: Final = frozenset(("me", "@me", "myself"))

USAGE: Final = (
    "*/doppel train @ada* asks Ada whether she may be imitated; on her yes, her persona is trained. "
    "*/doppel cancel* stops a training.\n"
    "*/doppel ask @ada …* lets Ada's persona answer you alone; "
    "a mention that begins with *as @ada* is answered for all.\n"
    "*/doppel debate @ada @bram …* lets the two answer one another in a thread; the button there, a mention that says "
    "_stop_, or :hand: ends it.\n"
    "*/doppel switch @ada [here]* lets Ada answer whoever names nobody, in this workspace or in this channel; "
    "*switch off* lets me answer, *switch default* whoever was trained last.\n"
    "*/doppel report @ada* sends you her voice report; */doppel rollback @ada* lets the version before answer again.\n"
    "*/doppel list* shows who can answer, */doppel status* what is under way, */doppel limits* what is allowed here.\n"
    "*/doppel consent* shows your own yes or no, and changes it. */doppel menu* does all this with a form.\n"
    "*/doppel forget @ada* deletes what was made from Ada: only she, or an admin, may.\n"
    "*/doppel import* says how a Slack export, or another history, is brought in."
)


@dataclass(frozen=True)
class Who:
    """A person as typed: an id, a name to be looked up, or whoever asks."""

    user_id: str | None = None
    name: str = ""
    is_asker: bool = False


@dataclass(frozen=True)
class Train:
    """Train the persona of `who`."""

    who: Who


@dataclass(frozen=True)
class Report:
    """Send the voice report of `who`."""

    who: Who


@dataclass(frozen=True)
class Rollback:
    """Let the version before the active one answer."""

    who: Who


@dataclass(frozen=True)
class Switch:
    """Let `who` answer where nobody is named. None: the bot itself, or (`to_default`) whoever was trained last."""

    who: Who | None
    here: bool = False
    to_default: bool = False


@dataclass(frozen=True)
class Ask:
    """Let `who` answer the asker alone."""

    who: Who
    text: str


@dataclass(frozen=True)
class Debate:
    """Let two personas answer one another about something."""

    speakers: tuple[Who, Who]
    topic: str


@dataclass(frozen=True)
class ListPersonas:
    """Who can answer, and where."""


@dataclass(frozen=True)
class Status:
    """Who is trained, what is under way."""


@dataclass(frozen=True)
class Cancel:
    """Stop a training; None: the asker's own."""

    who: Who | None = None


@dataclass(frozen=True)
class Consent:
    """The asker's own yes or no; None: show it."""

    granted: bool | None = None


@dataclass(frozen=True)
class Forget:
    """Take away everything that was made from `who`; asked once more before it is done."""

    who: Who


@dataclass(frozen=True)
class Limits:
    """What is allowed here; `change` is an admin's."""

    change: Change | None = None


@dataclass(frozen=True)
class Menu:
    """The form that does the same."""


@dataclass(frozen=True)
class Import:
    """How a history is brought in: by a command, since Slack hands us no large files."""


@dataclass(frozen=True)
class Help:
    """How to use it; `problem` says what was wrong with what was typed."""

    problem: str = ""


Command = (
    Train
    | Report
    | Rollback
    | Switch
    | Ask
    | Debate
    | ListPersonas
    | Status
    | Cancel
    | Consent
    | Forget
    | Limits
    | Menu
    | Import
    | Help
)
_WORDS: Final[dict[str, Command]] = {
    "": Help(),
    "help": Help(),
    "list": ListPersonas(),
    "status": Status(),
    "menu": Menu(),
    "import": Import(),
}
_SAID: Final = {"": None, "yes": True, "allow": True, "no": False, "withdraw": False}


def parse(text: str) -> Command:
    """Read a command. What is not understood becomes help, with a reason."""
    words = _SPACES.sub(" ", text[:MAX_TEXT]).strip()
    verb, _, rest = words.partition(" ")
    verb = verb.lower()
    match verb:
        case "train" | "report" | "rollback" | "forget":
            kinds = {"train": Train, "report": Report, "rollback": Rollback, "forget": Forget}
            who = parse_who(rest) or (Who(is_asker=True) if verb == "report" and not rest else None)
            return kinds[verb](who) if who else Help(f"Say who, for example: /doppel {verb} @ada")
        case "switch":
            return _parse_switch(rest)
        case "ask":
            return _parse_ask(text[:MAX_TEXT].strip())
        case "debate":
            return _parse_debate(text[:MAX_TEXT].strip())
        case "cancel":
            who = parse_who(rest) if rest else None
            return (
                Help("Say whose, for example: /doppel cancel @ada") if rest and who is None else Cancel(who)
            )
        case "consent":
            said = rest.lower()
            return (
                Consent(_SAID[said])
                if said in _SAID
                else Help("Say /doppel consent, or with yes or no after it.")
            )
        case "limits":
            change = parse_change(rest) if rest else None
            return (
                Help("Say for example: /doppel limits runs 5") if rest and change is None else Limits(change)
            )
        case _:
            return _WORDS.get(verb, Help("I don't know that word."))


def _parse_switch(rest: str) -> Command:
    named, here = rest, False
    if f" {rest}".lower().endswith(" here"):
        named, here = rest[:-4].strip(), True
    if named.lower() in ("off", "default"):
        return Switch(None, here, to_default=named.lower() == "default")
    who = parse_who(named)
    return Switch(who, here) if who else Help("Say who, for example: /doppel switch @ada here")


def _parse_ask(typed: str) -> Command:
    """The question keeps its lines."""
    found = re.fullmatch(r"\S+\s+(<[^<>]{1,120}>|\S+)[\s,:]+(\S.*)", typed, re.DOTALL)
    who = parse_who(found[1]) if found else None
    if found is None or who is None:
        return Help("Say whom and what, for example: /doppel ask @ada how was the launch?")
    return Ask(who, found[2])


def _parse_debate(typed: str) -> Command:
    found = re.fullmatch(
        r"\S+\s+(<[^<>]{1,120}>|\S+)[\s,]+(?:(?:and|vs\.?)\s+)?(<[^<>]{1,120}>|\S+)[\s,:]+(\S.*)",
        typed,
        re.DOTALL,
    )
    first, second = (parse_who(found[1]), parse_who(found[2])) if found else (None, None)
    if found is None or first is None or second is None or first == second:
        return Help("Say which two, and about what, for example: /doppel debate @ada @bram tabs or spaces?")
    return Debate((first, second), found[3])


def parse_who(text: str) -> Who | None:
    """``<@U1|ada>``, ``<@U1>``, ``U1``, ``@ada``, ``ada`` or ``me``; None where it is no person."""
    typed = text.strip().rstrip(",:")
    if typed.lower() in _ASKER:
        return Who(is_asker=True)
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
        case Ask():
            return "One moment, I ask."
        case Debate():
            return "One moment, I ask them in."
        case Menu():
            return "I open the form."
        case Import():
            return (
                "Run this where doppel is installed, with the export as Slack gave it "
                f"(or a .jsonl or .csv of another chat):\n`doppel import FILE.zip --team {team_id}`"
            )
        case Help(problem):
            return f"{problem}\n{USAGE}" if problem else USAGE
        case _:
            return "One moment, I look it up."
