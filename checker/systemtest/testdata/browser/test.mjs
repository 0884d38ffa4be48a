// Drives Chromium through the pages: node test.mjs MODULES SCREENSHOTS, and on
// standard input {"full", "empty", "odd", "public": {"base", "link"}, "secure", "spares", "below", "affected"}:
// link signs in once, spares are more links to full, and the base URL of secure is https.
// It prints a line for each thing that does not hold, and ends with status 1 then.
import { createRequire } from "node:module";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const [modules, screenshots] = process.argv.slice(2);
const require = createRequire(join(modules, "node_modules") + "/");
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const given = JSON.parse(readFileSync(0, "utf8"));
mkdirSync(screenshots, { recursive: true });

let wrong = 0;
function check(holds, what) {
  if (holds) return;
  wrong++;
  console.log("wrong:", what);
}

const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--host-resolver-rules=MAP relcheck.test 127.0.0.1"], timeout: 120000 });

// confirm signs in by a link.
async function confirm(page, link) {
  await page.goto(link);
  await page.click("main button");
  await page.waitForURL((url) => url.pathname === "/");
}

// signedIn returns what a browser holds that has signed in to a server. A link works
// once, and signing out would end the session of all windows.
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

// visit opens a window that tells of all that must not be.
async function visit(server, options, work) {
  const storageState = await signedIn(server);
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, acceptDownloads: true, storageState, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(60000); // on a machine that has much to do
  page.on("request", (r) => check(r.url().startsWith(server.base), `a request leaves the origin: ${r.url()}`));
  page.on("pageerror", (e) => check(false, `a script fails on ${page.url()}: ${e.message}`));
  page.on("console", (m) => check(m.type() !== "error" || /40[0134]/.test(m.text()), `on ${page.url()} the browser says: ${m.text()}`));
  try {
    await work(page);
  } catch (e) {
    check(false, `${e.stack} at ${page.url()}`);
  }
  await context.close();
}

// fits tells whether all of a page has room beside its scroll bar.
async function fits(page, name) {
  const width = page.viewportSize().width;
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  check(wide <= width, `${name} is ${wide} pixels wide in a window of ${width}`);
  const touching = await page.evaluate(() =>
    [...document.querySelectorAll("svg.area > g.axis")].flatMap((axis) => {
      const words = [...axis.children].filter((word) => getComputedStyle(word).display !== "none").map((word) => [word.textContent, word.getBoundingClientRect()]);
      words.sort((a, b) => a[1].left - b[1].left);
      return words.filter(([, box], i) => words.slice(0, i).some(([, other]) => box.left < other.right + 2 && box.top < other.bottom - 3 && other.top < box.bottom - 3)).map(([word]) => word);
    }),
  );
  check(touching.length === 0, `on ${name} these words of an axis touch the one before: ${touching}`);
}

async function picture(page, name) {
  await page.screenshot({ path: join(screenshots, name + ".png"), fullPage: true });
}

// trim leaves a few of those that are all alike, for axe takes its time for each.
function trim() {
  for (const one of document.querySelectorAll(".mark:nth-of-type(n + 4), tbody tr:nth-child(n + 6), option:nth-child(n + 4):not([selected])")) one.remove();
}

async function accessible(page, name) {
  await page.evaluate(axe); // not as a script of the page: its policy would refuse it
  const { violations } = await page.evaluate(() => axe.run({ resultTypes: ["violations"] }));
  for (const v of violations) {
    check(false, `axe on ${name}: ${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => n.html + " " + n.failureSummary).join("; ")}`);
  }
}

// All that the address of a page may hold.
const shared = "days=90&version=v1&os=linux&below=v1.0.0&above=1048576&compare=v1.0.0..v1.1.0";

const places = {
  full: ["/", "/products/opa", "/products/opa?days=365", "/products/opa?" + shared, "/products/opa/releases", "/products/opa/connect", "/connect", "/privacy", "/nothing", "/products/opa?below=nonsense&os=plan9&days=90"],
  empty: ["/", "/products/opa", "/products/opa/releases"],
  public: ["/", "/products/opa", "/products/opa?days=365", "/products/opa/releases", "/sign-in", "/connect"],
  odd: ["/", "/products/opa", "/products/long"],
};
const drawn = { full: ["/", "/products/opa"], empty: ["/", "/products/opa"] };

