// Draws a dashboard as Grafana would, from the JSON in #data. Uses display.js and uPlot.

const dashboard = JSON.parse(document.getElementById("data").textContent);
// Graphs that are on the page, by the panel's id: `{plot, series, bars}`.
const plots = new Map();
const FONT = '12px "Inter Variable"';
const LEVELS = {
  fatal: "#705da0",
  critical: "#705da0",
  error: "#f2495c",
  warn: "#ff9830",
  warning: "#ff9830",
  info: "#73bf69",
  debug: "#5794f2",
  trace: "#6ed0e0",
};

const theme = () => document.documentElement.dataset.theme;
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);

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

const pen = document.createElement("canvas").getContext("2d");
function textWidth(text, font = FONT) {
  pen.font = font;
  return pen.measureText(text).width;
}

// timeseries

function timeseries(panel, content) {
  const { times, series, step } = panel.data;
  const custom = panel.config.custom;
  const bars = custom.drawStyle === "bars";
  const stacked = custom.stacking?.mode === "normal";
  const drawn = series.map((one, index) => ({
    ...one,
    stroke: seriesColour(one.config, index, theme(), one.name),
    upper: one.values,
  }));
  if (stacked) stack(drawn, times.length);
  const plotArea = el("div.plot");
  const legend = el(
    "div.legend",
    {},
    ...drawn.map((one) => el("span", { "--own": one.stroke }, one.name)),
  );
  content.append(el("div.graph", {}, plotArea, ...(panel.options.legend.showLegend ? [legend] : [])));
  const unit = panel.config.unit;
  const plot = new uPlot(
    {
      width: plotArea.clientWidth,
      height: plotArea.clientHeight,
      legend: { show: false },
      padding: [8, 20, 0, 0],
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      cursor: { points: { show: false }, drag: { x: false, y: false }, sync: { key: "all" } },
      scales: {
        x: { time: true, range: () => [dashboard.from / 1000, dashboard.to / 1000] },
        y: { range: (_, low, high) => range(low, high, panel.config) },
      },
      axes: [timeAxis(), valueAxis(unit)],
      series: [{}, ...order(drawn, stacked).map((one) => seriesOptions(one, custom, bars, step))],
      hooks: {
        drawClear: [(u) => drawThresholds(u, panel.config)],
        ready: [drawAnnotations],
        setCursor: [(u) => tooltip(u, drawn, unit, plotArea)],
      },
    },
    [times, ...order(drawn, stacked).map((one) => one.upper)],
    plotArea,
  );
  plots.set(panel.id, { plot, series: drawn, bars });
}

// The whole of a stack is drawn first, and what lies below it on top.
const order = (series, stacked) => (stacked ? series.toReversed() : series);

function stack(series, length) {
  const sum = new Array(length).fill(0);
  for (const one of series) {
    one.upper = one.values.map((value, at) => (value === null ? null : (sum[at] += value)));
  }
}

function seriesOptions(one, custom, bars, step) {
  const alpha = Math.round((custom.fillOpacity ?? 0) * 2.55).toString(16).padStart(2, "0");
  return {
    stroke: one.stroke,
    width: custom.lineWidth ?? 1,
    fill: one.stroke + alpha,
    spanGaps: custom.spanNulls === true,
    paths: bars ? uPlot.paths.bars({ size: [0.6, 100], align: 0 }) : undefined,
    // Where there is room, uPlot marks every sample; else those that no line reaches.
    points: {
      show: bars ? false : undefined,
      filter: (u, at, all) => (all || bars ? null : lonely(u.data[at])),
      size: custom.pointSize ?? 5,
      fill: one.stroke,
    },
  };
}

function lonely(values) {
  const absent = (at) => (values[at] ?? null) === null;
  return [...values.keys()].filter((at) => !absent(at) && absent(at - 1) && absent(at + 1));
}

function range(low, high, { min, max, custom }) {
  if (max === undefined) high = Math.max(high ?? 0, custom.axisSoftMax ?? 0);
  const end = (hard) => ({ pad: 0.1, soft: 0, mode: 3, hard });
  const limits = { min: end(min ?? -Infinity), max: end(max ?? Infinity) };
  const [from, to] = uPlot.rangeNum(low ?? 0, high ?? 100, limits);
  return [min ?? from, max ?? to];
}

function timeAxis() {
  return {
    font: FONT,
    stroke: css("--faint"),
    grid: { stroke: css("--grid"), width: 1 },
    ticks: { stroke: css("--grid"), width: 1, size: 4 },
    gap: 5,
    size: 28,
    space: 60,
    values: (_, splits) => splits.map((seconds) => moment(seconds * 1000, "HH:mm")),
  };
}

