// Drives Chromium through the pages of running servers:
//
//	node test.mjs MODULES SCREENSHOTS < CONFIG
//
// CONFIG is JSON. The servers full (instances), installed (mostly installations), one (one
// report), empty, odd, hosting, public, unpublished and secure have a base URL and some a link
// that signs in once; the base URL of secure is https. spares are more links
// to full, managed is described in manage.mjs, and affected is the number of its instances
// below the version below, as text.
// Screenshots are written if the directory SCREENSHOTS is given. The program prints a
// line for each failed check, and exits with status 1 if there are any.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { look } from "./look.mjs";
import { manageSections } from "./manage.mjs";

const [modules, screenshots] = process.argv.slice(2);
const require = createRequire(join(modules, "node_modules") + "/");
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const config = JSON.parse(readFileSync(0, "utf8"));

let failures = 0;
function check(ok, message) {
  if (ok) return;
  failures++;
  console.log("failed:", message);
}
const { checkFit, checkLook, screenshot } = look(check, axe, screenshots);

const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--host-resolver-rules=MAP relcheck.test 127.0.0.1"], timeout: 120000 });

// confirm signs in with a link.
async function confirm(page, link) {
  await page.goto(link);
  await page.click("main form button");
  await page.waitForURL((url) => url.pathname !== "/sign-in");
}

// signedIn returns the browser state after signing in to a server. All windows share one
// session, because a link works once.
const states = new Map();
function signedIn(server) {
  if (!server.link) return undefined;
  if (!states.has(server)) {
    states.set(server, (async () => {
      const context = await browser.newContext();
      await confirm(await context.newPage(), server.link);
      const state = await context.storageState();
      await context.close();
      return state;
    })());
  }
  return states.get(server);
}

// visit opens a window and reports script errors, console errors and requests to other
// origins.
async function visit(server, options, work) {
  const storageState = await signedIn(server);
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, acceptDownloads: true, storageState, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(60000); // for a busy machine
  page.on("request", (r) => check(r.url().startsWith(server.base), `request to another origin: ${r.url()}`));
  page.on("pageerror", (e) => check(false, `script error on ${page.url()}: ${e.message}`));
  page.on("console", (m) => check(m.type() !== "error" || /40[0134]|422/.test(m.text()), `console error on ${page.url()}: ${m.text()}`));
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("the visit takes too long")), 5 * 60000); // a script in a page that waits has no limit of its own
  });
  try {
    await Promise.race([work(page), late]);
  } catch (e) {
    check(false, `${e.stack} at ${page.url()}`);
  }
  clearTimeout(timer);
  await context.close();
}

const text = (page, selector) => page.locator(selector).first().innerText();
const sections = []; // functions, each of which makes a visit

// All parameters that the URL of a page may have.
const allParams = "days=90&version=v1&os=linux&below=v1.0.0&above=1048576&compare=v1.0.0..v1.1.0";

// The pages of the statistics of a product, and the pages of each server.
const statistics = ["", "/versions", "/platforms", "/memory", "/activity"].map((page) => "/products/opa" + page);
const paths = {
  installed: ["/", ...statistics, "/products/opa/activity?days=90"],
  one: ["/", ...statistics],
  full: ["/", ...statistics, "/products/opa/print", ...statistics.map((path) => path + "?days=365"), ...statistics.map((path) => path + "?" + allParams), "/products/opa/releases", "/products/opa/connect", "/connect", "/privacy", "/docs", "/docs/dialects", "/docs/proxy", "/nothing", "/products/opa/versions?below=nonsense&os=plan9&days=90"],
  empty: ["/", ...statistics, "/products/opa/releases"],
  unpublished: ["/products/opa"],
  public: ["/", "/products/opa", "/products/relcheck/public", "/products/opa/releases", "/sign-in", "/connect"],
  odd: ["/", "/products/opa", "/products/opa/versions", "/products/long", "/products/long/versions", "/products/long/memory"],
  hosting: ["/", "/products/opa/releases", "/products/opa/releases/v1.1.0", "/products/opa/releases/v1.0.0", "/products/app/releases", "/products/new/releases", "/connect"],
};

