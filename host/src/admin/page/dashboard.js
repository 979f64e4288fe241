// The dashboard: it reads the host's JSON again and again, and acts through the same API as the commands.

import { ago, code, count, day, dollars, duration, make, moment, now, pill, setClock, table } from "./elements.js";
import { bars, lines } from "./charts.js";

const REFRESH = 4000, HOUR = 3600000, DAY = 24 * HOUR, PAGE = 50;
const WELL = ["answered", "replied", "ignored", "resumed"];

const by = (id) => document.getElementById(id);
let session = null;

// === Talking to the host ===

class Refused extends Error {
  constructor(status, said) {
    super(said?.help ? `${said.error} (${said.help})` : said?.error ?? `the host answered ${status}`);
    this.status = status;
  }
}

async function ask(method, path, body) {
  const headers = { "x-hearth-action": session?.["action-token"] ?? "" };
  if (body !== undefined) headers["content-type"] = "application/json";
  const answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  const text = await answer.text();
  let said = null;
  try { said = text ? JSON.parse(text) : null; } catch { said = { error: text.slice(0, 200) }; }
  if (!answer.ok) throw new Refused(answer.status, said);
  return said;
}

const read = (path, query = {}) => {
  const asked = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== "" && value !== null && value !== undefined));
  return ask("GET", `/api/${path}${asked.size ? `?${asked}` : ""}`);
};
// What sums up a long time costs the host something and changes slowly: it is asked for once a minute.
const kept = new Map();
async function readSlowly(path, query) {
  const held = kept.get(path);
  if (held && Date.now() - held.at < 60000) return held.answer;
  const answer = await read(path, query);
  kept.set(path, { at: Date.now(), answer });
  return answer;
}
const scoped = (path, bot, room) => `/api/${path}/${encodeURIComponent(bot)}${room === null || room === undefined ? "" : `?room=${encodeURIComponent(room)}`}`;

// === Acting ===

function sure(words, yes) {
  return new Promise((decided) => {
    by("question-words").textContent = words;
    by("question-yes").textContent = yes;
    const dialog = by("question");
    const end = (answer) => () => { dialog.close(); decided(answer); };
    by("question-yes").onclick = end(true);
    by("question-no").onclick = end(false);
    dialog.oncancel = () => decided(false);
    dialog.showModal();
  });
}

let saying = 0;
function say(words) {
  by("done").textContent = words;
  clearTimeout(saying);
  saying = setTimeout(() => { by("done").textContent = ""; }, 5000);
}

// A button that acts. Its key finds it again when the page has been drawn anew.
function act(key, label, what, { quiet = true, question = null, name = null } = {}) {
  return make("button", {
    type: "button", class: quiet ? "quiet" : "", id: `act-${key}`, "aria-label": name,
    click: async (event) => {
      // Not disabled meanwhile: that would take the focus away.
      const button = event.currentTarget;
      if (button.ariaBusy === "true" || (question && !(await sure(question, label)))) return;
      button.ariaBusy = "true";
      try {
        say(await what());
        await show();
      } catch (error) {
        complain(error);
      } finally {
        button.ariaBusy = null;
      }
    },
  }, label);
}

const room = (number) => (number === null || number === undefined ? "all rooms" : `room ${number}`);

function pauseButton(bot, number, paused) {
  const where = number === null ? bot : `${bot} in ${room(number)}`;
  return paused
    ? act(`pause-${bot}-${number}`, "Resume", async () => { await ask("DELETE", scoped("pauses", bot, number)); return `${where} goes on.`; }, { name: `Resume ${where}` })
    : act(`pause-${bot}-${number}`, "Pause", async () => { await ask("PUT", scoped("pauses", bot, number)); return `${where} is paused: it takes messages and answers none.`; }, { name: `Pause ${where}` });
}

function stopButton(lane) {
  const where = `${lane.bot} in ${room(lane.room)}`;
  return act(`stop-${lane.bot}-${lane.room}`, "Stop", async () => {
    const { stopped } = await ask("DELETE", `/api/running/${encodeURIComponent(lane.bot)}/${encodeURIComponent(lane.room)}`);
    return stopped ? `${where} is stopped.` : `${where} was done already.`;
  }, { name: `Stop ${where}` });
}

