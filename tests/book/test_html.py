"""The built HTML reads offline. Skipped where the book has not been built; `make book` runs it."""

import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from jupyter_cache import get_cache
from sphinx.util.inventory import InventoryFile

from hessrmt.book._references import references

ROOT = Path(__file__).resolve().parents[2]
HTML = ROOT / "_build" / "html"
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text())
PAGES = [TOC["root"], *(c["file"] for part in TOC["parts"] for c in part["chapters"])]

pytestmark = pytest.mark.skipif(not HTML.exists(), reason="no built book")

# Elements and attributes whose value a browser fetches by itself.
FETCHED = {
    ("script", "src"),
    ("img", "src"),
    ("img", "srcset"),
    ("iframe", "src"),
    ("source", "src"),
    ("video", "src"),
    ("audio", "src"),
    ("embed", "src"),
    ("object", "data"),
    ("link", "href"),
}
# <link> relations that are addresses only.
ADDRESSES = {"canonical", "next", "prev", "search", "index", "author"}


class Requests(HTMLParser):
    """Collects what a page loads, its inline scripts and styles, and its pictures."""

    def __init__(self, text):
        super().__init__()
        self.loads, self.images, self.inline, self._open = [], [], "", None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        a = dict(attributes)
        if tag == "link" and set(a.get("rel", "").split()) & ADDRESSES:
            return
        self.loads += [a[name] for t, name in FETCHED if t == tag and a.get(name)]
        self.inline += a.get("style") or ""
        if tag == "img":
            self.images.append(a)
        if tag in ("script", "style"):
            self._open = tag

    def handle_data(self, data):
        if self._open:
            self.inline += data

    def handle_endtag(self, tag):
        if tag == self._open:
            self._open = None


def pages():
    # _static holds templates of the theme that are no pages.
    return sorted(p for p in HTML.rglob("*.html") if "_static" not in p.relative_to(HTML).parts)


def is_remote(address):
    return bool(re.match(r"(https?:)?//", address.strip()))


def test_all_pages_are_built():
    for page in PAGES:
        assert (HTML / f"{page}.html").exists(), page
    assert (HTML / "index.html").exists()


@pytest.mark.parametrize("page", [str(p.relative_to(HTML)) for p in pages()])
def test_page_asks_no_other_host(page):
    found = Requests((HTML / page).read_text(encoding="utf-8"))
    assert not [address for address in found.loads if is_remote(address)]
    assert not re.findall(r"(?:import|fetch|url)\s*\(\s*['\"]?(?:https?:)?//[^'\")]+", found.inline)
    for address in found.loads:
        local = address.split("?")[0].split("#")[0]
        if local and not local.startswith("data:"):
            assert (HTML / page).parent.joinpath(local).resolve().exists(), address


def test_stylesheets_ask_no_other_host():
    for sheet in HTML.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        assert not re.search(r"url\(\s*['\"]?(https?:)?//|@import\s+['\"]https?:", text), sheet


def test_the_pages_show_the_executions_before_them():
    """Jupyter-book has executed nothing itself, which would have added to the cache."""
    executed = [p.stem for p in (HTML.parent / "executed" / "book").glob("*.ipynb")]
    pages = [p for p in (ROOT / "book").glob("*.md") if "{code-cell}" in p.read_text()]
    records = get_cache(HTML.parent / ".jupyter_cache").list_cache_records()
    assert len(records) == len(executed) + len(pages)


def test_search_works_from_a_file():
    assert (HTML / "searchindex.js").stat().st_size > 1000
    text = (HTML / "search.html").read_text(encoding="utf-8")
    assert "searchindex.js" in text


@pytest.mark.parametrize("page", PAGES)
def test_pictures_have_alt_text_and_references_resolve(page):
    text = (HTML / f"{page}.html").read_text(encoding="utf-8")
    for image in Requests(text).images:
        assert image.get("alt"), image.get("src")
    visible = re.sub(r"<(script|style|pre|code)\b.*?</\1>", "", text, flags=re.S)
    # Roles and directives that were not understood stay in the text as they were typed.
    assert not re.search(r"\{(ref|eq|cite|doc|glue|numref|prf:ref)[:\w]*\}", visible)
    assert "system-message" not in visible


def test_pages_of_reruns_call_everything_as_the_book_does():
    """What is read from the chapters' files: titles, numbers, places."""
    known = references(ROOT, HTML / "index.html")
    texts = {str(p.relative_to(HTML)): p.read_text(encoding="utf-8") for p in pages()}
    shown = {
        "math:eq": r'class="eqno">(.*?)<',
        "std:numref": r'class="caption-number">(.*?)<',
        "prf:ref": r'class="caption-number">(.*?)<',
    }
    for role, pattern in shown.items():
        assert len(known[role]) > 10
        for text, page, place in known[role].values():
            _, found, after = texts[page].partition(f'id="{place}"')
            assert found, place
            assert re.search(pattern, after)[1].strip() == text
    with (HTML / "objects.inv").open("rb") as file:
        listed = InventoryFile.load(file, "", lambda base, address: address)
    for role, kind in (("std:ref", "std:label"), ("std:doc", "std:doc")):
        assert len(known[role]) > 10
        for label, (text, page, place) in known[role].items():
            *_, address, title = listed[kind][label.lstrip("/")]
            assert address == (f"{page}#{place}" if place else page)
            assert (
                unescape(title).translate({0x2018: "'", 0x2019: "'", 0x201C: '"', 0x201D: '"'})
                == text
            )


@pytest.mark.parametrize("page", PAGES)
def test_every_number_with_an_error_is_kept_on_one_line(page):
    text = (HTML / f"{page}.html").read_text(encoding="utf-8")
    tables = re.findall('<div class="hessrmt-table">.*?</table>', text, re.DOTALL)
    cells = [cell for table in tables for cell in re.findall("<td.*?</td>", table)]
    assert not [cell for cell in cells if re.search(r"[^>]± \d", cell)]
