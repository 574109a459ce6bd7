"""The page in a browser: it shows rows, runs nothing of theirs, asks for nothing, and is looked through by keys."""

import pytest
from selenium.webdriver.common.keys import Keys

from relabel.report.report import report
from tests.pictures import png
from tests.report.outputs import FIELDS, label, reject, write_output

pytestmark = pytest.mark.browser

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(2)</script>",
    "<!--<script>",
    "{{ 7 * 7 }}{% raw %}",
    "<a href='javascript:alert(3)'>x</a>\u2028\u2029\x00&lt;b&gt;",
    "<link rel=stylesheet href=https://example.com/a.css><style>*{display:none}</style>",
]
SEES = {**FIELDS, "prompt": {"user": "Describe {{ alt }}", "image": "image"}, "output": {"keep": ["id"]}}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A page of rows, each text of which wants to be more than text."""
    folder = tmp_path_factory.mktemp("hostile")
    source = [{"id": text, "alt": f"old {text}", "image": text} for text in HOSTILE]
    labels = [label(text, text=text, reasoning=text) for text in HOSTILE[:-1]] + [reject("parse: none", HOSTILE[-1])]
    fields = {**SEES, "prompt": {"user": f"{HOSTILE[0]} {HOSTILE[1]}", "system": HOSTILE[1], "image": "image"}}
    report(write_output(folder, source, labels, fields)).write(folder / "page.html")
    return folder / "page.html"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A page of six rows: four with labels, one of them cut off, and two rejects."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "red.png").write_bytes(png((400, 300), "red"))
    source = [{"id": f"id{row}", "alt": f"a circle, number {row}", "image": "red.png"} for row in range(6)]
    labels = [label(f"A circle, number {row}.", reasoning="Hm.") for row in range(4)]
    labels[3]["finish_reason"] = "length"
    labels += [reject("parse: the text holds no label", "a wrong text"), reject("image: truncated")]
    report(write_output(folder, source, labels, SEES)).write(folder / "page.html")
    return folder / "page.html"


def shown(browser):
    """The numbers of the rows that are seen."""
    return [int(title.rpartition(" ")[2]) for title in browser.texts(".row h3")]


def here(browser):
    return browser.run("return document.activeElement.id")


def test_a_hostile_text_is_text_wherever_it_stands(browser, hostile):
    browser.open(hostile)
    browser.press("o")
    assert browser.complaints() == []
    assert browser.requests() == []
    labels = browser.run("return [...document.querySelectorAll('.field.label dd')].map((one) => one.textContent)")
    assert labels == HOSTILE[:-1]
    olds = browser.run("return [...document.querySelectorAll('.field.old dd')].map((one) => one.textContent)")
    assert olds == [f"old {text}" for text in HOSTILE]
    assert browser.all("main img, main a, main link, main style, .row script") == []
    assert len(browser.all("script")) == 2, "the data and the page's own"
    assert HOSTILE[1] in browser.texts(".prompts pre")[0]


@pytest.mark.parametrize("has_policy", [True, False])
def test_a_script_in_the_page_runs_only_where_the_policy_is_taken_away(browser, hostile, tmp_path, has_policy):
    """The policy in the file is what holds where escaping fails."""
    page, attack = tmp_path / "page.html", "<script>document.title = 'run'</script><img src=http://127.0.0.1:9/x.png>"
    text = hostile.read_text().replace("<noscript>", f"{attack}<noscript>")
    page.write_text(text if has_policy else text.replace("Content-Security-Policy", "none"))
    browser.open(page)
    assert (browser.driver.title == "run") is not has_policy
    assert browser.requests() == ([] if has_policy else ["http://127.0.0.1:9/x.png"])


def test_a_page_shows_rows_with_pictures_and_what_changed(browser, page):
    browser.open(page)
    assert (browser.complaints(), browser.requests()) == ([], [])
    assert shown(browser) == [0, 1, 2, 3, 4, 5]
    assert browser.run("return [...document.images].map((one) => one.naturalWidth)") == [320] * 6
    assert browser.texts("#row-0 del") == ["a"]
    assert browser.texts("#row-0 ins") == ["A", "."]
    assert "reasoning" not in browser.texts("#row-0 dt")
    browser.click("#row-0 .open-row")
    assert {"reasoning", "text", "id"} <= set(browser.texts("#row-0 dt"))


def test_rows_are_filtered_by_status_reason_flaw_and_words(browser, page):
    browser.open(page)
    browser.click("#status button[value=rejected]")
    assert shown(browser) == [4, 5]
    browser.click("#reason option[value=image]")
    assert shown(browser) == [5]
    browser.click("#clear")
    browser.click("#flaw option[value=truncated]")
    assert shown(browser) == [3]
    browser.click("#clear")
    browser.all("#search")[0].send_keys("WRONG text")
    assert shown(browser) == [4]
    assert browser.texts("#count") == ["1 of 6"]
    browser.all("#search")[0].send_keys(" nowhere")
    assert shown(browser) == []
    browser.click("#clear-too")
    assert browser.texts("#count") == ["6 rows"]
    browser.click(".to-reason[data-reason=parse]")
    assert shown(browser) == [4]


def test_rows_are_walked_through_by_keys(browser, page):
    browser.open(page)
    browser.press("j")
    first = here(browser)
    browser.press("j", "j", "k")
    assert (first, here(browser)) == ("row-0", "row-1")
    browser.press(Keys.ENTER)
    assert browser.run("return document.activeElement.classList.contains('open')")
    browser.press("/")
    assert here(browser) == "search"
    browser.press("number 3", Keys.ESCAPE, "j")
    assert (shown(browser), here(browser)) == ([3], "row-3")
    browser.press("c", "s", "s")
    assert shown(browser) == [4, 5]
    browser.press("?")
    assert "next row, row before" in browser.texts("#help dd")
    browser.press("j", Keys.ESCAPE)
    assert browser.texts("#help dd") == []


def test_a_page_is_light_or_dark_as_the_system_is_and_narrow_where_the_window_is(browser, page):
    browser.open(page)
    colour = "return getComputedStyle(document.body).backgroundColor"
    light = browser.run(colour)
    browser.prefer("dark")
    assert browser.run(colour) != light
    size = {"width": 380, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        assert browser.run("return document.documentElement.scrollWidth") <= 380, "nothing is beyond the window's edge"
    finally:
        browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_every_button_and_field_has_a_name(browser, page):
    browser.open(page)
    controls = browser.run(
        "return [...document.querySelectorAll('button, input, select')]"
        ".filter((one) => one.checkVisibility({contentVisibilityAuto: true}))"
    )
    assert len(controls) > 8
    nameless = [one.get_attribute("outerHTML") for one in controls if not one.accessible_name]
    assert nameless == []
    assert all(browser.run("return [...document.images].map((one) => one.alt)"))