const reloadButton = () => act("reload", "Reload", async () => {
  const { config, bots } = await ask("POST", "/api/reload");
  const kept = Object.entries(bots).filter(([, outcome]) => outcome.refused !== undefined).map(([bot]) => bot);
  if (config !== null) throw new Error(`bots.toml has a mistake, and what ran runs on: ${config}`);
  return kept.length === 0 ? "bots.toml and the plugins were read again." : `What ran before runs on for: ${kept.join(", ")}.`;
}, { name: "Reload bots.toml and the plugins" });

const liftButton = (bot) => act(`lift-${bot}`, "Let it run again", async () => {
  await ask("DELETE", `/api/quarantine/${encodeURIComponent(bot)}`);
  return `What ${bot} failed with may run again.`;
}, { name: `Let it run again: the code that ${bot} failed with` });

// === Pages ===

const outcomePill = (outcome) => pill(WELL.includes(outcome) ? "well" : ["turn-limit", "budget"].includes(outcome) ? "warn" : "bad", outcome);
const turnLink = (turn) => make("a", { href: `#/turns/${encodeURIComponent(turn)}`, class: "code" }, turn);
const title = (words) => make("h2", {}, words);
const hostLabel = (host) => `${host.name} (${host.id.split("-")[0]})`;

async function nowPage() {
  const [overview, cluster, hours] = await Promise.all([read("overview"), read("hosts"), readSlowly("hours", { since: Math.floor(now() / HOUR) * HOUR - 23 * HOUR })]);
  setClock(overview.now);
  tell(overview);
  return [
    make("section", { "aria-label": "The last 24 hours", class: "charts" }, volume(hours), latency(hours)),
    title("Bots"),
    overview.bots.length === 0 ? make("p", { class: "empty" }, "There is no bot.")
      : make("ul", { class: "cards" }, overview.bots.map((bot) => botCard(bot, overview.pauses))),
    make("p", {}, reloadButton()),
    hostsPart(cluster),
    title("At work"),
    table("Lanes with work", [
      ["Bot", (lane) => lane.bot],
      ["Room", (lane) => lane.room],
      ["State", (lane) => laneState(lane, overview.pauses, elsewhere(cluster, lane))],
      ["Unanswered", (lane) => count(lane.unfinished), "number"],
      ["Oldest", (lane) => ago(lane.oldest)],
      ["", (lane) => make("div", { class: "buttons" }, lane["running-since"] === null && elsewhere(cluster, lane) === null ? null : stopButton(lane), pauseButton(lane.bot, lane.room, isPaused(overview.pauses, lane.bot, lane.room))), "acts"],
    ], overview.lanes, "Nothing waits, and nobody is being answered."),
    pausedRooms(overview.pauses),
    title("Agents"),
    make("p", { class: "soft" }, `${count(overview.agents.busy)} at work, ${count(overview.agents.waiting.length)} waiting for a message.`),
    overview.agents.waiting.length === 0 ? null : table("Agents that wait", [
      ["Bot", (agent) => agent.bot],
      ["Waits for", (agent) => (agent.room === null ? "a first message" : `the next one in room ${agent.room}`)],
      ["Memory", (agent) => (agent.memory === null ? "not measured" : `${Math.round(agent.memory / 1048576)} MiB`), "number"],
      ["Since", (agent) => ago(agent.since)],
    ], overview.agents.waiting, ""),
    make("p", { class: "soft small" }, `Hearth ${overview.version}, up since `, moment(overview["started-at"]), "."),
  ];
}

