"use strict";
// Opens a page in Chromium and does with it what is asked on the standard input, a line of JSON each:
// [verb, argument]. The answer is a line of JSON too: {"is": ..} or {"failed": ".."}.
const { chromium } = require("playwright-core");
const { createInterface } = require("node:readline");
const { setTimeout } = require("node:timers/promises");
const [executablePath, url] = process.argv.slice(2);

const quiet = ["disable-gpu", "disable-quic", "no-first-run", "disable-background-networking", "disable-component-update", "disable-sync"];

(async () => {
  // Root in a container has no sandbox to offer, and the only page is our own.
  const browser = await chromium.launch({ executablePath, args: ["no-sandbox", ...quiet].map((flag) => `--${flag}`) });
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  const problems = [];
  page.on("console", (line) => ["error", "warning"].includes(line.type()) && problems.push(line.text()));
  page.on("pageerror", (error) => problems.push(`uncaught: ${error.message}`));
  page.on("request", (request) => request.url().startsWith(url) || problems.push(`asked ${request.url()}`));
  const verbs = {
    open: () => page.goto(url).then(() => true),
    // Playwright's own way to wait is forbidden by the page's policy.
    until: async (condition) => {
      for (const begun = Date.now(); Date.now() - begun < 30_000; await setTimeout(20)) {
        const is = await page.evaluate(condition);
        if (is) return is;
      }
      throw new Error(`never, but ${await page.evaluate("document.body.innerText")}`);
    },
    tell: (expression) => page.evaluate(expression),
    problems: async () => problems.splice(0),
    look: ([width, height, colorScheme]) =>
      Promise.all([page.setViewportSize({ width, height }), page.emulateMedia({ colorScheme })]),
    picture: (path) => page.screenshot({ path, fullPage: true }).then(() => true),
  };
  for await (const line of createInterface({ input: process.stdin })) {
    const [verb, argument] = JSON.parse(line);
    const answer = await verbs[verb](argument).then((is) => ({ is }), (error) => ({ failed: `${verb} ${argument}: ${error.message}` }));
    console.log(JSON.stringify(answer));
  }
  await browser.close();
})();
