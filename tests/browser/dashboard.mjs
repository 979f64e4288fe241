// Scenes of the dashboard.

import assert from "node:assert/strict";

import { JUDGED, LOOKS, judge, open as openPage, picture as take, play, stage } from "./stage.mjs";

// A refused login is told by the browser too.
const open = (path, options) => openPage(path, options, /status of (401|429)/);
const picture = (page, name) => take(page, name, { fullPage: true });
const go = (page, name) => page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name }).click();
const card = (page, bot) => page.getByRole("listitem").filter({ has: page.getByRole("heading", { name: bot, exact: true }) });
const row = (page, text) => page.getByRole("row").filter({ hasText: text });

const scenes = {
  async operate() {
    const page = await open();
    await card(page, "echo").getByText("live", { exact: true }).waitFor();
    await card(page, "absent").getByText("no plugin").waitFor();
    assert.match(await card(page, "absent").innerText(), /no-such-plugin\.wasm does not exist/);
    assert.match(await card(page, "assistant").innerText(), /Generation 1, loaded/);
    await page.getByText("up", { exact: true }).waitFor();

    // Pause and resume; the button keeps the focus over the redraw.
    await card(page, "echo").getByRole("button", { name: "Pause echo" }).press("Enter");
    // What was done is told for some seconds only.
    await page.getByRole("status").getByText("echo is paused").waitFor();
    await card(page, "echo").getByText("paused", { exact: true }).waitFor();
    const resume = card(page, "echo").getByRole("button", { name: "Resume echo" });
    assert.ok(await resume.evaluate((button) => button === document.activeElement));
    await resume.press("Enter");
    await card(page, "echo").getByText("live", { exact: true }).waitFor();

    // What runs is stopped, and everything read again.
    await row(page, "answering for").getByRole("button", { name: /Stop assistant/ }).click();
    await page.getByRole("status").getByText("is stopped").waitFor();
    await page.getByText("Nothing waits, and nobody is being answered.").waitFor();

    // The process that answered waits for the room's next message.
    const agents = page.getByRole("region", { name: "Agents that wait" });
    await agents.getByRole("row", { name: /assistant.*the next one in room/ }).first().waitFor();
    await page.getByText(/^0 at work, [1-9]\d* waiting for a message\.$/).waitFor();
    await page.getByRole("button", { name: "Reload bots.toml and the plugins" }).click();
    await page.getByRole("status").getByText("What ran before runs on for: absent.").waitFor();

    // Turns: found, followed, read.
    await go(page, "Turns");
    await row(page, "answered").first().waitFor();
    await page.getByLabel("Search").fill("CRASHED");
    await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 1);
    assert.match(await row(page, "assistant").innerText(), /crashed/);
    assert.match(page.url(), /text=CRASHED/);
    await page.getByLabel("Search").fill("no such thing");
    await page.getByText("No turn fits.").waitFor();
    await page.getByLabel("Search").fill("");
    await page.getByLabel("Outcome").fill("replied");
    await page.waitForFunction(() => [...document.querySelectorAll("tbody tr")].every((row) => row.innerText.includes("replied")));
    await page.getByLabel("Outcome").fill("");
    await row(page, "answered").filter({ hasText: "1" }).last().getByRole("link").click();
    await page.getByRole("heading", { name: "remember" }).waitFor();
    assert.match(await page.locator("main").innerText(), /pizza/);
    await picture(page, "turn");

    // Failed and uncertain.
    await go(page, "Failed");
    await row(page, "crashed").getByRole("button", { name: /Retry the message/ }).click();
    await page.getByRole("status").getByText("answered anew").waitFor();
    await row(page, "uncertain").getByRole("button", { name: /anyway/ }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
    await row(page, "uncertain").getByRole("button", { name: /anyway/ }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Post anyway" }).click();
    await page.getByRole("status").getByText("The rest of the answer is posted.").waitFor();
    await page.waitForFunction(() => !document.querySelector("main").innerText.includes("uncertain\t"));

    // Conversations.
    await go(page, "Conversations");
    await page.getByRole("button", { name: `Forget the conversation of assistant in room ${stage.more.room}`, exact: true }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Forget" }).click();
    await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 1);
    await go(page, "Costs");
    await row(page, "assistant").waitFor();
    assert.deepEqual(page.faults, []);
  },

  async hosts() {
    const page = await open();
    await page.getByText("assistant is not the same on all 2 hosts").waitFor();
    const hosts = page.getByRole("region", { name: "Hosts", exact: true });
    await hosts.getByText("this one").waitFor();
    assert.equal(await hosts.getByRole("row").count(), 3);
    const runs = page.getByRole("region", { name: "What each host runs" });
    await runs.getByText("not everywhere").first().waitFor();
    assert.equal(await runs.getByRole("row").count(), 3);
    await row(page, "answering for").getByText(/ on .* \([0-9a-f]{8}\)/).waitFor();

    await go(page, "Turns");
    await page.getByRole("columnheader", { name: "Host" }).waitFor();
    for (const hash of stage.more.hashes) await row(page, hash).first().waitFor();
    await row(page, stage.more.hashes[0]).first().getByRole("link").click();
    await page.getByText(/\([0-9a-f]{8}\)$/).first().waitFor();
    assert.match(await page.locator("dl").innerText(), /Host/);
    for (const [name, options] of LOOKS) {
      const looked = await open("", { ...options, ...JUDGED });
      await looked.getByText("assistant is not the same on all 2 hosts").waitFor();
      await judge(looked, `${name}, hosts`);
      await picture(looked, `${name}-hosts`);
    }
    // A turn is stopped wherever it runs.
    await go(page, "Now");
    await row(page, "answering for").getByRole("button", { name: /^Stop assistant/ }).click();
    await page.getByText("is stopped.").waitFor();
    await row(page, "answering for").waitFor({ state: "detached" });
    assert.deepEqual(page.faults, []);
  },

  async login() {
    const page = await open("#/turns");
    await page.getByRole("heading", { name: "Log in" }).waitFor();
    await page.getByText("locked").waitFor();
    assert.ok(await page.getByLabel("Token").evaluate((field) => field === document.activeElement));
    await picture(page, "login");
    await page.getByLabel("Token").fill("a-token-that-is-wrong");
    await page.keyboard.press("Enter");
    await page.getByText("this is not the token").waitFor();
    await page.getByLabel("Token").fill(stage.more.token);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Turns" }).waitFor();
    const cookies = await page.context().cookies();
    assert.equal(cookies.length, 1);
    assert.ok(cookies[0].httpOnly && cookies[0].sameSite === "Strict");
    assert.equal(await page.evaluate(() => document.cookie), "");
    await page.reload();
    await page.getByRole("heading", { name: "Turns" }).waitFor();

    // Another site can neither frame it nor act in the name of who is logged in here.
    const answered = await page.context().request.put(`${stage.url}api/pauses/echo`, { headers: { origin: "http://evil.example.com" } });
    assert.equal(answered.status(), 403);

    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByRole("heading", { name: "Log in" }).waitFor();
    const after = await page.context().request.get(`${stage.url}api/overview`);
    assert.equal(after.status(), 401);
    assert.deepEqual(page.faults, []);
  },

  async markup() {
    const page = await open("#/turns");
    const links = page.getByRole("row").getByRole("link");
    await links.first().waitFor();
    let seen = "";
    for (const address of await links.evaluateAll((all) => all.map((link) => link.href))) {
      await page.goto(address);
      await page.getByRole("heading", { name: `Turn ${address.split("/").at(-1)}`, exact: true }).waitFor();
      seen += await page.locator("main").innerText();
    }
    for (const number of [1, 2, 3]) assert.ok(seen.includes(`window.broken=${number}`), `${number} is shown as text:\n${seen}`);
    assert.equal(await page.evaluate(() => window.broken), undefined);
    // Nor would it run if it got into the page as markup.
    const ran = await page.evaluate(() => {
      try {
        document.querySelector("main").innerHTML = "<img src=x onerror='window.broken=4'>";
      } catch {
        return "refused";
      }
      return "taken";
    });
    assert.equal(ran, "refused");
    // An address that is itself an attempt.
    await page.goto(`${stage.url}#/turns/${encodeURIComponent("<img src=x onerror=window.broken=5>")}`);
    await page.getByText("there is no such turn").waitFor();
    assert.equal(await page.evaluate(() => window.broken), undefined);
  },

  async access() {
    const pages = [["", "Bots"], ["#/turns", "Turns"], ["#/failed", "Failed and uncertain"], ["#/conversations", "Conversations"], ["#/costs", "By bot and day"]];
    for (const [name, options] of LOOKS) {
      const page = await open("", { ...options, ...JUDGED });
      for (const [path, heading] of pages) {
        await page.goto(stage.url + path);
        await page.getByRole("heading", { name: heading }).waitFor();
        await judge(page, `${name} ${path}`);
        await picture(page, `${name}-${heading.split(" ")[0].toLowerCase()}`);
      }
    }
    // By keyboard alone: the first stop leads past the navigation, the next ones through it.
    const page = await open();
    await page.getByRole("heading", { name: "Bots" }).waitFor();
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to the content");
    for (let stop = 0; stop < 2; stop += 1) await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Turns" }).waitFor();
    assert.deepEqual(page.faults, []);
  },
};

await play(scenes);
