// Draws a report of `make diff` from the JSON in #data, whose `report` is what report.json holds;
// only what is looked at is drawn.

const id = (name) => document.getElementById(name);
const { report, images, notes } = JSON.parse(id("data").textContent, asWritten);
// Objects that are drawn at once; the next ones follow when the end of the list comes near.
const CHUNK = 100;
// Rows of the summary's table, so that it stays on one screen: those in which the most differ.
const ROWS = 12;
// Characters of a map or list beside others, as all of it is in the object's text.
const COLLECTION = 160;
const signs = { added: "+", changed: "~", removed: "-" };
const actions = Object.keys(signs);
const root = document.documentElement;

// Texts

/** Keep a number as it is written where JavaScript would round it, or write 1.0 as 1. */
function asWritten(key, value, context) {
  const exact = typeof value !== "number" || !context || String(value) === context.source;
  return exact ? value : JSON.rawJSON(context.source);
}

/** Return clusters with their engines: `local, oke-free (argocd, flux); options (flux)`. */
function where({ places }) {
  const engines = Map.groupBy(places, (place) => place.split("/")[0]);
  const alike = Map.groupBy(engines.keys(), (cluster) =>
    engines.get(cluster).map((place) => place.slice(cluster.length + 1)).filter(Boolean).join(", "),
  );
  return [...alike].map(([own, clusters]) => clusters.join(", ") + (own && ` (${own})`)).join("; ");
}

/** Return what brings an object: `release grafana`, or the unit's name. */
function owner({ unit, release }) {
  return release ? `release ${unit}` : unit;
}

/** Return a value; a string has quotes where its type or its ends do not show. */
function shown(value) {
  if (typeof value !== "string") {
    const text = JSON.stringify(value);
    return text.length > COLLECTION ? `${text.slice(0, COLLECTION - 1)}…` : text;
  }
  if (value.includes("\n")) return value;
  if (isScalar(value)) return JSON.stringify(value);
  return value === value.trim() ? value : `"${value}"`;
}

function isScalar(text) {
  try {
    const value = JSON.parse(text || "0");
    return Object(value) !== value;
  } catch {
    return false;
  }
}

/** Return an edit's values, null for one that is not there. */
function sides(edit) {
  return ["before", "after"].map((side) => (side in edit ? shown(edit[side]) : null));
}

// Elements

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

/** Add rows to a table; return these. */
function fillTable(table, rows) {
  const heads = [...table.tHead.rows[0].cells];
  return rows.map((cells) => {
    const row = table.tBodies[0].insertRow();
    cells.forEach((text, at) => {
      const cell = row.insertCell();
      cell.className = heads[at].className;
      cell.textContent = text;
    });
    return row;
  });
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
  id("revisions").textContent = `${report.base} → ${report.head}`;
  id("headline").textContent = report.headline.join(" · ");
  if (report.counts.length) {
    showSection(id("rows"));
    const total = (row) => actions.reduce((sum, action) => sum + row[action], 0);
    const most = report.counts.toSorted((one, other) => total(other) - total(one)).slice(0, ROWS);
    const rows = report.counts
      .filter((row) => most.includes(row))
      .map((row) => [owner(row), ...actions.map((action) => row[action] || ""), where(row)]);
    for (const row of fillTable(id("rows"), rows)) searchable(row.cells[0]);
    id("more").hidden = report.counts.length === most.length;
    id("more").textContent = `… and ${report.counts.length - most.length} more`;
  }
  if (report.bumps.length) {
    showSection(id("bumps"));
    const version = (chart, application) =>
      application ? `${chart ?? "none"} (application ${application})` : (chart ?? "none");
    const cells = (bump) => [
      bump.chart,
      bump.release,
      version(bump.before, bump.application.before),
      version(bump.after, bump.application.after),
      where(bump),
    ];
    fillTable(id("bumps"), report.bumps.map(cells));
  }
  for (const flag of report.flags) drawDanger("flags", flag, flag.where, where(flag));
  if (report.budget.length) drawBudget();
}

function drawBudget() {
  showSection(id("amounts"));
  // A cluster that is new has no limit that moves.
  const moved = ({ before, after, limit }) => before && after && limit.before !== limit.after;
  const limit = (amount) => {
    const { before, after } = amount.limit;
    return moved(amount) ? `${before ?? "none"} → ${after ?? "none"}` : (after ?? "");
  };
  const { changed = [], same = [] } = Object.groupBy(report.budget, (amount) =>
    amount.over || moved(amount) || amount.before !== amount.after ? "changed" : "same",
  );
  id("amounts").hidden = !changed.length;
  const rows = fillTable(
    id("amounts"),
    changed.map((one) => [
      one.cluster, one.resource, one.before ?? "none", one.after ?? "none", limit(one),
      one.over ? "over" : "",
    ]),
  );
  changed.forEach(({ over }, at) => rows[at].classList.toggle("over", over));
  if (!same.length) return;
  const text = (one) => `${one.resource} ${one.after}${limit(one) && ` of ${limit(one)}`}`;
  const clusters = [...Map.groupBy(same, (one) => one.cluster)];
  const words = clusters.map(([cluster, own]) => `${cluster}: ${own.map(text).join(", ")}`);
  id("as-before").textContent = `As before: ${words.join("; ")}`;
}

