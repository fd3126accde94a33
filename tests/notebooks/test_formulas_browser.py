"""Every formula of every lesson is typeset by the MathJax of a real JupyterLab, without an error."""

import shutil

import browser_tools
import nbformat
import pytest
from nbformat.v4 import new_markdown_cell, new_notebook
from notebook_tools import NOTEBOOKS, notebooks

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(browser_tools.CHROMIUM is None, reason="no Chromium: install the package chromium"),
]

# What is left to typeset: a dollar sign outside a formula (a lesson has no other use for it), or a cell not yet there.
TYPESET = """cells => {
    const shown = [...document.querySelectorAll('.jp-Notebook .jp-MarkdownCell .jp-RenderedMarkdown')];
    const bare = element => { const copy = element.cloneNode(true);
        copy.querySelectorAll('mjx-container, code').forEach(part => part.remove()); return copy.textContent; };
    return shown.length === cells
        && shown.every(element => element.childElementCount && !bare(element).includes('$'));
}"""
ERRORS = "mjx-merror"


def errors(page, address, cells):
    """Open the notebook, wait until its ``cells`` Markdown cells are typeset, and return MathJax's complaints."""
    page.goto(address)
    page.wait_for_function(TYPESET, arg=cells, timeout=60_000)
    found = page.locator(ERRORS)
    return [found.nth(i).get_attribute("data-mjx-error") or found.nth(i).inner_text() for i in range(found.count())]


@pytest.fixture(scope="module")
def open_copy(tmp_path_factory):
    """A function that opens a copy of a notebook and returns MathJax's complaints."""
    folder = tmp_path_factory.mktemp("formulas")
    with browser_tools.server("lab", folder) as address, browser_tools.chromium_page() as page:

        def opened(path):
            if path.parent != folder:
                shutil.copy(path, folder)
            cells = nbformat.read(path, as_version=4).cells
            return errors(page, address(path.name), sum(cell.cell_type == "markdown" for cell in cells))

        opened.folder = folder
        yield opened


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_every_formula_is_typeset(open_copy, path):
    assert path.parent == NOTEBOOKS
    assert open_copy(path) == []


def test_a_formula_that_breaks_is_found(open_copy):
    broken = new_notebook(cells=[new_markdown_cell(r"Sound: $x$."), new_markdown_cell("$$x \\tag{P_c}$$")])
    path = open_copy.folder / "broken.ipynb"
    nbformat.write(broken, path)
    assert open_copy(path) == ["'_' allowed only in math mode"]
