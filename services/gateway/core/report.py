"""The voice report in Slack: numbers in sentences, the loss plot, answers that the voice gave. Nobody's own words."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from doppel.slack import mrkdwn
from proto.report import Example, Measures, VoiceReport
from services.gateway.core.reply import Post, ai_label, context, section

SAMPLES: Final = 3
SAMPLE_CHARACTERS: Final = 400
SAME_WORDS: Final = 6  # in a row, as the person really wrote them in that place: no longer the voice's own
CLOSE_WORDS: Final = 8  # repeated from training: worth a look, and far from the gate's limit
GOOD, POOR = ":white_check_mark:", ":warning:"
_WORD: Final = re.compile(r"\w+")


def render_report(report: VoiceReport, name: str, *, others_answer: bool) -> list[Post]:
    """Its messages but the picture: what was measured, then what it sounds like.

    A rejected voice is not heard: what it says may be what it must not. `others_answer`: an earlier version is in use.
    """
    who = mrkdwn.defuse(name)
    lines = list(say_measures(report.measures, who))
    good = sum(line.startswith(GOOD) for line in lines)
    if report.state == "published":
        head = f"*How {who}'s voice scored:* {good} of {len(lines)} checks are good."
    else:
        head = f"*{who}'s new voice is not used.* {mrkdwn.defuse(report.sentence)}"
        head = f"{head}\n{what_stays(who, others_answer=others_answer)}"
    numbers = "\n".join([head, *lines])
    posts: list[Post] = [{"text": numbers, "blocks": [section(numbers)]}]
    if report.state == "published" and (samples := heard(report.measures)):
        posts.append(_samples(samples, name))
    return posts


def what_stays(who: str, *, others_answer: bool) -> str:
    """What a rejected training changes: nothing."""
    if others_answer:
        return f"The version before it still answers as {who}."
    return f"Nobody answers as {who} yet."


def say_measures(measures: Measures, who: str) -> Iterator[str]:
    """One sentence a measure, for somebody who has never heard of any of them."""
    base, voice = measures.base_test_loss, measures.test_loss
    gain = 1 - voice / base if base else 0.0
    yield _line(
        voice < base,
        f"It foresees what {who} writes {abs(gain):.0%} {'better' if voice < base else 'worse'} than the plain model, "
        f"on messages that it has never seen (loss {base:.2f} → {voice:.2f}; lower is better).",
    )
    if style := measures.style:
        others = "" if style.to_others is None else f", to other people's {style.to_others:.2f}"
        plain = "" if style.base_to_own is None else f"; the plain model's {style.base_to_own:.2f}"
        rivals = [each for each in (style.to_others, style.base_to_own) if each is not None]
        yield _line(
            all(style.to_own < rival for rival in rivals),
            f"Its style is {style.to_own:.2f} away from {who}'s own messages{others}{plain} "
            "(0 is the same hand, about 1 a stranger's).",
        )
    if found := measures.authorship:
        yield _line(
            found.generated > max(found.others, found.base or 0.0),
            f"A judge that learnt from real messages takes {found.generated:.0%} of its answers for {who}'s; "
            f"of {who}'s real messages it knows {found.real:.0%}, other people's it mistakes in {found.others:.0%}.",
        )
    if said := measures.repetition:
        yield _line(
            said.looping == 0 and said.within <= said.own_within + 0.1,
            f"It repeats itself in {said.within:.0%} of what it says ({who} in {said.own_within:.0%})"
            + (f", and {said.looping:.0%} of its answers end in a loop." if said.looping else "."),
        )
    if recited := measures.memorisation:
        longest = max(recited.overlap_words, recited.extracted_words)
        repeated = f"{longest} words in a row" if longest else "nothing word for word"
        secrets = (
            f", and gave away {recited.canaries_out} of {recited.canaries} strings that nobody could guess"
        )
        yield _line(
            not recited.canaries_out and longest < CLOSE_WORDS,
            f"It repeated {repeated} from its training{secrets if recited.canaries else ''}.",
        )


def _line(is_good: bool, sentence: str) -> str:
    return f"{GOOD if is_good else POOR} {sentence}"


def heard(measures: Measures) -> list[str]:
    """Some of its answers. Not those that are, or hold, what the person really wrote in that place."""
    own = [
        each.generated.strip() for each in measures.examples if each.generated.strip() and not _is_real(each)
    ]
    return list(dict.fromkeys(own))[:SAMPLES]


def _is_real(example: Example) -> bool:
    real, said = (_WORD.findall(text.casefold()) for text in (example.real, example.generated))
    if not said or said == real:
        return True
    theirs = {tuple(real[at : at + SAME_WORDS]) for at in range(len(real) - SAME_WORDS + 1)}
    return any(tuple(said[at : at + SAME_WORDS]) in theirs for at in range(len(said) - SAME_WORDS + 1))


def _samples(samples: list[str], name: str) -> Post:
    who = mrkdwn.defuse(name)
    head = "What it answered to conversations that it has never seen:"
    quoted = [
        "\n".join(f">{line}" for line in mrkdwn.defuse(_cut(sample)).splitlines() if line.strip())
        for sample in samples
    ]
    blocks = [section(head), *(section(quote) for quote in quoted), context(ai_label(name))]
    return {"text": f"{head} ({who}, AI-generated)\n" + "\n\n".join(quoted), "blocks": blocks}


def _cut(text: str) -> str:
    return text if len(text) <= SAMPLE_CHARACTERS else text[: SAMPLE_CHARACTERS - 1].rstrip() + "…"


def picture_of(key: str, sha256: str, name: str) -> dict[str, Any]:
    """The plot, as the outbox keeps it until it is uploaded."""
    who = mrkdwn.defuse(name)
    return {
        "text": f"How well {who}'s words are foreseen, by step",
        "picture": {
            "key": key,
            "sha256": sha256,
            "name": "loss.png",
            "title": f"How well {who}'s words are foreseen",
            "alt": "Training and held-out loss by step, beside those of the plain model and of this voice.",
        },
    }


def shows_file(message: Mapping[str, Any], file_id: str, *, user_id: str, bot_id: str) -> bool:
    """Is that the message by which we shared this very file? Somebody else may have shared it on."""
    ours = message.get("user") == user_id or (bool(bot_id) and message.get("bot_id") == bot_id)
    files = [_object(each) for each in cast("list[object]", message.get("files") or [])]
    return ours and any(each.get("id") == file_id for each in files)


def _object(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}