// seen reports whether a page has the same elements as others: those of a year, of an empty
// product, and of installations, except for the first and the last one.
const seen = (server, path) => path.includes("days=365") || ["empty", "installed"].includes(server) && statistics.slice(1, -1).includes(path);

for (const [server, all] of Object.entries(paths)) {
  sections.push(() => visit(config[server], {}, async (page) => {
    for (const path of all) {
      await page.goto(config[server].base + path);
      const name = `${server}${path.replace(/[^a-z0-9]+/g, "-").replace(/-$/, "")}`;
      // A page of statistics is about two screens high.
      const most = server !== "public" && statistics.includes(path.split("?")[0]) && 1950;
      await checkLook(page, name, { drawn: !path.includes("?"), access: !seen(server, path), most });
    }
  }));
}

// Without a session there is a form to sign in, and no statistics.
sections.push(() => visit({ base: config.full.base }, {}, async (page) => {
  await page.goto(config.full.base + "/products/opa");
  check((await page.locator("input[name=token]").count()) === 1, "without a session there is no form to sign in");
  check((await page.locator("svg.area").count()) === 0, "without a session there are charts");
  await page.fill("input[name=token]", config.spares[0]);
  await page.click("main form button");
  await page.waitForSelector("svg.area");
  check(page.url() === config.full.base + "/products/opa", `after signing in the page is ${page.url()}`);
  const copy = await page.context().cookies();
  await page.click("text=Sign out");
  await page.waitForURL(config.full.base + "/");
  await page.context().addCookies(copy);
  await page.goto(config.full.base + "/products/opa");
  check((await page.locator("svg.area").count()) === 0, "a copy of the cookie is valid after signing out");
  await page.goto(config.spares[0]);
  check(/not valid/.test(await text(page, ".problem")), "a link can be used twice");
}));

// A link asks before it signs in, also on a page of another site.
sections.push(() => visit({ base: "http://" }, { javaScriptEnabled: false }, async (page) => {
  await page.route("http://elsewhere.test/", (route) => route.fulfill({ contentType: "text/html", body: `<a href="${config.spares[1]}">link</a>` }));
  await page.goto("http://elsewhere.test/");
  await page.click("a");
  await page.waitForSelector("h1");
  check((await page.locator("form[action='/sign-out']").count()) === 0, "a link on another site signs in without a confirmation");
  check((await text(page, "main")).includes(config.full.base), "the page of a sign-in link does not name the service");
  await page.click("main form button");
  await page.waitForURL(config.full.base + "/");
  check((await page.locator("form[action='/sign-out']").count()) === 1, "a link on another site does not sign in after the confirmation");
}));

// Over plain HTTP, browsers send fewer headers about the origin of a form. If the base URL
// is https, they drop the cookies, and the page explains that.
function plainHTTP(base, link) {
  const { pathname, search } = new URL(link);
  return "http://relcheck.test:" + new URL(base).port + pathname + search;
}
sections.push(() => visit({ base: "http://relcheck.test" }, {}, async (page) => {
  await page.goto(plainHTTP(config.full.base, config.spares[2]));
  await checkLook(page, "confirm");
  await page.click("main form button");
  await page.waitForURL((url) => url.pathname === "/");
  check((await page.locator("form[action='/sign-out']").count()) === 1, "a link does not sign in over plain HTTP");
  await page.click("text=Sign out");
  await page.waitForSelector("text=Sign in");
  check((await page.context().cookies()).every((c) => c.name !== "relcheck"), "signing out fails over plain HTTP");
  await page.goto(plainHTTP(config.secure.base, config.secure.link));
  await checkLook(page, "confirm-plain");
  for (let i = 0; i < 2; i++) {
    await page.click("main form button");
    await page.waitForSelector(".problem:has-text('plain HTTP')");
    check((await page.getAttribute(".problem a", "href")).startsWith(config.secure.link), "the page does not link to HTTPS");
  }
}));