// Nothing where a host has the store for itself.
function hostsPart({ here, hosts, mixed }) {
  if (hosts.length < 2) return null;
  const bots = hosts.flatMap((host) => host.bots.map((bot) => ({ host, ...bot }))).sort((one, other) => (one.bot < other.bot ? -1 : one.bot > other.bot ? 1 : 0));
  const isMixed = (bot) => mixed.some((other) => other.bot === bot);
  return [
    title("Hosts"),
    mixed.map((bot) => make("p", { class: "note" }, `${bot.says}.`)),
    table("Hosts", [
      ["Host", (host) => [hostLabel(host), host.id === here ? make("span", { class: "soft" }, " this one") : null]],
      ["State", (host) => pill(host.phase === "open" ? "well" : "warn", host.phase)],
      ["Version", (host) => host.version],
      ["Up since", (host) => ago(host["started-at"])],
      ["Turns", (host) => count(host.running), "number"],
      ["Agents", (host) => `${count(host.agents.busy)} busy, ${count(host.agents.warm)} warm`],
      ["Memory", (host) => `${Math.round(host.agents.memory / 1048576)} MiB`, "number"],
      ["Dashboard", (host) => (host.admin === null ? "" : code(host.admin))],
    ], hosts, ""),
    title("What each host runs"),
    table("What each host runs", [
      ["Bot", (row) => row.bot],
      ["Host", (row) => hostLabel(row.host)],
      ["Plugin", (row) => (row.running === null ? pill("bad", "no plugin") : [`${row.running.plugin} ${row.running.version} `, code(row.running.hash), isMixed(row.bot) ? [" ", pill("warn", "not everywhere")] : null].flat()), "long"],
      ["Generation", (row) => row.running?.generation ?? "", "number"],
      ["Since", (row) => (row.running === null ? "" : ago(row.running.since))],
      ["Refused", (row) => row.refused?.cause ?? "", "long"],
    ], bots, ""),
  ];
}

// Which other host answers in this lane, and since when.
function elsewhere({ here, hosts }, lane) {
  for (const host of hosts.filter((host) => host.id !== here)) {
    const found = host.lanes.find((other) => other.bot === lane.bot && other.room === lane.room);
    if (found) return { host, since: found.since };
  }
  return null;
}

const isPaused = (pauses, bot, number) => pauses.some((pause) => pause.bot === bot && pause.room === number);

function tell(overview) {
  const words = { opening: ["warn", "loading plugins"], open: ["well", "up"], closing: ["warn", "ending"] }[overview.phase];
  by("state").className = `pill ${words[0]}`;
  by("state").textContent = words[1];
}

function laneState(lane, pauses, elsewhere) {
  const since = lane["running-since"];
  if (since === null && elsewhere !== null) return [pill("well", `answering for ${duration(Math.max(0, now() - elsewhere.since))}`), make("span", { class: "soft" }, ` on ${hostLabel(elsewhere.host)}`)];
  if (since !== null) return pill("well", `answering for ${duration(Math.max(0, now() - since))}`);
  const paused = isPaused(pauses, lane.bot, null) || isPaused(pauses, lane.bot, lane.room);
  return paused ? pill("warn", "paused") : pill("", "waiting");
}

function pausedRooms(pauses) {
  const rooms = pauses.filter((pause) => pause.room !== null);
  if (rooms.length === 0) return null;
  return [title("Paused rooms"), table("Paused rooms", [
    ["Bot", (pause) => pause.bot],
    ["Room", (pause) => pause.room],
    ["Since", (pause) => ago(pause.since)],
    ["", (pause) => pauseButton(pause.bot, pause.room, true), "acts"],
  ], rooms, "")];
}

function botCard(bot, pauses) {
  const runs = bot.generation;
  const pause = pauses.find((pause) => pause.bot === bot.name && pause.room === null);
  const state = pause ? pill("warn", "paused") : runs === null ? pill("bad", "no plugin") : pill("well", "live");
  return make("li", { class: "card" },
    make("div", { class: "top" }, make("h3", {}, bot.name), state),
    runs === null ? null : make("p", { class: "small" }, `${runs.plugin} ${runs.version} `, code(runs.hash), make("br"),
      make("span", { class: "soft" }, `Generation ${runs.number}, loaded `, ago(runs["loaded-at"]))),
    bot.model === null ? null : make("p", { class: "soft small" }, `Model ${bot.model}`),
    pause ? make("p", { class: "soft small" }, "Paused ", ago(pause.since), "; messages wait.") : null,
    bot.trouble === null ? null : make("p", { class: "note" }, runs === null ? "The plugin can't be loaded: " : "The newest build can't be loaded, the one before runs on: ", bot.trouble),
    bot.quarantined.length === 0 ? null : make("p", { class: "note" }, "Taken back, since it failed again and again: ", bot.quarantined.map((hash) => [code(hash), " "]).flat(), liftButton(bot.name)),
    make("div", { class: "buttons" }, pauseButton(bot.name, null, Boolean(pause)),
      make("a", { href: `#/turns?bot=${encodeURIComponent(bot.name)}` }, "Turns")));
}

