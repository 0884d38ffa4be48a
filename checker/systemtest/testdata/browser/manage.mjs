// The pages on which people manage the service. The server has a base URL, sign-in links of
// admin tokens (admin), one of a release and one of a read token (others), the tags of the
// latest release of opa and of the one before, public keys, the ID of a token, and that of the
// key of site berlin (siteKey).

export function manageSections({ server, check, visit, checkLook, text }) {
  const { base } = server;
  const manage = base + "/manage", opa = manage + "/products/opa", app = manage + "/products/app";
  const as = (link) => ({ base, link });
  const admin = as(server.admin[0]), [release, read] = server.others.map(as), nobody = { base };
  const tag = (name) => "?tag=" + encodeURIComponent(name);
  const field = (name) => `[name="${name}"]:not([type=hidden])`;

  // send fills in a form and sends it. The form is that of a button.
  async function send(page, button, values = {}) {
    const form = page.locator("form.change", { has: page.getByRole("button", { name: button, exact: true }) });
    for (const [name, value] of Object.entries(values)) {
      const control = form.locator(field(name));
      const kind = await control.evaluate((e) => e.type);
      if (kind === "select-one") await control.selectOption(value);
      else if (kind === "checkbox") await control.setChecked(value);
      else await control.fill(value);
    }
    await Promise.all([page.waitForEvent("load"), form.getByRole("button", { name: button, exact: true }).click()]);
  }

  // expect checks that the page contains texts.
  async function expect(page, what, ...texts) {
    const shown = (await page.locator("main").innerText()).replaceAll("\u00a0", " ");
    for (const one of texts) check(shown.includes(one), `${what}: the page at ${page.url()} does not contain ${JSON.stringify(one)}: ${shown.slice(0, 600)}`);
  }

  // expectError sends a form with invalid values, and checks that the error is beside its field,
  // that the page keeps what was typed, and that the field is focused.
  async function expectError(page, url, button, values, name, message) {
    await page.goto(url);
    await send(page, button, values);
    const form = page.locator("form.change", { has: page.getByRole("button", { name: button, exact: true }) });
    const control = form.locator(field(name));
    check((await control.getAttribute("aria-invalid")) === "true", `${url}: the field ${name} is not marked as invalid`);
    const ids = ((await control.getAttribute("aria-describedby")) || "").split(" ");
    const error = await form.locator(`[id="${ids[0]}"]`).innerText();
    check(error.includes(message), `${url}: the error of ${name} is ${error}, want ${message}`);
    for (const [other, value] of Object.entries(values)) {
      if (typeof value === "string") check((await form.locator(field(other)).inputValue()) === value, `${url}: the field ${other} lost ${value}`);
    }
    check((await page.evaluate(() => document.activeElement.name)) === name, `${url}: the field ${name} is not focused`);
  }

  const pages = {
    products: "", "product-new": "/products", "product-preset": "/products?preset=npm-tool", tokens: "/tokens", revoke: `/tokens/${server.tokenID}/revoke`, sites: "/sites", audit: "/audit",
    releases: "/products/opa/releases", release: "/products/opa/release" + tag(server.latest), withdraw: "/products/opa/release/withdraw" + tag(server.latest),
    settings: "/products/opa/settings", channels: "/products/opa/channels", upstreams: "/products/app/upstreams", remove: "/products/app/remove",
    channel: "/products/app/channels?channel=lts", "channel-remove": "/products/app/channels/remove?channel=lts",
    "own-release": "/products/app/release" + tag("v0.2.0"), restore: "/products/app/release/restore" + tag("v0.2.0"), reset: "/products/app/release/reset" + tag("v0.2.0"),
    "site-rename": "/sites/berlin/rename", "site-remove": "/sites/berlin/remove", "key-revoke": `/keys/revoke?key=${encodeURIComponent(server.siteKey)}`,
  };

  // changes is everything that an admin does, in the order of a first use.
  async function changes(page, name) {
    await page.goto(manage);
    await page.click("text=Add a product");
    await send(page, "Use", { preset: "gitea" });
    check((await page.inputValue(field("repo"))) === "go-gitea/gitea", "the preset does not fill in the form");
    await send(page, "Add product", { name, title: "Product " + name, repo: "me/" + name, upstreams: "" });
    await expect(page, "new product", `Added product Product ${name}. Now add a release.`);
    await send(page, "Add release", { version: "v1.0.0", date: "2026-01-02", files: "https://example.com/app-linux-amd64\ndarwin/arm64=https://example.com/mac", checksums: "a".repeat(64) + "  app-linux-amd64" });
    await expect(page, "new release", "Added release v1.0.0.", "linux/amd64", "the platform was given with the file", "set here", "a".repeat(64));
    await send(page, "Save", { title: "The first" });
    await expect(page, "changed release", "Changed release v1.0.0.", "The first");
    await page.click("text=Withdraw");
    await expect(page, "confirmation", "Withdraws release v1.0.0.", "Clients will be offered no release.");
    await send(page, "Withdraw v1.0.0");
    await expect(page, "withdrawn", "Withdrew release v1.0.0.");
    await page.click("text=Restore");
    await send(page, "Restore v1.0.0");
    await expect(page, "restored", "Restored release v1.0.0.");
    await page.click("text=Channels");
    await send(page, "Add channel", { name: "lts", match: "<2" });
    await expect(page, "channel", "lts", "<2");
    await page.click("text=Settings");
    await send(page, "Save", { hidden: true, min_age: "24h" });
    await expect(page, "settings", "Changed the settings.");
    await page.goto(base + "/");
    check((await page.locator("main", { hasText: "Product " + name }).count()) === 0, "a hidden product is listed");
    await page.goto(`${manage}/products/${name}/settings`);
    await page.click("text=Remove the product");
    await send(page, "Remove " + name, { typed: name });
    await expect(page, "removed", `Removed product Product ${name}.`);
    await page.click("text=Audit log");
    await expect(page, "audit log", "Removed the product", "Withdrew release v1.0.0.", "the admin browser");
  }

  // tokens creates and revokes tokens, and returns the last secret.
  async function tokens(page, name) {
    await page.goto(manage + "/tokens");
    await send(page, "Create a token", { name, scope: "release" });
    const secret = await text(page, ".notice code");
    check(/^rcr_[a-z2-7]{8}_[a-z2-7]{52}$/.test(secret), `the new token is ${secret}`);
    await page.reload();
    check((await page.locator(".notice").count()) === 0, "a token is shown twice");
    await page.locator("tr", { hasText: name }).locator("text=Revoke").click();
    await expect(page, "confirmation", `(${name}) with scope release`, "Ends its sessions");
    await page.locator("form.change button").click();
    await expect(page, "revoked", "Revoked token");
    return secret;
  }

  return [
    () => visit(admin, {}, async (page) => {
      for (const [name, path] of Object.entries(pages)) {
        const response = await page.goto(manage + path);
        check(response.status() === 200, `${path}: status ${response.status()}`);
        await checkLook(page, "manage-" + name);
      }
      // The head of a page leaves room for its content on phones.
      await page.setViewportSize({ width: 375, height: 900 });
      for (const path of [pages.tokens, pages.settings]) {
        await page.goto(manage + path);
        const top = await page.locator("h2").first().evaluate((h2) => h2.getBoundingClientRect().top);
        check(top <= 290, `${path}: the content begins at ${top} pixels`);
      }
      await expectError(page, opa + "/releases", "Add release", { version: "v 1" }, "version", "cannot be a tag");
      await checkLook(page, "manage-errors"); // axe needs scripts
      // A list shows its entries and an empty line, and grows while it is typed.
      await page.goto(opa + "/settings");
      const heights = [];
      for (const value of ["", "a\nb\nc\nd"]) {
        await page.fill(field("aliases"), value);
        heights.push(await page.locator(field("aliases")).evaluate((area) => [area.offsetHeight, area.scrollHeight > area.clientHeight]));
      }
      check(heights[0][0] < 50 && heights[1][0] > 80 && !heights[1][1], `an empty area and one of four lines have the heights ${heights}`);
      await page.setViewportSize({ width: 1440, height: 900 });
      await page.goto(pages.withdraw.replace(/^/, manage));
      const numbers = await text(page, ".manage ul");
      check(/[\d,]+ instances have run it in the last 28 days/.test(numbers) && numbers.includes(`Clients will be offered ${server.before}.`), `withdrawing ${server.latest}: ${numbers}`);
    }),
    () => visit(as(server.admin[1]), { javaScriptEnabled: false }, async (page) => {
      await changes(page, "plain");
      await tokens(page, "without scripts");
      await page.goto(manage + "/tokens");
      await send(page, "Create a sign-in link", { name: "Ann", scope: "admin" });
      const link = await text(page, ".notice code");
      await page.context().clearCookies();
      await page.goto(link);
      await page.click("main form button");
      await page.goto(manage + "/tokens");
      await expect(page, "invited", "Invite a colleague", "Ann");
    }),
    () => visit(as(server.admin[2]), { permissions: ["clipboard-read", "clipboard-write"] }, async (page) => {
      await changes(page, "scripts");
      await page.goto(manage + "/tokens");
      await send(page, "Create a token", { name: "to copy" });
      await page.click(".notice .copy");
      await page.waitForSelector(".copy:has-text('Copied')");
      const [copied, secret] = [await page.evaluate(() => navigator.clipboard.readText()), await text(page, ".notice code")];
      check(copied === secret && secret.startsWith("rcr_"), `copied ${copied}, want ${secret}`);
      await page.goto(app + "/upstreams");
      await send(page, "Sync now");
      await expect(page, "synced", "1 release", "v1.0.0", "just now");
      await checkLook(page, "manage-synced");
      await page.setViewportSize({ width: 1440, height: 900 });
      await page.goto(manage + "/sites");
      await send(page, "Trust key", { key: server.keys[0], purpose: "counts" });
      await expect(page, "key", "is trusted for counts of all products.");
      await page.locator("tr", { hasText: "factory+" }).locator("text=Revoke").click();
      await send(page, "Revoke the key");
      await expect(page, "revoked key", "Revoked key factory+");
      // The header leads to all products, on the page of the same kind.
      await page.click(".switch summary");
      await page.click(".switch >> text=App");
      check(page.url() === app + "/releases", `the menu leads to ${page.url()}`);
    }),
    () => visit(as(server.admin[3]), { javaScriptEnabled: false }, async (page) => {
      const kept = "<b>kept</b> & \"quoted\"";
      await expectError(page, opa + "/releases", "Add release", { version: "v 1", title: kept }, "version", "cannot be a tag");
      const old = opa + "/release" + tag(server.latest);
      await expectError(page, old, "Save", { date: "soon", title: kept }, "date", "is neither an RFC 3339 time");
      await expectError(page, old, "Save", { notes: "ftp://example.com", title: kept }, "notes", "not an http or https URL");
      await expectError(page, old, "Save", { files: "plan10/amd64=https://example.com/a", title: kept }, "files", "plan10");
      await expectError(page, old, "Save", { checksums: "none", title: kept }, "checksums", "contains no line of a checksum");
      await expectError(page, manage + "/products", "Add product", { name: "opa", title: kept }, "name", "already exists");
      await expectError(page, manage + "/products?preset=npm-tool", "Add product", { title: kept }, "repo", "is for any program");
      await expectError(page, opa + "/settings", "Save", { title: kept, match: "<<" }, "match", "<<");
      await expectError(page, opa + "/settings", "Save", { title: kept, aliases: "a b\n$" }, "aliases", "cannot be an alias");
      await expectError(page, opa + "/channels", "Add channel", { name: "L T S", match: "<2" }, "name", "cannot be a channel's name");
      await expectError(page, opa + "/channels", "Add channel", { name: "lts", match: "<2,>3" }, "match", "contains no version");
      await expectError(page, opa + "/upstreams", "Save", { upstreams: "github:opa" }, "upstreams", "OWNER/REPO");
      await expectError(page, manage + "/tokens", "Create a token", { name: "a".repeat(101) }, "name", "use at most 100");
      await expectError(page, opa + "/remove", "Remove opa", { typed: "app" }, "typed", "This is not opa.");
      await expectError(page, manage + pages["site-rename"], "Rename", { site: "A b" }, "site", "cannot be the name of a site");
      await expectError(page, manage + "/sites", "Trust key", { key: "nonsense", product: "opa" }, "key", "not a public key");
      await expectError(page, manage + "/sites", "Trust key", { key: server.keys[1], product: "Opa!" }, "product", "cannot be a product's name");
      await page.goto(manage + "/audit");
      check(!(await text(page, "main")).includes("kept"), "a form with an error has changed something");
    }),
    () => visit(release, {}, async (page) => {
      for (const [name, path] of Object.entries(pages)) {
        const status = (await page.goto(manage + path)).status(), allowed = /^(products|releases|release|own-release|withdraw|restore|reset)$/.test(name);
        check(status === (allowed ? 200 : 403), `${path} as a release token: status ${status}`);
        if (allowed) await checkLook(page, "manage-as-release-" + name, { drawn: false });
      }
      await page.setViewportSize({ width: 1440, height: 900 });
      check((await page.goto(base + "/products/opa")).status() === 403, "a release token sees statistics");
      await page.goto(manage + "/products/app/releases");
      check((await page.locator(".tabs a").allInnerTexts()).join() === "Releases", "a release token sees other tabs");
      await send(page, "Add release", { version: "v0.1.0" });
      await expect(page, "release token", "Added release v0.1.0.");
      await page.click("text=Withdraw");
      check(!(await text(page, "main")).includes("instances"), "a release token sees numbers of instances");
    }),
    () => visit(read, {}, async (page) => {
      for (const path of Object.values(pages)) check((await page.goto(manage + path)).status() === 403, `${path} as a read token`);
      await expect(page, "read token", "Your token does not permit this. The token has scope read, and this requires admin");
      await checkLook(page, "manage-as-read");
      await page.goto(base + "/products/opa/releases");
      check((await page.locator("a[href*='/manage']").count()) === 0, "a read token has links to manage");
    }),
    () => visit(nobody, {}, async (page) => {
      for (const path of Object.values(pages)) check((await page.goto(manage + path)).status() === 401, `${path} without a session`);
      check((await page.inputValue("input[name=next]")) === "/manage" + Object.values(pages).at(-1), "the form to sign in does not lead back");
    }),
    // A form that is sent after the end of the session is kept until the browser has signed in.
    () => visit(as(server.admin[5]), { javaScriptEnabled: false }, async (page) => {
      await page.goto(opa + "/release" + tag(server.before));
      await page.context().clearCookies({ name: "relcheck" });
      await send(page, "Save", { title: "Kept \"title\"", body: "# Kept\n\n* notes" });
      await expect(page, "ended session", "What you typed is kept");
      await page.fill("input[name=token]", server.admin[6]);
      await Promise.all([page.waitForEvent("load"), page.click("main form button")]);
      await expect(page, "signed in again", "Send the form?");
      await Promise.all([page.waitForEvent("load"), page.click("main form button")]);
      await expect(page, "sent", `Changed release ${server.before}.`, "Kept \"title\"");
      check((await page.inputValue(field("body"))) === "# Kept\n\n* notes", `the notes are ${await page.inputValue(field("body"))}`);
    }),
    // Pages of other origins can send forms, also with the session's cookie if they are on
    // another port of the same host. Over plain HTTP, they can hide where the form comes from.
    () => visit({ base: "http://", link: server.admin[4] }, {}, async (page) => {
      const port = new URL(base).port, plain = `http://relcheck.test:${port}`;
      for (const [from, to] of [["http://elsewhere.test/", base], ["http://127.0.0.1:9/", base], ["http://relcheck.test:9/", plain]]) {
        for (const policy of ["no-referrer", "unsafe-url"]) {
          await page.route(from, (route) => route.fulfill({ contentType: "text/html", body: `<meta name="referrer" content="${policy}"><form method="post" action="${to}/manage/products/app/release/withdraw?tag=v1.0.0"><button>Go</button></form>` }));
          await page.goto(from);
          const [response] = await Promise.all([page.waitForResponse((r) => r.request().method() === "POST"), page.click("button")]);
          check(response.status() === 403, `a form of ${from} with policy ${policy}: status ${response.status()}`);
          await page.unroute(from);
        }
      }
    }),
  ];
}
