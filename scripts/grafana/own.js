// What Grafana keeps to itself, written after the behaviour of its front end 13: the state timeline, the
// gauge, logs. None of it is in Grafana's packages; values and colours in it are.

const LOG_COLOURS = {
  fatal: "#705da0",
  critical: "#705da0",
  error: "#f2495c",
  warn: "#ff9830",
  warning: "#ff9830",
  info: "#73bf69",
  debug: "#5794f2",
  trace: "#6ed0e0",
};

// State timeline

/**
 * Return the states of a field: `{value, start, end, text, color}`, in seconds.
 *
 * With merged values and colours by threshold, a number's state is the range between two thresholds
 * that it lies in: value mappings count no more. That is what Grafana does.
 */
function fieldStates(field, times, step, merge, theme) {
  const byThreshold = merge && field.config.color?.mode === Grafana.FieldColorModeId.Thresholds;
  const state = byThreshold ? thresholdState(field, theme) : mappedState(field);
  const found = [];
  field.values.forEach((value, at) => {
    if (value === null) return;
    const [last, next] = [found.at(-1), state(value)];
    const end = times[at] + step;
    const joins = merge && last?.value === next.value && last.end >= times[at];
    if (joins) last.end = end;
    else found.push({ ...next, start: times[at], end });
  });
  return found;
}

function mappedState(field) {
  return (value) => {
    const shown = field.display(value);
    return { value, text: Grafana.formattedValueToString(shown), color: shown.color };
  };
}

function thresholdState(field, theme) {
  const { mode, steps } = field.config.thresholds;
  const share = mode === Grafana.ThresholdsMode.Percentage;
  const format = Grafana.getValueFormat(share ? "percent" : field.config.unit);
  const written = (value) =>
    Grafana.formattedValueToString(format(value, field.config.decimals ?? undefined));
  const { min = 0, delta = 1 } = field.state.range ?? {};
  return (value) => {
    const at = share ? ((value - min) / delta) * 100 : value;
    const step = Grafana.getActiveThreshold(at, steps);
    const next = steps[steps.indexOf(step) + 1];
    const below = step.value === -Infinity && next;
    const text = below ? `< ${written(next.value)}` : `${written(step.value)}+`;
    return { value: text, text, color: theme.visualization.getColorByName(step.color) };
  };
}

function states(panel, shown, node, theme, { from, to }) {
  const { times, step } = panel.data;
  const { perPage = shown.length, showValue, mergeValues, rowHeight = 0.9 } = panel.options;
  const page = shown.slice(0, perPage || shown.length);
  const [start, span] = [from / 1000, (to - from) / 1000];
  const share = (seconds) => Math.min(100, Math.max(0, ((seconds - start) / span) * 100));
  const names = [];
  const bars = page.map((frame) => {
    const field = frame.fields.at(-1);
    names.push(Grafana.getFieldDisplayName(field, frame, shown));
    const opacity = field.config.custom?.fillOpacity ?? 80;
    const spans = fieldStates(field, times, step, mergeValues, theme).map((one) => {
      const left = share(one.start);
      const background = `color-mix(in srgb, ${one.color} ${opacity}%, transparent)`;
      const style = { left: `${left}%`, width: `${share(one.end) - left}%`, background };
      const label = showValue === "never" ? "" : one.text;
      const color = theme.colors.getContrastText(one.color, 3);
      const attributes = { "data-color": one.color, title: one.text };
      return el("b", { ...attributes, style: { ...style, color } }, label);
    });
    const inset = `${((1 - rowHeight) / 2) * 100}%`;
    return el("li", { "--inset": inset }, ...spans);
  });
  const paged = shown.length > page.length;
  const lists = [
    el("ol.names", {}, ...names.map((name) => el("li", {}, name))),
    el("ol.bars", {}, ...bars),
  ];
  const axis = el("div.axis");
  node.append(el("div.states", { style: { paddingBottom: paged ? "24px" : "" } }, ...lists, axis));
  const most = axis.clientWidth / 60;
  const every = [300, 600, 900, 1800, 3600, 7200, 10800, 21600].find((tick) => span / tick <= most);
  const ticks = every ?? 43200;
  for (let at = Math.ceil(start / ticks) * ticks; at < start + span; at += ticks) {
    const text = Grafana.dateTimeFormat(at * 1000, { timeZone: "utc", format: "HH:mm" });
    axis.append(el("span", { style: { left: `${share(at)}%` } }, text));
  }
  if (paged) node.append(el("div.pages", {}, `1–${page.length} of ${shown.length}`));
}

// Gauge: a bar of 220 degrees round the value, with the thresholds' own thin one outside of it.

