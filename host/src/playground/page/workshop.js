// What becomes of plugins that are saved, and of bots.toml: shown above the conversation, live.

import { duration, make } from "./elements.js";
import { by, here } from "./server.js";

// How long it is told that a build is live.
const TOLD = 12000;

const section = by("workshop");
// The folded panels, and what was put away: by what they say.
const folded = new Set(), away = new Set();

export function show() {
  const { builds, bots, config } = here.backstage;
  const failed = builds.filter((build) => build.state === "failed");
  const rows = [
    ...builds.filter((build) => build.state === "building").map(building),
    ...failed.map((build) => problem(`build ${build.plugin}`, build.since, "the last good code answers", build.why, build.words)),
    ...builds.filter((build) => build.state === "live" && Date.now() - build.since < TOLD).map(live),
    ...(config.refused ? [problem("config", config.refused.at, "the bots keep what they had", "bots.toml has a mistake", config.refused.cause)] : []),
    ...bots.filter((bot) => bot.refused).map((bot) =>
      problem(`bot ${bot.bot}`, bot.refused.at, bot.running ? "what ran before runs on" : "it can't answer", `${bot.bot} can't be put in place`, bot.refused.cause)),
    ...bots.filter((bot) => bot.quarantined.length > 0).map((bot) =>
      problem(`quarantine ${bot.bot}`, bot.quarantined.join(" "), "what ran before runs on", `${bot.bot} failed again and again, and was taken back`, `Content ${bot.quarantined.join(", ")}. Save something better, or run \`hearth reload --lift ${bot.bot} --playground\`.`)),
    ...(config.restart.length > 0 ? [problem("restart", config.restart.join(" "), "they are read at the start", "Start Hearth again for some changes", config.restart.join(", "))] : []),
  ].filter(Boolean);
  section.replaceChildren(...rows);
  section.hidden = rows.length === 0;
}

// What has a beginning goes on counting, what is told for a while goes away.
export const begin = () => setInterval(() => { if (!section.hidden && section.querySelector(".building, .done")) show(); }, 1000);

const building = (build) => make("div", { class: "work building" },
  make("span", { class: "spinner", "aria-hidden": "true" }),
  make("p", {}, make("b", {}, build.plugin), ": building… ", make("span", { class: "soft" }, duration(Math.max(0, Date.now() - build.since)))));

const live = (build) => make("div", { class: "work done" },
  make("span", { class: "live", "aria-hidden": "true" }),
  make("p", { role: "status" }, make("b", {}, build.plugin), `: live ${duration(build.after)} after it was saved`));

// Its panel stays as the reader left it for as long as it says the same.
function problem(about, since, meanwhile, title, words) {
  const key = `${about} ${since}`;
  if (away.has(key)) return null;
  const close = make("button", { type: "button", class: "link", "aria-label": `Put away: ${title}`, click: () => { away.add(key); show(); } }, "Put away");
  const head = [make("span", { class: "cross", "aria-hidden": "true" }, "!"), make("span", { class: "said" }, title, make("span", { class: "soft" }, ` – ${meanwhile}`))];
  if (!words) return make("div", { class: "work failed" }, ...head, close);
  const details = make("details", { open: !folded.has(key), toggle: () => { if (details.open) folded.delete(key); else folded.add(key); } },
    make("summary", {}, ...head), make("pre", { tabindex: "0", "aria-label": title }, words));
  return make("div", { class: "work failed" }, details, close);
}
