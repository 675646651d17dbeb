"""What a made-up export must become, noted while it is made; and where its messages are put."""

from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from tests.support.exports.people import User
from tests.support.exports.words import Names

NUMBER: Final = "@number@"  # a string that begins with it is written as a bare JSON number


@dataclass(frozen=True)
class Expected:
    """One message that must (or may) be in the corpus."""

    channels: frozenset[str]
    ts: str
    authors: frozenset[str | None]
    pattern: str
    is_person: bool | None = True  # None: either
    is_needed: bool = True
    thread_ts: str | None = None
    edited: bool | None = None


@dataclass
class Truth:
    """What must become of an export, worked out while it was made."""

    expected: list[Expected] = field(default_factory=list)
    forbidden: dict[str, str] = field(default_factory=dict)  # marker → why it may stand nowhere
    personas: dict[str, bool | None] = field(default_factory=dict)


@dataclass
class Room:
    """Where messages are put: one folder, which may stand for several channels."""

    channels: frozenset[str]
    users: list[User]
    names: Names
    truth: Truth
    rng: Random
    rows: list[Any] = field(default_factory=list)
    roots: list[str] = field(default_factory=list)
    second: int = 1_400_000_000

    def marker(self, why_not: str = "") -> str:
        """A word that stands nowhere else; `why_not`: it must not be found again."""
        word = f"q{len(self.truth.forbidden)}x{len(self.truth.expected)}x{len(self.rows)}x{self.rng.randrange(9999)}z"
        if why_not:
            word = f"forbidden{word}"
            self.truth.forbidden[word] = why_not
        return word

    def next_ts(self) -> str:
        """A timestamp that is new in this folder; the same ones occur in other folders."""
        self.second += self.rng.choice((1, 1, 61, 4_000, 9_000_000))
        micros = self.rng.choice((0, 1, 10, 100, 123_456, 119_000, 999_999))
        return f"{self.second}.{micros:06d}"

    def human(self) -> User:
        """Anybody with words of their own: guests, gone, foreign and unknown people too."""
        return self.rng.choice([user for user in self.users if user.is_human])

    def expect(self, ts: str, author: str | None, pattern: str, **more: Any) -> None:
        """Note what must be found."""
        authors = more.pop("authors", frozenset({author}))
        self.truth.expected.append(Expected(self.channels, ts, authors, pattern, **more))


def write_ts(rng: Random, ts: str) -> str:
    """The same timestamp as exports and hand-made files have it."""
    seconds, fraction = ts.split(".")
    forms = [ts] * 6
    forms += [f"{NUMBER}{ts}", f"{seconds}.{fraction.rstrip('0') or '0'}"]
    if int(fraction) == 0:
        forms += [seconds, f"{NUMBER}{seconds}"]
    elif not fraction.endswith("0"):
        forms.append(f"{NUMBER}{ts}")
    else:
        forms.append(f"{NUMBER}{seconds}.{fraction.rstrip('0')}")
    return rng.choice(forms)
