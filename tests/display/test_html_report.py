"""report.html in a headless browser: it opens offline, draws, filters, and shows hostile rows as text."""

import json
import re
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import HOSTILE, autoadapt, call

from autoadapt import Study
from autoadapt.shown_text import INVISIBLE

TABS = ["options", "money", "latency", "answers", "search", "trials-tab", "appendix"]
PLOTS = {"options": 2, "money": 2, "latency": 3, "search": 1}


class Page:
    """A report opened in the browser, with everything it logged and requested."""

    def __init__(self, browser: Any, path: Path, **context: Any) -> None:
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **context})
        self.page = self.context.new_page()
        self.logged: list[str] = []
        self.requested: list[str] = []
        self.refused: list[str] = []
        self.page.on("console", lambda message: self.logged.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.logged.append(f"error: {error}"))
        self.page.on("requestfailed", lambda request: self.refused.append(str(request.failure)))
        self.page.on("request", lambda request: self.requested.append(request.url))
        self.page.goto(path.resolve().as_uri())
        self.address = path.resolve().as_uri()

    def show(self, tab: str) -> None:
        self.page.click(f"#tab-{tab}")
        self.page.wait_for_function(
            "tab => [...document.querySelectorAll(`#${tab} .plot`)].every(p => p.querySelector('.main-svg'))", arg=tab
        )

    def rows(self) -> int:
        return int(self.page.locator("#trials-table tbody tr").count())

    def assert_no_errors(self) -> None:
        assert self.logged == []
        assert [url.split("#")[0] for url in self.requested] == [self.address], (
            "nothing but the file itself is requested"
        )


@pytest.fixture
def report(browser: Any, hostile_run: Path) -> Iterator[Page]:
    page = Page(browser, hostile_run / "report.html")
    yield page
    page.context.close()


def test_it_opens_offline_and_draws_every_plot(report: Page, hostile_run: Path) -> None:
    for tab in TABS:
        report.show(tab)
        assert report.page.locator(f"#{tab}").is_visible()
        assert sum(report.page.locator(f"#{other}").is_visible() for other in TABS) == 1
        assert report.page.locator(f"#{tab} .plot .main-svg").count() >= 2 * PLOTS.get(tab, 0)
    # bars of intervals and points are really there, not only empty axes
    assert report.page.locator("#answer .plot .point").count() > 2
    assert report.page.locator("#answer .plot .errorbar").count() > 0
    report.assert_no_errors()
    assert (hostile_run / "report.html").stat().st_size < 6_000_000


def test_hostile_rows_are_shown_as_text(report: Page) -> None:
    for tab in TABS:
        report.show(tab)
    for details in report.page.locator("#answers details").all():
        details.evaluate("d => d.open = true")
    shown = report.page.inner_text("#answers")
    assert HOSTILE[1] in shown
    assert "{{ 7*7 }}" in shown
    assert not INVISIBLE.search(shown), "invisible characters are shown as question marks"
    assert "<b>fruit</b>" in shown
    assert report.page.title() == "hostile: AutoAdapt report"
    assert report.page.locator("img").count() == 0
    assert report.page.locator("script").count() == 5, "three of data, two that run"
    report.assert_no_errors()


def test_the_content_security_policy_blocks_foreign_scripts(browser: Any, hostile_run: Path, tmp_path: Path) -> None:
    page = (hostile_run / "report.html").read_text(encoding="utf-8")
    broken = tmp_path / "broken.html"
    broken.write_text(
        page.replace("<main>", "<main><script>document.title = 'hacked'</script><img src=http://127.0.0.1:9/x>")
    )
    opened = Page(browser, broken)
    assert opened.page.title() == "hostile: AutoAdapt report"
    assert any("Content Security Policy" in line for line in opened.logged)
    assert opened.refused == ["csp"], "the picture was not requested"
    opened.context.close()


def test_filter_sort_and_failures_of_the_table(report: Page, hostile_run: Path) -> None:
    report.show("trials-tab")
    rows = Study.load(hostile_run).rows
    assert report.rows() == len(rows)
    report.page.select_option("#method", "prompt")
    assert report.rows() == sum(r.method == "prompt" for r in rows)
    report.page.fill("#query", "shots=0")
    assert report.rows() == sum(r.method == "prompt" and r.params.get("shots") == 0 for r in rows)
    assert f"{report.rows()} of {len(rows)} trials" in report.page.inner_text("#count")
    report.page.fill("#query", "no such words")
    assert report.rows() == 0
    report.page.fill("#query", "")
    report.page.select_option("#method", "")
    report.page.click('#trials-table button[data-column="quality"]')
    report.page.click('#trials-table button[data-column="quality"]')
    assert report.page.locator('th[aria-sort="descending"]').count() == 1
    report.page.select_option("#state", "failed")
    failed = [r for r in rows if r.state == "failed"]
    assert report.rows() == len(failed) > 0
    assert "nan in fit: the loss became nan" in report.page.inner_text("#trials-table tbody")
    report.page.select_option("#state", "")
    first = report.page.locator("#trials-table tbody tr").first.locator("td").nth(4).inner_text()
    assert float(first) == pytest.approx(max(r.quality for r in rows if r.quality is not None), abs=1e-4)
    report.assert_no_errors()


