// Talking to the playground, and what the page knows.

// What every part of the page looks at. `room` and `speaker` are ids.
export const here = {
  notice: "", speaker: 1, room: null, people: [], rooms: [], faults: 0,
  features: { history: true, editing: true, boosts: true },
  backstage: { host: false, config: { path: "", refused: null, restart: [] }, bots: [], builds: [] },
  unread: new Set(),
};

export const by = (id) => document.getElementById(id);
export const room = () => here.rooms.find((room) => room.id === here.room);
export const person = (id) => here.people.find((person) => person.id === id);

export class Refused extends Error {
  constructor(status, words) {
    super(words || `the playground answered ${status}`);
    this.status = status;
  }
}

// Answers JSON, or null if there is no body. `body` is JSON unless it is a file.
export async function ask(method, path, body) {
  const isFile = body instanceof Blob;
  const headers = { "x-hearth-page": "1" };
  if (body !== undefined && !isFile) headers["content-type"] = "application/json";
  const target = path.startsWith("/host/") ? path : `${path}${path.includes("?") ? "&" : "?"}as=${here.speaker}`;
  const answer = await fetch(target, { method, headers, body: isFile || body === undefined ? body : JSON.stringify(body) });
  const text = await answer.text();
  if (!answer.ok) throw new Refused(answer.status, refusal(text));
  return text ? JSON.parse(text) : null;
}

// The host refuses in JSON, the playground in words.
function refusal(text) {
  try {
    const said = JSON.parse(text);
    return said.help ? `${said.error} (${said.help})` : said.error;
  } catch {
    return text.trim().slice(0, 300);
  }
}

export const read = (path) => ask("GET", path);
