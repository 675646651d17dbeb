// A list of messages: grouping, days, reactions, thread summaries, ephemerals.
import { author, avatarFor, avatarOf } from "./avatar.js";
import { content } from "./blocks.js";
import { ask, clock, dayKey, dayName, element, toast } from "./dom.js";
import { emoji, plain } from "./mrkdwn.js";
import { displayName, state } from "./state.js";

const GROUP_S = 300;
const seconds = (ts) => Number(ts.split(".")[0]);

async function quietly(work) {
  try { await work(); } catch (error) { toast(`That did not work: ${error.message}`, { bad: true }); }
}

function pressIn(message) {
  return (actionId, value) =>
    quietly(async () => {
      const body = { user: state.viewer, channel: message.channel ?? state.channel, message_ts: message.ts, action_id: actionId };
      const outcome = await ask("POST", "actions", value === null ? body : { ...body, value });
      if (outcome.status === null || outcome.status >= 300) toast(`The gateway did not take it (${outcome.error})`, { bad: true });
    });
}

function head(message, who) {
  return element(
    "div", { class: "head" },
    element("span", { class: "who", dir: "auto" }, ...plain(who.name)),
    who.isAi && element("span", { class: "badge ai", title: "Written by AI, not by this person" }, "AI"),
    who.isApp && element("span", { class: "badge" }, "APP"),
    element("time", {}, clock(message.ts)),
  );
}

function reactions(message) {
  if (!message.reactions?.length) return null;
  const chips = message.reactions.map((each) => {
    const mine = each.users.includes(state.viewer);
    const add = () => quietly(() => ask("POST", "reactions", { user: state.viewer, channel: state.channel, ts: message.ts, name: each.name }));
    const properties = { type: "button", class: mine ? "reaction mine" : "reaction", title: each.users.map(displayName).join(", "), onclick: add };
    return element("button", { ...properties, disabled: mine }, emoji(each.name), element("span", {}, String(each.count)));
  });
  return element("div", { class: "reactions" }, ...chips);
}

function summary(message, openThread) {
  if (!message.reply_count) return null;
  const faces = message.reply_users.slice(0, 4).map((id) => avatarOf(id.startsWith("B") ? "U0DOPPEL" : id));
  const many = message.reply_count === 1 ? "1 reply" : `${message.reply_count} replies`;
  const last = element("span", {}, `last at ${clock(message.latest_reply)}`);
  return element("button", { type: "button", class: "replies", onclick: () => openThread(message.ts) }, ...faces, element("b", {}, many), last);
}

function tools(message, openThread) {
  if (!openThread || message.is_ephemeral || message.subtype === "tombstone") return null;
  const react = (name) => quietly(() => ask("POST", "reactions", { user: state.viewer, channel: state.channel, ts: message.ts, name }));
  return element(
    "div", { class: "tools" },
    element("button", { type: "button", onclick: () => react("eyes"), "aria-label": "React with eyes" }, "👀"),
    element("button", { type: "button", onclick: () => react("hand"), "aria-label": "React with a raised hand" }, "✋"),
    element("button", { type: "button", onclick: () => openThread(message.thread_ts ?? message.ts) }, "💬 Reply in thread"),
  );
}

function row(message, { compact, openThread, isRoot, flash }) {
  const who = author(message);
  const classes = ["message", compact && "compact", message.is_ephemeral && "ephemeral", isRoot && "root", flash && "flash"];
  const isBroadcast = message.subtype === "thread_broadcast" && openThread;
  return element(
    "article", { class: classes.filter(Boolean).join(" "), "data-ts": message.ts, "data-author": who.name },
    element("div", {}, avatarFor(message), element("div", { class: "gutter" }, clock(message.ts))),
    element(
      "div", {},
      head(message, who),
      message.is_ephemeral && element("div", { class: "note only" }, "Only visible to you"),
      isBroadcast && element("div", { class: "note" }, "replied to a thread"),
      content(message, pressIn(message)),
      message.edited && element("span", { class: "note" }, "(edited)"),
      reactions(message),
      openThread && summary(message, openThread),
    ),
    tools(message, openThread),
  );
}

const pinned = new WeakMap();

// A list whose reader is at the end stays there, also when it gets narrower.
export function keepAtEnd(list) {
  pinned.set(list, true);
  let top = 0;
  list.addEventListener("scroll", () => {
    const isNear = list.scrollHeight - list.scrollTop - list.clientHeight < 60;
    if (isNear || list.scrollTop < top) pinned.set(list, isNear); // only going up unpins, not a text that grew
    top = list.scrollTop;
  });
  new ResizeObserver(() => { if (pinned.get(list)) list.scrollTop = list.scrollHeight; }).observe(list);
}

// Messages and ephemerals by time; `flash` is the ts that just changed.
export function render(list, messages, { openThread = null, earlier = null, flash = null, inThread = false } = {}) {
  const distance = list.scrollHeight - list.scrollTop - list.clientHeight;
  const rows = [];
  if (earlier) rows.push(element("button", { type: "button", class: "earlier", onclick: earlier }, "Show earlier messages"));
  if (!messages.length) rows.push(element("p", { class: "empty" }, "Nothing here yet. Write the first message below."));
  let before = null;
  for (const message of messages) {
    if (!inThread && (!before || dayKey(before.ts) !== dayKey(message.ts))) {
      rows.push(element("div", { class: "day" }, dayName(message.ts)));
      before = null;
    }
    const isRoot = inThread && message === messages[0];
    const follows = before && author(before).key === author(message).key && seconds(message.ts) - seconds(before.ts) < GROUP_S;
    const compact = Boolean(follows) && !before.is_ephemeral && !message.is_ephemeral && !before.reply_count;
    rows.push(row(message, { compact, openThread, isRoot, flash: flash === message.ts }));
    before = isRoot ? null : message;
  }
  const focused = list.contains(document.activeElement) ? document.activeElement.closest("[data-ts]")?.dataset.ts : null;
  list.replaceChildren(...rows);
  if (focused) list.querySelector(`[data-ts="${CSS.escape(focused)}"] button`)?.focus({ preventScroll: true });
  // Who reads older messages stays there; who was at the end follows.
  const isAtEnd = pinned.get(list) ?? distance < 60;
  list.scrollTop = isAtEnd ? list.scrollHeight : list.scrollHeight - list.clientHeight - distance;
}
