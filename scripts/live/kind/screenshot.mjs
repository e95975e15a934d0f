// Opens Grafana's home page in a headless Chromium, logged in, and takes a picture of it. Arguments:
// folder of node_modules, path of the browser. Standard input: `{url, login, titles, viewport, picture,
// seconds}`; standard output: for each title `{title, drawn, failed, text}`.

import { createRequire } from "node:module";
import { text } from "node:stream/consumers";

const [modules, executablePath] = process.argv.slice(2);
const { chromium } = createRequire(`${modules}/`)("playwright-core");
const { url, login, titles, viewport, picture, seconds } = JSON.parse(await text(process.stdin));

/** Runs in the page; the names are those of Components.Panels.Panel in @grafana/e2e-selectors 13.2. */
function look(titles) {
  const within = (element, name) =>
    element?.querySelector(`[data-testid="data-testid ${CSS.escape(name)}"]`);
  return titles.map((title) => {
    const panel = within(document, `Panel header ${title}`);
    const content = within(panel, "panel content");
    const shown = content?.textContent.trim() ?? "";
    const filled = shown || content?.querySelector("canvas, svg");
    return {
      title,
      drawn: Boolean(filled) && !panel.querySelector('[aria-label="Panel loading bar"]'),
      failed: Boolean(within(panel, "Panel status error")),
      text: shown,
    };
  });
}

const browser = await chromium.launch({
  executablePath,
  // Chromium refuses its sandbox to root.
  chromiumSandbox: process.getuid() !== 0,
});
try {
  const page = await browser.newPage({ viewport });
  const answer = await page.request.post(`${url}/login`, { data: login });
  if (!answer.ok()) throw new Error(`the login answers ${answer.status()}`);
  await page.goto(`${url}/`);
  const end = Date.now() + seconds * 1000;
  let panels = [];
  do {
    await page.waitForTimeout(500);
    panels = await page.evaluate(look, titles);
  } while (panels.some((panel) => !panel.drawn) && Date.now() < end);
  // A canvas is there before it is painted.
  await page.waitForTimeout(1000);
  await page.screenshot({ path: picture });
  console.log(JSON.stringify(panels));
} finally {
  await browser.close();
}
