// Checks how pages look, and takes screenshots of them.
import { mkdirSync } from "node:fs";
import { join } from "node:path";

// look returns functions that check pages. They report to the function check, run axe (the text of
// its script), and write screenshots to a directory, unless that is empty.
export function look(check, axe, screenshots) {
  if (screenshots) mkdirSync(screenshots, { recursive: true });

  // checkFit checks that a page does not scroll sideways, is at most as high as it may be in a
  // wide window, that no table or text to copy is cut off, or shows that it continues, that tabs
  // are in one line and names of tiles in two, and that no axis labels touch.
  async function checkFit(page, name, most) {
    const width = page.viewportSize().width;
    const [pageWidth, height, cut, cutTables, unmarked, high, scrolling, small, touching] = await page.evaluate(() => [
      document.documentElement.scrollWidth,
      document.documentElement.scrollHeight,
      [...document.querySelectorAll("pre:not(.manual pre)")].filter((pre) => pre.scrollWidth > pre.clientWidth).map((pre) => pre.textContent),
      [...document.querySelectorAll("figure .scroll, .scroll[aria-label=Releases]")].filter((table) => table.checkVisibility() && table.scrollWidth > table.clientWidth + 1).map((table) => table.ariaLabel),
      [...document.querySelectorAll("#main *")].filter((e) => e.checkVisibility() && /auto|scroll/.test(getComputedStyle(e).overflowX) && !/local.*scroll/.test(getComputedStyle(e).backgroundAttachment) && e.tagName !== "TEXTAREA").map((e) => e.outerHTML.slice(0, 80)),
      [...document.querySelectorAll(".tabs ul, .tiles dt")].filter((e) => e.offsetHeight > 48).map((e) => e.textContent),
      [...document.querySelectorAll("#main *")].filter((e) => /auto|scroll/.test(getComputedStyle(e).overflowY) && e.scrollHeight > e.clientHeight + 2).map((e) => e.outerHTML.slice(0, 80)),
      [...document.querySelectorAll("a, button, input:not([type=hidden]), select, summary")].filter((e) => {
        const box = e.getBoundingClientRect();
        return box.height > 0 && box.height < 43.5 && !e.closest("p, dt, .prose, .notes, .next, .skip, .visually-hidden, .files td, [type=range], td");
      }).map((e) => e.outerHTML.slice(0, 80)),
      [...document.querySelectorAll("svg.area > g.axis")].flatMap((axis) => {
        const labels = [...axis.children].filter((label) => getComputedStyle(label).display !== "none").map((label) => [label.textContent, label.getBoundingClientRect()]);
        labels.sort((a, b) => a[1].left - b[1].left);
        return labels.filter(([, box], i) => labels.slice(0, i).some(([, other]) => box.left < other.right + 2 && box.top < other.bottom - 3 && other.top < box.bottom - 3)).map(([label]) => label);
      }),
    ]);
    check(pageWidth <= width, `${name} is ${pageWidth} pixels wide in a window of ${width}`);
    check(cut.length === 0, `${name} cuts off ${cut}`);
    check(cutTables.length === 0, `${name} cuts off the tables ${cutTables}`);
    check(unmarked.length === 0, `${name} has parts that continue without a sign: ${unmarked}`);
    check(high.length === 0, `${name} has tabs or names of tiles that take too many lines: ${high}`);
    check(!most || width < 1440 || height <= most, `${name} is ${height} pixels high, want ${most}`);
    check(scrolling.length === 0, `${name} has parts that scroll: ${scrolling}`);
    check(width > 700 || small.length === 0, `${name} has controls that are less than 44 pixels high: ${small}`);
    check(touching.length === 0, `${name} has axis labels that touch the one before: ${touching}`);
  }

  async function screenshot(page, name) {
    if (screenshots) await page.screenshot({ path: join(screenshots, name + ".png"), fullPage: true });
  }

  // trim removes most of many similar elements, because axe checks each.
  function trim() {
    for (const one of document.querySelectorAll(".mark:nth-of-type(n + 4), tbody tr:nth-child(n + 6), option:nth-child(n + 4):not([selected])")) one.remove();
  }

  // checkAccess runs the rules of axe, or only those named.
  async function checkAccess(page, name, rules) {
    if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(axe); // the page's policy forbids a script element
    const { violations } = await page.evaluate((rules) => axe.run({ resultTypes: ["violations"], ...(rules && { runOnly: rules }) }), rules);
    for (const v of violations) {
      check(false, `axe on ${name}: ${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => n.html + " " + n.failureSummary).join("; ")}`);
    }
  }

  // checkLook checks a page in narrow and wide windows, in light and dark. Colors do not
  // depend on the width and markup does not depend on the colors, so axe runs all its rules
  // in a narrow light window and only those about color in a wide dark one.
  async function checkLook(page, name, { drawn = true, access = true, most } = {}) {
    for (const width of [375, 1440]) {
      await page.setViewportSize({ width, height: 900 });
      await checkFit(page, `${name}-${width}`, most);
      for (const colorScheme of drawn && screenshots ? ["light", "dark"] : []) {
        await page.emulateMedia({ colorScheme });
        await screenshot(page, `${name}-${width}-${colorScheme}`);
      }
    }
    if (!access) return;
    await page.evaluate(trim);
    await page.emulateMedia({ colorScheme: "dark" });
    await checkAccess(page, `${name}-1440-dark`, ["color-contrast"]);
    await page.setViewportSize({ width: 375, height: 900 });
    await page.emulateMedia({ colorScheme: "light" });
    await checkAccess(page, `${name}-375-light`);
  }

  return { checkFit, checkLook, screenshot };
}