function valueAxis(unit) {
  const decimals = (increment) => (String(Math.round(increment * 1e6) / 1e6).split(".")[1] ?? "").length;
  return {
    font: FONT,
    stroke: css("--faint"),
    grid: { stroke: css("--grid"), width: 1 },
    ticks: { show: false },
    gap: 5,
    space: 30,
    size: (_, values) => Math.ceil(Math.max(0, ...(values ?? []).map((v) => textWidth(v)))) + 12,
    incrs: BINARY.has(unit) ? Array.from({ length: 80 }, (_, power) => 2 ** (power - 10)) : undefined,
    values: (_, splits, __, ___, increment) =>
      splits.map((value) => {
        const [text, suffix] = format(value, unit, decimals(increment) || undefined);
        return (Number.isNaN(+text) ? text : String(+text)) + suffix;
      }),
  };
}

function drawThresholds(u, config) {
  if (!config.custom.thresholdsStyle?.mode?.startsWith("dashed")) return;
  for (const step of config.thresholds.steps) {
    const y = u.valToPos(step.value, "y", true);
    const inside = y >= u.bbox.top && y <= u.bbox.top + u.bbox.height;
    if (step.value !== null && inside) {
      line(u, colour(step.color, theme()), [u.bbox.left, y], [u.bbox.left + u.bbox.width, y], [10, 10]);
    }
  }
}

// Above the canvas, as Grafana fills a region over the lines.
function drawAnnotations(u) {
  const width = u.over.clientWidth;
  for (const { time, timeEnd, color, text } of dashboard.annotations) {
    const [start, end] = [time, timeEnd ?? time].map((at) => u.valToPos(at / 1000, "x"));
    if (end < 0 || start > width) continue;
    const left = Math.max(0, start);
    const style = { left: `${left}px`, width: `${Math.min(width, end) - left}px` };
    const kind = timeEnd ? "div.annotation.region" : "div.annotation";
    u.over.append(el(kind, { "--own": colour(color, theme()), style }, el("i", { title: text })));
  }
}

function line(u, stroke, from, to, dash) {
  u.ctx.save();
  u.ctx.strokeStyle = stroke;
  u.ctx.lineWidth = 1;
  u.ctx.setLineDash(dash);
  u.ctx.beginPath();
  u.ctx.moveTo(...from);
  u.ctx.lineTo(...to);
  u.ctx.stroke();
  u.ctx.restore();
}

function tooltip(u, series, unit, area) {
  area.querySelector(".tooltip")?.remove();
  const { left, top, idx } = u.cursor;
  // The other graphs share the line, not the box: theirs has no event.
  if (idx === null || left < 0 || !u.cursor.event) return;
  const rows = series
    .filter((one) => one.values[idx] !== null)
    .sort((a, b) => b.values[idx] - a.values[idx])
    .slice(0, 12)
    .map((one) =>
      el(
        "div",
        {},
        el("span", {}, el("i", { "--own": one.stroke }), one.name),
        el("b", {}, format(one.values[idx], unit).join("")),
      ),
    );
  const head = el("div", {}, moment(u.data[0][idx] * 1000, "YYYY-MM-DD HH:mm:ss"));
  const box = el("div.tooltip", {}, head, ...rows);
  area.append(box);
  box.style.top = `${Math.max(0, Math.min(top, area.clientHeight - box.offsetHeight))}px`;
  const from = left + u.bbox.left / devicePixelRatio + 14;
  const fits = from + box.offsetWidth < area.clientWidth;
  box.style.left = `${fits ? from : Math.max(0, from - box.offsetWidth - 28)}px`;
}

// stat and gauge

function values(panel, content) {
  const shown = panel.data?.values ?? [{ name: "", value: null, config: panel.config }];
  const box = el("div.values");
  content.append(box);
  const gap = panel.type === "stat" ? 3 : 8;
  const { columns, width, height } = cells(box.clientWidth, box.clientHeight, shown.length, gap);
  box.style.gap = `${gap}px`;
  box.style.gridTemplateColumns = `repeat(${columns}, minmax(0, 1fr))`;
  box.style.gridAutoRows = `${height}px`;
  const ready = shown.map((one) => ({
    name: shown.length > 1 || panel.options.textMode === "value_and_name" ? one.name : "",
    config: one.config,
    value: one.value,
    ...display(one.value, one.config, theme()),
  }));
  const draw = panel.type === "gauge" ? gauge : stat;
  box.append(...ready.map((one) => draw(one, ready, width, height, panel.options)));
}

