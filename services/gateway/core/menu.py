"""The form that does what the commands do, for people who don't type them."""

from typing import Any, Final

from doppel.slack import mrkdwn
from proto.slack import FormField, Interaction, View

MENU: Final = "menu"  # callback_id of the form and of the shortcut
OPEN: Final = "menu_open"  # the button that opens it
WHAT, WHO, OTHER, TEXT, WHERE = "what", "who", "other", "text", "where"
HERE: Final = "here"
TEXT_LIMIT: Final = 2000

CHOICES: Final = {
    "ask": "Ask a persona something",
    "debate": "Let two personas debate",
    "train": "Have somebody trained (they are asked first)",
    "cancel": "Stop a training",
    "switch": "Let a persona answer whoever names nobody",
    "switch off": "Let doppel itself answer whoever names nobody",
    "switch default": "Let whoever was trained last answer",
    "report": "See a voice report",
    "rollback": "Go back to a voice's version before",
    "list": "See who can answer",
    "status": "See what is under way",
    "consent": "See and change my own yes or no",
    "forget": "Delete what was made from somebody",
    "limits": "See what is allowed here",
    "import": "Bring a history in",
    "help": "See the commands that do the same",
}
_NEEDS_WHO: Final = frozenset(("ask", "debate", "train", "switch", "rollback", "forget"))
_NEEDS_TEXT: Final = frozenset(("ask", "debate"))
_HAS_PLACE: Final = frozenset(("switch", "switch off", "switch default"))


def render_menu(metadata: str, *, has_channel: bool) -> dict[str, Any]:
    """The form. `metadata` comes back with it; `has_channel`: it was opened in one."""
    options = [_option(value, label) for value, label in CHOICES.items()]
    blocks = [
        _input(
            WHAT,
            "What shall I do?",
            {"type": "static_select", "options": options, "initial_option": options[0]},
        ),
        _input(WHO, "Whose persona?", {"type": "users_select"}, optional=True),
        _input(OTHER, "With whom? (a debate)", {"type": "users_select"}, optional=True),
        _input(
            TEXT,
            "Your question, or what they debate",
            {"type": "plain_text_input", "multiline": True, "max_length": TEXT_LIMIT},
            optional=True,
        ),
    ]
    if has_channel:
        here = [_option(HERE, "In this channel only")]
        blocks.append(_input(WHERE, "Where?", {"type": "checkboxes", "options": here}, optional=True))
    return {
        "type": "modal",
        "callback_id": MENU,
        "private_metadata": metadata,
        "title": _plain("doppel"),
        "submit": _plain("Do it"),
        "close": _plain("Leave it"),
        "blocks": blocks,
    }


def render_button() -> dict[str, Any]:
    """Where the form could not be opened in time: pressed, it opens at once."""
    text = "That took a moment too long for a form. Press the button to open it."
    button = {"type": "button", "action_id": OPEN, "value": MENU, "text": _plain("Open the form")}
    return {
        "text": text,
        "blocks": [
            {"type": "section", "text": {"type": "mrkdwn", "text": text}},
            {"type": "actions", "block_id": MENU, "elements": [button]},
        ],
    }


def is_menu(view: View | None) -> bool:
    """Is it this form?"""
    return view is not None and view.callback_id == MENU


def errors_of(pressed: Interaction) -> dict[str, str]:
    """What is missing in a form that was sent off, by field: said at once, while the form is still open."""
    view = pressed.view
    if pressed.type != "view_submission" or view is None or not is_menu(view):
        return {}
    what = _what(view)
    if what not in CHOICES:
        return {WHAT: "Choose one of these."}
    errors: dict[str, str] = {}
    if what in _NEEDS_WHO and not _field(view, WHO).selected_user:
        errors[WHO] = "Say who."
    if what == "debate" and _field(view, OTHER).selected_user in (None, _field(view, WHO).selected_user):
        errors[OTHER] = "Say who else."
    if what in _NEEDS_TEXT and not (_field(view, TEXT).value or "").strip():
        errors[TEXT] = "Write it here."
    return errors


def command_of(view: View) -> str:
    """What somebody would have typed; empty where the form is not whole."""
    what = _what(view)
    if what not in CHOICES:
        return "help"
    who = _field(view, WHO).selected_user
    words = [what]
    if who and (what in _NEEDS_WHO or what in ("report", "cancel")):
        words.append(f"<@{who}>")
    other = _field(view, OTHER).selected_user
    if what == "debate" and other:
        words.append(f"<@{other}>")
    if what in _NEEDS_TEXT:
        words.append(mrkdwn.escape((_field(view, TEXT).value or "").strip()))  # a form's text is not escaped
    if what in _HAS_PLACE and any(each.value == HERE for each in _field(view, WHERE).selected_options):
        words.append(HERE)
    return " ".join(words)


def _what(view: View) -> str:
    chosen = _field(view, WHAT).selected_option
    return chosen.value if chosen else ""


def _field(view: View, block_id: str) -> FormField:
    return view.state.values.get(block_id, {}).get(block_id, FormField())


def _input(block_id: str, label: str, element: dict[str, Any], *, optional: bool = False) -> dict[str, Any]:
    return {
        "type": "input",
        "block_id": block_id,
        "optional": optional,
        "label": _plain(label),
        "element": {"action_id": block_id, **element},
    }


def _option(value: str, label: str) -> dict[str, Any]:
    return {"value": value, "text": _plain(label)}


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text}
