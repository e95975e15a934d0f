// How Grafana writes and colours a value: units, thresholds, value mappings, palette.
// Restated from the npm package @grafana/data 13.2 (valueFormats, field, themes). Needs no browser.

// Colours

const SHADES = ["super-light-", "light-", "", "semi-dark-", "dark-"];
const HUES = {
  dark: {
    red: "#FFA6B0 #FF7383 #F2495C #E02F44 #C4162A",
    orange: "#FFCB7D #FFB357 #FF9830 #FF780A #FA6400",
    yellow: "#FFF899 #FFEE52 #FADE2A #F2CC0C #E0B400",
    green: "#C8F2C2 #96D98D #73BF69 #56A64B #37872D",
    blue: "#C0D8FF #8AB8FF #5794F2 #3274D9 #1F60C4",
    purple: "#DEB6F2 #CA95E5 #B877D9 #A352CC #8F3BB8",
  },
  light: {
    red: "#FF7383 #F2495C #E02F44 #C4162A #AD0317",
    orange: "#FFB357 #FF9830 #FF780A #FA6400 #E55400",
    yellow: "#FFEE52 #FADE2A #F2CC0C #E0B400 #CC9D00",
    green: "#96D98D #73BF69 #56A64B #37872D #19730E",
    blue: "#8AB8FF #5794F2 #3274D9 #1F60C4 #1250B0",
    purple: "#CA95E5 #B877D9 #A352CC #8F3BB8 #7C2EA3",
  },
};
const PALETTE = (
  "green semi-dark-yellow blue orange red purple dark-green dark-yellow dark-blue dark-orange " +
  "dark-red dark-purple super-light-green super-light-yellow super-light-blue " +
  "super-light-orange super-light-red super-light-purple #447EBC #C15C17 #890F02 #0A437C " +
  "#6D1F62 #584477 #B7DBAB #F4D598 #70DBED #F9BA8F #F29191 #82B5D8 #E5A8E2 #AEA2E0 #629E51 " +
  "#E5AC0E #64B0C8 #E0752D #BF1B00 #0A50A1 #962D82 #614D93 #9AC48A #F2C96D #65C5DB #F9934E " +
  "#EA6460 #5195CE #D683CE #806EB7 #3F6833 #967302 #2F575E #99440A #58140C #052B51 #511749 " +
  "#3F2B5B #E0F9D7 #FCEACA #CFFAFF #F9E2D2 #FCE2DE #BADFF4 #F9D9F9 #DEDAF7"
).split(" ");

/** Return a colour for CSS and canvas from Grafana's name of it. */
function colour(name, theme) {
  const shade = SHADES.findLast((prefix) => name.startsWith(prefix) && prefix) ?? "";
  const hue = HUES[theme][name.slice(shade.length)];
  return hue ? hue.split(" ")[SHADES.indexOf(shade)] : name;
}

/** Return the colour that Grafana's palette has for a name, of those that can be seen on a panel. */
function colourOfName(name, theme) {
  const background = { dark: "#181b1f", light: "#ffffff" }[theme];
  const seen = PALETTE.filter((one) => contrast(colour(one, theme), background) >= 3);
  let hash = 5381;
  for (let at = name.length; at; ) hash = (hash * 33) ^ name.charCodeAt(--at);
  return colour(seen[(hash >>> 0) % seen.length], theme);
}