function everyHour(hours) {
  const known = new Map(hours.map((hour) => [hour.from, hour]));
  const last = Math.floor(now() / HOUR) * HOUR;
  return Array.from({ length: 24 }, (_, at) => {
    const from = last - (23 - at) * HOUR;
    return { from, label: `${String(new Date(from).getHours()).padStart(2, "0")}h`, hour: known.get(from) };
  });
}

function volume(hours) {
  let all = 0, troubled = 0;
  const places = everyHour(hours).map(({ label, hour }) => {
    const outcomes = Object.entries(hour?.outcomes ?? {});
    const sum = (which) => outcomes.filter(([outcome]) => WELL.includes(outcome) === which).reduce((total, [, turns]) => total + turns, 0);
    const [well, bad] = [sum(true), sum(false)];
    all += well + bad;
    troubled += bad;
    const named = outcomes.map(([outcome, turns]) => `${turns} ${outcome}`).join(", ") || "no turn";
    return { label, title: `${label}: ${named}`, parts: [["f1", well], ["f2", bad]] };
  });
  return bars("Turns an hour", [["c1", "well"], ["c2", "not well"]], `Turns in each of the last 24 hours: ${all} in all, ${troubled} of them not well.`, places, (value) => Number.isInteger(value) ? count(value) : "");
}

function latency(hours) {
  const places = everyHour(hours).map(({ label, hour }) => ({
    label, title: hour ? `${label}: median ${duration(hour["median-ms"])}, 95 % within ${duration(hour["slow-ms"])}` : `${label}: no turn`,
    values: [["l3", hour ? hour["median-ms"] : null], ["l4", hour ? hour["slow-ms"] : null]],
  }));
  const slowest = Math.max(0, ...hours.map((hour) => hour["slow-ms"]));
  return lines("How long turns took", [["c3", "median"], ["c4", "95 %"]], `How long turns took in each of the last 24 hours; in the slowest hour 95 % took at most ${duration(slowest)}.`, places, duration);
}

// Turns: the filters stay as they are while what they find is drawn again.
function turnsPage(query) {
  const found = make("div", { "aria-live": "off" });
  const field = (name, label, type = "text", kind = "", placeholder = null) =>
    make("label", { class: kind }, label, make("input", { name, type, value: query.get(name) ?? "", placeholder, autocomplete: "off" }));
  const filters = make("form", { class: "filters", role: "search", "aria-label": "Find turns" },
    field("text", "Search", "search", "wide", "id, cause, plugin, session"), field("bot", "Bot"), field("room", "Room", "number"), field("outcome", "Outcome"));
  let waiting = 0;
  filters.addEventListener("submit", (event) => event.preventDefault());
  filters.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      const asked = new URLSearchParams([...new FormData(filters)].filter(([, value]) => value !== ""));
      history.replaceState(null, "", `#/turns${asked.size ? `?${asked}` : ""}`);
      show().catch(complain);
    }, 250);
  });
  let pages = 1;
  const refresh = async () => {
    const asked = Object.fromEntries(new FormData(filters));
    const rows = await read("turns", { ...asked, limit: PAGE * pages });
    const more = rows.length === PAGE * pages && pages < 20;
    // Which host and which code served it matters where that is not the same for all.
    const differ = (what) => new Set(rows.map(what).filter(Boolean)).size > 1;
    const host = (row) => row.details.host && hostLabel(row.details.host);
    const hosts = differ(host) ? [["Host", (row) => host(row) ?? ""], ["Code", (row) => (row.details.plugin ? code(row.details.plugin.hash) : "")]] : [];
    redraw(found, [table("Turns", [
      ["When", (row) => ago(row.ended_at)],
      ["Turn", (row) => turnLink(row.turn)],
      ["Bot", (row) => row.lane.bot],
      ["Room", (row) => row.lane.room],
      ["Outcome", (row) => outcomePill(row.outcome)],
      ["Took", (row) => duration(row.ended_at - row.started_at), "number"],
      ...hosts,
      ["Tools", (row) => row.details["tool-calls"] ?? "", "number"],
      ["Cost", (row) => dollars(row.details.agent?.["cost-usd"]), "number"],
    ], rows, "No turn fits."),
    more ? make("p", {}, make("button", { type: "button", class: "quiet", id: "older", click: () => { pages += 1; refresh().catch(complain); } }, "Older ones")) : null]);
  };
  return { nodes: [title("Turns"), filters, found], refresh };
}