/** Return the grid whose cells are the largest. */
function cells(width, height, count, gap) {
  let best = { size: 0 };
  for (let columns = 1; columns <= count; columns++) {
    const rows = Math.ceil(count / columns);
    const cell = [(width - gap * (columns - 1)) / columns, (height - gap * (rows - 1)) / rows];
    const size = Math.min(...cell);
    if (size > best.size) best = { size, columns, width: cell[0], height: cell[1] };
  }
  return best;
}

/** Return the size at which text fits into a box. */
function fit(text, width, height, largest = Infinity) {
  const perPixel = (textWidth(text, '500 14px "Inter Variable"') + 2) / 14;
  return Math.max(8, Math.min(width / perPixel, height / 1.2, largest));
}

function stat(one, all, width, height, options) {
  const padding = height > 100 ? 12 : 8;
  const [inner, high] = [width - 2 * padding, height - 2 * padding];
  // All cells of a panel have one size of text.
  const widest = (texts) => texts.reduce((a, b) => (textWidth(b) > textWidth(a) ? b : a));
  const widestName = widest(all.map((item) => item.name));
  const widestValue = widest(all.map((item) => item.text + item.suffix));
  const wide = one.name && options.wideLayout && width / height > 2.5;
  const layout = one.name ? (wide ? "wide" : "stacked") : "alone";
  let [nameSize, valueSize] = [0, fit(widestValue, inner, high)];
  if (layout === "wide") {
    nameSize = fit(widestName, inner * 0.6, high, 30);
    valueSize = fit(widestValue, inner * 0.4 - 8, high);
  } else if (layout === "stacked") {
    nameSize = fit(widestName, inner, high * 0.3, 30);
    valueSize = fit(widestValue, inner, high - nameSize * 1.2);
    nameSize = Math.min(nameSize, valueSize * 0.7);
  }
  nameSize = options.text?.titleSize ?? nameSize;
  const painted = options.colorMode.startsWith("background") && !one.empty;
  const style = {
    padding: `${padding}px`,
    color: painted ? textOn(one.color) : one.empty ? "" : one.color,
    background: painted ? `linear-gradient(120deg, ${mixed(one.color)}, ${one.color})` : "",
  };
  const value = el("span.number", { style: { fontSize: `${valueSize}px` } }, one.text);
  value.append(el("small", {}, one.suffix));
  const name = el("span.name", { style: { fontSize: `${nameSize}px` } }, one.name);
  const children = one.name ? [name, value] : [value];
  if (one.empty) value.style.fontSize = `${Math.min(valueSize, 24)}px`;
  return el(`div.value.${layout}`, { style, title: one.name }, ...children);
}

const mixed = (hex) => `color-mix(in srgb, ${hex} 80%, black)`;

function gauge(one, all, width, height) {
  const { min = 0, max = 100 } = one.config;
  const [size, share] = [100, (v) => Math.min(1, Math.max(0, (v - min) / (max - min)))];
  const steps = one.config.thresholds.steps;
  const bands = steps.map((step, at) => {
    const [from, to] = [share(step.value ?? min), share(steps[at + 1]?.value ?? max)];
    return arc(46, 3, from, to, colour(step.color, theme()));
  });
  const filled = one.empty ? "" : arc(37, 12, 0, share(Number(one.value)), one.color);
  const text = one.text + one.suffix;
  const svg = `<svg viewBox="0 4 ${size} ${one.name ? 90 : 76}">${arc(37, 12, 0, 1, css("--raised"))}
    ${filled}${bands.join("")}<text x="50" y="58" text-anchor="middle" font-weight="500"
    font-size="${fit(text, 48, 30, 20)}" fill="${one.empty ? css("--faint") : one.color}"></text>
    <text x="50" y="90" text-anchor="middle" font-size="8" fill="${css("--text")}"></text></svg>`;
  const cell = el("div.value");
  cell.innerHTML = svg;
  const [value, name] = cell.querySelectorAll("text");
  value.textContent = text;
  name.textContent = one.name;
  return cell;
}

/** Return a part of a gauge's arc, which spans 240 degrees, as SVG. */
function arc(radius, width, from, to, stroke) {
  const point = (share) => {
    const angle = ((150 + 240 * share) * Math.PI) / 180;
    return `${50 + radius * Math.cos(angle)} ${52 + radius * Math.sin(angle)}`;
  };
  const large = (to - from) * 240 > 180 ? 1 : 0;
  return `<path d="M ${point(from)} A ${radius} ${radius} 0 ${large} 1 ${point(to)}"
    fill="none" stroke="${stroke}" stroke-width="${width}"/>`;
}