def test_keyboard_address_and_themes(browser: Any, hostile_run: Path) -> None:
    opened = Page(browser, hostile_run / "report.html", color_scheme="dark")
    page = opened.page
    background = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(background) == "rgb(13, 17, 23)"
    page.click("#theme")
    assert page.evaluate(background) == "rgb(255, 255, 255)"
    page.focus("#tab-options")
    page.keyboard.press("ArrowRight")
    assert page.locator("#money").is_visible()
    assert page.evaluate("document.activeElement.id") == "tab-money"
    page.keyboard.press("End")
    assert page.locator("#appendix").is_visible()
    assert page.url.endswith("#appendix")
    page.reload()
    assert page.locator("#appendix").is_visible(), "the address keeps the tab"
    assert page.locator('[role="tab"][aria-selected="true"]').count() == 1
    assert opened.logged == []
    opened.context.close()


def test_on_a_telephone_no_title_leaves_its_plot_and_no_page_scrolls_sideways(browser: Any, hostile_run: Path) -> None:
    opened = Page(browser, hostile_run / "report.html", viewport={"width": 390, "height": 844})
    outside = """() => [...document.querySelectorAll('.plot .main-svg')].flatMap(svg => {
        const frame = svg.getBoundingClientRect();
        return [...svg.querySelectorAll('.xtitle, .ytitle, .xtick text, .ytick text')]
            .filter(text => text.textContent)
            .map(text => [text.textContent, text.getBoundingClientRect()])
            .filter(([_, box]) => box.width && (box.left < frame.left - 1 || box.right > frame.right + 1))
            .map(([text, _]) => text);
    })"""
    for tab in TABS:
        opened.show(tab)
        assert opened.page.evaluate(outside) == []
        assert opened.page.evaluate("document.documentElement.scrollWidth") == 390
    assert opened.logged == []
    opened.context.close()


def test_print_shows_every_part(report: Page, tmp_path: Path) -> None:
    report.page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    report.page.emulate_media(media="print")
    for tab in TABS:
        assert report.page.locator(f"#{tab}").is_visible()
    assert report.page.locator('[role="tablist"]').is_hidden()
    assert len(report.page.pdf()) > 50_000
    report.page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    report.assert_no_errors()


def test_it_names_hashes_versions_seed_and_hypervolume(hostile_run: Path) -> None:
    text = (hostile_run / "report.html").read_text(encoding="utf-8")
    study = Study.load(hostile_run)
    lock = json.loads((hostile_run / "task.lock.yaml").read_text())
    assert lock["identity"]["data"]["test"] in text
    assert lock["versions"]["torch"] in text
    assert str(study.task.seed) in text
    assert "it is probably" in text
    assert study.verdict is not None
    assert study.verdict.curve is not None
    assert "Hypervolume: reference point" in text
    page = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert not re.search(r"https?:", page), "nothing is loaded from elsewhere"


def test_without_a_verdict_and_without_a_recommendation(browser: Any, hostile_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "early"
    shutil.copytree(hostile_run, run)
    results = json.loads((run / "results.json").read_text())
    reason = "No option satisfies the constraints."
    results["verdict"] = None
    results["recommendation"] |= {
        "trial": None,
        "reason": reason,
        "meets_constraints": False,
        "cheaper_equivalent": None,
    }
    for name in ("measured", "options"):
        results[name] = [o | {"test_quality": None, "test_quality_ci": None} for o in results[name]]
    (run / "results.json").write_text(json.dumps(results))
    done = call("report", run)
    assert done.returncode == 0, done.stderr
    assert f"No recommendation: {reason}" in done.stdout
    opened = Page(browser, run / "report.html")
    for tab in TABS:
        opened.show(tab)
    assert opened.page.inner_text("#lead") == reason
    assert "The search has not ended yet." in opened.page.inner_text("#answer")
    opened.assert_no_errors()
    opened.context.close()


def test_it_can_be_written_again_elsewhere(hostile_run: Path, tmp_path: Path) -> None:
    done = call("report", hostile_run, "--all", "--output", tmp_path / "again.html")
    assert done.returncode == 0, done.stderr
    assert "Optimism" in done.stdout
    assert (tmp_path / "again.html").read_text()[:15] == "<!doctype html>"


def test_a_full_disk_leaves_the_old_report_whole(hostile_run: Path) -> None:
    before = (hostile_run / "report.html").read_bytes()

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    full = autoadapt("report", hostile_run, preexec_fn=small_files)
    assert full.returncode == 4
    assert "report.html: cannot be written" in full.stderr
    assert "Recommended" in full.stdout, "the result is printed all the same"
    assert (hostile_run / "report.html").read_bytes() == before
    assert not list(hostile_run.glob(".report*"))
