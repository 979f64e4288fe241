// The messages of the open room: drawn, edited in place, boosted.

import { make } from "./elements.js";
import { icon } from "./icons.js";
import { avatar } from "./rooms.js";
import { ask, by, here } from "./server.js";

const MOST = 200;
// Messages of one author that follow each other within this are a group.
const GROUP = 5 * 60000;
const BOOSTS = ["👍", "❤️", "🎉", "😂", "👀", "✅"];
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const calendar = new Intl.DateTimeFormat(undefined, { weekday: "long", month: "long", day: "numeric" });

// The one place that makes markup of what the server has sanitised; the browser knows it by this name.
const sanitised = window.trustedTypes?.createPolicy("sanitised", { createHTML: (html) => html }) ?? { createHTML: (html) => html };

const list = by("messages");
let complain, edit, inspect, boosting = null, ended = true;

export function begin(actions) {
  ({ complain, edit, inspect } = actions);
  // Whoever reads the end goes on reading it, whatever takes room above.
  list.addEventListener("scroll", () => { ended = atEnd(); });
  new ResizeObserver(() => { if (ended) toEnd(); }).observe(list);
  const palette = by("palette");
  palette.append(...BOOSTS.map((boost) => make("button", { type: "button", "aria-label": `Boost with ${boost}`, click: () => give(boost) }, boost)),
    make("form", { submit: (event) => { event.preventDefault(); give(palette.querySelector("input").value); } },
      make("input", { type: "text", maxlength: 16, "aria-label": "A boost of your own", placeholder: "or say it", autocomplete: "off" })));
  palette.addEventListener("toggle", (event) => {
    if (event.newState === "open") palette.querySelector("button").focus();
    else boosting = null;
  });
  by("remover").querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    by("remover").close();
    ask("DELETE", `/api/rooms/${here.room}/messages/${by("remover").dataset.message}`).catch(complain);
  });
}

const atEnd = () => list.scrollHeight - list.scrollTop - list.clientHeight < 90;
export const toEnd = () => { list.scrollTop = list.scrollHeight; };
const shown = (id) => list.querySelector(`[data-id="${Number(id)}"]`);
const all = () => [...list.querySelectorAll("[data-id]")];

// Puts these in place of what is shown; what came while they were read is newer than they are, and stays.
export function replace(room, messages) {
  const last = messages.at(-1)?.id ?? 0;
  const isHere = (item) => Number(item.dataset.room) === room;
  const newer = all().filter((item) => isHere(item) && Number(item.dataset.id) > last);
  const troubles = [...list.querySelectorAll(".trouble")].filter(isHere);
  list.replaceChildren(...messages.map(drawn), ...newer, ...troubles);
  tidy();
  toEnd();
}

export function add(message) {
  const follow = atEnd() || message.author === here.speaker;
  const old = shown(message.id);
  if (old) old.replaceWith(drawn(message));
  else list.append(drawn(message));
  tidy();
  if (follow) toEnd();
}

export function change(message) {
  const old = shown(message.id);
  if (!old) return;
  const follow = atEnd();
  const item = drawn(message);
  const held = old.contains(document.activeElement) ? document.activeElement.dataset.act : null;
  item.classList.add("changed");
  old.replaceWith(item);
  if (held) item.querySelector(`[data-act="${held}"]`)?.focus();
  tidy();
  if (follow) toEnd();
}

export function remove(id) {
  shown(id)?.remove();
  tidy();
}

export function trouble(room, text) {
  const follow = atEnd();
  list.append(make("p", { class: "trouble", "data-room": room }, text));
  if (follow) toEnd();
}

// The speaker's newest message that can be edited; none if there is none.
export const lastOwn = () => all().reverse().find((item) => item.message.typed !== null)?.message;
export const lastOfBot = () => all().reverse().find((item) => item.message.bot)?.message;

// Marks where a group begins, where a day begins, and says so if there is nothing.
function tidy() {
  while (all().length > MOST) all()[0].remove();
  for (const old of list.querySelectorAll(".day, .empty")) old.remove();
  let before = null;
  for (const item of all()) {
    const { message } = item;
    const isNewDay = before === null || new Date(before.created_at).toDateString() !== new Date(message.created_at).toDateString();
    if (isNewDay) item.before(make("p", { class: "day" }, make("span", {}, calendar.format(new Date(message.created_at)))));
    item.classList.toggle("goes-on", !isNewDay && before.author === message.author && message.created_at - before.created_at < GROUP);
    before = message;
  }
  if (before === null) list.prepend(make("p", { class: "empty" }, "Nothing here yet. Say hello!"));
}

