// The app's Home tab, as it shows itself to the person at the screen.
import { content } from "./blocks.js";
import { ask, byId, element, toast } from "./dom.js";
import { state } from "./state.js";

async function press(action, value) {
  try {
    await ask("POST", "home/actions", { user: state.viewer, action_id: action, value });
  } catch (error) {
    toast(`That did not work: ${error.message}`, { bad: true });
  }
}

export async function drawHome() {
  const dialog = byId("home");
  if (!dialog.open) return;
  const { view } = await ask("GET", `home?${new URLSearchParams({ user: state.viewer })}`);
  const shown = view ? content({ blocks: view.blocks }, press) : element("p", {}, "The app has not shown anything yet.");
  const close = element("button", { type: "button", onclick: () => dialog.close() }, "Close");
  dialog.replaceChildren(element("h2", {}, "doppel: Home"), shown, element("div", { class: "form-buttons" }, close));
}

export async function openHome() {
  const dialog = byId("home");
  if (!dialog.open) dialog.showModal();
  await ask("POST", "home", { user: state.viewer });
  await drawHome();
}
