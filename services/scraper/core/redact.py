"""Secrets, e-mail addresses and phone numbers leave a text before anything is learnt from it.

Known forms of secrets come from `detect-secrets` (its regex plugins; not the entropy and keyword ones, which take
ordinary words for secrets), phone numbers from `phonenumbers`. Patterns of our own stand only where these have none:
e-mail addresses, a login in a URL, the value after ``password=``, whole key blocks, bearer tokens, newer token
prefixes, and numbers written like phone numbers that no numbering plan knows. Every pattern is bounded, and a text is
looked at in windows, so that hostile input takes linear time. What looks like a secret and is none is a small loss.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final, cast

import phonenumbers
from detect_secrets.plugins import (
    artifactory,
    aws,
    azure_storage_key,
    cloudant,
    discord,
    github_token,
    gitlab_token,
    ibm_cloud_iam,
    ibm_cos_hmac,
    mailchimp,
    npm,
    openai,
    pypi_token,
    sendgrid,
    slack,
    softlayer,
    square_oauth,
    stripe,
    telegram_token,
    twilio,
)

SECRET: Final = "[secret]"  # noqa: S105  the placeholder, not one
EMAIL: Final = "[email]"
PHONE: Final = "[phone]"
DEFAULT_REGIONS: Final = ("US", "GB", "DE", "FR", "NL", "IN")
MOST_PASSES: Final = 4  # a replacement may bring two pieces of a secret together
REMEMBERED: Final = 2_000  # texts; one message is context of several samples
WINDOW: Final = 1_200  # characters looked at together by a library's pattern
OVERLAP: Final = 300

_PLUGINS: Final = (
    artifactory.ArtifactoryDetector,
    aws.AWSKeyDetector,
    azure_storage_key.AzureStorageKeyDetector,
    cloudant.CloudantDetector,
    discord.DiscordBotTokenDetector,
    github_token.GitHubTokenDetector,
    gitlab_token.GitLabTokenDetector,
    ibm_cloud_iam.IbmCloudIamDetector,
    ibm_cos_hmac.IbmCosHmacDetector,
    mailchimp.MailchimpDetector,
    npm.NpmDetector,
    openai.OpenAIDetector,
    pypi_token.PypiTokenDetector,
    sendgrid.SendGridDetector,
    slack.SlackDetector,
    softlayer.SoftlayerDetector,
    square_oauth.SquareOAuthDetector,
    stripe.StripeDetector,
    telegram_token.TelegramBotTokenDetector,
    twilio.TwilioKeyDetector,
)
_KNOWN: Final = tuple(
    cast("re.Pattern[str]", pattern)
    for plugin in _PLUGINS
    for pattern in cast("Iterable[Any]", plugin.denylist)
)
_MAY_HOLD_ONE: Final = re.compile(r"[\w+/=.:-]{12}")  # no known secret is shorter than this
_MARGINS: Final = " \t\r\n\"'`=:,;()<>"

_KEY_BLOCK: Final = re.compile(r"-----BEGIN [A-Z ]{0,30}(?:PRIVATE KEY(?: BLOCK)?|CERTIFICATE)-----")
_KEY_END: Final = re.compile(r"-----END [A-Z ]{0,30}(?:PRIVATE KEY(?: BLOCK)?|CERTIFICATE)-----")
_TOKENS: Final = re.compile(
    r"""\b(?:
        xox[a-z](?:\.xox[a-z])?-[\w-]{8,400}              # Slack: rotated and app-level ones
      | xapp-[\w-]{8,400}
      | xoxe[.-][\w.-]{8,400}
      | gh[pousr]_\w{20,255} | github_pat_\w{20,255}      # GitHub: fine-grained ones
      | AIza[\w-]{30,80}                                  # Google
      | (?:sk|pk|rk)[-_](?:live|test|proj|ant)?[-_]?[\w-]{16,255}
      | npm_\w{30,80} | pypi-[\w-]{30,400} | hf_\w{20,80}
      | eyJ[\w-]{8,2000}\.[\w-]{8,4000}\.[\w-]{0,2000}    # JWT, without looking into it
    )""",
    re.VERBOSE,
)
_ASSIGNED: Final = re.compile(
    r"""(?P<name>\b(?:pass(?:word|wd|phrase)?|pwd|secret|api[_-]?key|access[_-]?key|auth[_-]?token|token)
        \b["']?\s{0,3}(?:[:=]|\bis\b)\s{0,3})(?P<value>["']?[^\s"']{6,200}["']?)""",
    re.VERBOSE | re.IGNORECASE,
)
_BEARER: Final = re.compile(r"\b(?P<name>Bearer\s)[\w.~+/=-]{16,2000}", re.IGNORECASE)
_URL_LOGIN: Final = re.compile(r"(?P<name>\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@]{1,100}):[^\s/@]{1,200}@")
_EMAIL: Final = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_MAY_BE_CALLED: Final = re.compile(r"(?:\d[ ()./+-]{0,3}){7}")
_WRITTEN_LIKE_ONE: Final = re.compile(
    r"(?<![\w./:-])\+\d{1,3}(?:[ .-]?\(?\d{1,5}\)?){2,6}(?![\w:-])"  # +31 20 123 4567
    r"|(?<![\w./:-])\(\d{2,5}\)[ .-]?\d{2,5}(?:[ .-]\d{2,5}){1,4}(?![\w/:-])"  # (020) 1234-5678
    r"|(?<![\w./:-])\d{3}[ .-]\d{3}[ .-]\d{4}(?![\w/:-])"  # 555-123-4567
)
_NO_PHONE: Final = re.compile(  # dates, times, versions and network addresses
    r"\d{4}[ ./-]\d{1,2}[ ./-]\d{1,2}(?:[ .-].*)?|\d{1,2}[ ./-]\d{1,2}[ ./-]\d{2,4}|\d{1,3}(?:\.\d{1,3}){2,3}"
)
LEAST_DIGITS: Final = 7
MOST_DIGITS_READ: Final = (
    2_000  # characters around digits that the library reads in one text; the rest goes unread
)
LONGEST_NUMBER: Final = 250  # characters of a phone number that `phonenumbers` reads


@dataclass(frozen=True)
class Redactor:
    """Takes what is private out of texts. `regions`: countries whose national way of writing a number is known."""

    regions: tuple[str, ...] = DEFAULT_REGIONS

    @cached_property
    def _remembered(self) -> Callable[[str], str]:
        """Every instance remembers what it has read."""
        return lru_cache(maxsize=REMEMBERED)(self._redact)

    def __call__(self, text: str) -> str:
        """The text with placeholders where a secret, an e-mail address or a phone number stood."""
        return self._remembered(text)

    def _redact(self, text: str) -> str:
        for _ in range(MOST_PASSES):
            before, text = text, self._once(text)
            if text == before:
                break
        return text

    def _once(self, text: str) -> str:
        text = _without_key_blocks(text)
        if _MAY_HOLD_ONE.search(text):
            text = _without_known_secrets(_TOKENS.sub(SECRET, text))
        text = _BEARER.sub(rf"\g<name>{SECRET}", text)
        text = _URL_LOGIN.sub(rf"\g<name>:{SECRET}@", text)
        text = _ASSIGNED.sub(_redact_value, text)
        if "@" in text:
            text = _EMAIL.sub(EMAIL, text)
        return self._without_phones(text) if _MAY_BE_CALLED.search(text) else text

    def _without_phones(self, text: str) -> str:
        spans: list[tuple[int, int]] = []
        room = MOST_DIGITS_READ
        for start, end in _stretches(text):
            border = min(end, start + room)
            room -= border - start
            spans += _numbers_within(text, (start, border), self.regions)
            spans += [(border, end)] if border < end else []
        spans += [
            (found.start(), found.end()) for found in _WRITTEN_LIKE_ONE.finditer(text) if _is_phone(found[0])
        ]
        return _replaced(text, spans, PHONE)


redact: Final = Redactor()


def _redact_value(found: re.Match[str]) -> str:
    """``token: abc123`` is one; ``the password is wrong`` is not: a value has a digit or a sign in it."""
    value = found["value"]
    telling = any(each.isdigit() for each in value) or any(each in "!#$%^&*_+=~" for each in value)
    return f"{found['name']}{SECRET}" if telling and SECRET not in value else found[0]


def _without_known_secrets(text: str) -> str:
    """What a plugin's pattern finds, without the quotes and blanks around it."""
    spans: list[tuple[int, int]] = []
    for start in range(0, max(len(text), 1), WINDOW - OVERLAP):
        window = text[start : start + WINDOW]
        for pattern in _KNOWN:
            for found in pattern.finditer(window):
                inner = found[0].strip(_MARGINS)
                if inner and SECRET not in inner:
                    at = start + found.start() + found[0].index(inner)
                    spans.append((at, at + len(inner)))
        if start + WINDOW >= len(text):
            break
    return _replaced(text, spans, SECRET)


def _stretches(text: str) -> list[tuple[int, int]]:
    """Where digits stand so close that they may be a number; the library is slow, and asked about these only."""
    found: list[tuple[int, int]] = []
    for match in _MAY_BE_CALLED.finditer(text):
        start, end = max(0, match.start() - 12), min(len(text), match.end() + 40)
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return found


def _numbers_within(text: str, near: tuple[int, int], regions: tuple[str, ...]) -> list[tuple[int, int]]:
    """Valid numbers, read as written nationally in one of the regions, or internationally."""
    spans: list[tuple[int, int]] = []
    for start in range(near[0], near[1], LONGEST_NUMBER):
        piece = text[start : min(near[1], start + LONGEST_NUMBER + 40)]
        for region in regions or (None,):
            matcher: Any = (
                phonenumbers.PhoneNumberMatcher(  # strict grouping: bare digits are ids, sizes and seconds
                    piece, region, leniency=phonenumbers.Leniency.STRICT_GROUPING, max_tries=50
                )
            )
            for match in matcher:
                raw, at = cast("str", match.raw_string), start + cast("int", match.start)
                bare = raw.isdigit() and not raw.startswith("0")
                beside = text[at - 1 : at] + text[at + len(raw) : at + len(raw) + 1]
                if (
                    not bare
                    and _is_phone(raw)
                    and not any(each.isalnum() or each in "./:-_" for each in beside.strip(". "))
                ):
                    spans.append((at, at + len(raw)))
    return spans


def _is_phone(text: str) -> bool:
    """Dates, versions and addresses look alike; a phone number has at least seven digits."""
    return sum(each.isdigit() for each in text) >= LEAST_DIGITS and not _NO_PHONE.fullmatch(text)


def _replaced(text: str, spans: list[tuple[int, int]], placeholder: str) -> str:
    """Each span replaced once; spans that overlap are one."""
    kept: list[str] = []
    position = 0
    for start, end in sorted(spans):
        if start >= position:
            kept += [text[position:start], placeholder]
        position = max(position, end)
    return "".join(kept) + text[position:] if spans else text


def _without_key_blocks(text: str) -> str:
    if "-----BEGIN" not in text:
        return text
    kept: list[str] = []
    position = 0
    for begin in _KEY_BLOCK.finditer(text):
        if begin.start() < position:
            continue
        end = _KEY_END.search(text, begin.end())
        kept += [text[position : begin.start()], SECRET]
        position = end.end() if end else len(text)
    return "".join(kept) + text[position:] if kept else text
