// Elements from data. Text is always text: nothing here, or anywhere on the page, parses HTML.

export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "class") made.className = value;
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key.startsWith("data-") || key.startsWith("aria-") || key === "role") made.setAttribute(key, value);
    else made[key] = value;
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

export const byId = (id) => document.getElementById(id);

export async function ask(method, path, body) {
  const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
  const answer = await fetch(`/playground/${path}`, init);
  const parsed = await answer.json();
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed;
}

export function toast(text, { bad = false, action, label } = {}) {
  const made = element("div", { class: bad ? "toast bad" : "toast" }, text);
  if (action) made.append(element("button", { type: "button", onclick: () => { made.remove(); action(); } }, label));
  byId("toasts").append(made);
  setTimeout(() => made.remove(), action ? 15000 : 5000);
}

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const CLOCK_S = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const DAY = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const dateOf = (ts) => new Date(Number(ts.split(".")[0]) * 1000);

export const clock = (ts) => CLOCK.format(dateOf(ts));
export const clockNow = () => CLOCK_S.format(new Date());
export const dayKey = (ts) => dateOf(ts).toDateString();
export const dayName = (ts) => (dayKey(ts) === new Date().toDateString() ? "Today" : DAY.format(dateOf(ts)));
