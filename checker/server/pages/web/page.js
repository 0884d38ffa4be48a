// Tooltips, changes of period and filter without a page load, and buttons to copy. The pages
// also work without scripts.
"use strict";

// A tooltip shows the values of a chart at the pointer, or at the mark chosen with the
// arrow keys.
const tip = document.createElement("div");
tip.className = "tip";
tip.hidden = true;
tip.setAttribute("aria-hidden", "true"); // screen readers read the label of the mark

function prepare(mark) {
  const title = mark.querySelector("title");
  if (title) {
    mark.setAttribute("aria-label", title.textContent);
    title.remove(); // otherwise the browser shows a second tooltip
  }
  return mark.getAttribute("aria-label").split("\n");
}

function colors(figure) {
  const found = new Map();
  for (const li of figure ? figure.querySelectorAll(".legend li") : []) {
    found.set(li.textContent, li.querySelector(".swatch").className);
  }
  return found;
}

function showTip(mark) {
  const [head, ...lines] = prepare(mark);
  const known = colors(mark.closest("figure"));
  const title = document.createElement("strong");
  title.textContent = head;
  tip.replaceChildren(title);
  for (const line of lines) {
    const row = document.createElement("span");
    const color = known.get(line.slice(0, line.indexOf(": ")));
    if (color) {
      const swatch = document.createElement("span");
      swatch.className = color;
      row.append(swatch);
    }
    row.append(line);
    tip.append(row);
  }
  tip.hidden = false;
  const at = mark.getBoundingClientRect(), own = tip.getBoundingClientRect();
  const middle = at.left + at.width / 2 + (at.left < innerWidth / 2 ? 14 : -14 - own.width);
  tip.style.left = Math.max(8, Math.min(middle, innerWidth - own.width - 8)) + "px";
  tip.style.top = Math.max(8, Math.min(at.top + 12, innerHeight - own.height - 8)) + "px";
}

function hideTip() {
  tip.hidden = true;
}

const markOf = (event) => (event.target instanceof Element ? event.target.closest(".mark, .piece") : null);

document.addEventListener("pointerover", (event) => {
  const mark = markOf(event);
  if (mark && (mark.querySelector("title") || mark.hasAttribute("aria-label"))) showTip(mark);
  else hideTip();
});
document.addEventListener("focusin", (event) => {
  const mark = markOf(event);
  if (mark) showTip(mark);
  else hideTip();
});
document.addEventListener("focusout", hideTip);
document.addEventListener("scroll", hideTip, { passive: true });

const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowUp: 1, ArrowDown: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity };

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") return hideTip();
  const mark = markOf(event);
  if (!mark || !(event.key in steps) || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  const all = [...mark.parentNode.querySelectorAll(".mark")];
  const to = Math.max(0, Math.min(all.length - 1, all.indexOf(mark) + steps[event.key]));
  mark.tabIndex = -1;
  all[to].tabIndex = 0;
  all[to].focus({ preventScroll: true });
});

// Changes of period and filter replace only the content of the page.
let latest = 0;

async function go(url, push) {
  const turn = ++latest;
  const main = document.getElementById("main");
  main.setAttribute("aria-busy", "true");
  let answer, text;
  try {
    answer = await fetch(url, { headers: { Accept: "text/html" }, credentials: "same-origin" });
    text = await answer.text();
  } catch {
    answer = null;
  }
  if (turn !== latest) return; // a later request replaces this one
  const page = answer && new DOMParser().parseFromString(text, "text/html");
  const fresh = page?.getElementById("main");
  // After the end of the session, the header must change as well.
  if (!fresh || answer.status === 401 || new URL(answer.url).pathname !== location.pathname) return load(url);
  const focused = describe(document.activeElement);
  document.title = page.title;
  main.replaceChildren(...document.adoptNode(fresh).childNodes);
  main.removeAttribute("aria-busy");
  if (push) history.pushState(null, "", answer.url.split("#")[0] + new URL(url).hash);
  if (focused) main.querySelector(focused)?.focus({ preventScroll: true });
  draw();
}

// load loads a URL. If only its hash is new, the browser would not load anything.
function load(url) {
  const to = new URL(url);
  if (!to.hash || to.pathname + to.search !== location.pathname + location.search) return location.assign(url);
  history.replaceState(null, "", url);
  location.reload();
}

