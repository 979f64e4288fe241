// The rooms, the people one can speak as, and the dialogs that make more of both.

import { make } from "./elements.js";
import { icon } from "./icons.js";
import { ask, by, here, person, room } from "./server.js";

let open, speak, complain;

export function begin(actions) {
  ({ open, speak, complain } = actions);
  for (const [id, name] of [["close-rooms", "close"], ["new-room", "plus"], ["new-person", "person"], ["menu", "menu"], ["attach", "clip"], ["send", "send"]]) by(id).append(icon(name));
  by("open-server").append(icon("server"), "Server");
  by("open-help").append(icon("keys"), "Keys");
  by("menu").addEventListener("click", () => drawer(true));
  by("close-rooms").addEventListener("click", () => drawer(false));
  by("shade").addEventListener("click", () => drawer(false));
  by("rooms").addEventListener("keydown", (event) => { if (event.key === "Escape") drawer(false); });
  by("speaker").addEventListener("change", () => speak(Number(by("speaker").value)));
  for (const dialog of document.querySelectorAll("dialog")) {
    for (const close of dialog.querySelectorAll(".close")) close.addEventListener("click", () => dialog.close());
  }
  by("open-help").addEventListener("click", () => by("help").showModal());
  by("open-server").addEventListener("click", () => by("server").showModal());
  beginServer();
  maker("person", "new-person", () => {}, async (form) => {
    const { id } = await ask("POST", "/api/people", { name: form.get("name") });
    await speak(id);
  });
  maker("room-maker", "new-room", listMembers, async (form) => {
    const name = form.get("name").trim();
    const members = form.getAll("member").map(Number);
    if (!name && members.length === 0) throw new Error("Give it a name, or choose somebody.");
    const { id } = await ask("POST", "/api/rooms", { name: name || null, members });
    await open(id);
  });
}

// On a phone, the rooms lie over the page.
export function drawer(isOpen) {
  if (document.body.classList.contains("drawer") === isOpen) return;
  document.body.classList.toggle("drawer", isOpen);
  by("menu").setAttribute("aria-expanded", String(isOpen));
  (isOpen ? by("close-rooms") : by("menu")).focus();
}

function beginServer() {
  for (const box of by("server").querySelectorAll("input[type=checkbox]")) {
    box.addEventListener("change", () => ask("PUT", "/api/features", { ...here.features, [box.name]: box.checked }).catch(complain));
  }
  by("inject").addEventListener("click", () => {
    const times = Math.max(1, Math.min(100, Number(by("times").value) || 1));
    ask("POST", "/api/faults", { fault: by("fault").value, times }).catch(complain);
  });
  by("take-back").addEventListener("click", () => ask("DELETE", "/api/faults").catch(complain));
}

// A dialog with a form that makes something; what is wrong is said in it.
function maker(id, button, prepare, done) {
  const dialog = by(id), form = dialog.querySelector("form"), wrong = dialog.querySelector(".wrong");
  by(button).addEventListener("click", () => {
    form.reset();
    wrong.textContent = "";
    prepare();
    dialog.showModal();
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await done(new FormData(form));
      dialog.close();
    } catch (error) {
      wrong.textContent = error.message;
    }
  });
}

function listMembers() {
  const others = here.people.filter((person) => person.id !== here.speaker);
  by("members").replaceChildren(...others.map((person) =>
    make("label", { class: "check" }, make("input", { type: "checkbox", name: "member", value: person.id }), avatar(person), make("bdi", {}, person.name))));
}

export function avatar(person) {
  const letters = person.name.trim().split(/[\s_-]+/).map((word) => [...word][0] ?? "").join("").slice(0, 2) || "?";
  return make("span", { class: `avatar hue-${person.id % 8}${person.bot ? " of-bot" : ""}`, "aria-hidden": "true" }, letters.toUpperCase());
}

// The speaker's rooms in the order of the list, and the bots whose direct room is yet to be made.
function places() {
  const shared = here.rooms.filter((room) => !room.direct);
  const direct = here.rooms.filter((room) => room.direct);
  const reached = new Set(direct.filter((room) => room.members.length === 2).flatMap((room) => room.members));
  const bots = here.people.filter((person) => person.bot && !reached.has(person.id));
  return { shared, direct, bots };
}

export function show() {
  const { shared, direct, bots } = places();
  const focused = document.activeElement?.dataset?.place;
  by("shared").replaceChildren(...shared.map((room) => entry(room, make("span", { class: "hash", "aria-hidden": "true" }, "#"))));
  by("direct").replaceChildren(...direct.map((room) => entry(room, face(room))), ...bots.map(newcomer));
  if (focused) document.querySelector(`[data-place="${focused}"]`)?.focus();
  const people = here.people.filter((person) => !person.bot);
  by("speaker").replaceChildren(...people.map((person) => make("option", { value: person.id, selected: person.id === here.speaker }, person.name)));
  by("speaker").value = String(here.speaker);
  by("notice").textContent = here.notice;
  for (const box of by("server").querySelectorAll("input[type=checkbox]")) box.checked = here.features[box.name];
  by("faults").textContent = here.faults === 0 ? "" : `${here.faults} ${here.faults === 1 ? "post" : "posts"} to come`;
  const isOdd = here.faults > 0 || Object.values(here.features).includes(false);
  by("open-server").classList.toggle("odd", isOdd);
  by("open-server").setAttribute("aria-label", isOdd ? "Server, which is not as usual" : "Server");
  const now = room();
  by("room").textContent = now ? now.name : "";
  by("about").replaceChildren(...(now ? about(now) : []));
  document.title = `${here.unread.size ? "• " : ""}${now ? `${now.name} – ` : ""}Hearth playground`;
}

function face(room) {
  const others = room.members.filter((member) => member !== here.speaker).map(person).filter(Boolean);
  return others.length === 1 ? avatar(others[0]) : make("span", { class: "avatar several", "aria-hidden": "true" }, String(others.length));
}

function entry(room, mark) {
  const isUnread = here.unread.has(room.id);
  return make("li", {}, make("button", {
    type: "button", class: isUnread ? "unread" : null, "data-place": room.id, "aria-current": room.id === here.room ? "true" : null,
    click: () => open(room.id),
  }, mark, make("bdi", {}, room.name), isUnread ? make("span", { class: "unseen" }, " (unread)") : null));
}

function newcomer(bot) {
  return make("li", {}, make("button", { type: "button", click: () => openDirect(bot.id).catch(complain) }, avatar(bot), make("bdi", {}, bot.name)));
}

async function openDirect(bot) {
  const { id } = await ask("POST", "/api/rooms", { name: null, members: [bot] });
  await open(id);
}

// What a room is: who is in it, and of a bot's direct room what runs of it.
function about(room) {
  const bots = room.members.map(person).filter((person) => person?.bot);
  if (room.direct && bots.length === 1) {
    const running = here.backstage.bots.find((bot) => bot.bot === bots[0].name)?.running;
    if (running) return [make("span", { class: "live", "aria-hidden": "true" }), ` ${running.plugin} ${running.version}, generation ${running.generation}`];
  }
  const names = room.members.map(person).filter(Boolean).map((person) => person.name);
  return [names.length > 6 ? `${names.slice(0, 5).join(", ")} and ${names.length - 5} more` : names.join(", ")];
}

// The room so many places further down the list.
export function neighbour(step) {
  const { shared, direct } = places();
  const all = [...shared, ...direct];
  const at = all.findIndex((room) => room.id === here.room);
  return all[(at + step + all.length) % all.length]?.id;
}
