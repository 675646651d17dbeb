// @slack/web-api reads and writes the playground as it would Slack.
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import slack from "@slack/web-api";

import { API, BOT_TOKEN, control, post, refusal } from "./playground.mjs";

const { WebClient, retryPolicies } = slack;
const once = { retries: 0 };
const client = new WebClient(BOT_TOKEN, { slackApiUrl: API, retryConfig: once });
const PNG = Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), Buffer.alloc(200)]);

afterEach(() => control("DELETE", "faults"));

test("it knows itself", async () => {
  const who = await client.auth.test();
  assert.deepEqual([who.user_id, who.bot_id, who.team_id], ["U0DOPPEL", "B0DOPPEL", "T0DOPPEL"]);
  assert.ok(who.response_metadata.scopes.includes("chat:write"));
  assert.equal((await client.api.test({ foo: "bar" })).args.foo, "bar");
});

test("a message is written, changed and deleted", async () => {
  const text = "one `code` & <@U0ADA> 😀";
  const posted = await client.chat.postMessage({ channel: "C0GENERAL", text });
  assert.equal(posted.message.text, text);
  const changed = await client.chat.update({ channel: posted.channel, ts: posted.ts, text: "two" });
  assert.equal(changed.text, "two");
  await client.chat.delete({ channel: posted.channel, ts: posted.ts });
  assert.equal(
    await refusal(client.chat.update({ channel: posted.channel, ts: posted.ts, text: "x" })),
    "message_not_found",
  );
});

test("channels and people come page by page", async () => {
  const names = [];
  for await (const page of client.paginate("conversations.list", { limit: 2, exclude_archived: true }))
    names.push(...page.channels.map((channel) => channel.name));
  assert.deepEqual(names.toSorted(), ["design", "eng", "general", "random", "support"]);
  const people = [];
  for await (const page of client.paginate("users.list", { limit: 5 })) people.push(...page.members);
  assert.equal(new Set(people.map((user) => user.id)).size, people.length);
});

test("a history comes page by page, each message once, newest first", async () => {
  const whole = await client.conversations.history({ channel: "C0ENG", limit: 999 });
  const stamps = [];
  for await (const page of client.paginate("conversations.history", { channel: "C0ENG", limit: 20 }))
    stamps.push(...page.messages.map((message) => message.ts));
  assert.deepEqual(stamps, whole.messages.map((message) => message.ts));
});

test("a thread comes page by page, its root first", async () => {
  const root = await client.chat.postMessage({ channel: "C0GENERAL", text: "root" });
  for (const number of [1, 2, 3, 4, 5])
    await client.chat.postMessage({ channel: "C0GENERAL", thread_ts: root.ts, text: `reply ${number}` });
  const seen = new Map();
  for await (const page of client.paginate("conversations.replies", { channel: "C0GENERAL", ts: root.ts, limit: 3 }))
    for (const message of page.messages) seen.set(message.ts, message.text);
  assert.deepEqual([...seen.values()], ["root", ...[1, 2, 3, 4, 5].map((number) => `reply ${number}`)]);
});

test("reactions are added, read and taken back", async () => {
  const { ts } = await client.chat.postMessage({ channel: "C0GENERAL", text: "clap" });
  const on = { channel: "C0GENERAL", timestamp: ts };
  await client.reactions.add({ ...on, name: "clap" });
  assert.equal(await refusal(client.reactions.add({ ...on, name: "clap" })), "already_reacted");
  const { message } = await client.reactions.get(on);
  assert.deepEqual(message.reactions, [{ name: "clap", users: ["U0DOPPEL"], count: 1 }]);
  await client.reactions.remove({ ...on, name: "clap" });
  assert.equal((await client.reactions.get(on)).message.reactions, undefined);
  assert.equal(await refusal(client.reactions.remove({ ...on, name: "clap" })), "no_reaction");
});

test("a file is uploaded into a thread", async () => {
  const { ts } = await client.chat.postMessage({ channel: "C0GENERAL", text: "see below" });
  const shared = await client.filesUploadV2({
    channel_id: "C0GENERAL", thread_ts: ts, initial_comment: "dots", file: PNG, filename: "dots.png", title: "Dots",
  });
  const [{ id }] = shared.files[0].files;
  const { file } = await client.files.info({ file: id });
  assert.deepEqual([file.title, file.mimetype, file.size], ["Dots", "image/png", PNG.length]);
  const [, reply] = (await client.conversations.replies({ channel: "C0GENERAL", ts })).messages;
  assert.deepEqual([reply.text, reply.files[0].id], ["dots", id]);
  assert.equal(file.shares.public.C0GENERAL[0].ts, reply.ts);
});

test("views are opened once, changed, and published", async () => {
  const view = { type: "modal", title: { type: "plain_text", text: "x" }, blocks: [] };
  const { trigger_id } = await post("commands", { user: "bram", channel: "general", text: "help" });
  const opened = await client.views.open({ trigger_id, view });
  assert.equal(opened.view.team_id, "T0DOPPEL");
  assert.equal(await refusal(client.views.open({ trigger_id, view })), "exchanged_trigger_id");
  const changed = await client.views.update({ view_id: opened.view.id, view: { ...view, private_metadata: "2" } });
  assert.deepEqual([changed.view.id, changed.view.private_metadata], [opened.view.id, "2"]);
  assert.equal(
    await refusal(client.views.update({ view_id: opened.view.id, hash: opened.view.hash, view })),
    "hash_conflict",
  );
  const home = await client.views.publish({ user_id: "U0ADA", view: { type: "home", blocks: [] } });
  assert.equal(home.view.type, "home");
});

test("refusals have Slack's codes", async () => {
  const nowhere = { channel: "C0NOWHERE", text: "x" };
  assert.equal(await refusal(client.chat.postMessage(nowhere)), "channel_not_found");
  assert.equal(await refusal(client.chat.postMessage({ ...nowhere, channel: "C0DESIGN" })), "not_in_channel");
  assert.equal(await refusal(client.conversations.history({ channel: "C0GENERAL", cursor: "***" })), "invalid_cursor");
  assert.equal(await refusal(client.apiCall("made.up")), "unknown_method");
  const stranger = new WebClient("xoxb-wrong", { slackApiUrl: API });
  assert.equal(await refusal(stranger.auth.test()), "invalid_auth");
  assert.equal(await refusal(new WebClient(undefined, { slackApiUrl: API }).auth.test()), "not_authed");
});

test("where it is too fast it waits as long as it is told, or says so", async () => {
  await post("faults", { on: "chat.postMessage", kind: "ratelimited", retry_after: 1 });
  const patient = new WebClient(BOT_TOKEN, { slackApiUrl: API, retryConfig: retryPolicies.rapidRetryPolicy });
  const started = Date.now();
  assert.ok((await patient.chat.postMessage({ channel: "C0GENERAL", text: "late" })).ok);
  assert.ok(Date.now() - started >= 900);
  await post("faults", { on: "chat.postMessage", kind: "ratelimited", retry_after: 7 });
  const impatient = new WebClient(BOT_TOKEN, { slackApiUrl: API, rejectRateLimitedCalls: true });
  await assert.rejects(impatient.chat.postMessage({ channel: "C0GENERAL", text: "x" }), { retryAfter: 7 });
});

test("what fails for a moment is repeated", async () => {
  await post("faults", { on: "auth.test", kind: "status", status: 503 });
  await post("faults", { on: "auth.test", kind: "reset_before" });
  const patient = new WebClient(BOT_TOKEN, { slackApiUrl: API, retryConfig: retryPolicies.rapidRetryPolicy });
  assert.ok((await patient.auth.test()).ok);
});