// The period and filters change what is shown, are part of the URL, and can be undone by
// going back.
for (const javaScriptEnabled of [true, false]) {
  const how = javaScriptEnabled ? "with scripts" : "without scripts";
  sections.push(() => visit(config.full, { javaScriptEnabled }, async (page) => {
    await page.goto(config.full.base + "/products/opa");
    const before = await text(page, ".cards");
    await page.click("text=90 days");
    await page.waitForURL(/\?days=90$/);
    await page.waitForSelector(".ranges a[aria-current]:has-text('90 days')");
    const ninety = await text(page, ".cards");
    check(ninety !== before && /90\sdays/.test(ninety), `${how}: the text for 90 days is ${ninety}`);
    await page.selectOption("select[name=os]", "darwin");
    if (!javaScriptEnabled) await page.click("form.filters button");
    await page.waitForURL(/days=90&os=darwin/);
    await page.waitForSelector(".cards:has-text('darwin')");
    check((await text(page, ".cards")) !== ninety, `${how}: the filter changes nothing`);
    await page.goBack();
    await page.waitForSelector(`.cards:not(:has-text('darwin'))`);
    check((await text(page, ".cards")) === ninety, `${how}: going back shows ${await text(page, ".cards")}`);
    await page.click(".tabs a:has-text('Versions')");
    await page.waitForURL(/\/versions\?days=90$/);

    await page.goto(config.full.base + "/products/opa/versions");
    await page.fill("input[name=below]", config.below);
    await page.click("form:has(input[name=below]:visible) button");
    await page.waitForURL(/below=/);
    const want = `If support ended below ${config.below}, ${config.affected} would be affected.`;
    await page.waitForSelector(`.answer:has-text("${config.below}")`);
    check((await text(page, ".answer")).replaceAll("\u00a0", " ") === want, `${how}: got ${await text(page, ".answer")}, want ${want}`);
    await page.goto(config.full.base + "/products/opa/memory");
    await page.fill("input[name=old]", "v1.0.0");
    await page.fill("input[name=new]", "v1.1.0");
    await page.click("form:has(input[name=old]) button");
    await page.waitForURL(/compare=v1\.0\.0\.\.v1\.1\.0/);
  }));
}

// A URL with all parameters shows the same page to everyone, and its forms work.
sections.push(() => visit(config.full, {}, async (page) => {
  await page.goto(config.full.base + "/products/opa/versions?" + allParams);
  await page.locator("#deprecation input[type=range]").focus();
  const before = await text(page, ".answer");
  await page.keyboard.press("End");
  check((await text(page, ".answer")) !== before, "the slider changes nothing if the URL has the parameter below");
  await page.evaluate(() => (document.body.dataset.same = "yes"));
  await page.focus("select[name=arch]");
  await page.evaluate(() => scrollTo(0, 20));
  await page.selectOption("select[name=arch]", "amd64");
  await page.waitForURL(/arch=amd64/);
  await page.waitForSelector(".filter > summary:has-text('amd64')", { state: "attached" });
  const got = await page.evaluate(() => [document.body.dataset.same, document.activeElement.name, scrollY].join());
  check(got === "yes,arch,20", `same document, focus and scroll position after filtering: got ${got}, want yes,arch,20`);
}));

// Errors stand next to their forms, and valid parameters are kept.
sections.push(() => visit(config.full, {}, async (page) => {
  await page.goto(config.full.base + "/products/opa/versions?days=90&below=nonsense");
  check((await page.inputValue("#deprecation input[name=below]:visible")) === "nonsense", "the form lost an invalid version");
  check(/^Support ends below: /.test(await text(page, "#deprecation form .error")), "there is no error next to the form");
  check((await text(page, ".ranges a[aria-current]")) === "90 days", "an invalid version changes the period");
  await page.goto(config.full.base + "/products/opa?from=2999-01-01&to=2999-02-01");
  check(await page.isVisible("input[name=from]"), "the form with dates in the future is hidden");
  check((await page.inputValue("input[name=to]")) === "2999-02-01" && /^To: 2999-02-01 /.test(await text(page, ".dates .error")), "there is no error about dates in the future");
  check((await page.locator(".ranges a[aria-current]").count()) === 0, "a period is marked although the dates are in the future");
}));

// After signing out in another tab, the next click shows the whole sign-in page.
sections.push(() => visit(config.full, {}, async (page) => {
  await page.goto(config.full.base + "/products/opa");
  await page.context().clearCookies();
  await page.click("text=90 days");
  await page.waitForSelector("input[name=token]");
  check((await page.locator("text=Sign out").count()) === 0, "the page without a session still has a button to sign out");
}));