const GAUGE = { from: 250, range: 220, width: 0.5 };

function gauge({ value, width, height, count }, options, theme) {
  const { min = 0, max = 100, thresholds } = value.field;
  const share = (number) => Math.min(1, Math.max(0, (number - min) / (max - min || 1)));
  const size = gaugeSize(width, height, options.showThresholdMarkers);
  const bar = (from, to, color, radius = size.radius, stroke = size.bar) =>
    arc(size, radius, stroke, from, to, color);
  const drawn = [bar(0, 1, theme.colors.action.hover)];
  const known = Number.isFinite(value.display.numeric);
  if (known) drawn.push(bar(0, share(value.display.numeric), value.display.color));
  if (options.showThresholdMarkers) {
    thresholds.steps.forEach((step, at) => {
      const [from, to] = [step.value, thresholds.steps[at + 1]?.value ?? max].map(share);
      const color = theme.visualization.getColorByName(step.color);
      if (to > from) drawn.push(bar(from, to, color, size.marker, size.markerWidth));
    });
  }
  const named = count > 1 || options.textMode === "value_and_name";
  const text = Grafana.formattedValueToString(value.display);
  return Grafana.createElement(
    "svg",
    { width, height, role: "img" },
    ...drawn,
    ...gaugeText(size, text, named ? value.display.title : "", options, theme),
  );
}

function gaugeSize(width, height, markers) {
  const below = Math.sin((20 * Math.PI) / 180);
  const outer = Math.min(width / 2, height / (1 + below));
  const bar = Math.max((GAUGE.width * outer) / 3, 2);
  const markerWidth = markers ? Math.min(Math.max(0.2 * bar ** 0.92, 4), 12) : 0;
  const spacing = markers ? Math.max(markerWidth / 2, 2) : 0;
  const radius = outer - markerWidth - spacing - bar / 2;
  const y = outer + (height - outer * (1 + below)) / 2;
  return { x: width / 2, y, radius, bar, markerWidth, marker: outer - markerWidth / 2 };
}

/** Return a part of the gauge's bar, from one share of it to another. */
function arc({ x, y }, radius, width, from, to, stroke) {
  const point = (share) => {
    const angle = ((GAUGE.from + GAUGE.range * share - 90) * Math.PI) / 180;
    return `${x + radius * Math.cos(angle)} ${y + radius * Math.sin(angle)}`;
  };
  const large = (to - from) * GAUGE.range > 180 ? 1 : 0;
  const d = `M ${point(from)} A ${radius} ${radius} 0 ${large} 1 ${point(to)}`;
  const key = `${radius} ${from} ${to}`;
  return Grafana.createElement("path", { key, d, fill: "none", stroke, strokeWidth: width });
}

function gaugeText({ x, y, radius, bar }, text, name, options, theme) {
  const room = radius * 2 - bar - radius / 7;
  const tall = radius ** 0.86;
  const fitted = (own, words, height) =>
    own ?? Grafana.calculateFontSize(words, room, height, 1.21, undefined, 400);
  const valueSize = fitted(options.text?.valueSize, text, 0.82 * tall);
  const nameSize = name ? Math.max(fitted(options.text?.titleSize, name, 0.45 * tall), 10) : 0;
  const up = (valueSize + nameSize) * 1.21 * 0.25;
  const line = (key, words, fontSize, at, fill) =>
    Grafana.createElement(
      "text",
      { key, x, y: at - up, fontSize, fill, textAnchor: "middle", dominantBaseline: "middle" },
      words,
    );
  const valueY = y - nameSize * 1.21 * 0.3;
  const found = [line("value", text, valueSize, valueY, theme.colors.text.primary)];
  if (name) {
    const nameY = valueY + valueSize * 1.21 * 0.7;
    found.push(line("name", name, nameSize, nameY, theme.colors.text.secondary));
  }
  return found;
}

// Logs

function logs(panel, node) {
  const width = Math.max(0, ...panel.data.lines.map((one) => one.level.length));
  const format = "YYYY-MM-DD HH:mm:ss.SSS";
  const lines = panel.data.lines.map((one) => {
    const row = el("div.log", { "--own": LOG_COLOURS[one.level] ?? "var(--faint)" });
    if (panel.options.showTime) {
      row.append(el("time", {}, Grafana.dateTimeFormat(one.time, { timeZone: "utc", format })));
    }
    if (width) row.append(el("b", { style: { width: `${width}ch` } }, one.level));
    row.append(el("span", {}, one.line));
    return row;
  });
  node.append(el("div.logs", {}, ...lines));
}
