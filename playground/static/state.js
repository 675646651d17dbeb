// What the page knows. Filled by main.js; read by everything.
export const state = {
  team: null,
  bot: null,
  users: new Map(),
  channels: new Map(),
  viewer: "U0BRAM",
  channel: null, // id of the open channel
  thread: null, // ts of the open thread's root
  limit: 80,
  unread: new Map(), // channel id → count
};

export const person = (id) => state.users.get(id);
export const displayName = (id) => person(id)?.profile.display_name || person(id)?.name || "someone";

export function isVisible(channel) {
  return channel.kind === "public" || channel.members.includes(state.viewer);
}

// The other side of a DM.
export const peer = (channel) => channel.members.find((member) => member !== state.viewer) ?? state.viewer;

export function title(channel) {
  return channel.kind === "im" ? displayName(peer(channel)) : channel.name;
}