async function turnPage(id) {
  const { turn, "tool-calls": calls } = await read(`turns/${encodeURIComponent(id)}`);
  const { agent, plugin, about, host, posted, ...rest } = turn.details;
  const entries = [
    ["Outcome", outcomePill(turn.outcome)],
    ["Bot and room", `${turn.lane.bot}, room ${turn.lane.room}`],
    ["About", about ? `${about.kind} ${about.message ?? about.name}` : null],
    ["Began", moment(turn.started_at)],
    ["Took", duration(turn.ended_at - turn.started_at)],
    ["Attempt", turn.attempt],
    ["Plugin", plugin ? [`${plugin.name} ${plugin.version} `, code(plugin.hash), `, generation ${plugin.generation}`] : null],
    ["Host", host ? hostLabel(host) : null],
    ["Agent", agent ? `${duration(agent["total-ms"])}, of which ${duration(agent["gate-ms"])} until it could start; ${agent.turns} model turns` : null],
    ["Tokens", agent ? `${count(agent["input-tokens"])} in, ${count(agent["output-tokens"])} out, ${count(agent["cache-read-tokens"])} from the cache, ${count(agent["cache-creation-tokens"])} to the cache` : null],
    ["Cost", agent ? dollars(agent["cost-usd"]) : null],
    ["Session", agent?.session ? code(agent.session) : null],
    ["Posted", posted?.length ? posted.map((message) => `message ${message}`).join(", ") : "nothing"],
    ["Event", code(turn.event)],
  ].filter(([, value]) => value !== null && value !== undefined);
  const causes = [rest["post-cause"], rest.cause, agent?.cause].filter(Boolean);
  return [
    make("p", {}, make("a", { href: "#/turns" }, "All turns")),
    make("h2", {}, "Turn ", code(turn.turn)),
    causes.map((cause) => make("p", { class: "note" }, cause)),
    make("dl", {}, entries.map(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]).flat()),
    title("Tool calls"),
    calls.length === 0 ? make("p", { class: "empty" }, "It called no tool.") : calls.map(toolCall),
    title("As the journal has it"),
    make("pre", { tabindex: "0", "aria-label": "The journal's row" }, JSON.stringify(turn.details, null, 2)),
  ];
}

function toolCall(call) {
  const took = call.duration.secs * 1000 + call.duration.nanos / 1e6;
  const block = (name, text) => [make("p", { class: "soft small" }, name), make("pre", { tabindex: "0", "aria-label": `${name} of ${call.tool}` }, text)];
  return make("section", { class: "card" },
    make("div", { class: "top" }, make("h3", {}, call.tool), call.error === null ? pill("well", `done in ${duration(took)}`) : pill("bad", `${call.error} after ${duration(took)}`)),
    block("Input", call.input), block("Output", call.output), call.cause === null ? null : block("Cause", call.cause));
}

async function failedPage() {
  const failed = await read("events/failed", { limit: 200 });
  const retry = (event, anyway) => async () => {
    const back = await ask("POST", `/api/events/${encodeURIComponent(event)}/retry${anyway ? "?anyway=true" : ""}`);
    return back.retry === "anew" ? "The message is answered anew." : "The rest of the answer is posted.";
  };
  return [
    title("Failed and uncertain"),
    make("p", { class: "soft" }, "Messages that were not answered, or whose answer may not be in the room. Nothing that is surely there is posted again."),
    table("Failed events", [
      ["When", (row) => ago(row["ended-at"])],
      ["Bot", (row) => row.bot],
      ["Room", (row) => row.room],
      ["Turn", (row) => (row.turn === null ? "" : turnLink(row.turn))],
      ["State", (row) => (row.end === "failed" ? pill("bad", row.outcome ?? "failed") : pill("warn", "uncertain"))],
      ["Why", (row) => row.cause ?? "", "long"],
      ["Parts", (row) => [[row.posted, "posted"], [row.uncertain, "uncertain"], [row.failed, "failed"]].filter(([number]) => number > 0).map(([number, word]) => `${number} ${word}`).join(", ")],
      ["", (row) => make("div", { class: "buttons" },
        row.end === "failed" ? act(`retry-${row.event}`, "Retry", retry(row.event, false), { name: `Retry the message ${row.message} to ${row.bot}` }) : null,
        row.uncertain > 0 ? act(`anyway-${row.event}`, "Post anyway", retry(row.event, true), { name: `Post the answer to message ${row.message} anyway`, question: "Part of this answer may be in the room already. Then it will be there twice." }) : null), "acts"],
    ], failed, "Everything that came was answered."),
  ];
}

