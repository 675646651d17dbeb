// The panel beside: each subject as it passes on the bus, and what goes between Slack's side and the gateways.
import { byId, clockNow, element } from "./dom.js";

const FAMILIES = ["slack", "scrape", "train", "generate", "persona", "dead"];
const ROWS = 250;
const counters = new Map();

export function setUp() {
  for (const family of FAMILIES) {
    const count = element("b", {}, "0");
    const box = element("div", { class: `family f-${family}` }, count, element("span", {}, `${family}.*`));
    counters.set(family, { box, count, total: 0 });
    byId("families").append(box);
  }
  const tabs = [["tab-bus", "bus-rows"], ["tab-http", "http-rows"]];
  for (const [tab, panel] of tabs) {
    byId(tab).addEventListener("click", () => {
      for (const [otherTab, otherPanel] of tabs) {
        byId(otherTab).setAttribute("aria-selected", String(otherTab === tab));
        byId(otherPanel).hidden = otherPanel !== panel;
      }
    });
  }
}

export function showState(bus) {
  const shown = byId("bus-state");
  shown.classList.toggle("live", bus.connected);
  shown.textContent = bus.connected ? "live" : bus.configured ? "waiting for the bus" : "no bus";
}

function put(list, row) {
  const rows = byId(list);
  rows.prepend(row);
  while (rows.childElementCount > ROWS) rows.lastElementChild.remove();
}

const size = (bytes) => (bytes < 1024 ? `${bytes} B` : `${(bytes / 1024).toFixed(1)} kB`);
const short = (id) => (id.length > 14 ? `${id.slice(0, 8)}…` : id);

function line(subject, right, rightClass = "size") {
  return element(
    "div", { class: "row-line" },
    element("time", {}, clockNow()),
    element("span", { class: "subject", title: subject }, subject),
    element("span", { class: rightClass }, right),
  );
}

function hit(family) {
  const counter = counters.get(family);
  if (!counter) return;
  counter.total += 1;
  counter.count.textContent = String(counter.total);
  counter.box.classList.add("hit");
  requestAnimationFrame(() => requestAnimationFrame(() => counter.box.classList.remove("hit")));
}

const progressRows = new Map();

export function onBus(data) {
  const family = data.subject.split(".")[0];
  hit(family);
  const ids = ["request_id", "run_id", "event_id", "scrape_id", "dataset_id"].filter((name) => data[name]);
  const codes = ["stage", "state", "action", "outcome", "code"].filter((name) => data[name]).map((name) => data[name]);
  const more = [...ids.slice(0, 1).map((name) => `${name.replace("_id", "")} ${short(data[name])}`), ...codes.slice(0, 2)];
  const total = Number(data.total);
  const isProgress = Number.isFinite(total) && total > 0 && data.step !== undefined;
  if (isProgress) more.push(`${data.step}/${data.total}`);
  if (data.train_loss !== undefined) more.push(`loss ${Number(data.train_loss).toFixed(3)}`);
  const row = element("li", { class: `f-${family}` }, line(data.subject, size(data.bytes)));
  if (more.length) row.append(element("div", { class: "row-more" }, more.join(" · ")));
  if (isProgress) {
    const fill = element("i");
    fill.style.width = `${Math.min(100, (100 * data.step) / total)}%`;
    row.append(element("div", { class: "meter" }, fill));
  }
  const isToken = data.subject.startsWith("generate.token.");
  if (isToken) row.append(element("div", { class: "row-more" }, `piece ${data.seq ?? "?"}`));
  // One row per run and stage, or per answer: not one per step or piece.
  if (isProgress || isToken) {
    const key = `${data.subject} ${data.run_id ?? data.request_id ?? ""} ${data.stage ?? ""}`;
    progressRows.get(key)?.remove();
    progressRows.set(key, row);
  }
  put("bus-rows", row);
}

export function onDelivery(data) {
  const failed = data.status === null || data.status >= 300;
  const row = element("li", { class: "f-slack" }, line(`→ ${data.name}`, failed ? data.error ?? String(data.status) : String(data.status), failed ? "bad" : "ok"));
  row.append(element("div", { class: "row-more" }, `${data.gateway.replace(/^https?:\/\//, "")} · ${Math.round(data.seconds * 1000)} ms${data.retry_num ? ` · retry ${data.retry_num}` : ""}`));
  put("http-rows", row);
}

export function onCall(data) {
  const row = element("li", { class: "f-generate" }, line(`← ${data.method}`, data.ok ? "ok" : data.error ?? String(data.status), data.ok ? "ok" : "bad"));
  if (data.fault) row.append(element("div", { class: "row-more" }, `fault: ${data.fault}`));
  put("http-rows", row);
}
