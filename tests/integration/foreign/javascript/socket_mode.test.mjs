// @slack/socket-mode connects, acks and comes back; Bolt serves over it.
import assert from "node:assert/strict";
import { test } from "node:test";

import bolt from "@slack/bolt";
import { SocketModeClient } from "@slack/socket-mode";

import { API, APP_TOKEN, BOT_TOKEN, control, eventually, post } from "./playground.mjs";

const ATTEMPTS_S = 60;

async function withClient(act) {
  const client = new SocketModeClient({ appToken: APP_TOKEN, clientOptions: { slackApiUrl: API } });
  await client.start();
  try {
    await act(client);
  } finally {
    await client.disconnect();
    await eventually(async () => (await control("GET", "stats")).sockets === 0, "no socket is left");
  }
}

const mention = (text) => post("messages", { user: "bram", channel: "general", text: `@doppel ${text}` });
const deliveries = async (eventId) =>
  (await control("GET", "events?channel=C0GENERAL")).events.find((each) => each.event_id === eventId);

test("events and commands come over the socket, and are settled by their ack", async () => {
  await withClient(async (client) => {
    const seen = [];
    client.on("slack_event", async ({ ack, type, body }) => {
      seen.push([type, body.event?.type ?? body.command]);
      await ack(type === "slash_commands" ? { text: "over the socket" } : undefined);
    });
    const { event_ids } = await mention("hello");
    await eventually(async () => (await deliveries(event_ids[0])).settled === "accepted", "the ack");
    const ran = await post("commands", { user: "bram", channel: "general", text: "help" });
    assert.equal(ran.response.text, "over the socket");
    assert.deepEqual(seen, [["events_api", "app_mention"], ["slash_commands", "/doppel"]]);
  });
});

test("what is not acked comes again, and says so", async () => {
  await withClient(async (client) => {
    const attempts = [];
    client.on("app_mention", async ({ ack, retry_num }) => {
      attempts.push(retry_num);
      if (attempts.length > 1) await ack();
    });
    const { event_ids } = await mention("again?");
    await eventually(async () => (await deliveries(event_ids[0])).settled === "accepted", "the second ack", ATTEMPTS_S);
    assert.deepEqual(attempts, [0, 1]);
  });
});

for (const reason of ["refresh_requested", "warning"])
  test(`after ${reason} it comes back by itself`, async () => {
    await withClient(async (client) => {
      const seen = [];
      client.on("app_mention", async ({ ack, event }) => {
        await ack();
        seen.push(event.ts);
      });
      const connected = new Promise((resolve) => client.once("connected", resolve));
      await post("sockets/disconnect", { reason, close: reason !== "warning" });
      await connected;
      await eventually(async () => (await control("GET", "stats")).sockets === 1, "one socket");
      const { ts } = await mention("back?");
      await eventually(() => seen.includes(ts), "the mention");
    });
  });

test("Bolt serves over a socket: a mention is answered in its thread", async () => {
  const app = new bolt.App({
    token: BOT_TOKEN, appToken: APP_TOKEN, socketMode: true, clientOptions: { slackApiUrl: API },
    logLevel: bolt.LogLevel.ERROR,
  });
  app.event("app_mention", async ({ event, say }) => {
    await say({ text: "from Bolt", thread_ts: event.ts });
  });
  await app.start();
  try {
    const { ts } = await mention("bolt?");
    await eventually(async () => {
      const { messages } = await control("GET", `messages?channel=general&thread_ts=${ts}`);
      return messages.at(-1).text === "from Bolt";
    }, "an answer");
  } finally {
    await app.stop();
  }
});
