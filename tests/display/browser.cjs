// Looks at pages in a real browser, as a JSON document on standard input says, and answers with one.
// {program, looks: [{url, width, dark, picture, selector, wait, axe, type, evaluate}]} -> [{requests, errors, violations, value, wide}]
"use strict";
const { chromium } = require("playwright-core");
const fs = require("node:fs");

const QUIET = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--hide-scrollbars",
];

async function look(browser, one) {
  const context = await browser.newContext({
    viewport: { width: one.width ?? 1280, height: one.height ?? 900 },
    colorScheme: one.dark ? "dark" : "light",
    javaScriptEnabled: one.script ?? true,
    bypassCSP: one.axe ?? false,
  });
  const page = await context.newPage();
  const requests = [], errors = [];
  page.on("request", (request) => requests.push(request.url()));
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  page.on("dialog", (dialog) => { errors.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  const began = Date.now();
  await page.goto(one.url, { waitUntil: "load", timeout: 60000 });
  const seconds = (Date.now() - began) / 1000;
  if (one.wait) await page.waitForSelector(one.wait, { timeout: 60000 });
  if (one.settle) await page.waitForTimeout(one.settle);
  if (one.type) await page.fill("input[type=search]", one.type);
  const value = one.evaluate ? await page.evaluate(one.evaluate) : null;
  let violations = null;
  if (one.axe) {
    await page.addScriptTag({ path: require.resolve("axe-core/axe.min.js") });
    const found = await page.evaluate(() => globalThis.axe.run(document, { preload: false }));
    violations = found.violations.map((each) => `${each.id}: ${each.help}: ${each.nodes.map((node) => node.html).slice(0, 3)}`);
  }
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
  const pictures = one.pictures ?? (one.picture ? { [one.picture]: one.selector ?? null } : {});
  for (const [path, selector] of Object.entries(pictures)) {
    const target = selector ? page.locator(selector).first() : page;
    await target.screenshot({ path, ...(selector ? {} : { fullPage: one.full ?? true }) });
  }
  await context.close();
  return { requests, errors, violations, value, wide, seconds };
}

(async () => {
  const job = JSON.parse(fs.readFileSync(0, "utf8"));
  const browser = await chromium.launch({ executablePath: job.program, args: QUIET });
  const answers = [];
  try {
    for (const one of job.looks) answers.push(await look(browser, one));
  } finally {
    await browser.close();
  }
  process.stdout.write(JSON.stringify(answers));
})();
