// Avatars: initials on the person's colour; an app's or persona's picture where it has one.
import { element } from "./dom.js";
import { displayName, person } from "./state.js";

const PALETTE = ["#6d4aff", "#c53030", "#2b6cb0", "#2f855a", "#b7791f", "#97266d", "#2c7a7b", "#5a67d8"];

function colourOf(text) {
  let hash = 7;
  for (const character of text) hash = (hash * 31 + character.codePointAt(0)) >>> 0;
  return PALETTE[hash % PALETTE.length];
}

const initials = (name) =>
  name.replace(/\(.*?\)/g, "").trim().split(/\s+/).slice(0, 2).map((word) => [...word][0] ?? "").join("").toUpperCase() || "?";

function face(name, colour, image) {
  const made = element("span", { class: "avatar", "aria-hidden": "true" });
  made.style.backgroundColor = colour;
  const letters = () => { made.textContent = initials(name); };
  if (!image) { letters(); return made; }
  const picture = element("img", { alt: "", src: image, referrerPolicy: "no-referrer", onerror: letters });
  made.append(picture);
  return made;
}

export function avatarOf(userId) {
  const user = person(userId);
  if (user?.id === "U0DOPPEL") return face("doppel", "#241b3f", "/static/icon.svg");
  return face(user?.real_name ?? "?", user ? `#${user.color}` : "#718096");
}

// Who a message shows as: a person, the app, or the identity that the app took for it.
export function author(message) {
  const isApp = Boolean(message.bot_id) || message.user === "USLACKBOT";
  const name = message.username ?? (message.user ? displayName(message.user) : message.bot_profile?.name ?? "app");
  const isAi = /\(AI\)\s*$/.test(name);
  return { key: `${message.user ?? ""}|${message.username ?? message.bot_id ?? ""}`, name, isApp, isAi };
}

export function avatarFor(message) {
  const { name } = author(message);
  const image = message.icons?.image_72 ?? message.icons?.image_48;
  if (message.username && message.username !== "doppel") return face(name, colourOf(name), image);
  return avatarOf(message.user ?? (message.bot_id === "B0DOPPEL" ? "U0DOPPEL" : ""));
}
