// Draws a dashboard from the JSON in #data: Grafana's own components where they stand alone (see
// library.mjs), fields.js for their data, own.js for what Grafana keeps to itself. Grid, rows and the
// bar above are drawn here after Grafana's.

const dashboard = JSON.parse(document.getElementById("data").textContent);
const h = Grafana.createElement;
// Graphs that are on the page, by the panel's id: `{plot, series, bars}`.
const plots = new Map();
const roots = new Map();
const themes = Object.fromEntries(
  ["dark", "light"].map((mode) => [mode, Grafana.createTheme({ colors: { mode } })]),
);
const theme = () => themes[document.documentElement.dataset.theme];
const context = { eventsScope: "global", eventBus: new Grafana.EventBusSrv(), sync: () => 1 };
const timeRange = (() => {
  const [from, to] = [dashboard?.from, dashboard?.to].map((at) => Grafana.dateTime(at));
  return { from, to, raw: { from, to } };
})();

/** Return an element; attributes that start with `--` are CSS variables. */
function el(tag, attributes = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name);
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("--")) element.style.setProperty(key, value);
    else if (key === "style") Object.assign(element.style, value);
    else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

// Panels

// What Grafana's panel takes where its settings say nothing.
const LEGEND = { showLegend: true, displayMode: "list", placement: "bottom", calcs: [] };

function timeseries(panel, shown, width, height) {
  const legend = { ...LEGEND, ...panel.options.legend };
  const remember = (builder, aligned) => {
    builder.addHook("draw", (u) => {
      const series = aligned.fields.slice(1).map((field, at) => ({
        stroke: Grafana.getFieldSeriesColor(field, theme()).color,
        values: field.values,
        upper: u.data[at + 1],
        scale: u.series[at + 1].scale,
      }));
      const bars = panel.fieldConfig.defaults.custom?.drawStyle === "bars";
      plots.set(panel.id, { plot: u, series, bars });
      drawAnnotations(u);
    });
    builder.addHook("setCursor", (u) => drawTooltip(u, aligned));
    return null;
  };
  const size = { width, height, timeRange, timeZone: "utc", legend };
  return h(Grafana.TimeSeries, { ...size, frames: shown, options: panel.options }, remember);
}

// Above the canvas, as Grafana fills a region over the lines.
function drawAnnotations(u) {
  u.over.querySelectorAll(".annotation").forEach((mark) => mark.remove());
  const width = u.over.clientWidth;
  for (const { time, timeEnd, color, text } of dashboard.annotations) {
    const [start, end] = [time, timeEnd ?? time].map((at) => u.valToPos(at, "x"));
    if (end < 0 || start > width) continue;
    const left = Math.max(0, start);
    const style = { left: `${left}px`, width: `${Math.min(width, end) - left}px` };
    const kind = timeEnd ? "div.annotation.region" : "div.annotation";
    const own = theme().visualization.getColorByName(color);
    u.over.append(el(kind, { "--own": own, style }, el("i", { title: text })));
  }
}

function drawTooltip(u, aligned) {
  u.over.querySelector(".tooltip")?.remove();
  const { left, top, idx } = u.cursor;
  // The other graphs share the line, not the box: theirs has no event.
  if (idx === null || idx === undefined || left < 0 || !u.cursor.event) return;
  const rows = aligned.fields
    .slice(1)
    .filter(({ values }) => values[idx] !== null && values[idx] !== undefined)
    .sort((a, b) => b.values[idx] - a.values[idx])
    .map((field) => {
      const own = Grafana.getFieldSeriesColor(field, theme()).color;
      const name = Grafana.getFieldDisplayName(field, aligned);
      const text = Grafana.formattedValueToString(field.display(field.values[idx]));
      return el("div", {}, el("span", {}, el("i", { "--own": own }), name), el("b", {}, text));
    });
  const head = el("div", {}, moment(u.data[0][idx], "YYYY-MM-DD HH:mm:ss"));
  const box = el("div.tooltip", {}, head, ...rows);
  u.over.append(box);
  box.style.top = `${Math.max(0, Math.min(top, u.over.clientHeight - box.offsetHeight))}px`;
  const fits = left + 14 + box.offsetWidth < u.over.clientWidth;
  box.style.left = `${fits ? left + 14 : Math.max(0, left - box.offsetWidth - 14)}px`;
}

