// The turn behind a bot's message: what its plugin was asked and said, what the agent did, what it cost.

import { code, count, dollars, duration, make, moment, pill } from "./elements.js";
import { icon } from "./icons.js";
import { ask, by, here, read } from "./server.js";

const WELL = ["answered", "replied", "ignored", "resumed"];
// How often, and after how long, a turn is looked for that is not there yet; in milliseconds.
const TRIES = 60, PAUSE = 1000;
const CALLS = { decide: "on-message", "format-reply": "format-reply", "call-tool": "call-tool", show: "progress" };

const panel = by("turn");
let asked = 0, opener = null;

export function begin() {
  panel.addEventListener("keydown", (event) => { if (event.key === "Escape") close(); });
}

export async function show(message) {
  const mine = asked += 1;
  opener = message.id;
  fill("Turn", make("p", { class: "soft" }, "Looking for it…"));
  panel.hidden = false;
  by("turn-close").focus();
  try {
    // The turn is written down when it has ended, a moment after its message.
    for (let tries = 0; tries < TRIES; tries += 1) {
      const told = await find(message);
      if (mine !== asked) return;
      if (told) {
        fill(["Turn ", code(told.turn.turn)], ...drawn(told));
        return;
      }
      if (tries === 0) fill("Turn", make("p", { class: "soft" }, "Nothing is known of it yet: the bot is still at it."));
      await new Promise((done) => setTimeout(done, PAUSE));
      if (mine !== asked) return;
    }
    fill("Turn", make("p", { class: "soft" }, "Nothing is known of it: the turn still runs, or it is not kept any more."));
  } catch (error) {
    if (mine === asked) fill("Turn", make("p", { class: "note" }, error.message));
  }
}

export function close() {
  if (panel.hidden) return;
  asked += 1;
  const held = panel.contains(document.activeElement);
  panel.hidden = true;
  if (held) (document.querySelector(`[data-id="${Number(opener)}"] [data-act="turn"]`) ?? by("text")).focus();
}

async function find(message) {
  const query = new URLSearchParams({ bot: message.name, room: message.room, posted: message.id, limit: 1 });
  const [row] = await read(`/host/turns?${query}`);
  return row ? read(`/host/turns/${encodeURIComponent(row.turn)}`) : null;
}

function fill(title, ...nodes) {
  const had = panel.contains(document.activeElement);
  panel.replaceChildren(
    make("header", {}, make("h2", { id: "turn-title" }, title), make("button", { type: "button", id: "turn-close", class: "icon", "aria-label": "Close the turn", click: close }, icon("close"))),
    make("div", { class: "sheet", tabindex: "0", role: "region", "aria-label": "What is known of the turn" }, ...nodes));
  if (had) by("turn-close").focus();
}

// === Drawing ===

function drawn({ turn, trace, "tool-calls": tools }) {
  const { agent, plugin, cause } = turn.details;
  const causes = [turn.details["post-cause"], cause, agent?.cause].filter(Boolean);
  const decide = trace?.calls.find((call) => call.call === "decide");
  const entries = [
    ["Plugin", plugin ? [`${plugin.name} ${plugin.version}, generation ${plugin.generation}`, make("br"), code(plugin.hash)] : null],
    ["Began", moment(turn.started_at)],
    ["Cost", agent ? `${dollars(agent["cost-usd"])}, ${count(agent["input-tokens"] ?? 0)} tokens in, ${count(agent["output-tokens"] ?? 0)} out` : null],
    ["Agent", agent ? `${agent.turns} model ${agent.turns === 1 ? "turn" : "turns"} in ${duration(agent["total-ms"])}` : null],
    ["Session", agent?.session ? code(agent.session) : null],
    ["Attempt", turn.attempt > 1 ? turn.attempt : null],
  ].filter(([, value]) => value !== null && value !== undefined);
  return [
    make("p", { class: "row" }, pill(WELL.includes(turn.outcome) ? "well" : "bad", turn.outcome), make("span", { class: "soft" }, `in ${duration(turn.ended_at - turn.started_at)}`)),
    ...causes.map((cause) => make("p", { class: "note" }, cause)),
    make("dl", {}, entries.map(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]).flat()),
    ...decision(decide, trace),
    ...(trace ? timeline(trace, tools) : toolCalls(tools)),
    ...(trace ? replaying(turn.turn) : []),
    trace?.cut ? make("p", { class: "soft" }, "Some of it was too long to be kept.") : null,
    fold("As the journal has it", block("The journal's row", JSON.stringify(turn.details, null, 2))),
  ].filter(Boolean);
}

const heading = (text) => make("h3", {}, text);
const block = (label, text) => make("pre", { tabindex: "0", "aria-label": label }, text);
const fold = (title, ...nodes) => make("details", {}, make("summary", {}, title), ...nodes);
// Calls of a plugin take microseconds.
const brief = (microseconds) => (microseconds < 1000 ? `${Math.max(1, Math.round(microseconds))} µs` : duration(microseconds / 1000));
const words = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, 2));