function drawDanger(kind, { name = "", why, fix }, object, places = "") {
  showSection(id(kind));
  const item = stamp("danger", { ".name": name, ".object": object, ".where": places });
  item.querySelector(".why").append(...linked(why));
  item.querySelector(".fix").append("Fix: ", ...linked(fix));
  if (report.changes.some((change) => change.title === object)) {
    searchable(item.querySelector(".object"));
  }
  id(kind).append(item);
}

function drawFaults() {
  for (const { path, line, message, fix } of report.faults) {
    drawDanger("faults", { why: message, fix }, line ? `${path}:${line}` : path);
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
  for (const { topic, sentences } of report.topics) {
    showSection(id("topics"));
    const section = stamp("topic", { h3: topic });
    section.querySelector("ul").append(
      ...sentences.map((one) => stamp("sentence", { ".text": one.text, ".where": where(one) })),
    );
    id("topics").append(section);
  }
}

function drawPictures() {
  for (const { dashboard, ...states } of report.pictures) {
    // One that is not drawn at all, or has no room, is in the notes.
    if (!Object.hasOwn(images, dashboard)) continue;
    showSection(id("pictures"));
    const figure = stamp("picture", { figcaption: dashboard });
    const places = figure.querySelectorAll(".pair > div");
    ["before", "after"].forEach((side, at) => {
      const source = images[dashboard][side];
      const words = states[side] === "absent" ? "none" : states[side];
      places[at].append(source ? picture(source, `${dashboard} ${side}`, figure) : words);
    });
    id("pictures").append(figure);
  }
  if (notes.length) {
    showSection(id("notes"));
    id("notes").textContent = notes.join(" ");
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
// The filters, and what a change has of each.
const fields = {
  clusters: ({ places }) => places.map((place) => place.split("/")[0]),
  kind: ({ kind }) => [kind],
  action: ({ action }) => [action],
};

function startObjects() {
  if (!report.changes.length) return;
  showSection(id("changes"));
  for (const [field, of] of Object.entries(fields)) {
    const values = new Set(report.changes.flatMap(of));
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
    owner(change), where(change), change.title, change.action, change.text,
    ...change.edits.flatMap((edit) => [edit.path, ...sides(edit)]),
  ].join("\n").toLowerCase();
  return change.haystack;
}

function drawObjects() {
  const typed = id("filter").value.toLowerCase().match(/"[^"]+"|\S+/g) ?? [];
  const words = typed.map((word) => word.replace(/^"(.+)"$/, "$1"));
  const chosen = Object.entries(fields).filter(([field]) => id(field).value);
  matches = report.changes.filter(
    (change) =>
      chosen.every(([field, of]) => of(change).includes(id(field).value)) &&
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
    const row = drawRow(change);
    const [text, places] = [owner(change), where(change)];
    if (last && owner(last) === text && where(last) === places) return [row];
    return [stamp("group", { ".owner": text, ".where": places }), row];
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
  const texts = { ".sign": signs[change.action], ".title": change.title, ".edits": counted };
  const row = stamp("change", texts);
  row.dataset.action = change.action;
  row.querySelector(".sign").title = change.action;
  row.addEventListener("toggle", () => drawBody(row, change), { once: true });
  return row;
}

function drawBody(row, change) {
  if (change.edits.length) {
    const table = stamp("values");
    for (const edit of change.edits) {
      const texts = sides(edit);
      const [row] = fillTable(table, [[edit.path, ...texts.map((text) => text ?? "none")]]);
      const [name, ...cells] = row.cells;
      name.className = "path";
      cells.forEach((cell, at) => (cell.className = texts[at] === null ? "none" : "value"));
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
  for (const name of ["filter", ...Object.keys(fields)]) id(name).value = "";
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
if (report.differs) {
  id("report").hidden = false;
  drawSummary();
  drawTopics();
  drawPictures();
  startObjects();
  drawFaults();
  startKeys();
} else {
  id("nothing").hidden = false;
  id("help").hidden = true;
}
root.dataset.ready = "true";