function repeated(panel, shown, width, height, spacing, renderValue) {
  const { options, fieldConfig } = panel;
  const getValues = () =>
    Grafana.getFieldDisplayValues({
      fieldConfig,
      reduceOptions: options.reduceOptions,
      replaceVariables: (text) => text,
      theme: theme(),
      data: shown,
      timeZone: UTC,
    });
  return h(Grafana.VizRepeater, {
    getValues,
    getAlignmentFactors: Grafana.getDisplayValueAlignmentFactors,
    renderValue,
    width,
    height,
    source: shown,
    itemSpacing: spacing,
    renderCounter: 0,
    autoGrid: true,
    orientation: options.orientation,
  });
}

function stat(panel, shown, width, height) {
  const { options, fieldConfig, title } = panel;
  const named = options.textMode === "auto" && (fieldConfig.defaults.displayName || !title);
  const draw = ({ value, alignmentFactors, ...place }) =>
    h(Grafana.BigValue, {
      ...place,
      value: value.display,
      colorMode: options.colorMode,
      graphMode: options.graphMode,
      justifyMode: options.justifyMode,
      textMode: named ? "value_and_name" : options.textMode,
      text: options.text,
      disableWideLayout: !options.wideLayout,
      alignmentFactors,
      theme: theme(),
    });
  return repeated(panel, shown, width, height, 3, draw);
}

const gauges = (panel, shown, width, height) =>
  repeated(panel, shown, width, height, 16, (one) => gauge(one, panel.options, theme()));

function table(panel, shown, width, height) {
  const { showHeader, sortBy, cellHeight } = panel.options;
  return h(Grafana.TableNG, {
    data: shown[0],
    width,
    height,
    noHeader: !showHeader,
    sortBy,
    cellHeight,
    timeRange,
    fieldConfig: panel.fieldConfig,
    getActions: () => [],
    structureRev: 1,
  });
}

/** Return a React element of what a function draws into a node. */
function drawnBy(width, height, draw) {
  const ref = (node) => {
    if (!node) return;
    node.replaceChildren();
    draw(node);
  };
  return h("div", { ref, style: { position: "relative", width, height } });
}

const TYPES = {
  gauge: gauges,
  logs: (panel, _, width, height) => drawnBy(width, height, (node) => logs(panel, node)),
  stat,
  "state-timeline": (panel, shown, width, height) =>
    drawnBy(width, height, (node) => states(panel, shown, node, theme(), dashboard)),
  table,
  timeseries,
};
// These say themselves that they have no value.
const SINGLE = new Set(["stat", "gauge"]);

async function drawPanel(panel) {
  const box = document.getElementById(`panel-${panel.id}`);
  plots.delete(panel.id);
  let [draw, state] = [null, "error"];
  try {
    const unknown = unknownUnits(panel.fieldConfig);
    if (unknown.length) throw new Error(`Grafana knows no unit ${unknown.join(", ")}`);
    const shown = await frames(panel, theme());
    if (panel.errors.length) {
      draw = () => h("div", { className: "message error" }, panel.errors.join("\n"));
    } else if (!panel.data && !SINGLE.has(panel.type)) {
      state = "no-value";
      draw = () => h("div", { className: "message" }, panel.noValue);
    } else {
      state = panel.data ? "drawn" : "no-value";
      if (panel.data && panel.type !== "logs") {
        differences(panel, shown).forEach((text) => console.error(`${panel.title}: ${text}`));
      }
      draw = (width, height) => TYPES[panel.type](panel, shown, width, height);
    }
  } catch (error) {
    console.error(error);
    state = "error";
    draw = () => h("div", { className: "message error" }, error.message);
  }
  const { clientWidth: width, clientHeight: height } = box;
  const chrome = { title: panel.title, description: panel.description, width, height };
  // Grafana has a menu there for everybody, and cuts the title before it.
  const element = h(Grafana.PanelChrome, { ...chrome, menu: h("i"), showMenuAlways: true }, draw);
  roots.get(panel.id)?.unmount();
  roots.set(panel.id, Grafana.createRoot(box));
  const inTheme = h(Grafana.ThemeContext.Provider, { value: theme() }, element);
  Grafana.flushSync(() =>
    roots.get(panel.id).render(h(Grafana.PanelContextProvider, { value: context }, inTheme)),
  );
  box.dataset.state = state;
}

