// What every scene stands on: a Chromium of its own, pages that note their faults, a judge of accessibility.
// A file of scenes is called as node <file> '<stage as JSON>' and ends with 0 if everything was as it should be. What a scene
// waits for it waits for in the page, and not for ever.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";

export const stage = JSON.parse(process.argv[2]);
const require = createRequire(join(stage.packages, "x.js"));
const { chromium } = require("playwright-core");

const browser = await chromium.launch({
  executablePath: stage.chromium,
  headless: true,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});

// Faults that a scene provokes are `expected`: the browser tells of refused requests too.
export async function open(path = "", options = {}, expected = /^$/) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(300000);
  page.faults = [];
  page.on("pageerror", (error) => page.faults.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error" && !expected.test(message.text())) page.faults.push(message.text());
  });
  await page.goto(stage.url + path);
  return page;
}

export const picture = (page, name, options = {}) => page.screenshot({ path: join(stage.pictures, `${stage.page}-${name}.png`), ...options });

// The looks in which a page is judged.
export const LOOKS = [
  ["light", { colorScheme: "light" }],
  ["dark", { colorScheme: "dark" }],
  ["phone", { colorScheme: "light", viewport: { width: 390, height: 844 }, deviceScaleFactor: 2 }],
];
// The judge runs in the page, which would not let it; and a colour that is still changing is none to be judged.
export const JUDGED = { bypassCSP: true, reducedMotion: "reduce" };

// Fails if not everybody can use the page as it is now, or it is wider than its window.
export async function judge(page, what) {
  await page.evaluate(await readFile(require.resolve("axe-core/axe.min.js"), "utf8"));
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  const told = found.violations.map((found) => `${found.impact} ${found.id}: ${found.help}: ${found.nodes.map((node) => node.html).join(" ")}`);
  assert.deepEqual(told, [], what);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.equal(wide, 0, `${what} is wider than the window`);
}

export async function play(scenes) {
  try {
    await scenes[stage.scene]();
  } finally {
    await browser.close();
  }
}
