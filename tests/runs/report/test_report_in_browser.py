"""The report page in a real Chromium: what a reader sees, clicks and types."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import chromium
import pytest
from report_fixture import HOSTILE, make_run

from medr3_plugin.runs.report.report import write_report

pytestmark = pytest.mark.skipif(chromium.EXECUTABLE is None, reason="no Chromium on this machine")

ROWS = "document.querySelectorAll('#table tbody tr').length"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with chromium.running(tmp_path_factory.mktemp("profile")) as address:
        yield address


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="module")
def page_url(run: Path) -> str:
    return write_report(run)[0].as_uri()


@pytest.fixture
def running(tmp_path: Path) -> Path:
    return make_run(tmp_path / "running", running=True)


async def test_draws_curves_without_network_or_console_errors(browser: str, page_url: str) -> None:
    async with chromium.opened(browser, page_url) as page:
        assert await page.run("document.querySelectorAll('.chart svg path.line').length") > 25
        assert await page.run("document.querySelectorAll('.stages li').length") == 3
        # two boundaries between three stages in every chart
        boundaries = (
            "[...document.querySelectorAll('.chart > svg')].map(s => s.querySelectorAll('.boundary').length)"
        )
        assert set(await page.run(boundaries)) == {2}
        assert await page.run(f"{ROWS} <= 200 && document.querySelector('.more') !== null")
        assert page.messages == []
        assert {url for url in page.requests if not url.startswith("file:")} == set()


async def test_arrow_keys_move_one_cursor_over_all_charts(browser: str, page_url: str) -> None:
    async with chromium.opened(browser, page_url) as page:
        await page.run("document.querySelector('.chart svg').focus()")
        await page.key("ArrowRight")
        await page.key("ArrowRight")
        assert set(
            await page.run("[...document.querySelectorAll('.chart .at')].map(e => e.textContent)")
        ) == {"step 2"}


async def test_filters_and_keyboard_open_a_trajectory(browser: str, page_url: str) -> None:
    async with chromium.opened(browser, page_url) as page:
        await page.run(
            "(() => { const s = document.getElementById('filter-stage'); s.value = 'retrieval';"
            " s.dispatchEvent(new Event('change')); })()"
        )
        stages = "[...new Set([...document.querySelectorAll('#table .tag')].map(e => e.textContent))].join()"
        assert await page.run(stages) == "retrieval"
        await page.key("/")
        for character in "Marfan":
            await page.key(character)
        found = await page.run(ROWS)
        assert 0 < found < 60
        assert "rare_disease" in await page.run("document.querySelector('#table tbody tr').textContent")
        await page.run("document.querySelector('#table tbody tr').focus()")
        await page.key("Enter")
        assert await page.until("!document.getElementById('drawer').hidden")
        first = await page.run("location.hash")
        assert "stage=retrieval" in first and "line=" in first
        for part in (
            ".think",
            ".search",
            ".level i.on",
            ".counted",
            ".answer",
            ".parts .meter",
            ".reasons dd",
            ".group",
        ):
            assert await page.run(f"document.querySelector('#drawer {part}') !== null"), part
        await page.key("j")
        assert await page.run("location.hash") != first
        await page.key("Escape")
        assert await page.run("document.getElementById('drawer').hidden")


async def test_click_opens_a_row_and_a_document(browser: str, page_url: str) -> None:
    async with chromium.opened(browser, f"{page_url}#outcome=right&text=Hashimoto") as page:
        await page.click("#table tbody tr td.question")
        await page.click("#drawer .document summary")
        assert "Anti-TPO" in await page.run("document.querySelector('#drawer .document[open] p').textContent")


async def test_a_link_shows_the_same_trajectory_in_every_page_of_a_run(
    browser: str, run: Path, tmp_path: Path
) -> None:
    question = json.loads((run / "trajectories.jsonl").read_bytes().splitlines()[-1])["question"]
    for most in (2, 600):
        target, _ = write_report(run, tmp_path / f"{most}.html", max_trajectories=most)
        async with chromium.opened(browser, f"{target.as_uri()}#line=294") as page:
            assert await page.run("document.querySelector('#drawer .question-text').textContent") == question
    async with chromium.opened(browser, f"{(tmp_path / '2.html').as_uri()}#line=7") as page:
        assert "larger --max-trajectories" in await page.run("document.getElementById('drawer').textContent")
        await page.key("Escape")
        assert await page.run("document.getElementById('drawer').hidden")


async def test_stages_side_by_side_and_one_alone(browser: str, page_url: str) -> None:
    async with chromium.opened(browser, page_url) as page:
        cells = await page.run("document.querySelector('.compare tbody tr:nth-child(2)').innerText")
        assert cells.startswith("retrieval") and "→" in cells
        await page.click(".stages li:nth-child(2) button")
        assert "zoom=1" in await page.run("location.hash")
        labels = "[...new Set([...document.querySelectorAll('.band-label')].map(e => e.textContent))].join()"
        assert await page.run(labels) == "retrieval"
        await page.run("document.querySelector('.chart > svg').focus()")
        await page.key("ArrowRight")
        assert await page.run("document.querySelector('.chart .at').textContent") == "step 25"
        await page.click(".stages li:nth-child(2) button")
        assert await page.run(labels) == "reasoning,retrieval,joint"


async def test_a_click_into_a_curve_shows_the_trajectories_of_that_step(browser: str, page_url: str) -> None:
    async with chromium.opened(browser, page_url) as page:
        await page.click(".chart > svg")
        step = (await page.run("document.querySelector('.chart .at').textContent")).removeprefix("step ")
        assert await page.run("document.getElementById('filter-from').value") == step
        steps = "[...new Set([...document.querySelectorAll('#table tbody td:first-child')].map(e => e.textContent))]"
        assert await page.run(steps) == [step]


async def test_failures_are_a_filter(browser: str, page_url: str) -> None:
    async with chromium.opened(browser, f"{page_url}#failures=retrieval_timeout") as page:
        outcomes = "[...new Set([...document.querySelectorAll('#table .outcome')].map(e => e.textContent))]"
        assert await page.run(outcomes) == ["invalid"]


async def test_an_evaluation_shows_its_results(browser: str, tmp_path: Path) -> None:
    (tmp_path / "evaluation.json").write_text("{}")
    result = {"benchmark": "medqa_us", "questions": 74, "accuracy": {"mean": 0.5, "low": 0.4, "high": 0.6}}
    (tmp_path / "results.json").write_text(json.dumps({"benchmarks": [result, {"benchmark": 1, "n": "x"}]}))
    target, _ = write_report(tmp_path)
    async with chromium.opened(browser, target.as_uri()) as page:
        assert "50.0 [40.0, 60.0]" in await page.run("document.querySelector('.compare').innerText")
        assert page.messages == []


async def test_one_row_is_in_the_tab_order(browser: str, page_url: str) -> None:
    async with chromium.opened(browser, page_url) as page:
        stops = "[...document.querySelectorAll('#table tbody tr')].filter(r => r.tabIndex === 0).length"
        assert await page.run(stops) == 1
        await page.run("document.querySelector('#table tbody tr').focus()")
        await page.key("ArrowDown")
        assert await page.run(stops) == 1
        assert await page.run("document.activeElement.previousElementSibling !== null")


async def test_reward_range_from_the_address(browser: str, page_url: str) -> None:
    async with chromium.opened(browser, f"{page_url}#min=1.4&max=1.6") as page:
        scores = json.loads(
            await page.run(
                "JSON.stringify([...document.querySelectorAll('#table .value')].map(e => +e.textContent))"
            )
        )
        assert scores and all(1.395 <= score <= 1.605 for score in scores)


async def test_hostile_text_stays_text(browser: str, page_url: str) -> None:
    async with chromium.opened(browser, f"{page_url}#line=6") as page:
        assert await page.run("document.title") == "run · medr3 report"
        assert HOSTILE in await page.run("document.querySelector('#drawer .question-text').textContent")
        assert await page.run("document.querySelectorAll('img, main script, #drawer script').length") == 0
        assert page.messages == []


async def test_policy_refuses_foreign_scripts(browser: str, page_url: str) -> None:
    async with chromium.opened(browser, page_url) as page:
        await page.run(
            "(() => { const s = document.createElement('script'); s.textContent = 'window.owned = 1';"
            " document.body.append(s); })()"
        )
        assert await page.run("window.owned === undefined")


@pytest.mark.parametrize("dark", [False, True])
async def test_follows_the_system_theme_and_the_button(browser: str, page_url: str, dark: bool) -> None:
    image_module = pytest.importorskip("PIL.Image")
    async with chromium.opened(browser, page_url, dark=dark) as page:
        brightness = []
        for _ in range(2):
            image = image_module.open(io.BytesIO(await page.screenshot())).convert("L")
            assert len(image.getcolors(256)) > 40  # something is drawn
            brightness.append(image.getpixel((5, 500)))
            await page.click("#theme")
    assert (brightness[0] < 60) == dark
    assert (brightness[1] < 60) != dark


async def test_nothing_is_cut_off_on_a_phone(browser: str, page_url: str) -> None:
    async with chromium.opened(browser, f"{page_url}#line=200") as page:
        await page.send(
            "Emulation.setDeviceMetricsOverride", width=400, height=800, deviceScaleFactor=1, mobile=True
        )
        for element in ("html", "#table", "#drawer"):
            wider = f"(e => e.scrollWidth - e.clientWidth)(document.querySelector('{element}'))"
            assert await page.run(wider) <= 0, element


async def test_run_in_progress_and_empty_run(browser: str, running: Path, tmp_path: Path) -> None:
    in_progress, _ = write_report(running)
    async with chromium.opened(browser, in_progress.as_uri()) as page:
        assert await page.run("document.getElementById('status').textContent") == "in progress"
        assert "running" in await page.run("document.querySelector('.stages li:last-child').textContent")
        assert page.messages == []
    (tmp_path / "empty").mkdir()
    empty, _ = write_report(tmp_path / "empty")
    async with chromium.opened(browser, empty.as_uri()) as page:
        assert "No steps yet" in await page.run("document.body.innerText")
        assert "No trajectories yet" in await page.run("document.body.innerText")
        assert page.messages == []