// Each page is looked at narrow and wide; axe sees it once in light and once in dark.
const visits = Object.entries(places).map(([server, paths]) =>
  visit(given[server], {}, async (page) => {
    for (const path of paths) {
      await page.goto(given[server].base + path);
      const name = `${server}${path.replace(/[^a-z0-9]+/g, "-").replace(/-$/, "")}`;
      for (const width of [375, 1440]) {
        await page.setViewportSize({ width, height: 900 });
        await fits(page, name + "-" + width);
        if (!drawn[server]?.includes(path)) continue;
        for (const colorScheme of ["light", "dark"]) {
          await page.emulateMedia({ colorScheme });
          await picture(page, `${name}-${width}-${colorScheme}`);
        }
      }
      if (path.includes("days=365")) continue; // nothing but longer
      await page.evaluate(trim);
      for (const [width, colorScheme] of [[375, "light"], [1440, "dark"]]) {
        await page.setViewportSize({ width, height: 900 });
        await page.emulateMedia({ colorScheme });
        await accessible(page, `${name}-${width}-${colorScheme}`);
      }
    }
  }),
);
await Promise.all(visits); // browser and servers wait for one another

const text = (page, selector) => page.locator(selector).first().innerText();

console.log(`looked at all pages after ${Math.round(performance.now() / 1000)} s`);

// Who is not signed in sees a form, and no figure.
await visit({ base: given.full.base }, {}, async (page) => {
  await page.goto(given.full.base + "/products/opa");
  check((await page.locator("input[name=token]").count()) === 1, "without a token there is no form to sign in");
  check((await page.locator("svg.area").count()) === 0, "without a token there are charts");
  await page.fill("input[name=token]", given.spares[0]);
  await page.click("main button");
  await page.waitForSelector("svg.area");
  check(page.url() === given.full.base + "/products/opa", `after signing in the page is ${page.url()}`);
  const copy = await page.context().cookies();
  await page.click("text=Sign out");
  await page.waitForURL(given.full.base + "/");
  await page.context().addCookies(copy);
  await page.goto(given.full.base + "/products/opa");
  check((await page.locator("svg.area").count()) === 0, "a copied cookie outlives signing out");
  await page.goto(given.spares[0]);
  check(/not valid/.test(await text(page, ".problem")), "a link signs in twice");
});

// confirmed looks at the page that a link opens, which names what it signs in to.
async function confirmed(page, name) {
  for (const width of [375, 1440]) {
    await page.setViewportSize({ width, height: 900 });
    await fits(page, `${name}-${width}`);
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      await picture(page, `${name}-${width}-${colorScheme}`);
      await accessible(page, `${name}-${width}-${colorScheme}`);
    }
  }
}

// A link asks before it signs in, also one on a page of another site.
await visit({ base: "http://" }, { javaScriptEnabled: false }, async (page) => {
  await page.route("http://elsewhere.test/", (route) => route.fulfill({ contentType: "text/html", body: `<a href="${given.spares[1]}">link</a>` }));
  await page.goto("http://elsewhere.test/");
  await page.click("a");
  await page.waitForSelector("h1");
  check((await page.locator("form[action='/sign-out']").count()) === 0, "a link on another site signs in");
  check((await text(page, "main")).includes(given.full.base), "the page that a link opens does not name the service");
  await page.click("main button");
  await page.waitForURL(given.full.base + "/");
  check((await page.locator("form[action='/sign-out']").count()) === 1, "a link on another site does not sign in when it is confirmed");
});