// table

function table(panel, content) {
  const { columns, rows } = panel.data;
  const box = el("div.table");
  content.append(box);
  const fixedWidths = columns.map((column) => column.config.custom.width ?? 0);
  const open = fixedWidths.filter((width) => !width).length;
  const rest = box.clientWidth - fixedWidths.reduce((a, b) => a + b, 0);
  // Grafana makes no column narrower of its own accord; the table scrolls.
  const widths = columns.map(({ config }, at) =>
    fixedWidths[at] || Math.max(config.custom.minWidth ?? 150, rest / open),
  );
  const numeric = (column) => (column.numeric ? { class: "numeric" } : {});
  const head = columns.map((column) => el("th", numeric(column), column.name));
  const body = rows.map((row) => el("tr", {}, ...row.map((value, at) => cell(value, columns[at]))));
  const cols = widths.map((width) => el("col", { style: { width: `${width}px` } }));
  const total = widths.reduce((a, b) => a + b, 0);
  box.append(
    el(
      "table",
      { style: { width: `${total}px` } },
      el("colgroup", {}, ...cols),
      el("thead", {}, el("tr", {}, ...head)),
      el("tbody", {}, ...body),
    ),
  );
}

function cell(value, { config, numeric }) {
  const { text, suffix, color, empty } = display(value, config, theme());
  const td = el("td", { title: text + suffix }, text + suffix);
  td.classList.toggle("numeric", numeric);
  td.classList.toggle("linked", Boolean(config.links?.length) && !empty);
  const type = config.custom.cellOptions?.type;
  if (type === "color-background" && !empty) {
    td.style.background = color;
    td.style.color = textOn(color);
  }
  if (type === "color-text" && !empty) td.style.color = color;
  return td;
}

// logs

function logs(panel, content) {
  const width = Math.max(0, ...panel.data.lines.map((one) => one.level.length));
  const lines = panel.data.lines.map((one) => {
    const row = el("div.log", { "--own": LEVELS[one.level] ?? css("--faint") });
    if (panel.options.showTime) row.append(el("time", {}, moment(one.time, "YYYY-MM-DD HH:mm:ss.SSS")));
    if (width) row.append(el("b", { style: { width: `${width}ch` } }, one.level));
    row.append(el("span", {}, one.line));
    return row;
  });
  content.append(el("div.logs", {}, ...lines));
}

// state-timeline

function states(panel, content) {
  const { times, step, series } = panel.data;
  const { perPage = series.length, showValue } = panel.options;
  const page = series.slice(0, perPage);
  const [from, span] = [dashboard.from / 1000, (dashboard.to - dashboard.from) / 1000];
  const share = (seconds) => Math.min(100, Math.max(0, ((seconds - from) / span) * 100));
  const bars = page.map((one) => {
    const spans = joined(times, one.values, step).map(({ value, start, end }) => {
      const { text, suffix, color } = display(value, one.config, theme());
      const left = share(start);
      const style = { left: `${left}%`, width: `${share(end) - left}%`, background: color };
      const label = showValue === "never" ? "" : text + suffix;
      return el("b", { style: { ...style, color: textOn(color) }, title: text + suffix }, label);
    });
    return el("li", {}, ...spans);
  });
  const paged = series.length > page.length;
  const height = (content.clientHeight - (paged ? 52 : 28)) / page.length;
  const names = page.map((one) =>
    el("li", { style: { fontSize: `${Math.min(12, height)}px` } }, one.name),
  );
  const axis = el("div.axis");
  const style = { paddingBottom: paged ? "24px" : "" };
  const lists = [el("ol.names", {}, ...names), el("ol.bars", {}, ...bars)];
  const box = el("div.states", { style }, ...lists, axis);
  content.append(box);
  const most = axis.clientWidth / 60;
  const every = [900, 1800, 3600, 7200, 10800, 21600].find((tick) => span / tick <= most) ?? 43200;
  for (let at = Math.ceil(from / every) * every; at < from + span; at += every) {
    axis.append(el("span", { style: { left: `${share(at)}%` } }, moment(at * 1000, "HH:mm")));
  }
  if (paged) content.append(el("div.pages", {}, `1–${page.length} of ${series.length}`));
}

