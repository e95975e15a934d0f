// Draws a report of `make diff` from the JSON in #data; only what is looked at is drawn.

const report = JSON.parse(document.getElementById("data").textContent);
const id = (name) => document.getElementById(name);
// Objects that are drawn at once; the next ones follow when the end of the list comes near.
const CHUNK = 100;
const root = document.documentElement;

/** Return a copy of a template's element; texts are written by their elements' selectors. */
function stamp(template, texts = {}) {
  const element = id(template).content.firstElementChild.cloneNode(true);
  for (const [selector, text] of Object.entries(texts)) {
    element.querySelector(selector).textContent = text;
  }
  return element;
}

function showSection(element) {
  const section = element.closest("section[aria-labelledby]");
  if (!section.hidden) return;
  section.hidden = false;
  const link = id("sections").appendChild(document.createElement("a"));
  const title = section.querySelector("h2");
  link.href = `#${title.id}`;
  link.textContent = title.textContent;
}

function fillTable(table, rows) {
  const heads = [...table.tHead.rows[0].cells];
  for (const cells of rows) {
    const row = table.tBodies[0].insertRow();
    cells.forEach((text, at) => {
      const cell = row.insertCell();
      cell.className = heads[at].className;
      cell.textContent = text;
    });
  }
  return [...table.tBodies[0].rows];
}

// Theme

function setTheme(theme) {
  root.dataset.theme = theme;
  id("theme").textContent = theme === "dark" ? "Light theme" : "Dark theme";
}

// A browser may refuse storage to a file.
function stored(action) {
  try {
    return action(localStorage);
  } catch {
    return null;
  }
}

function startTheme() {
  const preferred = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  setTheme(stored((storage) => storage.getItem("theme")) ?? preferred);
  id("theme").addEventListener("click", () => {
    setTheme(root.dataset.theme === "dark" ? "light" : "dark");
    stored((storage) => storage.setItem("theme", root.dataset.theme));
  });
}

// Summary, sentences, pictures

function drawSummary() {
  id("revisions").textContent = report.revisions;
  id("headline").textContent = report.headline.join(" · ");
  if (report.rows.length) {
    showSection(id("rows"));
    for (const row of fillTable(id("rows"), report.rows)) searchable(row.cells[0]);
    id("more").hidden = !report.more;
    id("more").textContent = `… and ${report.more} more`;
  }
  if (report.bumps.length) {
    showSection(id("bumps"));
    fillTable(id("bumps"), report.bumps);
  }
  drawDangers("flags");
  if (report.amounts.length || report.asBefore) {
    showSection(id("amounts"));
    id("amounts").hidden = !report.amounts.length;
    const rows = fillTable(id("amounts"), report.amounts.map((amount) => amount.cells));
    report.amounts.forEach(({ over }, at) => rows[at].classList.toggle("over", over));
    if (report.asBefore) id("as-before").textContent = `As before: ${report.asBefore}`;
  }
}

function drawDangers(kind) {
  for (const { name = "", object, where = "", why, fix } of report[kind]) {
    showSection(id(kind));
    const item = stamp("danger", { ".name": name, ".object": object, ".where": where });
    item.querySelector(".why").append(...linked(why));
    item.querySelector(".fix").append("Fix: ", ...linked(fix));
    if (report.changes.some((change) => change.title === object)) {
      searchable(item.querySelector(".object"));
    }
    id(kind).append(item);
  }
}