// Over plain HTTP, browsers tell a server less of where a form comes from. A base URL
// that is https makes them drop the cookies, which the page explains.
function plain(base, link) {
  const { pathname, search } = new URL(link);
  return "http://relcheck.test:" + new URL(base).port + pathname + search;
}
await visit({ base: "http://relcheck.test" }, {}, async (page) => {
  await page.goto(plain(given.full.base, given.spares[2]));
  await confirmed(page, "confirm");
  await page.click("main button");
  await page.waitForURL((url) => url.pathname === "/");
  check((await page.locator("form[action='/sign-out']").count()) === 1, "over plain HTTP a link does not sign in");
  await page.click("text=Sign out");
  await page.waitForSelector("text=Sign in");
  check((await page.context().cookies()).every((c) => c.name !== "relcheck"), "over plain HTTP one cannot sign out");
  await page.goto(plain(given.secure.base, given.secure.link));
  await confirmed(page, "confirm-plain");
  for (let i = 0; i < 2; i++) {
    await page.click("main button");
    await page.waitForSelector(".problem:has-text('plain HTTP')");
    check((await page.getAttribute(".problem a", "href")).startsWith(given.secure.link), "the page does not lead to HTTPS");
  }
});

// Range and filters change what is shown, stand in the address, and go back.
for (const javaScriptEnabled of [true, false]) {
  const how = javaScriptEnabled ? "with scripts" : "without scripts";
  await visit(given.full, { javaScriptEnabled }, async (page) => {
    await page.goto(given.full.base + "/products/opa");
    const before = await text(page, ".lead");
    await page.click("text=90 days");
    await page.waitForURL(/\?days=90$/);
    await page.waitForSelector(".ranges a[aria-current]:has-text('90 days')");
    const ninety = await text(page, ".lead");
    check(ninety !== before && /90\sdays/.test(ninety), `${how}: 90 days read ${ninety}`);
    await page.selectOption("select[name=os]", "darwin");
    if (!javaScriptEnabled) await page.click("text=Filter");
    await page.waitForURL(/days=90&os=darwin/);
    await page.waitForSelector(".lead:has-text('darwin')");
    check((await text(page, ".lead")) !== ninety, `${how}: the filter changes nothing`);
    await page.goBack();
    await page.waitForSelector(`.lead:not(:has-text('darwin'))`);
    check((await text(page, ".lead")) === ninety, `${how}: going back shows ${await text(page, ".lead")}`);

    await page.goto(given.full.base + "/products/opa");
    await page.fill("input[name=below]", given.below);
    await page.click(".query:has(input[name=below]) button");
    await page.waitForURL(/below=/);
    const want = `If support ended below ${given.below}, ${given.affected} would be affected.`;
    await page.waitForSelector(`.answer:has-text("${given.below}")`);
    check((await text(page, ".answer")).replaceAll("\u00a0", " ") === want, `${how}: ${await text(page, ".answer")}, not ${want}`);
    await page.fill("input[name=old]", "v1.0.0");
    await page.fill("input[name=new]", "v1.1.0");
    await page.click("text=Compare >> nth=-1");
    await page.waitForURL(/compare=v1\.0\.0\.\.v1\.1\.0/);
  });
}

// A shared link with all there is to ask opens as it was, and its forms work on.
await visit(given.full, {}, async (page) => {
  await page.goto(given.full.base + "/products/opa?" + shared);
  await page.locator("#deprecation input[type=range]").focus();
  const before = await text(page, ".answer");
  await page.keyboard.press("End");
  check((await text(page, ".answer")) !== before, "with below in the address, the slider changes nothing");
  await page.evaluate(() => (document.body.dataset.same = "yes"));
  await page.focus("select[name=arch]");
  await page.evaluate(() => scrollTo(0, 20));
  await page.selectOption("select[name=arch]", "amd64");
  await page.waitForURL(/arch=amd64/);
  await page.waitForSelector(".lead:has-text('amd64')");
  const left = await page.evaluate(() => [document.body.dataset.same, document.activeElement.name, scrollY].join());
  check(left === "yes,arch,20", `after filtering a shared link there is ${left}`);
});

// What is wrong is told beside its form, and all else is kept.
await visit(given.full, {}, async (page) => {
  await page.goto(given.full.base + "/products/opa?days=90&below=nonsense");
  check((await page.inputValue(".words input[name=below]:visible")) === "nonsense", "what was typed is gone");
  check(/^Support ends below: /.test(await text(page, "#support ~ form .error")), "nothing beside the form says what is wrong");
  check((await text(page, ".ranges a[aria-current]")) === "90 days", "the range is gone with another parameter");
  await page.goto(given.full.base + "/products/opa?from=2999-01-01&to=2999-02-01");
  check(await page.isVisible("input[name=from]"), "own dates in the future close their form");
  check((await page.inputValue("input[name=to]")) === "2999-02-01" && /^To: 2999-02-01 /.test(await text(page, ".custom-range .error")), "own dates in the future are not told of");
  check((await page.locator(".ranges a[aria-current]").count()) === 0, "own dates in the future mark a range");
});