/** Return the contrast of two colours, as WCAG defines it. */
function contrast(one, other) {
  const luminance = (hex) => {
    const [red, green, blue] = hex.match(/\w\w/g).map((pair) => {
      const share = parseInt(pair, 16) / 255;
      return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const [bright, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (bright + 0.05) / (dark + 0.05);
}

/** Return the colour of a series: its own where the settings fix one, else the palette's next. */
function seriesColour(config, index, theme, name) {
  const own = config.color ?? {};
  if (own.mode === "palette-classic-by-name") return colourOfName(name, theme);
  if (own.mode === "fixed") return colour(own.fixedColor, theme);
  if (own.mode === "thresholds") return thresholdColour(-Infinity, config, theme);
  return colour(PALETTE[index % PALETTE.length], theme);
}

/** Return the colour of the last threshold that a value reaches. */
function thresholdColour(value, config, theme) {
  const { mode, steps } = config.thresholds;
  const { min = 0, max = 100 } = config;
  const at = mode === "percentage" ? ((value - min) / (max - min)) * 100 : value;
  const step = steps.findLast((one) => one.value === null || at >= one.value) ?? steps[0];
  return colour(step.color, theme);
}

/** Return black or white, whichever can be read on a colour. */
function textOn(background) {
  const [red, green, blue] = background.match(/\w\w/g).map((pair) => parseInt(pair, 16));
  return (red * 299 + green * 587 + blue * 114) / 1000 > 180 ? "rgb(32, 34, 38)" : "#fff";
}

// Units

/** Return a number with as many decimals as three significant digits need. */
function fixed(value, decimals) {
  if (!Number.isFinite(value)) return value.toLocaleString("en-US");
  const places = decimals ?? decimalsOf(value);
  const factor = 10 ** places;
  const text = String(Math.round(value * factor) / factor);
  if (text.includes("e") || value === 0) return value === 0 ? value.toFixed(places) : text;
  const present = (text.split(".")[1] ?? "").length;
  if (present >= places) return text;
  return text + (present ? "" : ".") + "0".repeat(places - present);
}

function decimalsOf(value) {
  if (value % 1 === 0) return 0;
  const size = Math.abs(value);
  const places = 1 - Math.floor(Math.log(size) / Math.LN10);
  return Math.max(0, size / 10 ** -places > 2.25 ? places + 1 : places);
}

const plain = (suffix) => (value, decimals) => [fixed(value, decimals), suffix];
const times = (factor, suffix) => (value, decimals) => [fixed(value * factor, decimals), suffix];

function scaled(base, suffixes, offset = 0) {
  return (value, decimals) => {
    if (!Number.isFinite(value)) return [value.toLocaleString("en-US"), ""];
    const power = value === 0 ? 0 : Math.floor(Math.log10(Math.abs(value)) / Math.log10(base));
    const at = Math.min(Math.max(power, -offset), suffixes.length - 1 - offset);
    return [fixed(value / base ** at, decimals), suffixes[offset + at]];
  };
}

const binary = (unit) =>
  scaled(1024, ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"].map((p) => ` ${p}${unit}`));
const decimal = (unit) =>
  scaled(
    1000,
    ["f", "p", "n", "µ", "m", "", "k", "M", "G", "T", "P", "E", "Z", "Y"].map((p) => ` ${p}${unit}`),
    5,
  );
const count = (unit) => scaled(1000, ["", "K", "M", "B", "T"].map((p) => `${p} ${unit}`));

// Each step: up to which value, how many of the unit make one, name, whether it has a plural.
function duration(steps) {
  return (value, decimals) => {
    if (value === 0) return ["0", " " + steps.zero];
    const size = Math.abs(value);
    const [, factor, name, plural] = steps.find(([limit]) => size < limit);
    const amount = value / factor;
    return [fixed(amount, decimals), ` ${name}${plural && Math.abs(amount) > 1 ? "s" : ""}`];
  };
}
const LONG = [
  [60, 1, "s"],
  [3600, 60, "min", true],
  [86400, 3600, "hour", true],
];
const SECONDS = [
  [1e-6, 1e-9, "ns"],
  [1e-3, 1e-6, "µs"],
  [1, 1e-3, "ms"],
  ...LONG,
  [604800, 86400, "day", true],
  [31536000, 604800, "week", true],
  [Infinity, 31556900, "year", true],
];
const MILLISECONDS = [
  [1, 1e-3, "ms"],
  ...LONG,
  [31536000, 86400, "day", true],
  [Infinity, 31536000, "year", true],
].map(([limit, factor, ...name]) => [limit * 1000, factor * 1000, ...name]);
SECONDS.zero = "s";
MILLISECONDS.zero = "ms";

const UNITS = {
  none: plain(""),
  short: scaled(1000, ["", " K", " Mil", " Bil", " Tri", " Quadr", " Quint", " Sext", " Sept"]),
  sishort: decimal(""),
  percent: plain("%"),
  percentunit: times(100, "%"),
  bytes: binary("B"),
  decbytes: decimal("B"),
  bits: binary("b"),
  binBps: binary("B/s"),
  Bps: decimal("B/s"),
  bps: decimal("b/s"),
  pps: decimal("p/s"),
  reqps: count("req/s"),
  ops: count("ops/s"),
  cps: count("c/s"),
  rps: count("rd/s"),
  wps: count("wr/s"),
  iops: count("io/s"),
  eps: count("evt/s"),
  mps: count("msg/s"),
  s: duration(SECONDS),
  ms: duration(MILLISECONDS),
};
// Their axes are divided in powers of two.
const BINARY = new Set(["bytes", "bits", "binBps"]);

/**
 * Return a number as text: the number and its unit, with the unit's own space before it.
 * Grafana takes a unit that it does not know for a suffix; here it is a mistake.
 */
function format(value, unit = "none", decimals = undefined) {
  if (UNITS[unit]) return UNITS[unit](value, decimals);
  const [, kind, text] = unit.match(/^(prefix|suffix|count):(.*)/) ?? [];
  if (kind === "prefix") return [text + fixed(value, decimals), ""];
  if (kind === "suffix") return plain(` ${text}`)(value, decimals);
  if (kind === "count") return count(text)(value, decimals);
  throw new Error(`unit ${unit} is not known to the preview: add it to display.js`);
}

/** Return a moment in UTC, by a pattern such as `YYYY-MM-DD HH:mm:ss.SSS`. */
function moment(milliseconds, pattern) {
  const text = new Date(milliseconds).toISOString();
  const parts = {
    YYYY: text.slice(0, 4),
    MM: text.slice(5, 7),
    DD: text.slice(8, 10),
    HH: text.slice(11, 13),
    mm: text.slice(14, 16),
    ss: text.slice(17, 19),
    SSS: text.slice(20, 23),
  };
  return pattern.replace(/YYYY|MM|DD|HH|mm|SSS|ss/g, (part) => parts[part]);
}

/**
 * Return what is shown of a value: `{text, suffix, color, empty}`. A mapping's text and colour
 * come before the unit and the thresholds; without a value, the settings' text for that.
 */
function display(raw, config, theme) {
  const mapped = mapping(raw, config.mappings ?? []);
  const number = typeof raw === "number" || /^-?Infinity$/.test(raw ?? "") ? Number(raw) : NaN;
  const empty = raw === null || raw === undefined || raw === "";
  let [text, suffix] = [mapped?.text, ""];
  if (text === undefined && empty) text = config.noValue ?? "";
  else if (text === undefined && Number.isNaN(number)) text = String(raw);
  else if (text === undefined) [text, suffix] = format(number, config.unit, config.decimals);
  const fixedColour = config.color?.mode === "fixed" ? colour(config.color.fixedColor, theme) : null;
  const at = Number.isNaN(number) ? -Infinity : number;
  const own = mapped?.color ? colour(mapped.color, theme) : fixedColour;
  return { text, suffix, color: own ?? thresholdColour(at, config, theme), empty };
}

function mapping(value, mappings) {
  if (value === null || value === undefined) return undefined;
  for (const { type, options } of mappings) {
    if (type === "value" && options[value]) return options[value];
    const { from, to } = options;
    if (type === "range" && value >= (from ?? -Infinity) && value <= (to ?? Infinity)) {
      return options.result;
    }
  }
  return undefined;
}
