"""Look at every built page in a browser: ``make check-pages``, after ``make book``.

Each page is checked by axe-core in the light and the dark scheme, and at the width of a telephone
for sideways scrolling; sliders are moved by the keyboard. Violations that axe calls serious or
critical, a page that scrolls sideways, a slider that stays put, and on a wide screen a line of
visible code or a table that is cut are failures.

Each page is measured as well: its length in screens, what they show, and what is cut. The table
goes to ``reading.csv`` beside the pages; with ``--measure`` nothing else is done.
"""

import argparse
import csv
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
PHONE, DESK = {"width": 420, "height": 900}, {"width": 1280, "height": 900}
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}
ALSO = ("heading-order", "image-alt")  # failures here whatever axe-core calls them
# A formula is a picture with a name; its thousands of strokes need not be looked at.
CONTEXT = {"exclude": [["mjx-container > svg"]]}


def pages(html: Path) -> list[Path]:
    """All pages of the book; not those that Sphinx makes of modules and indices."""
    return sorted((html / "book").glob("*.html"))


def violations(page: Page, axe: str) -> Iterator[str]:
    """What axe-core finds that is serious or critical, one line a rule."""
    page.evaluate(axe)
    found: dict[str, Any] = page.evaluate("([of, by]) => axe.run(of, by)", [CONTEXT, RULES])
    for rule in found["violations"]:
        if rule["impact"] in ("serious", "critical") or rule["id"] in ALSO:
            nodes = rule["nodes"]
            first = nodes[0]["target"][0]
            yield f"{rule['id']} ({len(nodes)} places, the first {first}): {rule['help']}"


def sliders(page: Page) -> Iterator[str]:
    """Sliders that do not move when an arrow key is pressed."""
    for k, slider in enumerate(page.locator("input[type=range]").all()):
        before = slider.input_value()
        slider.focus()
        at_the_end = before == slider.get_attribute("max")
        page.keyboard.press("ArrowLeft" if at_the_end else "ArrowRight")
        if slider.input_value() == before:
            yield f"slider {k} does not move by the keyboard"


WRONG_FORMULAS = "document.querySelectorAll('mjx-merror, [data-mml-node=merror]').length"
WIDE_FORMULAS = """[...document.querySelectorAll("mjx-container[display=true]")]
  .filter((formula) => formula.scrollWidth > formula.clientWidth + 1).length"""


def formulas(page: Page) -> Iterator[str]:
    """Formulas that MathJax refuses, and those that are cut on a wide screen."""
    if count := page.evaluate(WRONG_FORMULAS):
        yield f"{count} formulas are not typeset"
    if count := page.evaluate(WIDE_FORMULAS):
        yield f"{count} formulas are wider than the column"


# Heights in screens by what is seen, and lines and tables that are cut. What is folded has no size.
MEASURE = """() => {
  const body = document.querySelector(".bd-article");
  const seen = (query) => [...body.querySelectorAll(query)].filter((e) => e.checkVisibility());
  const height = (list) => list.reduce((sum, e) => sum + e.getBoundingClientRect().height, 0);
  const cut = (pre) => {
    const text = pre.textContent.replace(/\\n$/, "").split("\\n");
    const style = getComputedStyle(pre);
    const room = pre.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    const pen = document.createElement("canvas").getContext("2d");
    pen.font = `${style.fontSize} ${style.fontFamily}`;
    return text.filter((line) => pen.measureText(line).width > room + 1).length;
  };
  const code = seen("div.cell_input pre");
  const printed = seen("div.cell_output .output.stream, div.cell_output .output.text_plain");
  const pictures = "div.cell_output img, figure img, .hessrmt-explorer, .hessrmt-tiles";
  const figures = seen(pictures);
  const tables = seen(".hessrmt-table, .pst-scrollable-table-container, table.hessrmt-audit");
  const screen = innerHeight, total = height([body]);
  const kinds = { code, printed, figures, tables };
  const shares = Object.fromEntries(Object.entries(kinds).map(([k, v]) => [k, height(v)]));
  shares.prose = total - Object.values(shares).reduce((a, b) => a + b);
  return {
    screens: total / screen,
    ...Object.fromEntries(Object.entries(shares).map(([k, v]) => [k, v / total])),
    "cut code": code.reduce((sum, pre) => sum + cut(pre), 0),
    "cut printed": printed.filter((o) => [...o.querySelectorAll("pre")].some(cut)).length,
    "cut tables": tables.filter((box) => box.scrollWidth > box.clientWidth + 1).length,
  };
}"""
COUNTS = ("cut code", "cut printed", "cut tables")


