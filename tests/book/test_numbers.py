"""Figures, formulas and chapters are numbered by chapter, in a rerun's page as in the book."""

from types import SimpleNamespace

import yaml
from docutils import nodes
from docutils.utils import new_document

from hessrmt.book import _folds, _numbers
from hessrmt.book.contents import chapter_numbers


def test_chapters_are_numbered_up_to_the_last_notebook(tmp_path):
    for name in ("one.ipynb", "two.ipynb", "intro.md", "api.md"):
        (tmp_path / name).write_text("{}")
    toc = {"root": "intro", "parts": [{"chapters": [{"file": f} for f in ("one", "two", "api")]}]}
    (tmp_path / "_toc.yml").write_text(yaml.safe_dump(toc))
    assert chapter_numbers(tmp_path) == {"intro": 1, "one": 2, "two": 3}


def test_the_papers_sections_have_their_numbers():
    numbers = chapter_numbers(_numbers.Path(__file__).resolve().parents[2])
    paper = ("random_matrix_primer", "wishart_plus_wigner", "assumptions", "product_wishart")
    assert [numbers[f"book/{name}"] for name in (*paper, "critical_points")] == [3, 4, 5, 6, 7]


def test_figures_count_within_their_chapter():
    entries = [nodes.reference(anchorname=name) for name in ("", "#model", "#law")]
    page = nodes.bullet_list("", *entries)
    env = SimpleNamespace(
        tocs={"book/two": page},
        titles={"book/two": {}},
        toc_secnumbers={},
        toc_fignumbers={
            "book/two": {"figure": {"b": (8,), "a": (7,)}, "displaymath": {"eq": (12,)}},
            "book/api": {"figure": {"c": (9,)}},
        },
    )
    app = SimpleNamespace(config=SimpleNamespace(hessrmt_numbers={"book/two": 4, "book/gone": 5}))
    assert _numbers._number(app, env) == ["book/two"]
    assert env.toc_fignumbers["book/two"]["figure"] == {"a": (4, 1), "b": (4, 2)}
    assert env.toc_fignumbers["book/two"]["displaymath"] == {"eq": (4, 1)}
    assert env.toc_fignumbers["book/api"]["figure"] == {"c": (9,)}
    assert env.toc_secnumbers["book/two"] == {"": (4,), "#model": (), "#law": ()}
    assert entries[0]["secnumber"] == (4,)
    assert "secnumber" not in entries[1]


def test_what_is_folded_is_printed_on_paper_without_its_code():
    page = new_document("page")
    page += nodes.container(classes=["cell", "tag_hide-cell", "tag_audit"])
    for kind, shown in (("html", "tag_hide-cell"), ("latex", "tag_hide-input")):
        _folds._show(SimpleNamespace(builder=SimpleNamespace(format=kind)), page)
        assert page.children[0]["classes"] == ["cell", shown, "tag_audit"]