function drawn(message) {
  const isOwn = message.author === here.speaker;
  const time = new Date(message.created_at);
  const item = make("article", { class: `message${isOwn ? " own" : ""}`, "data-id": message.id, "data-room": message.room, "aria-label": `${message.name}, ${clock.format(time)}` },
    avatar({ id: message.author, name: message.name, bot: message.bot }),
    make("div", { class: "what" },
      make("div", { class: "by" }, make("b", {}, make("bdi", {}, message.name)), message.bot ? make("span", { class: "badge" }, "bot") : null,
        make("time", { datetime: time.toISOString() }, clock.format(time))),
      make("div", { class: "line" }, content(message), acts(message, isOwn)),
      boosts(message)));
  item.message = message;
  return item;
}

function content(message) {
  const body = make("div", { class: "body", dir: "auto" });
  if (message.attachment) {
    body.classList.add("of-file");
    body.append(...file(message.attachment));
  } else if (message.sound) {
    body.classList.add("of-sound");
    body.append(icon("sound"), make("span", {}, "plays ", make("b", {}, message.sound)));
  } else {
    body.innerHTML = sanitised.createHTML(message.html);
    for (const link of body.querySelectorAll("a[href]")) link.referrerPolicy = "no-referrer";
    for (const wide of body.querySelectorAll("pre")) wide.tabIndex = 0;
  }
  return body;
}

function file({ name, size, url, shown_as }) {
  const save = make("a", { href: url, download: name, class: "file" }, icon("file"), make("bdi", {}, name), make("small", {}, bytes(size)));
  if (shown_as === "image") return [make("a", { href: url, download: name }, make("img", { src: url, alt: name, load: () => { if (atEnd()) toEnd(); } })), save];
  if (shown_as === "audio" || shown_as === "video") return [make(shown_as, { src: url, controls: true, preload: "metadata", "aria-label": name }), save];
  return [save];
}

function bytes(size) {
  if (size < 1024) return `${size} B`;
  return size < 1048576 ? `${Math.round(size / 1024)} KB` : `${(size / 1048576).toFixed(1)} MB`;
}

function boosts(message) {
  if (message.boosts.length === 0) return null;
  return make("div", { class: "boosts" }, message.boosts.map((boost) => boost.author === here.speaker
    ? make("button", { type: "button", class: "boost", title: "You. Take it back", "aria-label": `Take back your boost ${boost.content}`,
      click: () => ask("DELETE", `/api/rooms/${message.room}/boosts/${boost.id}`).catch(complain) }, boost.content)
    : make("span", { class: "boost", title: boost.name }, boost.content, make("span", { class: "unseen" }, ` from ${boost.name}`))));
}

function acts(message, isOwn) {
  const act = (name, label, glyph, done) => make("button", { type: "button", class: "icon", title: label, "aria-label": label, "data-act": name, click: done }, icon(glyph));
  return make("div", { class: "acts", role: "group", "aria-label": "What to do with this message" },
    message.bot && here.backstage.host ? act("turn", "Its turn", "turn", () => inspect(message)) : null,
    act("boost", "Boost", "smile", (event) => choose(message, event.currentTarget)),
    message.typed === null ? null : act("edit", "Edit", "pencil", () => edit(message)),
    isOwn ? act("delete", "Delete", "bin", () => askToRemove(message)) : null);
}

function choose(message, button) {
  const palette = by("palette");
  palette.querySelector("input").value = "";
  palette.showPopover();
  boosting = message;
  const at = button.getBoundingClientRect(), size = palette.getBoundingClientRect();
  const left = Math.min(Math.max(8, at.left + at.width / 2 - size.width / 2), innerWidth - size.width - 8);
  const above = at.top - size.height - 6;
  palette.style.left = `${left}px`;
  palette.style.top = `${above > 8 ? above : at.bottom + 6}px`;
}

function give(boost) {
  const message = boosting;
  by("palette").hidePopover();
  if (message && boost.trim()) ask("POST", `/api/rooms/${message.room}/messages/${message.id}/boosts`, { content: boost }).catch(complain);
  by("text").focus();
}

function askToRemove(message) {
  by("remover").dataset.message = message.id;
  by("remover").showModal();
}
