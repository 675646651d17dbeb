"""Words of a message that has blocks and no text, as mrkdwn: escaped, with tokens, so that one path reads both.

Elements hold plain text while ``text`` is escaped (docs.slack.dev, "Rich text block"); an unknown block is skipped.
"""

from typing import Any, Final, cast

from doppel.slack.mrkdwn import escape

MAX_DEPTH: Final = 12
MAX_CHARACTERS: Final = 40_000

_Json = dict[str, Any]


def render_blocks(blocks: Any) -> str:
    """All words of the blocks, one per line."""
    lines = (_block(block) for block in _objects(blocks))
    return "\n".join(line for line in lines if line)[:MAX_CHARACTERS]


def _objects(value: Any) -> list[_Json]:
    if not isinstance(value, list):
        return []
    return [cast("_Json", each) for each in cast("list[Any]", value) if isinstance(each, dict)]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _text_object(value: Any) -> str:
    """``{"type": "mrkdwn" | "plain_text", "text": …}``."""
    if not isinstance(value, dict):
        return ""
    found = cast("_Json", value)
    text = _text(found.get("text"))
    return text if found.get("type") == "mrkdwn" else escape(text)


def _block(block: _Json) -> str:
    match block.get("type"):
        case "rich_text":
            return _rich(block.get("elements"), 0)
        case "section":
            fields = [_text_object(field) for field in _objects(block.get("fields"))]
            return "\n".join(part for part in (_text_object(block.get("text")), *fields) if part)
        case "header":
            return _text_object(block.get("text"))
        case "context":
            return " ".join(
                text for element in _objects(block.get("elements")) if (text := _text_object(element))
            )
        case "markdown":
            return escape(_text(block.get("text")))
        case _:
            return ""


def _rich(elements: Any, depth: int) -> str:
    if depth > MAX_DEPTH:
        return ""
    parts: list[str] = []
    for element in _objects(elements):
        inner = element.get("elements")
        match element.get("type"):
            case "rich_text_section":
                parts.append(_rich(inner, depth + 1))
            case "rich_text_list":
                items = (_rich(each.get("elements"), depth + 1) for each in _objects(inner))
                parts.append("".join(f"\n• {item}" for item in items) + "\n")
            case "rich_text_quote":
                parts.append("\n> " + _rich(inner, depth + 1) + "\n")
            case "rich_text_preformatted":
                parts.append("\n```" + _rich(inner, depth + 1) + "```\n")
            case _:
                parts.append(_element(element))
    return "".join(parts).strip("\n") if depth == 0 else "".join(parts)


def _element(element: _Json) -> str:
    match element.get("type"):
        case "text":
            return escape(_text(element.get("text")))
        case "link":
            return _link(_text(element.get("url")), _text(element.get("text")))
        case "emoji":
            return f":{_text(element.get('name'))}:" if _text(element.get("name")) else ""
        case "user":
            return f"<@{escape(_text(element.get('user_id')))}>"
        case "channel":
            return f"<#{escape(_text(element.get('channel_id')))}>"
        case "broadcast":
            return f"<!{escape(_text(element.get('range')))}>"
        case "date":
            return escape(_text(element.get("fallback")))
        case "color":
            return escape(_text(element.get("value")))
        case _:
            return ""


def _link(url: str, label: str) -> str:
    """As a token, so that both paths show links alike."""
    if not url:
        return escape(label)
    target = escape(url.replace("|", "%7C"))
    return f"<{target}|{escape(label)}>" if label else f"<{target}>"