/** Return how long each value lasted. */
function joined(times, values, step) {
  const found = [];
  for (const [at, value] of values.entries()) {
    const last = found.at(-1);
    if (value === null) continue;
    if (last?.value === value && last.end >= times[at]) last.end = times[at] + step;
    else found.push({ value, start: times[at], end: times[at] + step });
  }
  return found;
}

// The page

const TYPES = {
  timeseries,
  stat: values,
  gauge: values,
  table,
  logs,
  "state-timeline": states,
};

function drawPanel(panel) {
  const box = document.getElementById(`panel-${panel.id}`);
  const content = box.querySelector(".content");
  content.replaceChildren();
  plots.get(panel.id)?.plot.destroy();
  plots.delete(panel.id);
  const single = panel.type === "stat" || panel.type === "gauge";
  if (panel.errors.length) {
    content.append(el("div.message.error", {}, panel.errors.join("\n")));
    box.dataset.state = "error";
  } else if (!panel.data && !single) {
    content.append(el("div.message", {}, panel.noValue));
    box.dataset.state = "no-value";
  } else {
    try {
      // uPlot draws later, outside of this block; a unit nobody knows must be found in it.
      format(0, panel.config.unit);
      TYPES[panel.type](panel, content);
      box.dataset.state = panel.data ? "drawn" : "no-value";
    } catch (error) {
      console.error(error);
      content.replaceChildren(el("div.message.error", {}, error.message));
      box.dataset.state = "error";
    }
  }
}

function panelBox(panel, top) {
  const { x, y, w, h } = panel.gridPos;
  const heading = el("h2", {}, el("span", {}, panel.title));
  if (panel.description) heading.append(el("i.about-panel", { title: panel.description }, "i"));
  const attributes = { id: `panel-${panel.id}`, "data-type": panel.type };
  const place = { "--x": x, "--y": y - top, "--w": w, "--h": h };
  return el("section.panel", { ...attributes, ...place }, heading, el("div.content"));
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
    if (!area.hidden) panels.forEach(drawPanel);
  };
  const attributes = { "aria-expanded": !row.collapsed, onclick: toggle };
  const heading = el("button.row", attributes, el("i"), row.title, el("small", {}, note));
  return panels.length ? [heading, area] : [heading];
}

function drawTop() {
  const { title, description, day, from, to, variables, links, annotations } = dashboard;
  const ends = [moment(from, "YYYY-MM-DD HH:mm"), moment(to, "HH:mm")].join(" to ");
  const marks = new Map(annotations.map(({ name, color }) => [name, color]));
  const bar = (...children) => el("div.bar", {}, ...children);
  document.getElementById("top").append(
    el(
      "div.notice",
      {},
      `Preview, not Grafana: drawn from a simulated day (${day}) by the repository's own script.`,
    ),
    bar(
      el("h1", {}, title),
      el("span.about", {}, description),
      el("span.variable", {}, el("b", {}, "UTC"), el("span", {}, ends)),
      el("button", { id: "theme", onclick: toggleTheme }, "Dark / light"),
    ),
    bar(
      ...variables.map(({ label, text }) =>
        el("span.variable", { title: text }, el("b", {}, label), el("span", {}, text)),
      ),
      el(
        "span",
        { style: { fontSize: "12px" } },
        ...[...marks].flatMap(([name, color]) => [
          el("i.mark", { style: { background: colour(color, theme()) } }),
          name,
        ]),
      ),
      el("nav", {}, ...links.map((one) => el("a", linkAttributes(one), one.title))),
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
  shownPanels().forEach(drawPanel);
}

function toggleTheme() {
  setTheme(theme() === "dark" ? "light" : "dark");
}

/** Open the rows that Grafana shows closed; pictures show them. */
function openRows() {
  document.querySelectorAll('.row[aria-expanded="false"]').forEach((row) => row.click());
}

async function main() {
  if (matchMedia("(prefers-color-scheme: light)").matches) {
    document.documentElement.dataset.theme = "light";
  }
  await Promise.all([400, 500].map((weight) => document.fonts.load(`${weight} 12px "Inter Variable"`)));
  await document.fonts.load('12px "Roboto Mono Variable"');
  drawTop();
  for (const section of dashboard.sections) {
    document.getElementById("grid").append(...drawSection(section));
  }
  shownPanels().forEach(drawPanel);
  let pending = 0;
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    cancelAnimationFrame(pending);
    pending = requestAnimationFrame(() => shownPanels().forEach(drawPanel));
  });
  document.documentElement.dataset.ready = "true";
}

main();
