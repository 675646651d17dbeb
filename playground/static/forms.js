// A modal of the app: input blocks of the kinds that an assistant uses, and the app's word on what is wrong with them.
import { ask, byId, element, toast } from "./dom.js";
import { content } from "./blocks.js";
import { displayName, state } from "./state.js";

let shown = null; // id of the view in the dialog

function people(field) {
  const known = [...state.users.values()].filter((user) => !user.is_bot && !user.deleted && user.id !== "USLACKBOT");
  field.append(element("option", { value: "" }, "Choose somebody"), ...known.map((user) => element("option", { value: user.id }, displayName(user.id))));
  return field;
}

function control(part, name) {
  const common = { name, id: `form-${name}` };
  if (part.type === "plain_text_input") return element(part.multiline ? "textarea" : "input", { ...common, maxLength: part.max_length ?? 3000 });
  if (part.type === "users_select") return people(element("select", common));
  if (part.type === "static_select") {
    const chosen = part.initial_option?.value;
    return element("select", common, ...part.options.map((each) => element("option", { value: each.value, selected: each.value === chosen }, each.text.text)));
  }
  if (part.type === "checkboxes") {
    const boxes = part.options.map((each) => element("label", { class: "check" }, element("input", { type: "checkbox", name, value: each.value }), each.text.text));
    return element("div", { ...common, role: "group" }, ...boxes);
  }
  return element("span", { class: "unsupported" }, `[${part.type}]`);
}

function block(each) {
  if (each.type !== "input") return content({ blocks: [each] }, async () => {});
  const label = element("label", { htmlFor: `form-${each.block_id}` }, each.label.text, each.optional && element("small", {}, " (optional)"));
  return element("div", { class: "field" }, label, control(each.element, each.block_id), element("p", { class: "wrong", "data-block": each.block_id }));
}

function read(view, form) {
  const values = {};
  for (const each of view.blocks.filter((one) => one.type === "input")) {
    const fields = [...form.querySelectorAll(`[name="${CSS.escape(each.block_id)}"]`)];
    if (each.element.type === "checkboxes") values[each.block_id] = fields.filter((one) => one.checked).map((one) => one.value);
    else if (fields[0]?.value) values[each.block_id] = fields[0].value;
  }
  return values;
}

async function send(view, form) {
  for (const each of form.querySelectorAll(".wrong")) each.textContent = "";
  const outcome = await ask("POST", "views", { user: state.viewer, view_id: view.id, values: read(view, form) });
  const errors = outcome.response?.errors ?? (outcome.status === 200 ? {} : { [view.blocks[0].block_id]: "We had some trouble connecting." });
  for (const [id, text] of Object.entries(errors)) {
    const place = form.querySelector(`[data-block="${CSS.escape(id)}"]`);
    if (place) place.textContent = text;
  }
}

function draw(view) {
  const dialog = byId("form");
  const leave = () => ask("DELETE", "views", { user: state.viewer, view_id: view.id });
  const form = element("form", { method: "dialog" },
    element("h2", {}, view.title?.text ?? ""), ...view.blocks.map(block),
    element("div", { class: "form-buttons" },
      element("button", { type: "button", onclick: leave }, view.close?.text ?? "Cancel"),
      view.submit && element("button", { type: "submit", class: "primary" }, view.submit.text)));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try { await send(view, form); } catch (error) { toast(`That did not work: ${error.message}`, { bad: true }); }
  });
  dialog.replaceChildren(form);
  dialog.oncancel = (event) => { event.preventDefault(); leave(); };
  if (!dialog.open) dialog.showModal();
}

// The newest view that the person at the screen has open, or none.
export async function showForms() {
  const { views } = await ask("GET", `views?${new URLSearchParams({ user: state.viewer })}`);
  const view = views[views.length - 1];
  if (!view) { shown = null; byId("form").close(); return; }
  if (view.id !== shown) draw(view);
  shown = view.id;
}
