"""What ``doppel generate`` asks when nobody says what: short questions that every workspace knows."""

from typing import Final

SAMPLES: Final = (
    "how is it going?",
    "did you see the message about the release?",
    "can you review my change today?",
    "what do you think we should do about the failing test?",
    "lunch?",
)
