// Drives Chromium through all pages of servers whose base URLs have a path:
//
//	node prefix.mjs MODULES < SERVERS
//
// SERVERS is a list in JSON, each with a base URL and a link that signs in once. The program
// prints a line for each failed check, and exits with status 1 if there are any.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const require = createRequire(join(process.argv[2], "node_modules") + "/");
const { chromium } = require("playwright-core");

let failures = 0;
function check(ok, message) {
  if (ok) return;
  failures++;
  console.log("failed:", message);
}

const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"], timeout: 120000 });
for (const { base, link } of JSON.parse(readFileSync(0, "utf8"))) {
  const { origin } = new URL(base);
  const below = (url) => url === base || url.startsWith(base + "/") || url.startsWith(base + "?");
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  const page = await context.newPage();
  page.setDefaultTimeout(60000); // for a busy machine
  let signedOut = false;
  page.on("request", (r) => check(below(r.url()), `${page.url()} requests ${r.url()}`));
  page.on("response", (r) => check(r.status() < 400 || signedOut, `${r.url()} has status ${r.status()}`));
  page.on("pageerror", (e) => check(false, `script error on ${page.url()}: ${e.message}`));

  // A page that needs a session leads back after signing in.
  signedOut = true;
  await page.goto(base + "/products/opa?days=90");
  const next = await page.inputValue("input[name=next]");
  check(below(origin + next), `after signing in, the browser goes to ${next}`);
  signedOut = false;
  await page.goto(link);
  await page.click("main button");
  await page.waitForURL(base + "/");
  for (const c of await context.cookies()) {
    check(c.path === new URL(base).pathname && c.name.startsWith("__Secure-") === base.startsWith("https:"), `the cookie ${c.name} has the path ${c.path}`);
  }

  // Every link, form and asset of each page begins with the base URL, and works.
  const queue = [base, base + "/"], seen = new Set(queue);
  let pages = 0;
  while (queue.length > 0) {
    const url = queue.shift();
    const answer = await context.request.get(url, { headers: { Accept: "text/html" }, maxRedirects: 0 });
    const redirect = url === base && answer.status() === 301; // of the proxy
    check(answer.status() < 300 || redirect, `${url} has status ${answer.status()}`);
    if (redirect || !(answer.headers()["content-type"] || "").startsWith("text/html")) continue;
    await page.goto(url);
    pages++;
    check((await page.locator("text=Sign out").count()) === 1, `${url} does not know the session`);
    const found = await page.evaluate(() => [...document.querySelectorAll("[href], [src], [action]")].map((e) => [e.tagName, e.href?.baseVal ?? e.href ?? e.src ?? e.action]));
    for (const [tag, target] of found) {
      const to = target.split("#")[0];
      if (!to.startsWith(origin)) continue; // notes and files elsewhere
      check(below(to), `${url} has <${tag}> with ${target}`);
      if (tag !== "FORM" && !seen.has(to)) {
        seen.add(to);
        queue.push(to);
      }
    }
  }
  console.log(`${base}: ${pages} pages, ${seen.size} links`);

  // A form and a script change the query of the page.
  await page.goto(base + "/products/opa");
  await page.click("text=90 days");
  await page.waitForURL(base + "/products/opa?days=90");
  await page.goto(base + "/products/opa/memory");
  await page.fill("input[name=old]", "v1.0.0");
  await page.fill("input[name=new]", "v1.1.0");
  await page.click("form:has(input[name=old]) button");
  await page.waitForURL(/\/releases\/products\/opa\/memory\?compare=v1\.0\.0\.\.v1\.1\.0/);
  await page.click("text=Sign out");
  await page.waitForURL(base + "/");
  check((await context.cookies()).every((c) => !/relcheck$/.test(c.name)), "signing out leaves the cookie");
  await context.close();
}
await browser.close();
process.exit(failures ? 1 : 0);
