"""Look at every built page in a browser: ``make check-pages``, after ``make book``.

Each page is checked by axe-core in the light and the dark scheme, and at the width of a telephone
for sideways scrolling; sliders are moved by the keyboard. Violations that axe calls serious or
critical, a page that scrolls sideways and a slider that stays put are failures.
"""

import argparse
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
        page.keyboard.press("ArrowRight")
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
    parser.add_argument("--axe", type=Path, required=True, help="axe.min.js")
    arguments = parser.parse_args()
    if not (arguments.html / "index.html").is_file():
        print(f"there is no book in {arguments.html}: make book", file=sys.stderr)
        return 2
    axe = arguments.axe.read_text(encoding="utf-8")
    # A Chromium of the system, where there is one, saves downloading another.
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    failed = 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        for path in pages(arguments.html):
            found = list(problems(page, path, axe))
            failed += bool(found)
            lines = [f"{path.relative_to(arguments.html)}: {'problems' if found else 'ok'}", *found]
            print("\n  ".join(lines), flush=True)
        browser.close()
    print(f"{failed} pages with problems" if failed else "no problems")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
