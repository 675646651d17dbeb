"""Secrets, e-mail addresses and phone numbers leave a text before anything is learnt from it.

Each pattern is linear: no nested quantifier, bounded repeats. What looks like a secret and is none is a small loss.
"""

import re
from typing import Final

SECRET: Final = "[secret]"  # noqa: S105  the placeholder, not one
EMAIL: Final = "[email]"
PHONE: Final = "[phone]"

_KEY_BLOCK: Final = re.compile(r"-----BEGIN [A-Z ]{0,30}(?:PRIVATE KEY|CERTIFICATE)-----")
_KEY_END: Final = re.compile(r"-----END [A-Z ]{0,30}(?:PRIVATE KEY|CERTIFICATE)-----")
_TOKENS: Final = re.compile(
    r"""\b(?:
        xox[a-z](?:\.xox[a-z])?-[\w-]{8,400}          # Slack
      | xapp-[\w-]{8,400}
      | xoxe[.-][\w.-]{8,400}
      | gh[pousr]_\w{20,255} | github_pat_\w{20,255}  # GitHub
      | glpat-[\w-]{16,255}
      | (?:AKIA|ASIA)[A-Z0-9]{16}                     # AWS
      | AIza[\w-]{30,80}                              # Google
      | (?:sk|pk|rk)[-_](?:live|test|proj|ant)?[-_]?[\w-]{16,255}
      | npm_\w{30,80} | pypi-[\w-]{30,400} | hf_\w{20,80}
      | eyJ[\w-]{8,2000}\.[\w-]{8,4000}\.[\w-]{0,2000}  # JWT
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
_PHONE: Final = re.compile(
    r"(?<![\w./:-])(?:\+\d{1,3}[ .-]?)?(?:\(\d{1,4}\)[ .-]?)?\d{2,4}(?:[ .-]\d{2,4}){2,4}(?![\w/:-])"
    r"|(?<![\w./:-])\(\d{1,4}\)[ .-]?\d{2,5}(?:[ .-]\d{2,5}){1,4}(?![\w/:-])"
    r"|(?<![\w./:-])\+\d{8,15}(?!\w)"
)
_DATE_OR_ADDRESS: Final = re.compile(
    r"\d{4}[ .-]\d{1,2}[ .-]\d{1,2}(?:[ .-].*)?|\d{1,2}[.-]\d{1,2}[.-]\d{2,4}|\d{1,3}(?:\.\d{1,3}){2,3}"
)
_SLACK_FILE_TOKEN: Final = re.compile(r"(?<=[?&]t=)xox[\w.-]{4,400}")


def redact(text: str) -> str:
    """The text with placeholders where a secret, an e-mail address or a phone number stood."""
    text = _without_key_blocks(text)
    text = _TOKENS.sub(SECRET, text)
    text = _BEARER.sub(rf"\g<name>{SECRET}", text)
    text = _URL_LOGIN.sub(rf"\g<name>:{SECRET}@", text)
    text = _ASSIGNED.sub(_redact_value, text)
    text = _EMAIL.sub(EMAIL, text)
    return _PHONE.sub(_redact_phone, text)


def strip_file_tokens(text: str) -> str:
    """Export links carry a token that opens the file: it leaves before anything is stored."""
    return _SLACK_FILE_TOKEN.sub(SECRET, text) if "t=xox" in text else text


def _redact_value(found: re.Match[str]) -> str:
    """``token: abc123`` is one; ``the password is wrong`` is not: a value has a digit or a sign in it."""
    value = found["value"]
    telling = any(each.isdigit() for each in value) or any(each in "!#$%^&*_+=~" for each in value)
    return f"{found['name']}{SECRET}" if telling and SECRET not in value else found[0]


def _redact_phone(found: re.Match[str]) -> str:
    """Dates, versions and addresses look alike; a phone number has at least seven digits."""
    text = found[0]
    if sum(each.isdigit() for each in text) < 7 or _DATE_OR_ADDRESS.fullmatch(text):
        return text
    return PHONE


def _without_key_blocks(text: str) -> str:
    kept: list[str] = []
    position = 0
    for begin in _KEY_BLOCK.finditer(text):
        if begin.start() < position:
            continue
        end = _KEY_END.search(text, begin.end())
        kept += [text[position : begin.start()], SECRET]
        position = end.end() if end else len(text)
    return "".join(kept) + text[position:] if kept else text
