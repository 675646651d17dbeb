// Block Kit, as much of it as an assistant uses. What is unknown says so and breaks nothing.
import { element } from "./dom.js";
import { markdown, mrkdwn, plain } from "./mrkdwn.js";
import { state } from "./state.js";

function textOf(object) {
  if (!object) return null;
  if (object.type === "mrkdwn") return mrkdwn(object.text);
  return element("div", { class: "text" }, ...plain(String(object.text ?? "")));
}

function image(block) {
  const safe = /^https?:\/\//.test(block.image_url ?? "") || /^data:image\//.test(block.image_url ?? "");
  return safe ? element("img", { src: block.image_url, alt: block.alt_text ?? "", referrerPolicy: "no-referrer" }) : null;
}

function button(part, press, label = part.text?.text) {
  const style = ["primary", "danger"].includes(part.style) ? ` ${part.style}` : "";
  const made = element("button", { type: "button", class: `block-button${style}`, "data-action": part.action_id }, ...plain(String(label ?? "")));
  made.addEventListener("click", async () => {
    if (part.confirm && !window.confirm(`${part.confirm.title?.text ?? ""}\n\n${part.confirm.text?.text ?? ""}`)) return;
    const siblings = [...made.closest(".blocks").querySelectorAll(".block-button")];
    for (const each of siblings) each.disabled = true;
    await press(part.action_id, part.value ?? null);
    for (const each of siblings) each.disabled = false;
  });
  return made;
}

function elementOf(part, press) {
  if (part.type === "button") return button(part, press);
  if (part.type === "image") return image(part);
  if (part.type === "feedback_buttons") {
    const sides = [[part.positive_button, "👍"], [part.negative_button, "👎"]].filter(([side]) => side);
    return sides.map(([side, label]) => button({ ...part, value: side.value }, press, side.text?.text ?? label));
  }
  if (part.visible_to_user_ids && !part.visible_to_user_ids.includes(state.viewer)) return null;
  if (part.type === "icon_button") return button(part, press, part.icon === "trash" ? "🗑" : part.text?.text);
  if (part.type === "mrkdwn" || part.type === "plain_text") return textOf(part);
  return element("span", { class: "unsupported" }, `[${part.type}]`);
}

function one(block, press) {
  const elements = (block.elements ?? []).flatMap((part) => elementOf(part, press)).filter(Boolean);
  switch (block.type) {
    case "section": {
      const words = element("div", {}, textOf(block.text));
      if (block.fields) words.append(element("div", { class: "fields" }, ...block.fields.map(textOf)));
      return element("div", { class: "section" }, words, block.accessory ? elementOf(block.accessory, press) : null);
    }
    case "actions":
    case "context_actions":
      return element("div", { class: "actions" }, ...elements);
    case "context":
      return element("div", { class: "context" }, ...elements);
    case "header":
      return element("div", { class: "header" }, textOf(block.text));
    case "divider":
      return element("hr");
    case "markdown":
      return markdown(block.text);
    case "image":
      return element("div", { class: "image" }, image(block));
    default:
      return element("div", { class: "unsupported" }, `[${block.type}: not shown here]`);
  }
}

// A shared file: its picture by its path here, whatever name this Slack has outside; others by name only.
function file(each) {
  const isPicture = /^image\//.test(each.mimetype ?? "");
  const name = element("div", { class: "file-name" }, ...plain(String(each.title ?? each.name ?? "file")));
  if (!isPicture) return element("div", { class: "file" }, name);
  const src = new URL(each.url_private, location.href).pathname;
  return element("div", { class: "file" }, name, element("img", { src, alt: each.alt_txt ?? "", loading: "lazy" }));
}

// What people type carries a rich_text block equal to its text; the text is enough then.
export function content(message, press) {
  const blocks = (message.blocks ?? []).filter((block) => block.type !== "rich_text");
  const files = (message.files ?? []).map(file);
  const shown = blocks.length ? blocks.map((block) => one(block, press)) : message.text ? [mrkdwn(message.text)] : [];
  if (shown.length === 1 && !blocks.length && !files.length) return shown[0];
  return element("div", { class: "blocks" }, ...shown, ...files);
}
