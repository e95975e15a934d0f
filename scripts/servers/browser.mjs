// Opens pages in a headless Chromium, takes pictures, and reports what a person would see.
// Arguments: folder of node_modules, path of the browser. Standard input: a job a line,
// `{url, theme, picture, toggle, width, scale}`; standard output: a report a line.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [modules, executablePath] = process.argv.slice(2);
const { chromium } = createRequire(`${modules}/`)("playwright-core");
const HEIGHT = 768;

const browser = await chromium.launch({
  executablePath,
  // Chromium refuses its sandbox to root.
  chromiumSandbox: process.getuid() !== 0,
  args: [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    // Pictures of one machine look like those of another.
    "--font-render-hinting=none",
  ],
});

/** Runs in the page: what each panel shows, and what does not fit. */
function inspect() {
  // Pixels of a table's row.
  const ROW = 36;
  const box = (element) => {
    const { x, y, width, height } = element.getBoundingClientRect();
    return { x: x + scrollX, y: y + scrollY, width, height };
  };
  // The share of a series' samples that have its colour on the canvas; null where none can.
  const share = (plot, one, bars) => {
    const wanted = one.stroke.match(/\w\w/g).map((pair) => parseInt(pair, 16));
    const close = (data) =>
      [...Array(data.length / 4).keys()].some((at) =>
        // Lines and bars are blended into what lies below them.
        wanted.every((part, channel) => Math.abs(data[at * 4 + channel] - part) < 60),
      );
    const samples = [...one.values.keys()].filter((at) => {
      if (typeof one.values[at] !== "number") return false;
      const [top, bottom] = [one.upper[at], one.upper[at] - one.values[at]];
      return !bars || plot.valToPos(bottom, one.scale, true) - plot.valToPos(top, one.scale, true) >= 3;
    });
    if (!samples.length) return null;
    const some = samples.filter((_, at) => at % Math.ceil(samples.length / 50) === 0);
    const found = some.filter((at) => {
      const x = Math.round(plot.valToPos(plot.data[0][at], "x", true));
      const y = Math.round(plot.valToPos(one.upper[at], one.scale, true));
      return close(plot.ctx.getImageData(x - 1, y - 1, 3, 4).data);
    });
    return found.length / some.length;
  };
  const painted = ({ plot, series, bars }) => {
    const shares = series.map((one) => share(plot, one, bars)).filter((one) => one !== null);
    return {
      series: shares.length,
      // Lines hide each other, but not the one on top.
      best: shares.length ? Math.max(...shares) : null,
      colours: series.map((one) => one.stroke),
    };
  };
  const title = (panel) => panel?.dataset.title ?? "";
  // Text is cut where its element hides what is too wide, or one around it does.
  const hidden = (element) => /hidden|clip|auto|scroll/.test(getComputedStyle(element).overflowX);
  const texts = [...document.querySelectorAll("#top *, .panel *")].filter(
    (element) => element.offsetParent && element.innerText && !element.querySelector("*"),
  );
  const cut = texts.flatMap((element) => {
    const panel = title(element.closest(".panel"));
    for (let at = element; at && !at.matches(".panel, #top"); at = at.parentElement) {
      if (!hidden(at) || at.scrollWidth <= at.clientWidth + 1) continue;
      if (at.matches('[role="grid"], .logs')) break;
      const [wanted, width] = [at.scrollWidth, at.clientWidth];
      return [{ panel, what: `“${element.innerText}”`, wanted, width }];
    }
    return [];
  });
  for (const table of document.querySelectorAll('.panel [role="grid"]')) {
    const panel = title(table.closest(".panel"));
    const { scrollWidth, clientWidth, scrollHeight, clientHeight } = table;
    if (!table.offsetParent) continue;
    if (scrollWidth > clientWidth + 1) {
      cut.push({ panel, what: "the table", wanted: scrollWidth, width: clientWidth });
    }
    if (scrollHeight > clientHeight + 1) {
      const what = "the table's height";
      cut.push({ panel, what, wanted: scrollHeight, width: clientHeight, line: ROW });
    }
  }
  // It scrolls when it takes more than its share of the panel.
  for (const legend of document.querySelectorAll('.panel [data-testid="data-testid viz-layout-legend"]')) {
    const panel = title(legend.closest(".panel"));
    const scrolled = [legend, ...legend.querySelectorAll("*")].find(
      ({ scrollHeight, clientHeight }) => clientHeight && scrollHeight > clientHeight + 1,
    );
    if (!scrolled) continue;
    const { scrollHeight: wanted, clientHeight: width } = scrolled;
    cut.push({ panel, what: "the legend's height", wanted, width });
  }
  for (const names of document.querySelectorAll(".names")) {
    const [wanted, width] = [names.scrollWidth * 2, names.parentElement.clientWidth];
    const panel = title(names.closest(".panel"));
    if (wanted > width) cut.push({ panel, what: "bars beside names", wanted, width });
  }
  const panels = [...document.querySelectorAll(".panel")].map((element) => {
    const id = Number(element.id.replace("panel-", ""));
    return {
      id,
      title: title(element),
      type: element.dataset.type,
      state: element.dataset.state ?? null,
      text: element.innerText.replace(title(element), ""),
      box: box(element),
      marks: element.querySelectorAll(".annotation").length,
      states: [...element.querySelectorAll(".bars b")].map(({ dataset }) => dataset.color),
      painted: plots.has(id) ? painted(plots.get(id)) : null,
    };
  });
  return {
    ready: document.documentElement.dataset.ready === "true",
    theme: document.documentElement.dataset.theme,
    background: getComputedStyle(document.body).backgroundColor,
    width: document.documentElement.scrollWidth,
    panels,
    cut,
  };
}

async function run({ url, theme, picture, toggle, width = 1366, scale = 1 }) {
  const started = performance.now();
  const context = await browser.newContext({
    viewport: { width, height: HEIGHT },
    deviceScaleFactor: scale,
    colorScheme: theme,
    offline: true,
  });
  const [errors, requests] = [[], []];
  await context.route("**/*", (route) => {
    if (/^(file|data):/.test(route.request().url())) return route.continue();
    requests.push(route.request().url());
    return route.abort();
  });
  const page = await context.newPage();
  page.on("console", (message) => {
    if (message.type() === "error") errors.push(message.text());
  });
  page.on("pageerror", (error) => errors.push(String(error)));
  try {
    await page.goto(url);
    await page.waitForSelector("html[data-ready=true]", { timeout: 20000 });
    await page.evaluate("openRows()");
    if (toggle) {
      await page.click("#theme");
      await page.waitForSelector("html[data-ready=true]", { timeout: 20000 });
    }
    const report = await page.evaluate(inspect);
    const drawn = performance.now();
    if (picture) await page.screenshot({ path: picture, fullPage: scale >= 1 });
    const seconds = { page: (drawn - started) / 1000, picture: (performance.now() - drawn) / 1000 };
    return { ...report, errors, requests, seconds };
  } catch (error) {
    return { ready: false, panels: [], cut: [], requests, errors: [...errors, String(error)] };
  } finally {
    await context.close();
  }
}

for await (const job of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await run(JSON.parse(job))));
}
await browser.close();