// A product that has only checks shows them.
sections.push(() => visit(config.odd, {}, async (page) => {
  await page.goto(config.odd.base + "/products/opa/");
  check(/no instances reported.*25.checks/.test(await text(page, ".lead")), `the text about checks is ${await text(page, ".lead")}`);
  check((await page.locator("#daily-checks svg.area").count()) === 1 && (await page.locator("figure").count()) === 2, "there are other figures than those of checks");
  check((await page.locator("#checks tbody tr").count()) > 0, "there is no table of checks by version and platform");
  await page.goto(config.odd.base + "/");
  check(/Checks/.test(await text(page, "li:has(a[href='/products/opa']) .tiles")), "the overview has no number of checks");
}));

// The keyboard reaches the same values as the pointer.
sections.push(() => visit(config.full, {}, async (page) => {
  await page.goto(config.full.base + "/products/opa");
  await page.locator("#adoption .mark").first().focus();
  const first = await text(page, ".tip");
  await page.keyboard.press("ArrowRight");
  const second = await text(page, ".tip");
  await page.keyboard.press("End");
  const last = await text(page, ".tip");
  check(/\d+\.\d\s%/.test(first) && first !== second && second !== last, `the values of three points are ${JSON.stringify([first, second, last])}`);
  const label = await page.evaluate(() => document.activeElement.getAttribute("aria-label"));
  check(label.replace(/\s+/g, " ") === last.replace(/\s+/g, " "), `the label of a point is ${JSON.stringify(label)}, but its tooltip is ${JSON.stringify(last)}`);
  await page.keyboard.press("Escape");
  check(await page.locator(".tip").isHidden(), "Escape does not hide the tooltip");
  await page.goto(config.full.base + "/products/opa/versions");
  await page.locator("#deprecation input[type=range]").focus();
  await page.keyboard.press("Home");
  const oldest = await text(page, ".answer");
  await page.keyboard.press("ArrowRight");
  check((await text(page, ".answer")) !== oldest, "the slider changes nothing");
}));

// The data of each figure can be downloaded, with the query of the page.
sections.push(() => visit(config.full, {}, async (page) => {
  await page.goto(config.full.base + "/products/opa/print?days=90&os=linux");
  const figures = await page.locator("figure").count();
  check(figures > 15, `the page to print has ${figures} figures`);
  for (const kind of ["CSV", "JSON"]) {
    const urls = await page.locator("figure .source > a", { hasText: kind }).evaluateAll((links) => links.map((a) => a.href));
    check(urls.length === figures && urls.every((url) => /days=90.*os=linux/.test(url)), `${figures} figures have ${urls.length} links to ${kind}: ${urls}`);
  }
  const link = page.locator("#versions a", { hasText: "CSV" });
  const [download] = await Promise.all([page.waitForEvent("download"), link.click()]);
  const csv = readFileSync(await download.path(), "utf8");
  check(csv.startsWith("version,"), `the CSV of versions is ${csv.slice(0, 200)}`);
  const json = await page.evaluate(async (url) => (await fetch(url)).json(), await page.locator("#versions a", { hasText: "JSON" }).getAttribute("href"));
  check(json.rows?.length === csv.trim().split(/\r?\n/).length - 1, `the JSON of versions is ${JSON.stringify(json).slice(0, 200)}`);
}));

// A version has the same color in all ranges, and the current day is not in the charts.
sections.push(() => visit(config.full, {}, async (page) => {
  const colors = new Map();
  for (const days of [7, 28, 90, 365]) {
    await page.goto(config.full.base + "/products/opa?days=" + days);
    for (const [name, color] of await page.locator("#adoption .legend li").evaluateAll((all) => all.map((li) => [li.textContent, li.querySelector(".swatch").className]))) {
      check(!colors.has(name) || colors.get(name) === color, `${name} is ${colors.get(name)}, but in ${days} days ${color}`);
      colors.set(name, color);
    }
    const last = await page.locator("#adoption .mark title, #adoption .mark").last().evaluate((e) => e.textContent || e.getAttribute("aria-label"));
    const today = new Date().toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
    check(!last.replaceAll("\u00a0", " ").startsWith(today), `with ${days} days, the chart includes today: ${last}`);
  }
  check(colors.size > 3, `got ${colors.size} series`);
}));

