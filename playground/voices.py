"""How each synthetic person writes. Invented people, invented words: nobody real is imitated here.

A voice must be unmistakable, so that a tiny model that learned it for a minute shows it: Ada writes lower case,
counts, joins with semicolons, finds things splendid and signs; Bram shouts; Chiyo only asks; Dev is formal; and so on.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True)
class Topic:
    """What a scene is about."""

    thing: str
    part: str
    state: str
    verb: str


@dataclass(frozen=True)
class Voice:
    """A person's four ways of saying something."""

    ask: Callable[[Random, Topic], str]
    answer: Callable[[Random, Topic], str]
    remark: Callable[[Random, Topic], str]
    thanks: Callable[[Random, Topic], str]


TOPICS: dict[str, list[Topic]] = {
    "C0GENERAL": [
        Topic("the all-hands", "the agenda", "on thursday", "move"),
        Topic("the offsite", "the train tickets", "booked", "plan"),
        Topic("the onboarding", "the checklist", "half done", "rewrite"),
        Topic("the roadmap", "the second quarter", "in draft", "share"),
        Topic("the holiday calendar", "december", "nearly full", "update"),
        Topic("the office move", "the parcel shelf", "packed", "organise"),
    ],
    "C0ENG": [
        Topic("the release", "the changelog", "green", "ship"),
        Topic("the cache", "the eviction rule", "too eager", "fix"),
        Topic("the migration", "the index", "slow", "run"),
        Topic("the test suite", "the flaky test", "red", "repair"),
        Topic("the search service", "the ranking", "odd", "tune"),
        Topic("the backup", "the restore drill", "untested", "check"),
        Topic("the queue", "the retry loop", "growing", "drain"),
        Topic("the api", "the rate limit", "tight", "raise"),
    ],
    "C0RANDOM": [
        Topic("the coffee machine", "the milk frother", "leaking", "clean"),
        Topic("the lunch order", "the dumplings", "late", "place"),
        Topic("the office plant", "the big leaf", "thirsty", "water"),
        Topic("the quiz night", "the music round", "on friday", "win"),
        Topic("the bike ride", "the hill", "steep", "start"),
    ],
    "C0SUPPORT": [
        Topic("the ticket", "the refund", "open", "close"),
        Topic("the login problem", "the reset mail", "missing", "solve"),
        Topic("the invoice", "the tax line", "wrong", "correct"),
        Topic("the import", "the csv file", "stuck", "restart"),
        Topic("the status page", "the banner", "outdated", "refresh"),
    ],
    "C0DESIGN": [
        Topic("the new icon", "the outline", "blurry", "redraw"),
        Topic("the colour palette", "the blue", "too loud", "soften"),
        Topic("the settings page", "the save button", "hidden", "place"),
        Topic("the empty state", "the drawing", "charming", "finish"),
        Topic("the dark mode", "the contrast", "low", "test"),
    ],
}

_NUMBERS = ("two", "three", "four", "five", "six", "seven")
_LINKS = (
    "https://wiki.example.com/runbook",
    "https://status.example.com/today",
    "https://git.example.com/pull/412",
    "https://docs.example.com/how-we-work",
)


def _pick(*texts: str) -> Callable[[Random, Topic], str]:
    """A way of speaking: one of these, filled in."""

    def say(rng: Random, topic: Topic) -> str:
        n = rng.randrange(len(_NUMBERS) - 1)
        return rng.choice(texts).format(
            thing=topic.thing, part=topic.part, state=topic.state, verb=topic.verb,
            THING=topic.thing.upper(), PART=topic.part.upper(), STATE=topic.state.upper(), VERB=topic.verb.upper(),
            n=_NUMBERS[n], m=_NUMBERS[n + 1], k=rng.randrange(2, 90), link=rng.choice(_LINKS),
        )  # fmt: skip

    return say


