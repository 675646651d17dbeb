"""users.*, bots.info, team.info, auth.*, apps.*, api.test"""

from playground.api.call import SCOPES, Answer, ApiError, Call, page_of
from playground.api.conversations import conversation
from playground.channel import now_us


def users_list(call: Call) -> Answer:
    """users.list: guests, bots and the deactivated too."""
    people = sorted(call.workspace.users.values(), key=lambda user: user["id"])
    page, cursor = page_of(
        call, people, kind="user", key=lambda user: str(user["id"]), default=200, most=1000
    )
    return {"members": page, "cache_ts": now_us() // 1_000_000, "response_metadata": {"next_cursor": cursor}}


def users_info(call: Call) -> Answer:
    """users.info"""
    return {"user": call.user()}


def bots_info(call: Call) -> Answer:
    """bots.info"""
    (bot_id,) = call.required("bot")
    bot = call.workspace.bots.get(bot_id)
    if bot is None:
        raise ApiError("bot_not_found")
    return {"bot": bot}


def api_test(call: Call) -> Answer:
    """api.test: says what it was given; with `error` that error. Needs no token."""
    if (code := call.text("error")) is not None:
        raise ApiError(code, args=call.arguments)
    return {"args": call.arguments}


def _address(call: Call) -> str:
    return f"https://{call.workspace.domain}.slack.com/"


def team_info(call: Call) -> Answer:
    """team.info"""
    team = {
        "id": call.workspace.team_id,
        "name": call.workspace.team_name,
        "domain": call.workspace.domain,
        "email_domain": "",
        "icon": {"image_default": True},
        "url": _address(call),
    }
    return {"team": team}


def auth_test(call: Call) -> Answer:
    """auth.test"""
    app = call.workspace.app
    return {
        "url": _address(call),
        "team": call.workspace.team_name,
        "user": app.name,
        "team_id": call.workspace.team_id,
        "user_id": app.user_id,
        "bot_id": app.bot_id,
        "is_enterprise_install": call.is_org_wide,
    } | ({"enterprise_id": call.box.settings.enterprise_id} if call.box.settings.enterprise_id else {})


def auth_revoke(call: Call) -> Answer:
    """auth.revoke: the token that asks is dead afterwards, unless test=1."""
    if call.flag("test"):
        return {"revoked": False}
    call.box.revoked.add(call.token)
    return {"revoked": True}


def connections_open(call: Call) -> Answer:
    """apps.connections.open: a WebSocket URL, good once."""
    ticket = call.box.new_ticket(stale=call.flag("_stale_ticket"))
    base = call.box.public_url.replace("http://", "ws://", 1).replace("https://", "wss://", 1)
    return {"url": f"{base}/link/?ticket={ticket}&app_id={call.workspace.app.app_id}"}


def users_conversations(call: Call) -> Answer:
    """users.conversations: the public channels that the bot is in."""
    if (call.text("types") or "public_channel") != "public_channel":
        raise ApiError("missing_scope", needed="groups:read,im:read,mpim:read", provided=SCOPES)
    mine = sorted(
        (each for each in call.workspace.channels.values() if each.kind == "public" and call.is_member(each)),
        key=lambda channel: channel.id,
    )
    page, cursor = page_of(call, mine, kind="mine", key=lambda channel: channel.id, default=100, most=999)
    shown = [conversation(channel, call.workspace.app.user_id) for channel in page]
    return {"channels": shown, "response_metadata": {"next_cursor": cursor}}


METHODS = {
    "api.test": api_test,
    "users.conversations": users_conversations,
    "users.list": users_list,
    "users.info": users_info,
    "bots.info": bots_info,
    "team.info": team_info,
    "auth.test": auth_test,
    "auth.revoke": auth_revoke,
    "apps.connections.open": connections_open,
}