// The overview answers its questions in sentences with figures.
sections.push(() => visit(config.full, {}, async (page) => {
  await page.goto(config.full.base + "/products/opa");
  const cards = (await page.locator(".cards > div").allInnerTexts()).map((card) => card.replace(/\s+/g, " "));
  const want = [/^How many installations\? at most [\d,]+ Instances in the 28 days to .*\. Each restart counts again\./, /(drop everything below|runs anything below) v/, /^Is adoption slower than last time\? (yes, slower|no, faster|no, about as fast) On day \d+ after its release, [\d.]+ % ran v\S+ or newer\. v\S+ had [\d.]+ % on its day/, /^Did memory get worse\? (yes, \+[\d.]+ %|no, −[\d.]+ %|partly|not certain) .*(heap|instances to compare)/];
  check(cards.length === 4 && want.every((pattern, i) => pattern.test(cards[i])), `the answers are ${JSON.stringify(cards)}`);
  const heights = await page.locator(".cards > div").evaluateAll((all) => [...new Set(all.map((div) => div.offsetTop))].length);
  check(heights === 1, `the answers are in ${heights} rows`);
}));
sections.push(() => visit(config.installed, {}, async (page) => {
  await page.goto(config.installed.base + "/products/opa");
  const first = (await text(page, ".cards > div")).replace(/\s+/g, " ");
  check(/^How many installations\? [\d,]+ Installations in the four weeks to [^.]*(\.\d[^.]*)?\. [\d,]+ are new\. Programs that cannot remember started [\d,]+ times\./.test(first), `the number of installations is given as ${first}`);
}));

// A button copies a text, also where the browser has no clipboard.
sections.push(() => visit(config.full, { permissions: ["clipboard-read", "clipboard-write"] }, async (page) => {
  await page.goto(config.full.base + "/products/opa/connect");
  for (const [i, clipboard] of [true, false].entries()) {
    if (!clipboard) await page.evaluate(() => { navigator.clipboard.writeText = undefined; });
    await page.locator(".copy").nth(i).click();
    await page.waitForSelector(".copy:has-text('Copied')");
    const want = await page.locator("pre code").nth(i).textContent();
    const got = await page.evaluate(() => navigator.clipboard.readText());
    check(got === want, `with a clipboard (${clipboard}): copied ${JSON.stringify(got)}, want ${JSON.stringify(want)}`);
    await page.waitForSelector(".copy:has-text('Copied')", { state: "detached" });
  }
}));

// Printed pages have no forms, and light colors also if the window has dark ones.
sections.push(() => visit(config.full, { viewport: { width: 720, height: 1000 } }, async (page) => {
  await page.goto(config.full.base + "/products/opa/print");
  const colors = () => page.evaluate(() => [document.documentElement, document.querySelector(".c5"), document.querySelector("h1")].map(getComputedStyle).map((style) => [style.backgroundColor, style.fill, style.color].join()).join());
  await page.emulateMedia({ media: "print", colorScheme: "light" });
  const light = await colors();
  await page.emulateMedia({ media: "print", colorScheme: "dark" });
  check(light.startsWith("rgb(255, 255, 255)") && (await colors()) === light, `printed from a dark window, the colors are ${await colors()}, want ${light}`);
  await checkFit(page, "print");
  check((await page.locator("main form:visible, main summary:visible").count()) === 0, "forms are printed");
  check((await page.locator("section.section").count()) === 5, "sections are missing");
  await screenshot(page, "print");
  if (screenshots) await page.pdf({ path: join(screenshots, "print.pdf"), format: "A4" });
}));

sections.push(...manageSections({ server: config.managed, check, visit, checkLook, text }));

// Browser and servers wait for each other, so a few sections run at a time.
await Promise.all(Array.from({ length: 4 }, async () => {
  while (sections.length > 0) await sections.shift()();
}));
console.log(`${Math.round(performance.now() / 1000)} s`);
await browser.close();
process.exit(failures ? 1 : 0);
