// Scenes of the playground.

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";

import { JUDGED, LOOKS, judge, open, picture, play, stage } from "./stage.mjs";

const field = (page) => page.getByLabel("Your message");
const log = (page) => page.getByRole("log");
const message = (page, text) => log(page).getByRole("article").filter({ hasText: text });
const go = async (page, room) => {
  await page.getByRole("navigation", { name: "Rooms" }).getByRole("button", { name: room, exact: true }).click();
  await page.getByRole("heading", { name: room, level: 1, exact: true }).waitFor();
};
const say = async (page, text) => {
  await field(page).fill(text);
  await field(page).press("Enter");
};
const option = (page, name = /./) => page.getByRole("listbox", { name: "People to mention" }).getByRole("option", { name });
const isOpen = async (page) => { await log(page).locator("article, .empty").first().waitFor(); };
const focused = (locator) => locator.evaluate((element) => element === document.activeElement);

// A picture of 40 by 30 points, as a browser makes it.
const drawing = (page) => page.evaluate(() => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 400, height: 240 });
  const context = canvas.getContext("2d");
  const sky = context.createLinearGradient(0, 0, 400, 240);
  sky.addColorStop(0, "#f7b23b");
  sky.addColorStop(1, "#a8421a");
  context.fillStyle = sky;
  context.fillRect(0, 0, 400, 240);
  return canvas.toDataURL("image/png").split(",")[1];
});

