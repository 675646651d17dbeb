// Puts the page together: loads, draws, follows the stream, listens to keys.
import { avatarOf } from "./avatar.js";
import * as bus from "./bus.js";
import { Composer } from "./composer.js";
import { ask, byId, element, toast } from "./dom.js";
import { showForms } from "./forms.js";
import { drawHome, openHome } from "./home.js";
import { keepAtEnd, render } from "./messages.js";
import { displayName, isVisible, peer, person, state, title } from "./state.js";

let channelMessages = { messages: [], ephemerals: [] };
let threadMessages = { messages: [], ephemerals: [] };
let drawing = null;

const composer = new Composer(byId("composer"), { thread: () => null, changeViewer });
const threadComposer = new Composer(byId("thread-composer"), { thread: () => state.thread, changeViewer });

async function loadWorkspace() {
  const loaded = await ask("GET", "workspace");
  state.team = loaded.team;
  state.bot = loaded.bot;
  state.users = new Map(loaded.users.map((user) => [user.id, user]));
  state.channels = new Map(loaded.channels.map((channel) => [channel.id, channel]));
  byId("team-name").textContent = loaded.team.name.replace(/ \(synthetic\)$/, "");
  document.title = loaded.team.name;
  const people = loaded.users.filter((user) => !user.is_bot && !user.deleted && user.id !== "USLACKBOT");
  byId("viewer").replaceChildren(
    ...people.map((user) => element("option", { value: user.id, selected: user.id === state.viewer }, user.real_name)),
  );
}

function entry(channel) {
  const unread = state.unread.get(channel.id) ?? 0;
  const sigil = channel.kind === "im" ? avatarOf(peer(channel)) : element("span", { class: "sigil" }, channel.kind === "private" ? "🔒" : "#");
  const made = element(
    "button", { type: "button", class: unread ? "unread" : "", onclick: () => openChannel(channel.id), "data-channel": channel.id },
    sigil, element("span", { class: "name" }, title(channel)), unread ? element("span", { class: "count" }, String(unread)) : null,
  );
  made.setAttribute("aria-current", String(channel.id === state.channel));
  return element("li", {}, made);
}

function visibleChannels() {
  const shown = [...state.channels.values()].filter(isVisible);
  const order = { public: 0, private: 1, im: 2 };
  return shown.sort((a, b) => order[a.kind] - order[b.kind] || title(a).localeCompare(title(b)));
}

function drawSide() {
  const shown = visibleChannels();
  byId("channels").replaceChildren(...shown.filter((channel) => channel.kind !== "im").map(entry));
  const dms = shown.filter((channel) => channel.kind === "im").map(entry);
  const hasBot = shown.some((channel) => channel.kind === "im" && channel.members.includes(state.bot.user_id));
  if (!hasBot) {
    const open = async () => {
      const { channel } = await ask("POST", "dm", { user: state.viewer });
      await loadWorkspace();
      openChannel(channel);
    };
    dms.unshift(element("li", {}, element("button", { type: "button", onclick: open }, avatarOf(state.bot.user_id), element("span", { class: "name" }, "doppel"))));
  }
  byId("dms").replaceChildren(...dms);
}

