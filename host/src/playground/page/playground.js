// The playground: what is where, what happens, and the keys that work everywhere.

import * as composer from "./composer.js";
import * as messages from "./messages.js";
import * as rooms from "./rooms.js";
import * as turn from "./turn.js";
import * as workshop from "./workshop.js";
import { by, here, person, read, room } from "./server.js";

const { complain } = composer;
let events = null;

// === Where one is: in the address, so that it outlives a reload ===

function remember() {
  history.replaceState(null, "", `#${new URLSearchParams({ room: here.room ?? "", as: here.speaker })}`);
}

function recall() {
  const address = new URLSearchParams(location.hash.slice(1));
  here.speaker = Number(address.get("as")) || 1;
  here.room = Number(address.get("room")) || null;
}

async function open(id) {
  if (id === undefined) return;
  if (!here.rooms.some((room) => room.id === id)) await readState();
  here.room = id;
  here.unread.delete(id);
  composer.leave();
  turn.close();
  remember();
  show();
  rooms.drawer(false);
  await readMessages();
  by("text").focus();
}

async function speak(id) {
  const direct = room()?.direct ? room().members.filter((member) => member !== here.speaker) : null;
  here.speaker = id;
  here.unread.clear();
  composer.leave();
  await readState();
  // From a direct room one goes to one's own with the same others.
  const own = direct && here.rooms.find((room) => room.direct && room.members.length === direct.length + 1 && direct.every((member) => room.members.includes(member)));
  if (own) here.room = own.id;
  remember();
  follow();
  show();
  await readMessages();
}

// === Reading ===

// What was asked as somebody else is of no use to who speaks now.
function take(state) {
  if (state.speaker !== here.speaker) return;
  Object.assign(here, state);
  if (!room()) {
    here.room = (here.rooms.find((room) => room.direct) ?? here.rooms[0])?.id ?? null;
    remember();
  }
}

// One after the other: the last answer is the newest.
let reading = Promise.resolve();
function readState() {
  reading = reading.catch(() => {}).then(async () => {
    try {
      take(await read("/api/state"));
    } catch (error) {
      // Whoever spoke is gone: the playground was started anew.
      if (error.status !== 404 || here.speaker === 1) throw error;
      here.speaker = 1;
      take(await read("/api/state"));
    }
  });
  return reading;
}

async function readMessages() {
  const { room: at, speaker } = here;
  if (at === null) return;
  const found = await read(`/api/rooms/${at}/messages`);
  if (at === here.room && speaker === here.speaker) messages.replace(at, found);
}

function show() {
  rooms.show();
  workshop.show();
  composer.advise();
}

async function readAll() {
  const before = here.speaker;
  await readState();
  if (here.speaker !== before) follow();
  show();
  await readMessages();
}

// === What happens ===

function follow() {
  events?.close();
  events = new EventSource(`/events?as=${here.speaker}`);
  const source = events;
  const hear = (name, then) => source.addEventListener(name, (event) => {
    if (source === events) then(event.data ? JSON.parse(event.data) : null);
  });
  source.addEventListener("open", () => { by("status").textContent = ""; readAll().catch(complain); });
  source.addEventListener("error", () => {
    by("status").textContent = "reconnecting…";
    // A refusal ends it; the speaker may be gone, or the playground not there yet.
    if (source === events && source.readyState === EventSource.CLOSED) setTimeout(() => { if (source === events) readState().then(follow, follow); }, 1000);
  });
  hear("state", () => readState().then(show).catch(complain));
  hear("reread", () => readAll().catch(complain));
  hear("backstage", (backstage) => {
    const had = here.backstage.host;
    here.backstage = backstage;
    show();
    if (had !== backstage.host) readMessages().catch(complain);
  });
  hear("message", (message) => {
    if (message.room === here.room) {
      messages.add(message);
    } else if (message.author !== here.speaker) {
      here.unread.add(message.room);
      rooms.show();
    }
  });
  hear("changed", (message) => { if (message.room === here.room) messages.change(message); });
  hear("deleted", ({ id }) => messages.remove(id));
  hear("trouble", (trouble) => { if (trouble.room === here.room) messages.trouble(trouble.room, trouble.text); });
}

// === Keys ===

document.addEventListener("keydown", (event) => {
  if (!event.altKey || event.ctrlKey || event.metaKey || document.querySelector("dialog[open]")) return;
  const people = here.people.filter((person) => !person.bot);
  const done = {
    ArrowUp: () => open(rooms.neighbour(-1)),
    ArrowDown: () => open(rooms.neighbour(1)),
    KeyP: () => speak(people[(people.findIndex((person) => person.id === here.speaker) + 1) % people.length].id),
    KeyT: async () => { const last = messages.lastOfBot(); if (last && here.backstage.host) await turn.show(last); },
  }[event.code];
  if (!done) return;
  event.preventDefault();
  done().catch(complain);
});

// The address says which room it is, and nothing else.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  by("text").focus();
});

const guarded = (action) => (...arguments_) => action(...arguments_)?.catch?.(complain);
rooms.begin({ open: guarded(open), speak: guarded(speak), complain });
messages.begin({ complain, edit: composer.edit, inspect: guarded(turn.show) });
composer.begin({ lastOwn: messages.lastOwn });
turn.begin({ nameOf: (id) => person(id)?.name });
workshop.begin();
recall();
follow();
