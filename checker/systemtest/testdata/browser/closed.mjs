// Follows links in Chromium inside a closed network:
//
//	node closed.mjs MODULES < CONFIG
//
// CONFIG is JSON: the base URL of the service, a sign-in link, the paths of pages of
// releases, and URLs of downloads. The program clicks all links of these pages, and prints
// "file" and the SHA-256 of each downloaded file. It prints a line for each failed check, and
// exits with status 1 if there are any.
import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const require = createRequire(join(process.argv[2], "node_modules") + "/");
const { chromium } = require("playwright-core");
const config = JSON.parse(readFileSync(0, "utf8"));

let failures = 0;
function fail(message) {
  failures++;
  console.log("failed:", message);
}

// The browser's own services are not a part of the test. Hosts that pages name can be looked up.
const own = ["googleapis.com", "google.com", "gvt1.com"].map((host) => `MAP ${host} ~NOTFOUND, MAP *.${host} ~NOTFOUND`).join(", ");
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", `--host-resolver-rules=${own}`], timeout: 120000 });
const context = await browser.newContext({ ignoreHTTPSErrors: true, acceptDownloads: true });
const page = await context.newPage();
page.setDefaultTimeout(60000);
page.on("requestfailed", (r) => r.failure().errorText === "net::ERR_ABORTED" || fail(`request ${r.url()}: ${r.failure().errorText}`)); // a download aborts the navigation
page.on("response", (r) => r.status() < 400 || fail(`response to ${r.url()}: ${r.status()}`));

await page.goto(config.link);
await page.click("main button");
await page.waitForURL(config.base + "/");

async function save(download) {
  console.log("file", createHash("sha256").update(readFileSync(await download.path())).digest("hex"));
}

for (const path of config.releases) {
  await page.goto(config.base + path);
  const links = page.locator("main a:not(.notes a)");
  for (let i = 0; i < (await links.count()); i++) {
    const link = links.nth(i), url = await link.evaluate((a) => a.href);
    if (url.includes("/files/")) {
      const [download] = await Promise.all([page.waitForEvent("download"), link.click()]);
      if (!url.endsWith(".sha256")) await save(download);
      continue;
    }
    await link.click();
    await page.waitForLoadState();
    if (page.url() !== url) fail(`the link ${url} leads to ${page.url()}`);
    await page.goto(config.base + path);
  }
}
for (const url of config.downloads) {
  const [download] = await Promise.all([page.waitForEvent("download"), page.goto(url).catch(() => {})]);
  await save(download);
}
await browser.close();
process.exit(failures ? 1 : 0);