/** Draw panels, and wait until each graph is on its canvas, which takes React a moment more. */
async function drawPanels(panels) {
  document.documentElement.dataset.ready = "false";
  await Promise.all(panels.map(drawPanel));
  const graphs = panels.filter(({ id, type }) => {
    return type === "timeseries" && document.getElementById(`panel-${id}`).dataset.state === "drawn";
  });
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  for (let at = 0; at < 120 && !graphs.every(({ id }) => plots.has(id)); at++) await frame();
  await frame();
  await frame();
  for (const { id, title } of graphs) if (!plots.has(id)) console.error(`${title}: no graph`);
  document.documentElement.dataset.ready = "true";
}

// Grid and rows

function panelBox(panel, top) {
  const { x, y, w, h: high } = panel.gridPos;
  const attributes = { id: `panel-${panel.id}`, "data-type": panel.type, "data-title": panel.title };
  return el("div.panel", { ...attributes, "--x": x, "--y": y - top, "--w": w, "--h": high });
}

function drawSection({ row, panels }) {
  const top = Math.min(...panels.map(({ gridPos }) => gridPos.y));
  const units = Math.max(...panels.map(({ gridPos }) => gridPos.y + gridPos.h)) - top;
  const area = el("div.panels", { style: { height: `${units * 38 - 8}px` } });
  area.append(...panels.map((panel) => panelBox(panel, top)));
  if (!row) return [area];
  area.hidden = row.collapsed;
  const note = row.collapsed ? `${panels.length} panels, closed at first` : "";
  const toggle = () => {
    area.hidden = !area.hidden;
    heading.setAttribute("aria-expanded", !area.hidden);
    return area.hidden ? undefined : drawPanels(panels);
  };
  const attributes = { "aria-expanded": !row.collapsed, onclick: toggle };
  const heading = el("button.row", attributes, el("i"), row.title, el("small", {}, note));
  return panels.length ? [heading, area] : [heading];
}

// The bar above

const moment = (at, format) => Grafana.dateTimeFormat(at, { timeZone: UTC, format });

function drawTop() {
  const { title, day, from, to, variables, switches, menu, links } = dashboard;
  const ends = [moment(from, "YYYY-MM-DD HH:mm"), moment(to, "HH:mm")].join(" to ");
  const pair = (label, text) =>
    el("span.variable", { title: text }, el("b", {}, label), el("span", {}, text));
  document.getElementById("top").append(
    el(
      "div.notice",
      {},
      `Preview, not Grafana: drawn from a simulated day (${day}) with Grafana's own libraries.`,
      el("nav", {}, ...links.map((one) => el("a", linkAttributes(one), one.title))),
      el("button", { id: "theme", onclick: toggleTheme }, "Dark / light"),
    ),
    el("div.bar", {}, el("h1", {}, title), pair("UTC", ends)),
    el(
      "div.bar",
      {},
      ...variables.map(({ label, text }) => pair(label, text)),
      ...switches.map(({ name, on }) => pair(name, on ? "on" : "off")),
      ...menu.map((text) => el("span.menu", {}, text)),
    ),
  );
}

const linkAttributes = ({ href, current }) => (current ? { "aria-current": "page" } : { href });

const shownPanels = () =>
  dashboard.sections
    .flatMap(({ panels }) => panels)
    .filter((panel) => document.getElementById(`panel-${panel.id}`).offsetParent);

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  return drawPanels(shownPanels());
}

const toggleTheme = () =>
  setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");

/** Open the rows that Grafana shows closed; pictures show them. */
async function openRows() {
  const rows = document.querySelectorAll('.row[aria-expanded="false"]');
  rows.forEach((row) => row.click());
  await drawPanels(shownPanels());
}

async function main() {
  if (matchMedia("(prefers-color-scheme: light)").matches) {
    document.documentElement.dataset.theme = "light";
  }
  await Promise.all([400, 500].map((weight) => document.fonts.load(`${weight} 12px Inter`)));
  await document.fonts.load('12px "Roboto Mono"');
  drawTop();
  for (const section of dashboard.sections) {
    document.getElementById("grid").append(...drawSection(section));
  }
  await drawPanels(shownPanels());
  let [pending, width] = [0, innerWidth];
  // Not at once: whoever takes a picture of the whole page changes the window, and changes it back.
  addEventListener("resize", () => {
    clearTimeout(pending);
    pending = setTimeout(() => {
      if (innerWidth !== width) drawPanels(shownPanels());
      width = innerWidth;
    }, 500);
  });
}

main();