def load(page: Page, path: Path, size: dict[str, int]) -> None:
    """Open a page at a size, and wait until its formulas are there."""
    page.set_viewport_size(size)  # type: ignore[arg-type]
    page.goto(path.as_uri())
    page.evaluate("() => window.MathJax?.startup?.promise.then(() => true)")


def measured(page: Page, path: Path) -> dict[str, Any]:
    """Length of a page in screens at both widths, shares of what it shows, what is cut."""
    row: dict[str, Any] = {"page": path.stem}
    for size in (DESK, PHONE):
        load(page, path, size)
        found = page.evaluate(MEASURE)
        texts = {k: f"{v:d}" if k in COUNTS else f"{v:.1f}" for k, v in found.items()}
        texts |= {k: f"{v:.0%}" for k, v in found.items() if k not in (*COUNTS, "screens")}
        row |= {f"{key}, {size['width']}": text for key, text in texts.items()}
    return row


def problems(page: Page, path: Path, axe: str) -> Iterator[str]:
    """Everything wrong with a page."""
    for scheme in ("light", "dark"):
        page.set_viewport_size(DESK)
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
        page.goto(path.as_uri())
        page.evaluate("() => window.MathJax?.startup?.promise.then(() => true)")
        page.wait_for_timeout(500)  # colours fade in
        theme = page.evaluate("document.documentElement.dataset.theme")
        if theme != scheme:
            yield f"{scheme}: the page is {theme}"
        yield from (f"{scheme}: {text}" for text in violations(page, axe))
    yield from formulas(page)
    yield from sliders(page)
    page.set_viewport_size(PHONE)
    page.reload()
    page.evaluate("() => window.MathJax?.startup?.promise.then(() => true)")
    width = page.evaluate("document.documentElement.scrollWidth")
    if width > PHONE["width"]:
        yield f"{width} pixels wide on a telephone of {PHONE['width']}"


def main() -> int:
    """Check the pages and say what is wrong with them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--html", type=Path, default=ROOT / "_build" / "html")
    parser.add_argument("--axe", type=Path, help="axe.min.js")
    parser.add_argument("--measure", action="store_true", help="measure only")
    arguments = parser.parse_args()
    if not (arguments.html / "index.html").is_file():
        print(f"there is no book in {arguments.html}: make book", file=sys.stderr)
        return 2
    if not (arguments.axe or arguments.measure):
        parser.error("--axe is needed, or --measure")
    # A Chromium of the system, where there is one, saves downloading another.
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    failed, rows = 0, []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        for path in pages(arguments.html):
            row = measured(page, path)
            rows.append(row)
            if arguments.measure:
                continue
            found = list(problems(page, path, arguments.axe.read_text(encoding="utf-8")))
            found += [
                f"{row[f'{k}, 1280']} {k}, 1280 wide" for k in COUNTS if row[f"{k}, 1280"] != "0"
            ]
            failed += bool(found)
            lines = [f"{path.relative_to(arguments.html)}: {'problems' if found else 'ok'}", *found]
            print("\n  ".join(lines), flush=True)
        browser.close()
    with (arguments.html / "reading.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    for row in rows:
        print(*(text.rjust(8) for text in list(row.values())[1:]), row["page"])
    print(*rows[0], sep="; ")
    if not arguments.measure:
        print(f"{failed} pages with problems" if failed else "no problems")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