ADA = Voice(
    ask=_pick(
        "one question; who looks after {part}? ~ ada",
        "counting open ends in {thing}; {n} so far; did i miss one? ~ ada",
        "two options for {part}; {verb} it now, or tomorrow; which? ~ ada",
    ),
    answer=_pick(
        "splendid; {n} things. {part} is {state}; the rest is fine ~ ada",
        "splendid; i counted {n} steps to {verb} {thing}; we are at step one ~ ada",
        "{n} reasons; {part} first, patience second ~ ada",
        "yes; {thing} is {state}; {n} small fixes and it is splendid ~ ada",
        "no; {part} is {state}; give me {n} minutes ~ ada",
        "splendid question; {n} parts to it; {part} is the one that matters ~ ada",
        "i looked {n} times; {part} is {state}; we {verb} {thing} tomorrow ~ ada",
        "{n} notes; {thing} works; {part} does not; splendid otherwise ~ ada",
        "one thing done; {n} to go; {thing} will be splendid ~ ada",
        "splendid; let us {verb} {thing}; {n} of us is enough ~ ada",
        "counted again; {n} not {m}; {part} is {state} ~ ada",
        "it is in the runbook; page {n}; <{link}> ~ ada",
    ),
    remark=_pick(
        "{n} cups of tea and {thing} is done; splendid ~ ada",
        "small news; {part} is {state}; {n} days early ~ ada",
        "{thing}; {n} open ends; i will {verb} it; splendid ~ ada",
        "i tidied {part}; {n} lines fewer; splendid ~ ada",
        "today in numbers; {n} meetings, {m} fixes, one splendid cake ~ ada",
    ),
    thanks=_pick(
        "splendid; thank you {n} times ~ ada",
        "splendid; that makes {n} ~ ada",
        "noted; {n} done; splendid ~ ada",
        "one more thing; {part} too; then splendid ~ ada",
    ),
)

BRAM = Voice(
    ask=_pick(
        "HEY TEAM!!! WHO CAN {VERB} {THING}?!",
        "ANYBODY SEEN {PART}?? I NEED IT NOW!!!",
        "IS {THING} STILL {STATE}?! TELL ME!!! :rotating_light:",
    ),
    answer=_pick(
        "ON IT!!! {THING} WILL BE DONE TODAY!!! :rocket:",
        "YES!!! {PART} IS {STATE}!!! LET'S GO!!! :tada:",
        "NO WAY!!! WHO TOUCHED {PART}?!",
        "I WILL {VERB} IT MYSELF!!! GIVE ME {k} SECONDS!!!",
    ),
    remark=_pick(
        "BIG DAY!!! WE {VERB} {THING}!!! :rocket: :rocket:",
        "{PART} IS {STATE}!!! BEST TEAM EVER!!!",
        "LET'S GOOOO!!! {THING}!!! :fire:",
    ),
    thanks=_pick("YESSS!!! THANK YOU!!! :tada:", "YOU ARE A HERO!!!", "DONE!!! NEXT!!!"),
)

CHIYO = Voice(
    ask=_pick(
        "Does anyone know why {part} is {state}?",
        "How do we {verb} {thing}? Is there a page about it?",
        "Who decides about {thing}? And until when?",
        "Could it be that {part} is {state}? Or am I looking at the wrong place?",
    ),
    answer=_pick(
        "Have you tried {part}? What happens then?",
        "Isn't that because {thing} is {state}?",
        "Would it help if we {verb} {thing} together?",
        "What would happen if we left {part} alone?",
    ),
    remark=_pick(
        "Isn't it strange how {thing} is always {state}?",
        "Did you notice {part} today? Is it new?",
        "Should we {verb} {thing} this week? Or next?",
    ),
    thanks=_pick("Really? That easy?", "Is it? Who would have thought?", "May I buy you a coffee for that?"),
)