async function conversationsPage() {
  const held = await read("sessions", { limit: 500 });
  const forget = (bot, number) => async () => {
    const forgotten = await ask("DELETE", scoped("sessions", bot, number));
    return forgotten["after-turn"] > 0 ? "It is forgotten once its turn has ended." : "It is forgotten: the next message begins a new one.";
  };
  return [
    title("Conversations"),
    make("p", { class: "soft" }, "What bots remember. A conversation ends by itself when nobody goes on with it."),
    table("Conversations", [
      ["Bot", (row) => row.bot],
      ["Room", (row) => row.room],
      ["Session", (row) => code(row.session)],
      ["Ends", (row) => ago(row["expires-at"])],
      ["", (row) => act(`forget-${row.bot}-${row.room}`, "Forget", forget(row.bot, row.room), { name: `Forget the conversation of ${row.bot} in room ${row.room}`, question: `${row.bot} will not remember what was said in room ${row.room}.` }), "acts"],
    ], held, "No conversation is remembered."),
  ];
}

async function costsPage() {
  const today = Math.floor(now() / DAY) * DAY;
  const spent = await readSlowly("spending", { since: today - 13 * DAY });
  const bots = [...new Set(spent.map((row) => row.bot))].sort();
  // The four that cost most have a colour of their own.
  const total = (bot) => spent.filter((row) => row.bot === bot).reduce((sum, row) => sum + row["cost-usd"], 0);
  const shown = [...bots].sort((one, other) => total(other) - total(one)).slice(0, 4);
  const colour = (bot) => (shown.includes(bot) ? shown.indexOf(bot) + 1 : 5);
  const places = Array.from({ length: 14 }, (_, at) => {
    const from = today - (13 - at) * DAY;
    const rows = spent.filter((row) => row.day === from);
    const label = `${new Date(from).getUTCDate()}.`;
    return { label, title: rows.map((row) => `${row.bot}: ${dollars(row["cost-usd"])}`).join("\n") || "nothing", parts: rows.map((row) => [`f${colour(row.bot)}`, row["cost-usd"]]) };
  });
  const sum = spent.reduce((all, row) => all + row["cost-usd"], 0);
  const keys = [...shown.map((bot) => [`c${colour(bot)}`, bot]), ...(bots.length > shown.length ? [["c5", "others"]] : [])];
  return [
    make("div", { class: "charts" }, bars("Cost a day", keys, `What agents cost on each of the last 14 days, ${dollars(sum)} in all.`, places, dollars)),
    title("By bot and day"),
    table("Cost by bot and day", [
      ["Day (UTC)", (row) => day(row.day)],
      ["Bot", (row) => row.bot],
      ["Turns", (row) => count(row.turns), "number"],
      ["Tokens in", (row) => count(row["input-tokens"]), "number"],
      ["Tokens out", (row) => count(row["output-tokens"]), "number"],
      ["Cost", (row) => dollars(row["cost-usd"]), "number"],
    ], spent, "Nobody was answered in the last 14 days."),
  ];
}

