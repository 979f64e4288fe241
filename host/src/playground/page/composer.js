// Where one writes: sending, editing, naming people, files.

import { make } from "./elements.js";
import { avatar } from "./rooms.js";
import { ask, by, here, person, room } from "./server.js";

const LARGEST = 20 * 1048576;

const text = by("text"), completion = by("completion"), hint = by("hint");
let actions, editing = null, found = [], chosen = 0;

export function begin(those) {
  actions = those;
  by("composer").addEventListener("submit", (event) => { event.preventDefault(); send(); });
  text.addEventListener("keydown", key);
  text.addEventListener("input", () => { grow(); complete(); });
  text.addEventListener("click", complete);
  text.addEventListener("blur", close);
  text.addEventListener("paste", (event) => {
    const files = [...event.clipboardData.files];
    if (files.length > 0) { event.preventDefault(); upload(files); }
  });
  by("attach").addEventListener("click", () => by("file").click());
  by("file").addEventListener("change", () => { upload([...by("file").files]); by("file").value = ""; });
  by("stop-editing").addEventListener("click", () => { leave(); text.focus(); });
  const main = document.querySelector("main");
  for (const kind of ["dragenter", "dragover"]) {
    main.addEventListener(kind, (event) => {
      if (!event.dataTransfer.types.includes("Files")) return;
      event.preventDefault();
      main.classList.add("dropping");
    });
  }
  main.addEventListener("dragleave", (event) => { if (!main.contains(event.relatedTarget)) main.classList.remove("dropping"); });
  main.addEventListener("drop", (event) => {
    event.preventDefault();
    main.classList.remove("dropping");
    upload([...event.dataTransfer.files]);
  });
}

export function complain(error) {
  hint.className = "wrong";
  hint.textContent = `That did not work: ${error.message}`;
}

// Says what is worth knowing in this room.
export function advise() {
  const now = room();
  const bots = now && !now.direct ? now.members.map(person).filter((member) => member?.bot) : [];
  hint.className = "";
  hint.textContent = bots.length > 0
    ? `Here bots hear what mentions them: ${bots.map((bot) => `@${bot.name}`).join(", ")}`
    : "Enter sends, Shift+Enter starts a new line.";
}

// === Writing ===

async function send() {
  const typed = text.value, at = here.room, edited = editing;
  if (!typed.trim() || at === null) return;
  text.value = "";
  leave();
  try {
    if (edited) await ask("PATCH", `/api/rooms/${edited.room}/messages/${edited.id}`, { text: typed });
    else await ask("POST", `/api/rooms/${at}/messages`, { text: typed });
    advise();
  } catch (error) {
    if (edited) edit(edited);
    text.value = text.value && !edited ? text.value : typed;
    complain(error);
  }
  grow();
}

export function edit(message) {
  editing = message;
  text.value = message.typed;
  by("editing").hidden = false;
  grow();
  text.focus();
  text.setSelectionRange(text.value.length, text.value.length);
}

// Ends an edit without doing it.
export function leave() {
  if (editing) text.value = "";
  editing = null;
  by("editing").hidden = true;
  close();
  grow();
}

async function upload(files) {
  const at = here.room;
  for (const file of files) {
    try {
      if (file.size > LARGEST) throw new Error(`${file.name} is larger than 20 MB`);
      hint.className = "";
      hint.textContent = `Sending ${file.name}…`;
      await ask("POST", `/api/rooms/${at}/files?name=${encodeURIComponent(file.name || "file")}`, file);
      advise();
    } catch (error) {
      complain(error);
    }
  }
}

function key(event) {
  if (event.isComposing) return;
  if (!completion.hidden && ["ArrowDown", "ArrowUp", "Enter", "Tab", "Escape"].includes(event.key)) {
    event.preventDefault();
    if (event.key === "ArrowDown") mark(chosen + 1);
    else if (event.key === "ArrowUp") mark(chosen - 1);
    else if (event.key === "Escape") close();
    else take(found[chosen]);
  } else if (event.key === "Enter" && !event.shiftKey) {
    event.preventDefault();
    by("composer").requestSubmit();
  } else if (event.key === "Escape" && editing) {
    leave();
  } else if (event.key === "ArrowUp" && !event.altKey && text.value === "" && !editing) {
    const last = actions.lastOwn();
    if (last) { event.preventDefault(); edit(last); }
  }
}

// For browsers whose fields don't grow by themselves.
function grow() {
  if (CSS.supports("field-sizing", "content")) return;
  text.style.height = "auto";
  text.style.height = `${text.scrollHeight + 2}px`;
}

// === Naming people ===

// The name that is being typed before the cursor.
function typing() {
  const before = text.value.slice(0, text.selectionStart);
  const at = before.lastIndexOf("@");
  if (at < 0 || /[\p{L}\p{N}]$/u.test(before.slice(0, at))) return null;
  const name = before.slice(at + 1);
  return name.includes("\n") || name.length > 60 ? null : { at, name };
}

function complete() {
  const part = typing();
  const members = (room()?.members ?? []).filter((id) => id !== here.speaker).map(person).filter(Boolean);
  const wanted = part?.name.toLocaleLowerCase();
  found = part === null ? [] : members.filter(({ name }) => {
    const lower = name.toLocaleLowerCase();
    // A name that is there already, with something behind it, is done.
    return lower.startsWith(wanted) || lower.split(/[\s_-]+/).some((word) => wanted !== "" && word.startsWith(wanted));
  }).sort((one, other) => Number(other.bot) - Number(one.bot) || one.name.localeCompare(other.name)).slice(0, 8);
  if (found.length === 0) { close(); return; }
  completion.replaceChildren(...found.map((member, at) => make("li", {
    id: `complete-${at}`, role: "option", "aria-selected": "false",
    mousedown: (event) => { event.preventDefault(); take(member); },
  }, avatar(member), make("bdi", {}, member.name), member.bot ? make("span", { class: "badge" }, "bot") : null)));
  completion.hidden = false;
  mark(0);
}

function mark(at) {
  chosen = (at + found.length) % found.length;
  [...completion.children].forEach((option, index) => option.setAttribute("aria-selected", String(index === chosen)));
  text.setAttribute("aria-activedescendant", `complete-${chosen}`);
}

function take(member) {
  const { at } = typing(), cursor = text.selectionStart;
  text.setRangeText(`@${member.name} `, at, cursor, "end");
  close();
  grow();
}

function close() {
  completion.hidden = true;
  text.removeAttribute("aria-activedescendant");
}