function drawHead() {
  const channel = state.channels.get(state.channel);
  const name = title(channel);
  byId("title").textContent = channel.kind === "im" ? name : `${channel.kind === "private" ? "🔒" : "#"} ${name}`;
  byId("topic").textContent = channel.topic || (channel.kind === "im" ? person(peer(channel))?.profile.title ?? "" : "");
  const faces = channel.kind === "im" ? [] : channel.members.filter((id) => person(id)).slice(0, 5).map(avatarOf);
  byId("member-faces").replaceChildren(...faces);
  composer.show(`Message ${channel.kind === "im" ? name : `#${name}`}`, "Enter sends · @ mentions · / commands");
  threadComposer.show("Reply…", "Enter sends");
}

const merged = ({ messages, ephemerals }) => [...messages, ...ephemerals].sort((a, b) => (a.ts < b.ts ? -1 : 1));

async function drawChannel(flash = null) {
  const query = new URLSearchParams({ channel: state.channel, viewer: state.viewer, limit: String(state.limit) });
  const wanted = state.channel;
  const loaded = await ask("GET", `messages?${query}`);
  if (wanted !== state.channel) return;
  channelMessages = loaded;
  channelMessages.ephemerals = loaded.ephemerals.filter((row) => !row.thread_ts);
  const hasMore = loaded.messages.length >= state.limit;
  const earlier = hasMore ? () => { state.limit += 120; drawChannel(); } : null;
  render(byId("list"), merged(channelMessages), { openThread, earlier, flash });
}

async function drawThread(flash = null) {
  byId("frame").classList.toggle("with-thread", state.thread !== null);
  byId("thread").hidden = state.thread === null;
  if (state.thread === null) return;
  const query = new URLSearchParams({ channel: state.channel, thread_ts: state.thread, viewer: state.viewer, limit: "500" });
  const wanted = state.thread;
  const loaded = await ask("GET", `messages?${query}`);
  if (wanted !== state.thread) return;
  threadMessages = loaded;
  byId("thread-where").textContent = title(state.channels.get(state.channel));
  render(byId("thread-list"), merged(threadMessages), { flash, inThread: true });
}

export async function openChannel(id) {
  state.channel = id;
  state.thread = null;
  state.limit = 80;
  state.unread.delete(id);
  drawSide();
  drawHead();
  await drawThread();
  byId("list").replaceChildren();
  await drawChannel();
  byId("list").scrollTop = byId("list").scrollHeight;
  composer.input.focus();
  history.replaceState(null, "", `#${state.viewer}/${id}`);
}

async function openThread(ts) {
  state.thread = ts;
  byId("thread-list").replaceChildren();
  await drawThread();
  byId("thread-list").scrollTop = byId("thread-list").scrollHeight;
  threadComposer.input.focus();
  history.replaceState(null, "", `#${state.viewer}/${state.channel}/${ts}`);
}

function closeThread() {
  state.thread = null;
  drawThread();
  composer.input.focus();
}

async function changeViewer(id, channel = null) {
  state.viewer = id;
  byId("viewer").value = id;
  const wanted = channel ?? state.channel;
  const open = state.channels.get(wanted);
  await openChannel(open && isVisible(open) ? wanted : "C0GENERAL");
  await showForms();
}

// Many changes in one moment (a scrape that joins, a progress message) are drawn once.
function soon(flash) {
  if (drawing !== null) { drawing.flash = flash ?? drawing.flash; return; }
  drawing = { flash };
  requestAnimationFrame(async () => {
    const { flash: ts } = drawing;
    drawing = null;
    await drawChannel(ts);
    await drawThread(ts);
  });
}

function note(data) {
  const channel = state.channels.get(data.channel);
  if (!channel || !data.is_new || data.channel === state.channel || data.message.user === state.viewer) return;
  state.unread.set(data.channel, (state.unread.get(data.channel) ?? 0) + 1);
  if (channel.kind === "im" && !channel.members.includes(state.viewer) && data.message.bot_id) {
    const who = channel.members.find((member) => member !== state.bot.user_id);
    const go = () => changeViewer(who, data.channel);
    toast(`doppel wrote to ${displayName(who)}`, { action: go, label: `Be ${displayName(who)}` });
  }
  drawSide();
}

async function onMessage(data) {
  if (!state.channels.has(data.channel)) await loadWorkspace();
  if (data.channel === state.channel) soon(data.message.ts);
  note(data);
}

function follow() {
  const stream = new EventSource("/playground/stream");
  const on = (name, handle) => stream.addEventListener(name, (event) => handle(JSON.parse(event.data)));
  on("hello", async () => {
    byId("link-state").textContent = "live";
    byId("link-state").classList.add("live");
    bus.showState((await ask("GET", "stats")).bus);
    soon(null);
  });
  stream.addEventListener("error", () => {
    byId("link-state").textContent = "reconnecting";
    byId("link-state").classList.remove("live");
  });
  on("message", onMessage);
  for (const name of ["deleted", "ephemeral_gone"]) on(name, (data) => { if (data.channel === state.channel) soon(null); });
  on("ephemeral", (data) => { if (data.channel === state.channel && data.message.viewer === state.viewer) soon(data.message.ts); });
  on("channel", async () => { await loadWorkspace(); drawSide(); drawHead(); });
  on("view", (data) => { if (data.viewer === state.viewer) showForms(); });
  on("home", (data) => { if (data.viewer === state.viewer) drawHome(); });
  on("reset", () => location.reload());
  on("bus", bus.onBus);
  on("bus_state", bus.showState);
  on("delivery", bus.onDelivery);
  on("call", bus.onCall);
}

function keys(event) {
  if (event.key === "Escape" && state.thread !== null) return closeThread();
  if (event.key === "/" && !/^(TEXTAREA|SELECT|INPUT)$/.test(document.activeElement.tagName)) {
    event.preventDefault();
    return composer.input.focus();
  }
  const step = event.altKey && { ArrowUp: -1, ArrowDown: 1 }[event.key];
  if (!step) return undefined;
  event.preventDefault();
  const order = visibleChannels().map((channel) => channel.id);
  return openChannel(order[(order.indexOf(state.channel) + step + order.length) % order.length]);
}

async function begin() {
  bus.setUp();
  for (const id of ["list", "thread-list"]) keepAtEnd(byId(id));
  const [viewer, channel, thread] = decodeURIComponent(location.hash.slice(1)).split("/");
  await loadWorkspace();
  if (state.users.has(viewer)) state.viewer = viewer;
  byId("viewer").value = state.viewer;
  byId("viewer").addEventListener("change", () => changeViewer(byId("viewer").value));
  byId("open-home").addEventListener("click", openHome);
  byId("thread-close").addEventListener("click", closeThread);
  document.addEventListener("keydown", keys);
  const open = state.channels.get(channel);
  await openChannel(open && isVisible(open) ? channel : "C0GENERAL");
  if (thread) await openThread(thread);
  follow();
}

begin().catch((error) => toast(`The page could not load: ${error.message}`, { bad: true }));
