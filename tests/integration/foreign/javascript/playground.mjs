// What these tests share: where the playground is, its control API, and a patient wait.
import { setTimeout as pause } from "node:timers/promises";

export const URL_OF_PLAYGROUND = process.env.PLAYGROUND;
export const API = `${URL_OF_PLAYGROUND}/api/`;
export const BOT_TOKEN = "xoxb-playground-bot";
export const APP_TOKEN = "xapp-playground-app";
export const SIGNING_SECRET = process.env.SIGNING_SECRET;

export async function control(method, path, body) {
  const response = await fetch(`${URL_OF_PLAYGROUND}/playground/${path}`, {
    method,
    body: body && JSON.stringify(body),
  });
  return response.json();
}

export const post = (path, body = {}) => control("POST", path, body);

export async function eventually(condition, what, withinS = 30) {
  const end = Date.now() + withinS * 1000;
  for (;;) {
    const found = await condition();
    if (found) return found;
    if (Date.now() > end) throw new Error(`not within ${withinS} s: ${what}`);
    await pause(20);
  }
}

// The code of an error of Slack's.
export async function refusal(call) {
  try {
    await call;
  } catch (error) {
    return error.data?.error ?? error.code;
  }
  throw new Error("it was not refused");
}

// Deliveries go to this address and no other.
export const deliverTo = (...urls) => control("PUT", "gateways", { urls });
