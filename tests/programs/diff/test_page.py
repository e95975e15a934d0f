"""The page of `make diff` as a real browser shows it, with real keys and clicks."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from scripts.core.yamlfile import Json
from scripts.diff.model import ABSENT, Amount, Edit, Report
from scripts.diff.outputs import formatting, html
from scripts.servers import browser
from tests.programs.diff.diff_reports import EMPTY, SMALL, hostile, huge, pictured

pytestmark = pytest.mark.prove

PICTURE = Path(__file__).with_name("picture.png")
REPORTS = {
    "empty": EMPTY,
    "small": SMALL,
    "huge": huge(),
    "hostile": hostile(),
    "pictured": pictured(PICTURE),
}
# Opens a page in a window of 1366×768 and returns what a script does with it. What the page's own
# policy refuses is an error of the console.
DRIVER = """
import { createRequire } from "node:module";
const [modules, executablePath, url, colorScheme, script] = process.argv.slice(1);
const { chromium } = createRequire(`${modules}/`)("playwright-core");
const browser = await chromium.launch({ executablePath, chromiumSandbox: process.getuid() !== 0 });
const context = await browser.newContext({
  viewport: { width: 1366, height: 768 }, colorScheme, offline: true,
});
const page = await context.newPage();
const [errors, requests] = [[], []];
page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
page.on("pageerror", (error) => errors.push(String(error)));
page.on("request", (one) => /^(file|data):/.test(one.url()) || requests.push(one.url()));
page.setDefaultTimeout(20000);
await page.goto(url);
const run = Object.getPrototypeOf(async () => {}).constructor;
const rows = ".change > summary";
const shown = () => page.locator(rows).allInnerTexts();
const focused = () => page.evaluate(() => document.activeElement.innerText);
const press = async (...keys) => { for (const key of keys) await page.keyboard.press(key); };
const value = await new run("page", "rows", "shown", "focused", "press", script)(
  page, rows, shown, focused, press,
);
console.log(JSON.stringify({ value, errors, requests }));
await browser.close();
"""


class Driven(NamedTuple):
    """What a script returned, and what went wrong meanwhile."""

    value: Any
    errors: list[str]
    requests: list[str]


def written(report: Report, tmp_path: Path) -> Path:
    path = tmp_path / "report.html"
    path.write_text(html.page(report))
    return path


def drive(page: Path, script: str, theme: str = "light") -> Driven:
    """Run a script with the page, its rows' selector, and helpers that ask or press keys."""
    command = ("node", "--input-type=module", "-e", DRIVER, str(browser.modules()))
    arguments = (browser.executable(), page.resolve().as_uri(), theme, script)
    done = subprocess.run((*command, *arguments), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Driven(**json.loads(done.stdout))


def result(page: Path, script: str, theme: str = "light") -> Any:
    """What a script returns on a page that has no error and asks for nothing."""
    driven = drive(page, script, theme)
    assert (driven.errors, driven.requests) == ([], [])
    return driven.value


def test_every_page_opens_without_an_error_a_request_or_a_horizontal_scroll(tmp_path: Path) -> None:
    """In both themes, with every object open."""
    jobs = []
    for name, report in REPORTS.items():
        (tmp_path / name).mkdir()
        page = written(report, tmp_path / name)
        jobs += [browser.PageJob(page, theme) for theme in ("light", "dark")]
    for seen in browser.open_pages(jobs):
        assert browser.page_findings(seen) == []
        assert seen.report["ready"]
        assert seen.report["theme"] == seen.job.theme


def test_an_empty_report_is_one_sentence(tmp_path: Path) -> None:
    text = result(written(EMPTY, tmp_path), "return page.innerText('main')")
    assert text.strip() == formatting.NOTHING


def test_the_summary_fits_the_window(tmp_path: Path) -> None:
    script = """return page.$$eval("#summary > section:not([hidden])", (sections) =>
      sections.map((one) => one.getBoundingClientRect().bottom))"""
    assert max(result(written(SMALL, tmp_path), script)) <= 768


def test_filters_leave_the_objects_that_match_all_of_them(tmp_path: Path) -> None:
    script = """
      const found = [];
      const look = async () => found.push([await page.innerText("#count"), await shown()]);
      const fill = async (text) => { await page.fill("#filter", text); await look(); };
      await look();
      await fill("MONITORING/loki");
      await fill("13.0.0");
      await fill("grafana deployment");
      await fill('"grafana deployment"');
      await fill("");
      await page.selectOption("#clusters", "local"); await look();
      await page.selectOption("#kind", "ConfigMap"); await look();
      await page.selectOption("#action", "added"); await look();
      await press("Escape"); await look();
      return found.map(([count, rows]) => [count, rows.map((row) => row.split(/\\s+/)[2])]);
    """
    every = ["monitoring-node/alloy-logs", "monitoring/grafana", "monitoring/loki"]
    every += ["monitoring/todo-alerts", "todo-reader"]
    assert result(written(SMALL, tmp_path), script) == [
        ["5 of 5", every],
        ["1 of 5", ["monitoring/loki"]],
        ["1 of 5", ["monitoring/grafana"]],
        ["1 of 5", ["monitoring/grafana"]],
        ["0 of 5", []],
        ["5 of 5", every],
        ["2 of 5", every[:2]],
        ["1 of 5", every[:1]],
        ["0 of 5", []],
        ["5 of 5", every],
    ]


def test_a_release_and_a_flag_lead_to_their_objects(tmp_path: Path) -> None:
    script = """
      await page.click("#rows button >> text=release grafana");
      const release = await shown();
      await page.click("#flags button");
      return [release, await shown(), await page.locator("#flags button").count()];
    """
    release, flag, buttons = result(written(SMALL, tmp_path), script)
    assert [text.split()[2] for text in release] == ["monitoring/grafana"]
    assert [text.split()[2] for text in flag] == ["monitoring/loki"]
    assert buttons == 1, "a file has no object to show"


def test_keys_move_open_filter_and_explain(tmp_path: Path) -> None:
    script = """
      const said = [];
      const open = () => page.locator(".change[open]").count();
      await press("j"); said.push(await focused());
      await press("j", "j", "k"); said.push(await focused());
      await press("o"); said.push(await open());
      await press("o"); said.push(await open());
      await press("Enter"); said.push(await open());
      await press("/"); said.push(await page.evaluate("document.activeElement.id"));
      await page.keyboard.type("jo?/k"); said.push(await page.inputValue("#filter"));
      await press("Escape"); said.push(await page.inputValue("#filter"));
      await press("/"); await page.keyboard.type("monitoring/");
      await press("Enter"); said.push(await focused());
      await press("Control+j"); said.push(await focused());
      await press("?"); said.push(await page.isVisible("#keys"));
      await press("j", "Escape"); said.push(await page.isVisible("#keys"), await page.inputValue("#filter"));
      return said;
    """  # noqa: E501
    said = result(written(SMALL, tmp_path), script)
    rows = [said.pop(at).split()[2] for at in (0, 0, 6, 6)]
    assert rows == ["monitoring-node/alloy-logs", *["monitoring/grafana"] * 3]
    assert said == [1, 0, 1, "filter", "jo?/k", "", True, False, "monitoring/"]


def test_what_is_not_looked_at_is_not_drawn(tmp_path: Path) -> None:
    script = """
      const drawn = () => page.locator(rows).count();
      const bodies = () => page.locator("pre, .values").count();
      const counts = [await drawn(), await bodies()];
      await page.locator(rows).first().click();
      await page.waitForSelector(".change .values");
      counts.push(await bodies());
      await page.evaluate("scrollTo(0, document.body.scrollHeight)");
      await page.waitForFunction((count) => document.querySelectorAll(".change").length > count, counts[0]);
      await page.fill("#filter", "object-2999");
      counts.push(await drawn());
      await page.fill("#filter", "");
      await page.evaluate("scrollTo(0, 0)");
      const before = await drawn();
      const last = page.locator(rows).nth(before - 1);
      const text = await last.innerText();
      await last.focus(); await press("j");
      counts.push(await drawn() > before, await focused() !== text);
      return counts;
    """  # noqa: E501
    drawn, none, one, filtered, more, moved = result(written(huge(), tmp_path), script)
    assert drawn <= 200
    assert (none, one, filtered, more, moved) == (0, 2, 1, True, True)


def test_edits_stand_side_by_side_and_manifests_have_their_lines_coloured(tmp_path: Path) -> None:
    script = """
      await page.evaluate("openRows()");
      await page.waitForSelector(".change:nth-of-type(5) pre");
      const texts = (selector) => page.locator(selector).allInnerTexts();
      const closed = await page.locator(".manifest:not([open])").count();
      const colours = await page.$$eval(
        "ins, del", (lines) => lines.map((line) => getComputedStyle(line).backgroundColor));
      const cells = await texts(".values tbody tr");
      await page.click("#all");
      return [cells, await page.locator("del").first().textContent(), closed,
        new Set(colours).size, await page.locator(".change[open]").count()];
    """
    cells, removed, closed, colours, still = result(written(SMALL, tmp_path), script)
    assert "spec.replicas\t1\t2" in cells
    assert 'spec.template.spec.containers[name=grafana].env[name=GF_NEW]\tnone\t"1"' in cells
    assert 'expression = "Bearer (\\\\S+)"' in cells[0]
    assert removed == '-    expression = "Bearer (\\\\S+)"\n'
    assert (closed, colours, still) == (3, 2, 0)


def test_the_theme_follows_the_browser_and_a_press_is_remembered(tmp_path: Path) -> None:
    script = """
      const theme = () => page.evaluate("document.documentElement.dataset.theme");
      const background = () => page.$eval("body", (body) => getComputedStyle(body).backgroundColor);
      const seen = [await theme(), await background()];
      await page.click("#theme");
      seen.push(await theme(), await background());
      // Another process of the browser may draw the page before it has heard of the press.
      for (let tries = 0; tries < 5; tries++) {
        await page.reload();
        if (await theme() === seen[2]) break;
      }
      return [...seen, await theme()];
    """
    page = written(SMALL, tmp_path)
    light = result(page, script)
    dark = result(page, script, "dark")
    assert light == ["light", "rgb(255, 255, 255)", "dark", "rgb(13, 17, 23)", "dark"]
    assert dark == [*light[2:4], *light[:2], "light"]


# The contrast of each text with what lies behind it, by WCAG 2.2 (relative luminance), worst first.
CONTRAST = """
  await page.evaluate("openRows()");
  await page.waitForSelector(".change:nth-of-type(5) pre");
  await page.$$eval("details", (all) => all.forEach((one) => (one.open = true)));
  return page.evaluate(() => {
    const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const luminance = (colour) => parse(colour).slice(0, 3)
      .map((part) => part / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
      .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
    const behind = (element) => {
      const colour = getComputedStyle(element).backgroundColor;
      return (parse(colour)[3] ?? 1) === 1 ? colour : behind(element.parentElement);
    };
    const texts = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const element = walker.currentNode.parentElement;
      if (!walker.currentNode.data.trim() || !element.checkVisibility()) continue;
      const [a, b] = [getComputedStyle(element).color, behind(element)].map(luminance);
      const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      texts.push([ratio, walker.currentNode.data.trim().slice(0, 40)]);
    }
    return texts.sort((one, other) => one[0] - other[0]);
  });
"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_has_contrast(theme: str, tmp_path: Path) -> None:
    texts = result(written(SMALL, tmp_path), CONTRAST, theme)
    assert len(texts) > 100
    assert [one for one in texts if one[0] < 4.5] == []


def test_what_keys_reach_has_a_name_and_a_visible_focus(tmp_path: Path) -> None:
    script = """
      const seen = [];
      for (let at = 0; at < 40; at++) {
        await press("Tab");
        seen.push(await page.evaluate(() => {
          const { activeElement: element } = document;
          if (element === document.body) return null;
          const name = element.ariaLabel || element.innerText || element.labels?.[0]?.innerText;
          return [element.id || element.tagName, Boolean(name), getComputedStyle(element).outlineStyle];
        }));
      }
      return [seen.filter(Boolean), await page.locator("main, header, nav, search, [role=search]").count()];
    """  # noqa: E501
    seen, landmarks = result(written(SMALL, tmp_path), script)
    assert {"theme", "help", "filter", "clusters", "kind", "action", "all", "SUMMARY", "A"} <= {
        one[0] for one in seen
    }
    assert [one for one in seen if not one[1] or one[2] == "none"] == []
    assert landmarks == 4


def test_an_application_s_version_stands_beside_its_chart_s(tmp_path: Path) -> None:
    script = """return page.locator("#bumps tbody tr").allInnerTexts()"""
    assert [row.split("\t")[:4] for row in result(written(SMALL, tmp_path), script)] == [
        ["grafana", "grafana", "12.11.1 (application 13.2.0)", "13.0.0 (application 13.3.0)"],
        ["loki", "logs", "18.11.0 (application 3.7.6)", "none"],
    ]


def test_a_budget_tells_what_moves_and_what_stays(tmp_path: Path) -> None:
    script = """return [await page.locator("#amounts tbody tr").allInnerTexts(),
      await page.innerText("#as-before"), await page.locator("#amounts .over").count()]"""
    amount = Amount("oke-free", "CPU", "475m", "475m", "900m", False, "600m")
    more = (amount, dataclasses.replace(amount, limit="", former="900m"))
    report = dataclasses.replace(SMALL, amounts=(*SMALL.amounts, *more))
    rows, rest, over = result(written(report, tmp_path), script)
    assert [row.split("\t") for row in rows] == [
        ["oke-free", "CPU", "475m", "575m", "600m", ""],
        ["oke-free", "memory", "1608Mi", "1864Mi", "1792Mi", "over"],
        ["oke-free", "volumes", "100Gi", "50Gi", "100Gi", ""],
        ["staging", "CPU", "none", "500m", "", ""],
        ["oke-free", "CPU", "475m", "475m", "600m → 900m", ""],
        ["oke-free", "CPU", "475m", "475m", "900m → none", ""],
    ]
    assert (rest, over) == ("As before: local: CPU 475m; oke-free: images 14", 1)


def test_values_are_written_so_that_their_types_show(tmp_path: Path) -> None:
    values = {
        "5m": "5m",
        "1": '"1"',
        "": '""',
        "true": '"true"',
        " a ": '" a "',
        '{"a": 1}': '{"a": 1}',
        "a\nb": "a\nb",
    }
    typed: list[tuple[Json, str]] = [
        (1, "1"),
        (1.0, "1.0"),
        (12345678901234567890, "12345678901234567890"),
        (None, "null"),
    ]
    typed += [({"a": [1.0, "b"]}, '{"a":[1.0,"b"]}'), ("x" * 999, "x" * 999)]
    typed += [(["x" * 999], f'["{"x" * 157}…')]
    edits = [Edit(str(at), ABSENT, one) for at, (one, _) in enumerate([*values.items(), *typed])]
    report = Report("a", "b", changes=(dataclasses.replace(SMALL.changes[1], edits=tuple(edits)),))
    script = """
      await page.evaluate("openRows()");
      await page.waitForSelector(".values");
      return page.$$eval(".values tbody tr", (rows) => rows.map((row) =>
        [...row.cells].map((cell) => [cell.textContent, cell.className])));
    """
    rows = result(written(report, tmp_path), script)
    assert [row[2][0] for row in rows] == [*values.values(), *(text for _, text in typed)]
    assert {tuple(one for _, one in row) for row in rows} == {("path", "none", "value")}


def test_pictures_stand_side_by_side_and_grow(tmp_path: Path) -> None:
    script = """
      await page.waitForFunction(() => [...document.images].every((image) => image.naturalWidth));
      const boxes = () => page.$$eval("figure:first-child img", (images) =>
        images.map((image) => image.getBoundingClientRect()).map(({ top, width }) => [top, width]));
      const small = await boxes();
      await page.click("figure:first-child button");
      const images = await page.locator("img").count();
      return [small, await boxes(), images, await page.innerText("main")];
    """
    small, large, images, text = result(written(pictured(PICTURE), tmp_path), script)
    assert small[0] == small[1]
    assert large[0][1] > 1.9 * small[0][1]
    assert images == 4
    assert text.count("\nnone") == 2
    assert "Not drawn: todo-later. `make pictures`, given the same BASE, draws them" in text


def test_pictures_stand_below_each_other_in_a_narrow_window(tmp_path: Path) -> None:
    script = """
      const pair = () => page.$$eval("figure:first-child img", (images) =>
        images.map((image) => image.getBoundingClientRect().left));
      const wide = await pair();
      await page.setViewportSize({ width: 800, height: 768 });
      return [wide, await pair()];
    """
    (one, other), narrow = result(written(pictured(PICTURE), tmp_path), script)
    assert one < other
    assert narrow == [one, one]


def test_the_policy_stops_markup_that_would_run_or_load(tmp_path: Path) -> None:
    """Nothing of a report becomes markup; this is what would happen if it did."""
    page = written(SMALL, tmp_path)
    marked = '<script>document.title = "ran"</script><img src="http://127.0.0.1:9/a.png">'
    page.write_text(page.read_text().replace("<main>", f"<main>{marked}"))
    driven = drive(page, "return page.title()")
    assert driven.value == "main (1f2e3d4) → working tree"
    script, image = sorted(driven.errors)
    assert "inline script violates" in script
    assert "'http://127.0.0.1:9/a.png' violates" in image