// Who has signed out in another tab gets a whole page with the form.
await visit(given.full, {}, async (page) => {
  await page.goto(given.full.base + "/products/opa");
  await page.context().clearCookies();
  await page.click("text=90 days");
  await page.waitForSelector("input[name=token]");
  check((await page.locator("text=Sign out").count()) === 0, "who has signed out elsewhere may sign out again");
});

// Of checks without an id there is all that can be told.
await visit(given.odd, {}, async (page) => {
  await page.goto(given.odd.base + "/products/opa/");
  check(page.url() === given.odd.base + "/products/opa", `a slash at the end leads to ${page.url()}`);
  check(/no instances reported.*25.checks/.test(await text(page, ".lead")), `checks without an id read ${await text(page, ".lead")}`);
  check((await page.locator("#daily-checks svg.area").count()) === 1 && (await page.locator("figure").count()) === 1, "checks without an id have no chart of their own");
  check((await text(page, ".tiles")).replace(/\s+/g, " ") === "Checks 25 in 28 days", `the headline figures of checks are ${await text(page, ".tiles")}`);
  await page.goto(given.odd.base + "/");
  check((await text(page, "li:has(a[href='/products/opa']) .trend")).startsWith("Checks per day"), "the overview has no trend of checks");
});

// The keyboard reads what a pointer reads.
await visit(given.full, {}, async (page) => {
  await page.goto(given.full.base + "/products/opa");
  await page.locator("#adoption .mark").first().focus();
  const first = await text(page, ".tip");
  await page.keyboard.press("ArrowRight");
  const second = await text(page, ".tip");
  await page.keyboard.press("End");
  const last = await text(page, ".tip");
  check(/\d+\.\d\s%/.test(first) && first !== second && second !== last, `the keyboard reads ${JSON.stringify([first, second, last])}`);
  const name = await page.evaluate(() => document.activeElement.getAttribute("aria-label"));
  check(name.replace(/\s+/g, " ") === last.replace(/\s+/g, " "), `a screen reader hears ${JSON.stringify(name)} where there is ${JSON.stringify(last)}`);
  await page.keyboard.press("Escape");
  check(await page.locator(".tip").isHidden(), "Escape leaves the values there");
  await page.locator("#deprecation input[type=range]").focus();
  await page.keyboard.press("Home");
  const oldest = await text(page, ".answer");
  await page.keyboard.press("ArrowRight");
  check((await text(page, ".answer")) !== oldest, "the slider changes nothing");
  await page.keyboard.press("Tab");
});

// The data of a chart can be had.
await visit(given.full, {}, async (page) => {
  await page.goto(given.full.base + "/products/opa?days=90&os=linux");
  const link = page.locator("#versions a", { hasText: "CSV" });
  const [download] = await Promise.all([page.waitForEvent("download"), link.click()]);
  const csv = readFileSync(await download.path(), "utf8");
  const rows = await page.locator("#versions tbody tr").count();
  check(csv.startsWith("version,") && csv.trim().split(/\r?\n/).length === rows + 1, `the CSV of ${rows} versions is ${csv.slice(0, 200)}`);
  const json = await page.evaluate(async (url) => (await fetch(url)).json(), await page.locator("#versions a", { hasText: "JSON" }).getAttribute("href"));
  check(json.rows?.length === rows, `the JSON of ${rows} versions is ${JSON.stringify(json).slice(0, 200)}`);
});

// On paper all figures are there, and no forms.
await visit(given.full, {}, async (page) => {
  await page.goto(given.full.base + "/products/opa");
  await page.emulateMedia({ media: "print" });
  check(await page.locator(".picker").isHidden(), "forms are printed");
  await page.screenshot({ path: join(screenshots, "print.png"), fullPage: true });
});

console.log(`${Math.round(performance.now() / 1000)} s`);
await browser.close();
process.exit(wrong ? 1 : 0);