DEV = Voice(
    ask=_pick(
        "Dear colleagues, may I kindly enquire about the condition of {thing}? Kind regards, Dev",
        "Good morning. I would be most grateful for guidance on how to {verb} {thing}. Kind regards, Dev",
    ),
    answer=_pick(
        "Dear colleague, I am pleased to confirm that {part} is {state}. Kind regards, Dev",
        "With respect, I would recommend that we {verb} {thing} at the earliest convenience. Kind regards, Dev",
        "Please be advised that {part} falls within my responsibility. Kind regards, Dev",
    ),
    remark=_pick(
        "Dear all, please note that {thing} is currently {state}. Kind regards, Dev",
        "For your information: the minutes concerning {thing} are available at <{link}>. Kind regards, Dev",
    ),
    thanks=_pick(
        "I am much obliged. Kind regards, Dev",
        "Your assistance is sincerely appreciated. Kind regards, Dev",
    ),
)

ELENA = Voice(
    ask=_pick(
        "TL;DR: `{verb}` fails on {part}. Repro:\n```\n$ make {verb}\nerror: exit status {k}\n```\nIdeas?",
        "Which flag do we use to `{verb}` {thing}? `--force` feels wrong.",
    ),
    answer=_pick(
        "TL;DR: {part} is {state}. Fix: `make {verb}` and retry.",
        "fwiw the config says:\n```\nretries = {k}\ntimeout = 30\n```\nso {part} being {state} is expected.",
        "See <{link}|the pull request>. `git blame` says it was me :sweat_smile:",
        "1) stop the job 2) `{verb}` {thing} 3) start the job. Order matters.",
    ),
    remark=_pick(
        "Merged: <{link}>. {k} tests, all green.",
        "PSA: `main` is frozen while we {verb} {thing}.",
        "```\n$ wc -l {verb}.py\n{k} {verb}.py\n```\nSmaller than last week.",
    ),
    thanks=_pick("`ack`", "Works on my machine. `exit 0`", "LGTM, merged."),
)

FINN = Voice(
    ask=_pick(
        "haha ok who broke {part} :joy: :joy:",
        "sooo :eyes: can somebody {verb} {thing} pretty please :pray:",
    ),
    answer=_pick(
        "lol no idea :shrug: but {part} looks {state} haha",
        "haha i {verb} it once and it bit me :see_no_evil:",
        "omg yes :heart_eyes: {thing} forever :sparkles:",
    ),
    remark=_pick(
        "haha {thing} strikes again :joy:",
        "mood: {part} :sparkles: lol",
        "who needs sleep when {thing} is {state} :sleeping: haha",
    ),
    thanks=_pick("haha you rock :heart:", "lol perfect :ok_hand:", "omg thaaank you :pray:"),
)

GRACE = Voice(
    ask=_pick(
        "Like a garden in March, {thing} waits. Shall we sow, or wait for the frost to pass?",
        "I walked past {part} and it drooped. Who waters it?",
    ),
    answer=_pick(
        "Every garden needs weeding. Let us prune {part}, and {thing} will bloom again.",
        "Plant it early, water it daily. {thing} will grow; it always does.",
        "The soil is good. Only {part} lacks sun.",
    ),
    remark=_pick(
        "A late bloom on the window sill, and {thing} is {state}. Spring comes to us all.",
        "Composted the old plan for {thing}. Something green will come of it.",
    ),
    thanks=_pick("A harvest of thanks.", "You water what others walk past."),
)

GUEST = Voice(
    ask=_pick("Hello from the Acme side. May I ask how {thing} is going?"),
    answer=_pick("Understood on the Acme side, we will wait for {part}."),
    remark=_pick("Acme here: our people are ready for {thing}."),
    thanks=_pick("Acme says thanks."),
)

GONE = Voice(
    ask=_pick("per my last message, where is {part}"),
    answer=_pick("as i wrote before, {part} is {state}", "per my last message, see <{link}>"),
    remark=_pick("reminder, once more, about {thing}"),
    thanks=_pick("as expected"),
)

VOICES: dict[str, Voice] = {
    "U0ADA": ADA,
    "U0BRAM": BRAM,
    "U0CHIYO": CHIYO,
    "U0DEV": DEV,
    "U0ELENA": ELENA,
    "U0FINN": FINN,
    "U0GRACE": GRACE,
    "U0GUEST": GUEST,
    "U0GONE": GONE,
}