// A decision is `{ok: {<which>: …}}`, or an error.
function decision(decide, trace) {
  if (!decide) return [];
  if (decide.output === null) return [heading("Decision"), make("p", { class: "soft" }, "There was none: the call failed, or what it said was too long to be kept.")];
  if (decide.output.error !== undefined) return [heading("Decision"), make("p", { class: "note" }, words(decide.output.error))];
  const said = decide.output.ok;
  const which = typeof said === "string" ? said : Object.keys(said)[0];
  const nodes = [heading("Decision"), make("p", {}, pill("", which))];
  if (typeof said !== "string") {
    const { text, prompt, ...rest } = said[which] ?? {};
    const sent = prompt ?? text;
    if (typeof sent === "string") nodes.push(make("p", { class: "soft" }, "The prompt as sent"), block("The prompt as sent", sent));
    else nodes.push(block("The decision", words(said[which])));
    const set = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== null && !(Array.isArray(value) && value.length === 0)));
    if (typeof sent === "string" && Object.keys(set).length > 0) nodes.push(fold("What else it asked for", block("What else it asked for", words(set))));
  }
  if (trace.asked) {
    const { model, resumed, "system-prompt": system } = trace.asked;
    nodes.push(make("p", { class: "soft" }, [model ? `Model ${model}` : "The agent's own model", resumed ? "goes on with the conversation" : "a new conversation"].join(", ")));
    if (system) nodes.push(fold("The system prompt", block("The system prompt", system)));
  }
  return nodes;
}

// What happened, in its order: calls of the plugin, and what was seen of the agent.
function timeline(trace, tools) {
  const left = [...tools];
  const steps = [
    ...trace.calls.map((call) => ({ at: call.at, node: () => guestCall(call, call.call === "call-tool" ? left.shift() : null) })),
    ...trace.agent.map((moment) => ({ at: moment.at, node: () => make("p", {}, make("b", {}, moment.what.replaceAll("-", " ")), " ", moment.of) })),
  ].sort((one, other) => one.at - other.at);
  const rows = steps.map(({ at, node }) => make("li", {}, make("span", { class: "at" }, duration(at)), node()));
  return [heading("What happened"), make("ol", { class: "steps" }, rows), ...toolCalls(left)];
}

function guestCall(call, tool) {
  const name = CALLS[call.call] ?? call.call;
  const failed = call.output === null || call.output.error !== undefined;
  const title = [make("b", {}, tool ? `${name} ${tool.tool}` : name), " ", make("span", { class: failed ? "ill" : "soft" }, `${failed ? "failed after " : ""}${brief(call.took)}`)];
  const inside = [
    ...(call.input === null || words(call.input) === "[]" ? [] : [make("p", { class: "soft" }, "Input"), block(`Input of ${name}`, words(call.input))]),
    ...(call.output === null ? [] : [make("p", { class: "soft" }, "Output"), block(`Output of ${name}`, words(call.output.ok ?? call.output.error))]),
    ...(call.host.length === 0 ? [] : [make("p", { class: "soft" }, "What it asked of the host"), ...call.host.map(hostCall)]),
  ];
  return make("div", {}, fold(title, ...inside), call.log.length === 0 ? null
    : make("ul", { class: "log", "aria-label": `What ${name} logged` }, call.log.map((line) => make("li", {}, make("span", { class: `level ${line.level}` }, line.level), " ", line.text))));
}

const hostCall = (call) => fold([code(call.function), " ", make("span", { class: "soft" }, brief(call.took))],
  block(`Arguments of ${call.function}`, words(call.arguments)), block(`Answer to ${call.function}`, words(call.answer)));

// === Again ===

// Runs the turn on the code that is live now, and shows what it says otherwise. Nothing is posted.
function replaying(id) {
  const told = make("div", { role: "status" });
  // It keeps the focus while it is busy, so it is not disabled.
  const button = make("button", { type: "button", class: "quiet", click: async () => {
    if (button.getAttribute("aria-busy")) return;
    button.setAttribute("aria-busy", "true");
    told.replaceChildren(make("p", { class: "soft" }, "It runs again…"));
    try {
      told.replaceChildren(...replayed(await ask("POST", `/host/turns/${encodeURIComponent(id)}/replay`)));
    } catch (error) {
      told.replaceChildren(make("p", { class: "note" }, error.message));
    }
    button.removeAttribute("aria-busy");
  } }, "Replay with the current build");
  return [heading("Again"), make("p", {}, button), told];
}

function replayed({ then, now, calls, notes }) {
  const isSame = calls.every((call) => call.said === null && call.did === null);
  return [
    make("p", {}, pill(isSame ? "well" : "warn", isSame ? "the same as then" : "other than then"), then === now ? " on the same build" : [" on ", code(now), ", then on ", code(then)]),
    ...notes.map((note) => make("p", { class: "soft" }, note)),
    ...calls.filter((call) => call.said || call.did || call.unknown.length > 0).map((call) => make("section", {},
      make("p", {}, make("b", {}, call.call), call.fails ? make("span", { class: "ill" }, " fails now") : null),
      call.said ? diff(`What ${call.call} says otherwise`, call.said.diff) : null,
      call.did ? diff(`What ${call.call} does otherwise`, call.did.diff) : null,
      ...call.unknown.map((question) => [make("p", { class: "soft" }, "It asks what nobody asked then"), block(`A question of ${call.call}`, question)]).flat())),
  ];
}

const diff = (label, text) => make("pre", { tabindex: "0", class: "diff", "aria-label": label },
  text.trimEnd().split("\n").filter((line) => !/^(---|\+\+\+) /.test(line)).map((line) => make("span", { class: line.startsWith("+") ? "new" : line.startsWith("-") ? "gone" : null }, `${line}\n`)));

function toolCalls(tools) {
  if (tools.length === 0) return [];
  return [heading("Tool calls"), ...tools.map((tool) => {
    const took = tool.duration.secs * 1000 + tool.duration.nanos / 1e6;
    return fold([make("b", {}, tool.tool), " ", make("span", { class: tool.error === null ? "soft" : "ill" }, tool.error === null ? duration(took) : `${tool.error} after ${duration(took)}`)],
      make("p", { class: "soft" }, "Input"), block(`Input of ${tool.tool}`, tool.input), make("p", { class: "soft" }, "Output"), block(`Output of ${tool.tool}`, tool.output),
      tool.cause === null ? null : make("p", { class: "note" }, tool.cause));
  })];
}
