"""The documentation builds strictly, loads nothing from another host, and its reference says all that the code says."""

import html
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from conftest import environment
from pages import DOCS, ROOT

from autoadapt.api.schema import schema
from autoadapt.domain.scenario import Scenario
from autoadapt.errors import Exit
from autoadapt.shelves import METHODS

LOADS = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "link": "href",
    "video": "src",
    "audio": "src",
}
NOT_LOADED = {"canonical", "alternate", "prev", "next"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make docs` builds it."""
    if shutil.which("mkdocs", path=str(Path(sys.executable).parent)) is None:
        if os.environ.get("CI"):
            pytest.fail("mkdocs is not installed")
        pytest.skip("the documentation needs pip install 'autoadapt[docs]'")
    folder = tmp_path_factory.mktemp("site") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    build = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env=environment(NO_MKDOCS_2_WARNING="1"), check=False
    )
    assert build.returncode == 0, build.stderr
    assert not build.stderr.strip(), "a strict build says nothing"
    return folder


class Loaded(HTMLParser):
    """Addresses that a browser fetches without being asked to."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag in LOADS and not NOT_LOADED & set((named.get("rel") or "").split()):
            self.addresses.append(named.get(LOADS[tag]) or "")
        self.addresses += re.findall(r"url\(([^)]*)\)", named.get("style") or "")


def text_of(page: Path) -> str:
    """The words of a page without its tags."""
    return html.unescape(re.sub(r"<[^>]+>", "", page.read_text()))


def test_no_page_names_anything_of_another_host_that_a_browser_would_load(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        loaded = Loaded()
        loaded.feed(page.read_text())
        assert loaded.addresses
        foreign = [address for address in loaded.addresses if re.match(r"\s*(https?:)?//", address)]
        assert foreign == [], page.name
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*[\"']?(https?:)?//", sheet.read_text()), sheet.name


def test_pages_request_nothing_but_files_of_the_site(site: Path, browser: Any) -> None:
    requested: list[str] = []
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.on("request", lambda request: requested.append(request.url))
    for name in ("index.html", "tutorial.html", "reference/task.html"):
        page.goto((site / name).as_uri())
    page.fill("input.md-search__input", "hypervolume")
    page.wait_for_selector(".md-search-result__item")
    page.close()
    assert [url for url in requested if not url.startswith((site.as_uri(), "data:", "blob:"))] == []


def test_reference_of_the_task_has_every_key_with_its_meaning(site: Path) -> None:
    shown = " ".join(text_of(site / "reference" / "task.html").split())
    for model in [schema(), *schema()["$defs"].values()]:
        for key, field in model.get("properties", {}).items():
            assert key in shown
            meaning = re.sub(r"[`\\]", "", " ".join(field["description"].split()))
            assert meaning[:60] in shown, key


def test_reference_of_scenarios_has_every_key(site: Path) -> None:
    shown = text_of(site / "reference" / "scenarios.html")
    assert [key for key in Scenario.model_fields if key not in shown] == []


def test_reference_of_search_spaces_has_every_parameter_of_every_method(site: Path) -> None:
    shown = text_of(site / "reference" / "search-space.html")
    for name in METHODS.names():
        if METHODS.is_built_in(name):
            assert name in shown
            assert [p for p in METHODS.get(name).Params.model_fields if p not in shown] == []


def test_reference_of_the_command_line_has_every_option(site: Path) -> None:
    import typer

    from autoadapt.cli.main import app

    shown = text_of(site / "reference" / "command-line.html")
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        assert f"autoadapt {name}" in shown
        for inner in getattr(command, "commands", {"": command}).values():
            options = [p for p in inner.params if p.param_type_name == "option"]
            assert [p.opts for p in options if p.opts[-1] not in shown] == []


def test_reference_of_exit_codes_has_a_meaning_for_every_code(site: Path) -> None:
    rows = re.findall(
        r"<tr>\s*<td><code>(\d+)</code></td>\s*<td>.*?</td>\s*<td>(.+?)</td>",
        (site / "reference/exit-codes.html").read_text(),
    )
    assert {int(code) for code, meaning in rows if len(meaning) > 4} == {int(code) for code in Exit}


def test_every_recorded_output_and_picture_is_shown() -> None:
    written = "".join(page.read_text() for page in DOCS.rglob("*.md"))
    recorded = [*(DOCS / "outputs").iterdir(), *(DOCS / "pictures").iterdir()]
    assert [file.name for file in recorded if f"{file.parent.name}/{file.name}" not in written] == []
