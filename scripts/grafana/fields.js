// From what Python found to the data frames that Grafana's panels draw: transformations, overrides,
// units, mappings, thresholds and colours are Grafana's own (`Grafana`, see library.mjs).

const { FieldType } = Grafana;
const UTC = "utc";

// Grafana's front end says which settings there are and how each is read; these are what classic
// dashboards set. All that a panel sets under `custom` is taken as it is.
const NUMBERS = (field) => field.type === FieldType.number;
const SETTINGS = {
  color: [Grafana.identityOverrideProcessor],
  decimals: [Grafana.numberOverrideProcessor, NUMBERS],
  description: [Grafana.stringOverrideProcessor],
  displayName: [Grafana.displayNameOverrideProcessor],
  fieldMinMax: [Grafana.booleanOverrideProcessor, NUMBERS],
  links: [Grafana.dataLinksOverrideProcessor],
  mappings: [Grafana.valueMappingsOverrideProcessor],
  max: [Grafana.numberOverrideProcessor, NUMBERS],
  min: [Grafana.numberOverrideProcessor, NUMBERS],
  noValue: [Grafana.stringOverrideProcessor],
  thresholds: [Grafana.thresholdsOverrideProcessor],
  unit: [Grafana.unitOverrideProcessor],
};

Grafana.locationUtil.initialize({
  config: { appSubUrl: "" },
  getVariablesUrlParams: () => ({}),
  getTimeRangeForUrl: () => ({}),
});
const TRANSFORMERS = new Map(Object.values(Grafana.standardTransformers).map((one) => [one.id, one]));
Grafana.standardTransformersRegistry.setInit(() =>
  [...TRANSFORMERS.values()].map((one) => ({ ...one, transformation: async () => one })),
);

function settingsRegistry({ defaults, overrides }) {
  const set = overrides.flatMap(({ properties }) => properties.map(({ id }) => id));
  const own = Object.keys(defaults.custom ?? {}).map((key) => `custom.${key}`);
  const custom = new Set([...own, ...set.filter((id) => id.startsWith("custom."))]);
  return new Grafana.FieldConfigOptionsRegistry(() => [
    ...Object.entries(SETTINGS).map(([id, [process, shouldApply = () => true]]) => {
      return { id, path: id, name: id, process, shouldApply };
    }),
    ...[...custom].map((id) => ({
      id,
      path: id.slice("custom.".length),
      name: id,
      isCustom: true,
      process: Grafana.identityOverrideProcessor,
      shouldApply: () => true,
    })),
  ]);
}

// Each series a frame of its own, as Grafana's data sources return them.

function seriesFrames({ times, step, series }) {
  return series.map(({ ref, name, values }) => ({
    refId: ref,
    length: times.length,
    fields: [
      {
        name: "Time",
        type: FieldType.time,
        config: { interval: step * 1000 },
        values: times.map((seconds) => seconds * 1000),
      },
      valueField(name, values),
    ],
  }));
}

const valueField = (name, values) => ({
  name: "Value",
  type: FieldType.number,
  config: { displayNameFromDS: name },
  labels: { series: name },
  values: values.map(fromJson),
});

// JSON has no word for these.
const fromJson = (value) =>
  ({ Infinity: Infinity, "-Infinity": -Infinity, NaN: NaN })[value] ?? value;

const numberFrames = ({ values }) =>
  values.map(({ ref, name, samples }) => ({
    refId: ref,
    length: samples.length,
    fields: [valueField(name, samples)],
  }));

const tableFrames = ({ tables }) =>
  tables.map(({ ref, columns, rows }) => ({
    refId: ref,
    length: rows.length,
    fields: columns.map(({ name, type }, at) => ({
      name,
      type,
      config: {},
      values: rows.map((row) => fromJson(row[at])),
    })),
  }));

const FRAMES = {
  gauge: numberFrames,
  stat: numberFrames,
  "state-timeline": seriesFrames,
  table: tableFrames,
  timeseries: seriesFrames,
};

/** Return a panel's data frames, transformed, and with the settings of each field. */
async function frames(panel, theme) {
  const build = FRAMES[panel.type];
  if (!build || !panel.data) return [];
  const transformed = await Grafana.lastValueFrom(
    Grafana.transformDataFrame(panel.transformations, build(panel.data)),
  );
  const applied = Grafana.applyFieldOverrides({
    data: transformed,
    fieldConfig: panel.fieldConfig,
    fieldConfigRegistry: settingsRegistry(panel.fieldConfig),
    replaceVariables: (text) => text,
    theme,
    timeZone: UTC,
  });
  Grafana.cacheFieldDisplayNames(applied);
  return applied;
}

/**
 * Return what Python, which has to read dashboards without Node.js, reads otherwise than Grafana: names,
 * settings, and the cells of tables.
 */
function differences(panel, shown) {
  const found = [];
  const compare = (what, python, grafana) => {
    const [one, other] = [python, grafana].map((value) => JSON.stringify(value));
    if (one !== other) found.push(`${what}: frames.py says ${one}, Grafana ${other}`);
  };
  const settings = (what, config, field) => {
    for (const [key, value] of Object.entries(config)) {
      const own = field.config[key] ?? (key === "custom" ? {} : null);
      compare(`${what}, ${key}`, sorted(value), sorted(own));
    }
  };
  if (panel.type === "table") {
    const [fields, { columns, rows }] = [visible(shown[0]), panel.data];
    const names = fields.map((field) => Grafana.getFieldDisplayName(field, shown[0], shown));
    compare("columns", columns.map(({ name }) => name), names);
    if (found.length) return found;
    columns.forEach(({ name, config }, at) => settings(name, config, fields[at]));
    const cells = [...Array(shown[0].length).keys()].map((row) =>
      fields.map(({ values }) => values[row] ?? null),
    );
    const lines = (table) => table.map((row) => JSON.stringify(row)).sort();
    compare("rows", lines(rows.map((row) => row.map(fromJson))), lines(cells));
    return found;
  }
  (panel.data.series ?? panel.data.values).forEach((one, at) => {
    const field = shown[at].fields.at(-1);
    compare("name", one.name, Grafana.getFieldDisplayName(field, shown[at], shown));
    settings(one.name, one.config, field);
    if (one.samples) {
      const { lastNotNull } = Grafana.reduceField({ field, reducers: ["lastNotNull"] });
      compare(`${one.name}, value`, fromJson(one.value), lastNotNull);
    }
  });
  return found;
}

const visible = ({ fields }) => fields.filter(({ config }) => !config.custom?.hideFrom?.viz);

/** Return a value with its keys in order, and the first threshold as dashboards write it. */
function sorted(value) {
  if (value === -Infinity || value === undefined) return null;
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== "object") return value;
  const keys = Object.keys(value).sort();
  return Object.fromEntries(keys.map((key) => [key, sorted(value[key])]));
}

const KNOWN_UNITS = new Set(
  Grafana.getValueFormats().flatMap(({ submenu }) => submenu.map(({ value }) => value)),
);

/** Return the units that Grafana does not know and would show as a suffix: mostly mistakes. */
function unknownUnits({ defaults, overrides }) {
  const set = overrides.flatMap(({ properties }) => properties.filter(({ id }) => id === "unit"));
  const units = [defaults.unit, ...set.map(({ value }) => value)].filter(Boolean);
  return units.filter((unit) => !KNOWN_UNITS.has(unit) && !/^\w+:/.test(unit));
}
