// The box one writes in: Enter sends, "/" runs a command, "@" and "/" suggest.
import { avatarOf } from "./avatar.js";
import { ask, element, toast } from "./dom.js";
import { state } from "./state.js";

const COMMANDS = [
  ["/doppel train @", "learn how somebody writes; they are asked first"],
  ["/doppel ask @", "let a persona answer you alone"],
  ["/doppel switch @", "let a persona answer in this workspace, or here"],
  ["/doppel report @", "the voice report, by direct message"],
  ["/doppel list", "who can answer, and where"],
  ["/doppel status", "personas and trainings"],
  ["/doppel menu", "all of this with a form"],
  ["/doppel help", "everything else"],
];

function suggestions(text, caret) {
  const before = text.slice(0, caret);
  if (/^\/[a-z ]*$/.test(before)) {
    return COMMANDS.filter(([command]) => command.startsWith(before)).map(([command, note]) => ({
      label: command, note, start: 0, insert: command,
    }));
  }
  const match = /(^|\s)@([a-z]*)$/i.exec(before);
  if (!match) return [];
  const typed = match[2].toLowerCase();
  return [...state.users.values()]
    .filter((user) => !user.deleted && user.id !== "USLACKBOT" && user.name.startsWith(typed))
    .slice(0, 7)
    .map((user) => ({
      label: user.profile.display_name, note: user.is_bot ? "app" : `@${user.name}`, face: user.id,
      start: caret - typed.length - 1, insert: `@${user.name} `,
    }));
}

export class Composer {
  constructor(form, { thread, changeViewer }) {
    this.thread = thread;
    this.input = element("textarea", { rows: 1, "aria-label": thread ? "Reply" : "Message" });
    this.input.setAttribute("aria-autocomplete", "list");
    this.as = element("select", { "aria-label": "Post as", onchange: () => changeViewer(this.as.value) });
    this.hint = element("span", { class: "hint" });
    this.button = element("button", { class: "send", type: "submit", "aria-label": "Send", disabled: true }, "➤");
    this.list = element("ul", { class: "suggest", role: "listbox", hidden: true });
    this.selected = 0;
    this.items = [];
    const row = element("div", { class: "composer-row" }, element("label", {}, "as "), this.as, this.hint, this.button);
    form.append(this.list, element("div", { class: "composer-box" }, this.input, row));
    form.addEventListener("submit", (event) => { event.preventDefault(); this.send(); });
    this.input.addEventListener("input", () => this.changed());
    this.input.addEventListener("keydown", (event) => this.key(event));
    this.input.addEventListener("blur", () => setTimeout(() => { this.list.hidden = true; }, 150));
  }

  show(placeholder, hint) {
    this.input.placeholder = placeholder;
    this.hint.textContent = hint;
    const people = [...state.users.values()].filter((user) => !user.is_bot && !user.deleted && user.id !== "USLACKBOT");
    this.as.replaceChildren(...people.map((user) => element("option", { value: user.id, selected: user.id === state.viewer }, user.real_name)));
  }

  changed() {
    this.button.disabled = !this.input.value.trim();
    this.items = suggestions(this.input.value, this.input.selectionStart);
    this.selected = 0;
    this.drawSuggestions();
  }

  drawSuggestions() {
    this.list.hidden = !this.items.length;
    this.list.replaceChildren(...this.items.map((item, number) => {
      const choose = (event) => { event.preventDefault(); this.take(item); };
      const properties = { role: "option", "aria-selected": String(number === this.selected), onmousedown: choose };
      return element("li", properties, item.face ? avatarOf(item.face) : null, item.label, element("small", {}, item.note));
    }));
  }

  take(item) {
    const rest = this.input.value.slice(this.input.selectionStart);
    this.input.value = this.input.value.slice(0, item.start) + item.insert + rest;
    const caret = item.start + item.insert.length;
    this.input.setSelectionRange(caret, caret);
    this.changed();
    if (!item.insert.endsWith("@")) { this.items = []; this.drawSuggestions(); }
  }

  key(event) {
    if (event.isComposing) return;
    if (this.items.length) {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (step) {
        event.preventDefault();
        this.selected = (this.selected + step + this.items.length) % this.items.length;
        this.drawSuggestions();
        return;
      }
      // What is typed in full needs no choosing: Enter sends.
      const item = this.items[this.selected];
      const exact = item.insert.trim() === this.input.value.slice(item.start, this.input.selectionStart).trim();
      if (event.key === "Tab" || (event.key === "Enter" && !event.shiftKey && !exact)) {
        event.preventDefault();
        this.take(item);
        return;
      }
      if (event.key === "Escape") { event.stopPropagation(); this.items = []; this.drawSuggestions(); return; }
    }
    if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); this.send(); }
  }

  async send() {
    const text = this.input.value.trim();
    if (!text) return;
    const place = { user: state.viewer, channel: state.channel };
    const command = /^(\/[a-z]+)\s*([\s\S]*)$/.exec(text);
    if (command && this.thread()) { toast("Slash commands do not work in threads.", { bad: true }); return; }
    this.input.value = "";
    this.changed();
    try {
      if (command) await ask("POST", "commands", { ...place, command: command[1], text: command[2] });
      else await ask("POST", "messages", { ...place, text, ...(this.thread() ? { thread_ts: this.thread() } : {}) });
    } catch (error) {
      toast(`Not sent: ${error.message}`, { bad: true });
      this.input.value = text;
      this.changed();
    }
  }
}