function loginPage() {
  const token = make("input", { type: "password", name: "token", id: "token", autocomplete: "current-password", required: true });
  const wrong = make("p", { class: "note", role: "alert", hidden: true });
  const form = make("form", {
    submit: async (event) => {
      event.preventDefault();
      try {
        await ask("POST", "/login", { token: token.value });
        await enter();
        if (session === null) {
          wrong.textContent = "The browser does not keep the login: away from its own machine the host may be reached through HTTPS only. Put a proxy with TLS in front of it, or use an SSH tunnel.";
          wrong.hidden = false;
        }
      } catch (error) {
        wrong.textContent = error.message;
        wrong.hidden = false;
        token.select();
      }
    },
  }, make("label", {}, "Token", token), wrong, make("button", {}, "Log in"));
  return [make("section", { class: "login" }, make("h2", {}, "Log in"), make("p", { class: "soft small" }, "With ", code("admin-token"), " of [host] in bots.toml."), form)];
}

// === Showing ===

// Draws anew without taking the focus or the place away from whoever uses the page.
function redraw(place, nodes) {
  const focused = document.activeElement?.id;
  const held = focused && place.contains(document.activeElement);
  place.replaceChildren(...nodes.flat(2).filter((node) => node !== null && node !== false && node !== undefined));
  if (held) by(focused)?.focus({ preventScroll: true });
}

const routes = [
  [/^$/, () => nowPage],
  [/^turns$/, () => null],
  [/^turns\/(.+)$/, ([, id]) => () => turnPage(decodeURIComponent(id))],
  [/^failed$/, () => failedPage],
  [/^conversations$/, () => conversationsPage],
  [/^costs$/, () => costsPage],
];

let shown = { path: null, refresh: null };
let drawing = 0;

async function show() {
  const mine = (drawing += 1);
  if (session === null) return;
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const fresh = shown.path !== path;
  if (fresh) {
    for (const link of by("pages").querySelectorAll("a")) {
      if (link.getAttribute("href") === `#/${path.split("/")[0]}`) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  }
  if (path === "turns") {
    if (fresh) {
      const page = turnsPage(new URLSearchParams(query));
      shown = { path, refresh: page.refresh };
      redraw(by("main"), page.nodes);
    }
    await shown.refresh();
  } else {
    const found = routes.map(([pattern, page]) => [pattern.exec(path), page]).find(([match]) => match);
    const nodes = found ? await found[1](found[0])() : [make("p", { class: "empty" }, "There is no such page.")];
    if (mine !== drawing) return;
    shown = { path, refresh: null };
    redraw(by("main"), nodes);
  }
  by("trouble").textContent = "";
  if (fresh) window.scrollTo(0, 0);
}

function complain(error) {
  if (error.status === 401) {
    leave();
    return;
  }
  if (error.status === 403) enter().catch(() => {});
  by("trouble").textContent = error instanceof Refused ? error.message : "The host can't be reached. This page goes on as soon as it is back.";
  if (!(error instanceof Refused)) {
    by("state").className = "pill bad";
    by("state").textContent = "unreachable";
  }
}

// What the host says to a page that nobody logged in at is no news.
async function enter() {
  try {
    session = await read("session");
  } catch (error) {
    if (error.status !== 401) throw error;
    leave();
    return;
  }
  by("pages").hidden = false;
  by("logout").hidden = !session.login;
  shown = { path: null, refresh: null };
  tell(await read("overview"));
  await show();
}

function leave() {
  const asked = session !== null || by("token") === null;
  session = null;
  by("pages").hidden = true;
  by("logout").hidden = true;
  by("trouble").textContent = "";
  by("state").className = "pill";
  by("state").textContent = "locked";
  shown = { path: null, refresh: null };
  if (asked) {
    redraw(by("main"), loginPage());
    by("token").focus();
  }
}

by("logout").addEventListener("click", async () => {
  try { await ask("POST", "/logout"); } catch (error) { complain(error); }
  leave();
});
window.addEventListener("hashchange", () => show().catch(complain));
document.addEventListener("visibilitychange", () => { if (!document.hidden) again(); });

let timer = 0;
async function again() {
  clearTimeout(timer);
  try {
    // Who reads a turn is not disturbed: it does not change any more.
    const still = /^#\/turns\/./.test(location.hash) && shown.path !== null;
    if (session !== null && !document.hidden && !by("question").open && !still) await show();
    else if (session === null && by("token") === null) await enter();
  } catch (error) {
    complain(error);
  }
  timer = setTimeout(again, REFRESH);
}

again();
