// @slack/bolt, listening for HTTP: events, commands, buttons, forms; and an installation by OAuth.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import bolt from "@slack/bolt";

import {
  API, BOT_TOKEN, SIGNING_SECRET, URL_OF_PLAYGROUND, control, deliverTo, eventually, post,
} from "./playground.mjs";

const options = { signingSecret: SIGNING_SECRET, logLevel: bolt.LogLevel.ERROR };
const endpoints = ["/slack/events", "/slack/commands", "/slack/interactivity"];
const app = new bolt.App({ ...options, token: BOT_TOKEN, endpoints, clientOptions: { slackApiUrl: API } });
const view = {
  type: "modal",
  callback_id: "form",
  title: { type: "plain_text", text: "A form" },
  submit: { type: "plain_text", text: "Send" },
  blocks: [
    {
      type: "input", block_id: "word", label: { type: "plain_text", text: "Word" },
      element: { type: "plain_text_input", action_id: "typed" },
    },
  ],
};
const submitted = [];
let server;

app.event("app_mention", async ({ event, say }) => {
  const button = { type: "button", action_id: "press", value: "7", text: { type: "plain_text", text: "Press" } };
  const blocks = [{ type: "actions", elements: [button] }];
  await say({ text: `heard ${event.text}`, thread_ts: event.ts, blocks });
});
app.command("/doppel", async ({ command, ack, client }) => {
  if (command.text === "form") await client.views.open({ trigger_id: command.trigger_id, view });
  await ack({ response_type: "in_channel", text: `ran ${command.text}` });
});
app.action("press", async ({ ack, action, respond }) => {
  await ack();
  await respond({ text: `pressed ${action.value}`, replace_original: true });
});
app.view("form", async ({ ack, view: { state } }) => {
  const { value } = state.values.word.typed;
  if (value === "no") return ack({ response_action: "errors", errors: { word: "Not that." } });
  submitted.push(value);
  return ack();
});
app.shortcut("open", async ({ ack, shortcut, client }) => {
  await client.views.open({ trigger_id: shortcut.trigger_id, view });
  await ack();
});

before(async () => {
  server = await app.start(0);
  await deliverTo(`http://127.0.0.1:${server.address().port}`);
});
after(() => app.stop());

const thread = async (ts) => (await control("GET", `messages?channel=general&thread_ts=${ts}`)).messages;
const replyTo = (ts) => eventually(async () => (await thread(ts))[1], "a reply");

test("a mention is answered, and its button is pressed", async () => {
  const { ts } = await post("messages", { user: "bram", channel: "general", text: "@doppel hello" });
  const reply = await replyTo(ts);
  assert.match(reply.text, /^heard <@U0DOPPEL> hello/);
  await post("actions", { user: "bram", channel: "general", message_ts: reply.ts, action_id: "press" });
  await eventually(async () => (await thread(ts))[1].text === "pressed 7", "the message is replaced");
});

test("a command is answered", async () => {
  const ran = await post("commands", { user: "bram", channel: "general", text: "train @ada" });
  assert.deepEqual([ran.status, ran.response.text], [200, "ran train <@U0ADA|ada>"]);
});

for (const way of ["commands", "shortcuts"])
  test(`a form that was opened by ${way} is refused, then taken`, async () => {
    const asked = { commands: { channel: "general", text: "form" }, shortcuts: { callback_id: "open" } }[way];
    await post(way, { user: "ada", ...asked });
    const [{ id }] = (await control("GET", "views?user=ada")).views;
    const form = { user: "ada", view_id: id };
    const refused = await post("views", { ...form, values: { word: "no" } });
    assert.deepEqual(refused.response.errors, { word: "Not that." });
    await post("views", { ...form, values: { word: way } });
    assert.equal(submitted.at(-1), way);
    assert.deepEqual((await control("GET", "views?user=ada")).views, []);
  });

test("what is not signed, or long ago, is refused", async () => {
  for (const signature of ["bad", "missing", "old"]) {
    const answer = await post("raw", { path: "/slack/events", json: { event: { type: "app_mention" } }, signature });
    assert.equal(answer.status, 401, signature);
  }
  const challenge = { type: "url_verification", challenge: "c0ffee" };
  const answer = await post("raw", { path: "/slack/events", json: challenge });
  assert.match(answer.body, /c0ffee/);
});

test("a workspace installs the app by OAuth and is answered with its own token", async () => {
  const kept = new Map();
  const installationStore = {
    storeInstallation: async (installation) => void kept.set(installation.team.id, installation),
    fetchInstallation: async ({ teamId }) => kept.get(teamId),
  };
  const many = new bolt.App({
    ...options,
    endpoints,
    clientId: "playground-client",
    clientSecret: "playground-client-secret",
    stateSecret: "of the test",
    scopes: ["chat:write", "app_mentions:read"],
    redirectUri: "http://127.0.0.1/slack/oauth_redirect",
    installationStore,
    clientOptions: { slackApiUrl: API },
    installerOptions: {
      directInstall: true,
      redirectUriPath: "/slack/oauth_redirect",
      authorizationUrl: `${URL_OF_PLAYGROUND}/oauth/v2/authorize`,
      clientOptions: { slackApiUrl: API },
    },
  });
  many.event("app_mention", async ({ event, say }) => {
    await say({ text: "installed", thread_ts: event.ts });
  });
  const listening = await many.start(0);
  const base = `http://127.0.0.1:${listening.address().port}`;
  try {
    const manual = { redirect: "manual" };
    const begun = await fetch(`${base}/slack/install`, manual);
    const asked = new URL(begun.headers.get("location"));
    assert.equal(asked.origin, URL_OF_PLAYGROUND);
    const form = new URLSearchParams([...asked.searchParams, ["place", "T1OTHER"]]);
    const allowed = await fetch(`${URL_OF_PLAYGROUND}/oauth/v2/authorize`, { ...manual, method: "POST", body: form });
    const back = new URL(allowed.headers.get("location"));
    const cookie = begun.headers.getSetCookie().map((each) => each.split(";")[0]).join("; ");
    const done = await fetch(`${base}${back.pathname}${back.search}`, { headers: { cookie } });
    assert.equal(done.status, 200, await done.text());
    const { bot, team } = kept.get("T1OTHER");
    assert.deepEqual([team.id, bot.userId, bot.id], ["T1OTHER", "U0DOPPEL", "B0DOPPEL"]);

    await deliverTo(base);
    const said = await post("teams/T1OTHER/messages", { user: "bram", channel: "general", text: "@doppel hi" });
    await eventually(async () => {
      const found = await control("GET", `teams/T1OTHER/messages?channel=general&thread_ts=${said.ts}`);
      return found.messages.at(-1).text === "installed";
    }, "an answer in the other workspace");
    const used = new URLSearchParams(back.search);
    const again = await fetch(`${base}/slack/oauth_redirect?${used}`, { headers: { cookie } });
    assert.notEqual(again.status, 200); // a code is good once
  } finally {
    await many.stop();
    await post("uninstall", { place: "T1OTHER", events: [] });
  }
});
