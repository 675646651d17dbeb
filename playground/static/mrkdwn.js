// Slack's mrkdwn as nodes. Order matters: code first, then <tokens>, then marks; entities are undone last and once.
import { element } from "./dom.js";
import { state } from "./state.js";

const EMOJI = {
  "+1": "👍", "-1": "👎", tada: "🎉", eyes: "👀", hand: "✋", heart: "❤️", joy: "😂", rocket: "🚀", white_check_mark: "✅", fire: "🔥",
  pray: "🙏", shrug: "🤷", sparkles: "✨", heart_eyes: "😍", see_no_evil: "🙈", sleeping: "😴", ok_hand: "👌", x: "❌",
  rotating_light: "🚨", sweat_smile: "😅", wave: "👋", thinking_face: "🤔", warning: "⚠️", hourglass: "⌛", bulb: "💡",
  hourglass_flowing_sand: "⏳", robot_face: "🤖", lock: "🔒", raised_hand: "✋", hand: "✋", books: "📚", brain: "🧠", gear: "⚙️",
  mortar_board: "🎓", information_source: "ℹ️", speech_balloon: "💬", no_entry: "⛔", clap: "👏", star: "⭐", seedling: "🌱",
  slightly_smiling_face: "🙂", smile: "😄", coffee: "☕", construction: "🚧", performing_arts: "🎭", memo: "📝", zap: "⚡",
};
const ENTITIES = { "&amp;": "&", "&lt;": "<", "&gt;": ">" };
// Bidirectional controls, zero-width space and BOM are shown as what they are; the character itself stays in the text.
const CONTROLS = /[\u202a-\u202e\u2066-\u2069\u200b\u200e\u200f\ufeff]/;
const SPLIT_CONTROLS = /([\u202a-\u202e\u2066-\u2069\u200b\u200e\u200f\ufeff])/;
const PIECES = /```([\s\S]+?)```|`([^`\n]+)`|<([^<>\s][^<>]*)>/;
const MARKS = [
  [/(^|[\s([{>"'_~])\*(?=\S)([^*\n]*?\S)\*(?=$|[\s.,;:!?)\]}'"_~])/, "strong"],
  [/(^|[\s([{>"'*~])_(?=\S)([^_\n]*?\S)_(?=$|[\s.,;:!?)\]}'"*~])/, "em"],
  [/(^|[\s([{>"'*_])~(?=\S)([^~\n]*?\S)~(?=$|[\s.,;:!?)\]}'"*_])/, "s"],
];

const unescape = (text) => text.replace(/&(?:amp|lt|gt);/g, (entity) => ENTITIES[entity]);

export const emoji = (name) => EMOJI[name.split("::")[0]] ?? `:${name}:`;

export function plain(text) {
  if (!CONTROLS.test(text)) return [text];
  return text.split(SPLIT_CONTROLS).filter(Boolean).map((part) => {
    if (!CONTROLS.test(part)) return part;
    const code = part.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0");
    return element("span", { class: "control", "data-code": code, title: "control character" }, part);
  });
}

function words(text) {
  const shown = unescape(text).replace(/:([a-z0-9_+-]+(?:::[a-z0-9-]+)?):/g, (whole, name) => (name in EMOJI ? EMOJI[name] : whole));
  return plain(shown);
}

function marked(text) {
  for (const [pattern, name] of MARKS) {
    const match = pattern.exec(text);
    if (!match) continue;
    const start = match.index + match[1].length;
    return [
      ...marked(text.slice(0, start)),
      element(name, {}, ...marked(match[2])),
      ...marked(text.slice(match.index + match[0].length)),
    ];
  }
  return text ? words(text) : [];
}

function mention(label, isMe) {
  return element("span", { class: isMe ? "mention me" : "mention" }, ...plain(label));
}

function token(inside) {
  const [value, label] = inside.split(/\|(.*)/s);
  if (value.startsWith("@")) {
    const user = state.users.get(value.slice(1));
    return mention(`@${user ? user.profile.display_name : label || "someone"}`, value.slice(1) === state.viewer);
  }
  if (value.startsWith("#")) {
    const channel = state.channels.get(value.slice(1));
    return mention(`#${channel ? channel.name : label || "channel"}`, false);
  }
  if (value.startsWith("!")) return mention(label ? unescape(label) : `@${value.slice(1).split("^")[0]}`, true);
  return link(unescape(value), label ? unescape(label) : null);
}

function link(address, label) {
  let parsed;
  try { parsed = new URL(address); } catch { return document.createTextNode(label ?? address); }
  if (!["http:", "https:", "mailto:"].includes(parsed.protocol)) return document.createTextNode(label ?? address);
  const properties = { href: parsed.href, target: "_blank", rel: "noopener noreferrer nofollow" };
  return element("a", properties, ...plain(label ?? address.replace(/^mailto:/, "")));
}

function inline(text) {
  const nodes = [];
  let rest = text;
  for (;;) {
    const match = PIECES.exec(rest);
    if (!match) return [...nodes, ...marked(rest)];
    nodes.push(...marked(rest.slice(0, match.index)));
    if (match[1] !== undefined) nodes.push(element("pre", {}, ...plain(unescape(match[1].replace(/^\n|\n$/g, "")))));
    else if (match[2] !== undefined) nodes.push(element("code", {}, ...plain(unescape(match[2]))));
    else nodes.push(token(match[3]));
    rest = rest.slice(match.index + match[0].length);
    if (match[1] !== undefined) rest = rest.replace(/^\n/, "");
  }
}

// Quotes are lines that begin with &gt;; code fences are kept whole.
export function mrkdwn(text) {
  const box = element("div", { class: "text", dir: "auto" });
  const parts = String(text ?? "").split(/(```[\s\S]+?```)/);
  let prose = "";
  const flush = () => { if (prose) box.append(...inline(prose)); prose = ""; };
  for (const part of parts) {
    if (part.startsWith("```")) { prose += part; continue; }
    for (const line of part.split(/(?<=\n)/)) {
      const quoted = /^&gt; ?(.*)/.exec(line);
      if (!quoted) { prose += line; continue; }
      flush();
      box.append(element("blockquote", {}, ...inline(quoted[1])));
    }
  }
  flush();
  return box;
}

// What a "markdown" block holds is standard Markdown; the few marks that differ become Slack's.
export const markdown = (text) =>
  mrkdwn(String(text ?? "").replace(/&(?!amp;|lt;|gt;)/g, "&amp;").replace(/</g, "&lt;").replace(/^(#+) (.*)$/gm, "*$2*")
    .replace(/\*\*(.+?)\*\*/g, "*$1*").replace(/\[([^\]]+)\]\((https?:[^)\s]+)\)/g, "<$2|$1>"));