// describe returns a selector for the same control on the next page.
function describe(element) {
  if (!element || !element.closest("#main")) return "";
  if (element.name) return `[name="${CSS.escape(element.name)}"]:not([type=hidden])`;
  const form = element.closest("form");
  if (form) return `form[action="${CSS.escape(form.getAttribute("action") || "")}"] button`;
  const item = element.closest(".ranges li");
  return item ? `.ranges li:nth-child(${[...item.parentNode.children].indexOf(item) + 1}) a` : "";
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.hasAttribute("data-quick")) return;
  event.preventDefault();
  const url = new URL(form.getAttribute("action") || "", location.href);
  url.search = new URLSearchParams(new FormData(form)).toString();
  go(url.href, true);
});
document.addEventListener("click", (event) => {
  const a = event.target instanceof Element ? event.target.closest(".bar-of-filters a") : null;
  if (!a || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  go(a.href, true);
});
document.addEventListener("change", (event) => {
  if (event.target.matches(".filters select")) event.target.form.requestSubmit();
});
let shown = location.pathname + location.search;
addEventListener("popstate", () => {
  const now = location.pathname + location.search;
  if (now !== shown) go(location.href, false);
  shown = now;
});

// The slider chooses the version that support ends below. Its values come from the chart.
function slider() {
  const figure = document.getElementById("deprecation");
  const field = document.querySelector("#deprecation input[name=below]:not([type=hidden])");
  if (!figure || !field || figure.querySelector("input[type=range]")) return;
  const marks = [...figure.querySelectorAll(".mark")], columns = [...figure.querySelectorAll(".column")];
  if (marks.length < 2) return;
  const label = document.createElement("label");
  label.className = "slider";
  label.append("Support ends below");
  const range = document.createElement("input");
  range.type = "range";
  range.min = 0;
  range.max = marks.length - 1;
  const below5 = columns.filter((c) => c.classList.contains("ca")).length - 1; // what the answer says at first
  const chosen = columns.findIndex((c) => c.classList.contains("chosen"));
  range.value = chosen < 0 ? Math.max(0, below5) : chosen;
  label.append(range);
  figure.querySelector(".plot").after(label);
  const answer = figure.querySelector(".answer");
  const say = () => {
    const i = Number(range.value);
    const [below, ids] = prepare(marks[i]);
    columns.forEach((c, n) => c.classList.toggle("chosen", n === i));
    field.value = below.slice(below.indexOf(" ") + 1);
    range.setAttribute("aria-valuetext", below + ": " + ids);
    if (answer) answer.textContent = `If support ended ${below}, ${ids} would be affected.`;
  };
  range.addEventListener("input", say);
  range.addEventListener("change", () => {
    const url = new URL(location.href);
    url.searchParams.set("below", field.value);
    history.replaceState(null, "", url);
    shown = url.pathname + url.search;
  });
  const [below, ids] = prepare(marks[range.value]);
  range.setAttribute("aria-valuetext", below + ": " + ids);
}

// Texts to copy have a button. Over plain HTTP, browsers have no clipboard: there the text is
// selected and copied by a command.
for (const code of document.querySelectorAll("pre > code")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.setAttribute("aria-live", "polite");
  button.addEventListener("click", async () => {
    let copied = true;
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {
      getSelection().selectAllChildren(code);
      copied = document.execCommand("copy");
    }
    button.textContent = copied ? "Copied" : "Selected";
    setTimeout(() => (button.textContent = "Copy"), 2000);
  });
  code.before(button);
}

// Texts grow while they are typed.
document.addEventListener("input", ({ target }) => {
  while (target.matches("textarea") && target.scrollHeight > target.clientHeight && target.rows < 20) target.rows++;
});

// The current tab is in view.
function showTab() {
  const tab = document.querySelector(".tabs [aria-current]"), tabs = tab?.closest("ul");
  if (tabs) tabs.scrollLeft = tab.offsetLeft - tabs.offsetLeft - (tabs.clientWidth - tab.offsetWidth) / 2;
}

function draw() {
  shown = location.pathname + location.search;
  document.body.append(tip);
  slider();
  showTab();
}
draw();