const scenes = {
  async converse() {
    const page = await open();
    await isOpen(page);
    await go(page, "echo");
    await page.getByText(/echo \d+\.\d+\.\d+, generation 1/).waitFor();
    await say(page, "hello there");
    await message(page, "hello there").nth(1).waitFor();
    assert.match(await message(page, "hello there").nth(1).innerText(), /echo/);

    // Lines, by key.
    await field(page).pressSequentially("one");
    await field(page).press("Shift+Enter");
    await field(page).pressSequentially("two");
    await field(page).press("Enter");
    await log(page).locator("br").first().waitFor({ state: "attached" });

    // In a room bots are mentioned, chosen by key.
    await go(page, "All Talk");
    await page.getByText("Here bots hear what mentions them: @assistant, @echo").waitFor();
    await field(page).pressSequentially("@");
    await option(page).nth(2).waitFor();
    await field(page).press("Escape");
    assert.equal(await option(page).count(), 0);
    await field(page).pressSequentially("a");
    await option(page, "assistant").waitFor();
    assert.equal(await field(page).getAttribute("aria-activedescendant"), "complete-0");
    await field(page).press("Enter");
    assert.equal(await field(page).inputValue(), "@assistant ");
    await field(page).pressSequentially("@e");
    await field(page).press("ArrowDown");
    await field(page).press("ArrowUp");
    await option(page, "echo").click();
    assert.equal(await field(page).inputValue(), "@assistant @echo ");
    await field(page).fill("@assistant what is a lane?");
    await field(page).press("Enter");
    await log(page).locator(".mention", { hasText: "@assistant" }).waitFor();
    await log(page).getByRole("article", { name: /^assistant/ }).first().waitFor();
    assert.equal(await log(page).getByRole("article", { name: /^echo/ }).count(), 0, "echo was not mentioned");

    // Somebody else, chosen by key: other rooms, other messages of one's own.
    await page.getByRole("button", { name: "Add a person" }).click();
    await page.getByRole("dialog").getByLabel("Name").fill("Ben");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.querySelector("#speaker").selectedOptions[0]?.textContent === "Ben");
    await field(page).focus();
    await page.keyboard.press("Alt+KeyP");
    await page.waitForFunction(() => document.querySelector("#speaker").selectedOptions[0]?.textContent === "You");
    await page.getByLabel("You speak as").selectOption("Mira");
    await go(page, "echo");
    await log(page).getByText("Nothing here yet").waitFor();
    await say(page, "it is me");
    await message(page, "it is me").nth(1).waitFor();
    await page.reload();
    await message(page, "it is me").nth(1).waitFor();
    assert.equal(await page.getByLabel("You speak as").evaluate((select) => select.selectedOptions[0].textContent), "Mira");
    await page.keyboard.press("Alt+ArrowUp");
    await page.keyboard.press("Alt+ArrowDown");
    await page.getByRole("heading", { name: "echo", level: 1 }).waitFor();
    assert.deepEqual(page.faults, []);
  },

  // Two who look at one room: what one does, the other sees.
  async together() {
    const ann = await open(), mira = await open(`#as=${stage.more.mira}`);
    for (const page of [ann, mira]) {
      await isOpen(page);
      await go(page, "All Talk");
    }
    await say(ann, "frist");
    await message(mira, "frist").waitFor();

    // Edited in place, by the key for it.
    await field(ann).press("ArrowUp");
    await ann.getByText("You are editing a message.").waitFor();
    await field(ann).fill("first");
    await field(ann).press("Enter");
    await message(mira, "first").waitFor();
    assert.equal(await mira.getByRole("article").count(), 1);
    await field(ann).press("ArrowUp");
    await field(ann).press("Escape");
    assert.equal(await field(ann).inputValue(), "");

    // Boosts, given and taken back.
    await message(mira, "first").hover();
    await message(mira, "first").getByRole("button", { name: "Boost" }).click();
    await mira.getByLabel("A boost of your own").fill("so true");
    await mira.keyboard.press("Enter");
    await message(ann, "so true from Mira").waitFor();
    await mira.getByRole("button", { name: "Take back your boost so true" }).click();
    await message(ann, "so true").waitFor({ state: "detached" });

    // Files: chosen, pasted, dropped.
    const png = Buffer.from(await drawing(ann), "base64");
    await ann.locator("#file").setInputFiles([{ name: "sunset.png", mimeType: "image/png", buffer: png }, { name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("note") }]);
    const image = mira.getByRole("img", { name: "sunset.png" });
    await image.waitFor();
    await mira.waitForFunction((name) => document.querySelector(`img[alt="${name}"]`).naturalWidth === 400, "sunset.png");
    await mira.getByRole("link", { name: "notes.txt" }).waitFor();
    for (const kind of ["paste", "drop"]) {
      await ann.evaluate((kind) => {
        const files = new DataTransfer();
        files.items.add(new File(["x"], `${kind}.txt`));
        const told = kind === "paste" ? { clipboardData: files } : { dataTransfer: files };
        const target = kind === "paste" ? document.querySelector("#text") : document.querySelector("#messages");
        const Kind = kind === "paste" ? ClipboardEvent : DragEvent;
        target.dispatchEvent(new Kind(kind, { bubbles: true, cancelable: true, ...told }));
      }, kind);
      await mira.getByRole("link", { name: `${kind}.txt` }).waitFor();
    }
    const saving = mira.waitForEvent("download");
    await mira.getByRole("link", { name: "notes.txt" }).click();
    assert.equal((await saving).suggestedFilename(), "notes.txt");

    await say(ann, "/play tada");
    await mira.getByText("plays tada").waitFor();

    // Deleted.
    await message(ann, "first").hover();
    await message(ann, "first").getByRole("button", { name: "Delete" }).click();
    await ann.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await message(mira, "first").waitFor({ state: "detached" });
    assert.equal(await message(ann, "plays tada").getByRole("button", { name: "Delete" }).count(), 1);
    assert.equal(await message(mira, "plays tada").getByRole("button", { name: "Delete" }).count(), 0);

    // What comes elsewhere is seen in the list.
    await go(mira, "echo");
    await say(ann, "over here");
    await mira.getByRole("button", { name: "All Talk (unread)" }).click();
    await message(mira, "over here").waitFor();

    // A room of their own.
    await ann.getByRole("button", { name: "New room" }).click();
    await ann.getByRole("dialog").getByLabel("Name").fill("Lunch");
    await ann.getByRole("dialog").getByRole("checkbox", { name: "Mira" }).check();
    await ann.getByRole("button", { name: "Make it" }).click();
    await go(mira, "Lunch");
    assert.deepEqual([...ann.faults, ...mira.faults], []);
  },

  // An answer that takes its time is shown as it comes along, in one message.
  async progress() {
    const page = await open();
    await isOpen(page);
    await go(page, "assistant");
    await say(page, "demo:slow=12000 take your time");
    await message(page, "Working on it").waitFor();
    const id = await message(page, "Working on it").getAttribute("data-id");
    await page.waitForFunction((id) => !document.querySelector(`[data-id="${id}"]`).textContent.includes("Working on it"), id);
    assert.equal(await log(page).getByRole("article", { name: /^assistant/ }).count(), 1);

    // On an older server there is nothing to edit, and nothing to boost with.
    await page.getByRole("button", { name: "Server" }).click();
    const server = page.getByRole("dialog", { name: "This Campfire" });
    for (const feature of ["history", "edit and delete", "boost"]) await server.getByRole("checkbox", { name: new RegExp(feature) }).uncheck();
    await server.getByRole("button", { name: "Close" }).click();
    await page.getByRole("button", { name: "Server, which is not as usual" }).waitFor();
    await say(page, "demo:slow=1500 and now");
    await log(page).getByRole("article", { name: /^assistant/ }).nth(1).waitFor();
    assert.equal(await message(page, "and now").first().locator(".boost").count(), 0);
    assert.equal(await page.getByText("Working on it").count(), 0);

    // A fault that the bot gets over.
    await page.getByRole("button", { name: /^Server/ }).click();
    await server.getByLabel("Posts of bots").selectOption({ label: "are answered 500, and are not there" });
    await server.getByRole("button", { name: "Let it go wrong" }).click();
    await server.getByText("1 post to come").waitFor();
    await server.getByRole("button", { name: "Take it back" }).click();
    await page.waitForFunction(() => document.querySelector("#faults").textContent === "");
    await server.getByRole("button", { name: "Close" }).click();
    assert.deepEqual(page.faults, []);
  },

  // What is behind a message of a bot.
  async turn() {
    const page = await open("", JUDGED);
    await isOpen(page);
    await go(page, "assistant");
    await say(page, `demo:tool remember {"subject":"lunch","note":"pizza"}`);
    const answer = log(page).getByRole("article", { name: /^assistant/ }).first();
    await answer.hover();
    await answer.getByRole("button", { name: "Its turn" }).click();
    const turn = page.getByRole("complementary", { name: /^Turn/ });
    await turn.getByText("What happened").waitFor();
    assert.match(await turn.innerText(), /answered\s+in .*assistant \d+\.\d+\.\d+, generation 1/s);
    assert.match(await turn.getByLabel("The prompt as sent").innerText(), /demo:tool remember/);
    await turn.getByText("call-tool remember").click();
    assert.match(await turn.getByLabel("Input of call-tool").first().innerText(), /pizza/);
    await turn.getByText("on-message").first().click();
    for (const name of ["tool began", "tool ended", "format-reply"]) await turn.getByText(name).first().waitFor();
    await turn.getByRole("button", { name: "Replay with the current build" }).click();
    await turn.getByText("the same as then").waitFor();
    await judge(page, "with a turn");
    await picture(page, "turn");
    await page.keyboard.press("Escape");
    await turn.waitFor({ state: "hidden" });
    assert.ok(await focused(answer.getByRole("button", { name: "Its turn" })));
    await field(page).focus();
    await page.keyboard.press("Alt+KeyT");
    await turn.getByText("What happened").waitFor();
    await page.setViewportSize({ width: 390, height: 844 });
    await judge(page, "with a turn, on a phone");
    await turn.getByRole("button", { name: "Close the turn" }).click();
    assert.deepEqual(page.faults, []);
  },

  // bots.toml with a mistake, and without it again; the test saves it when told to.
  async refused() {
    const page = await open("", JUDGED);
    await isOpen(page);
    await writeFile(stage.more.wrong, "");
    const told = page.getByRole("region", { name: "Plugins" });
    await told.getByText("bots.toml has a mistake").waitFor();
    assert.match(await told.innerText(), /max-turnz/);
    await judge(page, "with a mistake");
    await told.getByText("bots.toml has a mistake").click();
    await told.getByText("max-turnz").waitFor({ state: "hidden" });
    await writeFile(stage.more.right, "");
    await told.waitFor({ state: "hidden" });
    assert.deepEqual(page.faults, []);
  },

  // Nothing that anybody wrote is more than text.
  async markup() {
    const page = await open();
    await isOpen(page);
    await page.getByRole("note").getByText("window.broken=1").waitFor();
    await go(page, stage.more.room);
    for (const text of stage.more.texts) await message(page, text).first().waitFor();
    await field(page).pressSequentially("@");
    await option(page).first().waitFor();
    await page.getByLabel("You speak as").selectOption({ index: 1 });
    assert.equal(await page.evaluate(() => window.broken), undefined);
    // Nor would it run if it got into the page as markup.
    const ran = await page.evaluate(() => {
      try {
        document.querySelector("main").innerHTML = "<img src=x onerror='window.broken=9'>";
      } catch {
        return "refused";
      }
      return "taken";
    });
    assert.equal(ran, "refused");
    assert.equal(await page.evaluate(() => window.broken), undefined);
  },

  async access() {
    for (const [name, options] of LOOKS) {
      const page = await open("", { ...options, ...JUDGED });
      await isOpen(page);
      if (name === "phone") await page.getByRole("button", { name: "Rooms", exact: true }).click();
      await go(page, "All Talk");
      await message(page, "coffee at ten").nth(1).waitFor();
      await page.waitForFunction(() => [...document.images].every((image) => image.complete));
      await judge(page, name);
      await picture(page, name);
      const answer = log(page).getByRole("article", { name: /^assistant/ }).first();
      await answer.hover();
      await answer.getByRole("button", { name: "Its turn" }).click();
      await page.getByText("What happened").waitFor();
      await judge(page, `${name}, with a turn`);
      await picture(page, `${name}-turn`);
      await page.getByRole("button", { name: "Close the turn" }).click();
      await field(page).pressSequentially("@");
      await option(page).first().waitFor();
      await judge(page, `${name}, naming somebody`);
      await field(page).press("Escape");
      await field(page).fill("");
      const dialogs = [["Keys", "Keys"], ["Server", "This Campfire"], ["Add a person", "Add a person"], ["New room", "New room"]];
      for (const [button, title] of dialogs) {
        if (name === "phone") await page.getByRole("button", { name: "Rooms", exact: true }).click();
        await page.getByRole("button", { name: button, exact: true }).click();
        await page.getByRole("dialog", { name: title }).waitFor();
        await judge(page, `${name}, ${title}`);
        await picture(page, `${name}-${title.split(" ").at(-1).toLowerCase()}`);
        await page.keyboard.press("Escape");
        if (name === "phone") await page.getByRole("button", { name: "Close the rooms" }).click();
      }
      if (name === "phone") {
        await page.getByRole("button", { name: "Rooms", exact: true }).click();
        await judge(page, "phone, rooms");
        await picture(page, "phone-rooms");
      }
      assert.deepEqual(page.faults, []);
    }
    // By keyboard alone: the first stop leads past the rooms.
    const page = await open();
    await isOpen(page);
    await page.evaluate(() => { document.body.tabIndex = -1; document.body.focus(); });
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to the message field");
    await page.keyboard.press("Enter");
    assert.ok(await focused(field(page)));
  },

  // An author's plugin, built by `hearth dev` whenever it is saved.
  async workshop() {
    const page = await open("", JUDGED);
    await isOpen(page);
    await go(page, "my-bot");
    const told = page.getByRole("region", { name: "Plugins" });
    // The first build takes as long as it takes.
    const builds = { timeout: 480000 };
    await page.getByText(/my-bot .*, generation 1/).waitFor(builds);
    await say(page, "ping");
    await message(page, "pong").waitFor();

    const save = (answer) => writeFile(join(stage.more.sources, "lib.rs"), stage.more.source.replace(`"pong"`, answer));
    await Promise.all([told.getByText("my-bot: building…").waitFor(builds), save("no_such_word")]);
    await told.getByText("my-bot can't be built").waitFor(builds);
    assert.match(await told.getByLabel("my-bot can't be built", { exact: true }).innerText(), /error\[E0425\][^]*no_such_word/);
    await judge(page, "with what the compiler says");
    await picture(page, "refused");
    await told.getByText("my-bot can't be built").click();
    await told.getByLabel("my-bot can't be built", { exact: true }).waitFor({ state: "hidden" });
    await say(page, "ping");
    await message(page, "pong").nth(1).waitFor();

    await save(`"pong, as it is now"`);
    await told.getByText(/my-bot: live .* after it was saved/).waitFor(builds);
    assert.equal(await told.getByText("can't be built").count(), 0);
    await page.getByText(/generation 2/).waitFor();
    // What was said before would be other now.
    await message(page, "pong").nth(0).hover();
    await message(page, "pong").nth(0).getByRole("button", { name: "Its turn" }).click();
    const turn = page.getByRole("complementary", { name: /^Turn/ });
    await turn.getByRole("button", { name: "Replay with the current build" }).click();
    await turn.getByText("other than then").waitFor();
    assert.match(await turn.getByLabel("What decision says otherwise").innerText(), /-.*pong\n[^]*\+.*pong, as it is now/);
    await judge(page, "with a turn that is other now");
    await picture(page, "replayed");
    await turn.getByRole("button", { name: "Close the turn" }).click();
    await say(page, "ping");
    await message(page, "pong, as it is now").waitFor();
    await told.waitFor({ state: "hidden" });
    assert.deepEqual(page.faults, []);
  },
};

await play(scenes);