/** Return a text's parts, its addresses as links. */
function linked(text) {
  return text.split(/(https:\/\/[\w./%?=&#~+-]*[\w/])/).map((part, at) => {
    if (at % 2 === 0) return part;
    const link = document.createElement("a");
    link.href = part;
    link.textContent = part;
    return link;
  });
}

/** Make a name a button that shows its objects. */
function searchable(element) {
  const button = document.createElement("button");
  button.className = "search";
  button.textContent = element.textContent;
  button.title = "Show its objects";
  button.addEventListener("click", () => {
    clearFilter();
    id("filter").value = `"${button.textContent}"`;
    drawObjects();
    id("changes-title").scrollIntoView();
  });
  element.replaceChildren(button);
}

function drawTopics() {
  for (const { title, sentences } of report.topics) {
    showSection(id("topics"));
    const topic = stamp("topic", { h3: title });
    topic.querySelector("ul").append(
      ...sentences.map(({ text, where }) => stamp("sentence", { ".text": text, ".where": where })),
    );
    id("topics").append(topic);
  }
}

function drawPictures() {
  for (const { dashboard, before, after } of report.pictures) {
    showSection(id("pictures"));
    const figure = stamp("picture", { figcaption: dashboard });
    const places = figure.querySelectorAll(".pair > div");
    [before, after].forEach(({ source, words }, at) => {
      const name = `${dashboard} ${at ? "after" : "before"}`;
      places[at].append(source ? picture(source, name, figure) : words);
    });
    id("pictures").append(figure);
  }
  if (report.notes.length) {
    showSection(id("notes"));
    id("notes").textContent = report.notes.join(" ");
  }
}

function picture(source, name, figure) {
  const image = new Image();
  image.src = source;
  image.alt = name;
  const button = document.createElement("button");
  button.className = "picture";
  button.title = "Larger or smaller";
  button.addEventListener("click", () => figure.classList.toggle("large"));
  button.append(image);
  return button;
}

// Objects

let matches = [];
let drawn = 0;
const fields = ["clusters", "kind", "action"];

function startObjects() {
  if (!report.changes.length) return;
  showSection(id("changes"));
  for (const field of fields) {
    const values = new Set(report.changes.flatMap((change) => change[field]));
    for (const value of [...values].sort()) id(field).add(new Option(value));
    id(field).addEventListener("change", drawObjects);
  }
  id("filter").addEventListener("input", drawObjects);
  id("search").addEventListener("submit", (event) => {
    event.preventDefault();
    move(1);
  });
  id("all").addEventListener("click", openRows);
  drawObjects();
}

function haystack(change) {
  change.haystack ??= [
    change.owner, change.where, change.title, change.action, ...change.edits.flat(), change.text,
  ].join("\n").toLowerCase();
  return change.haystack;
}

function drawObjects() {
  const typed = id("filter").value.toLowerCase().match(/"[^"]+"|\S+/g) ?? [];
  const words = typed.map((word) => word.replace(/^"(.+)"$/, "$1"));
  const chosen = fields.filter((field) => id(field).value);
  matches = report.changes.filter(
    (change) =>
      chosen.every((field) => [change[field]].flat().includes(id(field).value)) &&
      words.every((word) => haystack(change).includes(word)),
  );
  id("count").textContent = `${matches.length} of ${report.changes.length}`;
  id("changes").replaceChildren();
  drawn = 0;
  drawMore();
}

function drawMore() {
  const added = matches.slice(drawn, drawn + CHUNK).flatMap((change, at) => {
    const last = matches[drawn + at - 1];
    const same = last && last.owner === change.owner && last.where === change.where;
    const row = drawRow(change);
    return same ? [row] : [stamp("group", { ".owner": change.owner, ".where": change.where }), row];
  });
  id("changes").append(...added);
  drawn += CHUNK;
  // Asked anew, as the observer tells only of changes.
  nearEnd.unobserve(id("end"));
  if (drawn < matches.length) nearEnd.observe(id("end"));
}

const nearEnd = new IntersectionObserver(
  (entries) => entries.some((entry) => entry.isIntersecting) && drawMore(),
  { rootMargin: "800px" },
);

function drawRow(change) {
  const edits = change.edits.length;
  const counted = edits ? `${edits} edit${edits === 1 ? "" : "s"}` : "";
  const texts = { ".sign": change.sign, ".title": change.title, ".edits": counted };
  const row = stamp("change", texts);
  row.dataset.action = change.action;
  row.querySelector(".sign").title = change.action;
  row.addEventListener("toggle", () => drawBody(row, change), { once: true });
  return row;
}

function drawBody(row, change) {
  if (change.edits.length) {
    const table = stamp("values");
    for (const [path, ...sides] of change.edits) {
      const [name, ...cells] = fillTable(table, [[path, ...sides.map((side) => side ?? "none")]])[0]
        .cells;
      name.className = "path";
      cells.forEach((cell, at) => (cell.className = sides[at] === null ? "none" : "value"));
    }
    row.append(table);
  }
  if (change.text) {
    const manifest = stamp("manifest");
    manifest.open = !change.edits.length;
    manifest.querySelector("pre").append(...change.text.trimEnd().split("\n").map(drawLine));
    row.append(manifest);
  }
}

const lines = { "+": "ins", "-": "del" };
function drawLine(text) {
  const line = document.createElement(lines[text[0]] ?? "span");
  line.textContent = `${text}\n`;
  return line;
}

/** Open every object that is drawn, or close them if all are open. */
function openRows() {
  const rows = [...document.querySelectorAll(".change")];
  const open = rows.some((row) => !row.open);
  for (const row of rows) row.open = open;
}

// Keys

function move(step) {
  const rows = () => [...document.querySelectorAll(".change > summary")];
  const at = Math.max(rows().indexOf(document.activeElement) + step, 0);
  // Who is quick is at the end before the observer has seen it.
  if (at === rows().length && drawn < matches.length) drawMore();
  rows()[at]?.focus();
}

function clearFilter() {
  for (const name of ["filter", ...fields]) id(name).value = "";
}

const keys = {
  "/": () => id("filter").focus(),
  j: () => move(1),
  k: () => move(-1),
  o: () => document.activeElement.matches(".change > summary") && document.activeElement.click(),
  "?": () => id("keys").showModal(),
};

function startKeys() {
  id("help").addEventListener("click", keys["?"]);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || id("keys").open) return;
    if (event.key === "Escape") {
      clearFilter();
      drawObjects();
      document.activeElement.blur();
    } else if (keys[event.key] && !event.target.matches("input, select")) {
      event.preventDefault();
      keys[event.key]();
    }
  });
}

startTheme();
if (report) {
  id("report").hidden = false;
  drawSummary();
  drawTopics();
  drawPictures();
  startObjects();
  drawDangers("faults");
  startKeys();
} else {
  id("nothing").hidden = false;
  id("help").hidden = true;
}
root.dataset.ready = "true";
