"""The page of a benchmark, in a real browser: it shows the figures, says nothing to the console, asks for nothing, and
fits a phone and a dark room."""

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from benchresults import PI, engine, everything, metric, result
from browser import Browser, browser

from edgevoice.__main__ import main
from edgevoice.bench import schema, stats
from edgevoice.bench.compare_table import number
from edgevoice.bench.page.document import page
from edgevoice.bench.page.scale import Scale, written
from edgevoice.bench.schema import Flag

SECTIONS = ("turn", "accuracy", "latency", "memory", "time", "contention", "tables", "absent")
CRAMPED = """
[...document.querySelectorAll('svg')].filter(one => {
  const box = one.getBoundingClientRect();
  const shown = getComputedStyle(one).display !== 'none';
  return shown && !one.ownerSVGElement && (box.width < 100 || box.height < 15);
}).length
"""
"""Plots that have no room to be seen in."""
OVERLAPPING = """
(() => {
  const boxes = [...document.querySelectorAll('#accuracy .label')].map(one => one.getBoundingClientRect());
  let count = 0;
  boxes.forEach((a, i) => boxes.slice(i + 1).forEach(b => {
    if (a.left < b.right && b.left < a.right && a.top + 2 < b.bottom && b.top + 2 < a.bottom) count += 1;
  }));
  return count;
})()
"""
CONTRAST = """
(() => {
  const light = colour => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map(v => v / 255)
      .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (one, other) => (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  const ground = light(getComputedStyle(document.querySelector('section')).backgroundColor);
  return Math.min(...[...document.querySelectorAll('section *')]
    .filter(one => one.tagName !== 'title' && getComputedStyle(one).display !== 'none')
    .filter(one => one.childNodes.length && one.childNodes[0].nodeType === 3)
    .map(one => one.namespaceURI.endsWith('svg') ? getComputedStyle(one).fill : getComputedStyle(one).color)
    .map(colour => ratio(light(colour), ground)));
})()
"""
"""The least contrast between a text and the ground, by WCAG 2."""


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as made:
        yield made


@pytest.fixture
def shown(chromium: Browser, tmp_path: Path) -> Browser:
    """The page of everything, made by the command and opened wide and light."""
    schema.write(everything(), tmp_path / "board.json")
    assert main(["bench", "html", str(tmp_path / "board.json"), "--output", str(tmp_path / "page.html")]) == 0
    return opened(chromium, tmp_path / "page.html")


def opened(chromium: Browser, path: Path, *, width: int = 1200, dark: bool = False) -> Browser:
    chromium.told.clear()
    chromium.requests.clear()
    chromium.look(width=width, dark=dark)
    chromium.open(path)
    return chromium


def test_the_page_renders_without_a_complaint_or_a_request(shown: Browser, tmp_path: Path) -> None:
    assert shown.run("document.title") == "board - edgevoice bench"
    assert shown.run("document.compatMode") == "CSS1Compat"
    assert shown.run("[...document.querySelectorAll('section')].map(one => one.id)") == list(SECTIONS)
    assert shown.run("document.querySelectorAll('svg').length") > 30
    assert shown.run(CRAMPED) == 0
    assert shown.run("document.scripts.length") == 0
    assert shown.told == []
    own = (tmp_path / "page.html").as_uri()
    assert [url for url in shown.requests if url not in (own, "data:,")] == []
    assert own in shown.requests


def test_a_page_that_asks_and_complains_would_be_found_out(chromium: Browser, tmp_path: Path) -> None:
    """That the test above could fail."""
    path = tmp_path / "bad.html"
    path.write_text("<!doctype html><img src='http://127.0.0.1:9/x.png'><script>console.log('hm'); oops()</script>")
    opened(chromium, path)
    assert "http://127.0.0.1:9/x.png" in chromium.requests
    assert any("hm" in one for one in chromium.told)
    assert any("Uncaught" in one for one in chromium.told)


def test_it_shows_the_figures_of_the_result(shown: Browser) -> None:
    text = shown.run("document.body.innerText").replace("\xa0", " ")
    whole = everything()
    assert "Raspberry Pi 4 Model B Rev 1.4" in text
    assert "unknown" in text  # throttling
    for series in whole.series:
        for name in ("rtf", "latency_ms", "answer_ms", "cpu_percent"):
            if name in series.metrics:
                assert number(series.metrics[name].summary.median) in text, (series.key, name)
    for one in whole.accuracy:
        assert f"{100 * one.value:.1f} %" in text
    assert "it ran out of memory" in text
    assert "sherpa-onnx *: it is not installed" in text
    assert "This machine does not tell: power." in text
    assert "Throttled at 5 of 20 points." in text
    assert "3.0 % of 100 blocks too late" in text
    assert "1 reason to read these figures with caution" in text


def test_plots_tell_their_figures_where_the_pointer_rests(shown: Browser) -> None:
    hints = shown.run("[...document.querySelectorAll('svg title')].map(one => one.textContent)")
    metric_ = everything().series[0].metrics["latency_ms"].summary
    median, p95 = number(metric_.median, "ms"), number(metric_.p95, "ms")
    assert any(f"asr whisper plain 1 thread: median {median}, p95 {p95}" in one for one in hints)
    assert any(one.startswith("temperature: 49.0 °C at 0.5 min") for one in hints)
    for kind, count in (("#accuracy circle", 3), ("#time polyline", 12), ("#turn .part", 10)):
        assert shown.run(f"document.querySelectorAll('{kind}').length") == count


def test_a_slower_engine_lies_further_to_the_right(shown: Browser) -> None:
    lefts = shown.run(
        "Object.fromEntries([...document.querySelectorAll('#accuracy g')].map(one =>"
        " [one.querySelector('.label').textContent, one.querySelector('circle').getBoundingClientRect().left]))"
    )
    order = sorted(lefts, key=lambda name: float(lefts[name]))
    assert order == ["whisper plain 2", "whisper plain 1", "vosk * plain 1"]


@pytest.mark.parametrize("width", [320, 390, 768, 1200])
def test_it_fits_every_width(shown: Browser, width: int) -> None:
    shown.look(width=width)
    assert shown.run("document.scrollingElement.scrollWidth") <= width
    assert shown.run(CRAMPED) == 0
    assert shown.run(OVERLAPPING) == 0


@pytest.mark.parametrize("dark", [False, True])
def test_it_can_be_read_in_both_themes(shown: Browser, dark: bool) -> None:
    shown.look(dark=dark)
    ground = shown.run("getComputedStyle(document.body).backgroundColor")
    levels = [int(level) for level in re.findall(r"\d+", ground)]
    assert (max(levels) < 60) is dark
    assert shown.run(CONTRAST) >= 4.5


def test_several_results_stand_side_by_side(chromium: Browser, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(page([("before", everything()), ("after", everything())]), encoding="utf-8")
    opened(chromium, path)
    text = chromium.run("document.body.innerText")
    assert "Benchmark: before and after" in text
    for name in ("before", "after"):
        assert f"{name}: contention busy 4: 3.0 % of 100 blocks too late" in text.replace("\xa0", " ")
    assert chromium.run("document.querySelectorAll('.board').length") == 2
    assert chromium.run("document.querySelectorAll('#accuracy circle').length") == 6
    assert (
        chromium.run("new Set([...document.querySelectorAll('#accuracy g')].map(one => one.className.baseVal)).size")
        == 2
    )
    assert chromium.run(OVERLAPPING) == 0
    assert chromium.told == []


def test_names_out_of_a_result_are_text_and_nothing_else(chromium: Browser, tmp_path: Path) -> None:
    evil = "<script>document.title='gone'</script><img src=http://127.0.0.1:9/a.png>'\"&"
    made = result(
        engine(name=evil, model=evil, variant=evil, why=evil, flags=(Flag(kind="unsteady", text=evil),)), commit=evil
    )
    path = tmp_path / "page.html"
    path.write_text(page([(evil, made)]), encoding="utf-8")
    opened(chromium, path)
    assert evil in chromium.run("document.body.innerText")
    assert chromium.run("document.images.length + document.scripts.length") == 0
    assert [url for url in chromium.requests if url.startswith("http")] == []
    assert chromium.told == []


def test_little_makes_a_small_page(chromium: Browser, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    made = result(engine(metrics={"rtf": metric("rtf", 0.2, count=1)}, usage=None))
    path.write_text(page([("small", made)]), encoding="utf-8")
    opened(chromium, path)
    assert chromium.run("[...document.querySelectorAll('section')].map(one => one.id)") == ["tables"]
    assert chromium.told == []


# Without a browser -----------------------------------------------------------------------------------------------


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    paths = [tmp_path / folder / "board.json" for folder in ("old", "new")]
    for path in paths:
        path.parent.mkdir()
        schema.write(result(engine()), path)
    assert main(["bench", "html", *map(str, paths), str(paths[0]), "--output", str(tmp_path / "page.html")]) == 0
    made = (tmp_path / "page.html").read_text("utf-8")
    assert f"Benchmark: {paths[0]} and {paths[1]}</h1>" in made


def test_a_page_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    schema.write(result(engine()), tmp_path / "a.json")
    assert main(["bench", "html", str(tmp_path / "a.json"), "--output", str(tmp_path / "none" / "page.html")]) == 10
    assert "cannot be written" in capsys.readouterr().err


def test_the_same_result_gives_the_same_page() -> None:
    assert page([("a", everything())]) == page([("a", everything())])


def test_nothing_that_took_no_time_is_divided_by() -> None:
    zero = msgspec.structs.replace(metric("rtf", 1.0), samples=(0.0,), summary=stats.summary([0.0]))
    assert "Fastest" not in page([("a", result(engine(metrics={"rtf": zero, "latency_ms": zero})))])


def test_a_board_that_became_hot() -> None:
    hot = msgspec.structs.replace(PI, temperature_c=71.2)
    assert "<dd>48 to 71 °C</dd>" in page([("a", result(engine(), board_after=hot))])


def test_a_page_without_values_that_differ() -> None:
    same = msgspec.structs.replace(metric("latency_ms", 1.0), samples=(5.0,) * 3)
    assert "NaN" not in page([("a", result(engine(metrics={"latency_ms": same})))])


def test_axes() -> None:
    assert [written(at) for at in Scale.of([0.0, 97.0], zero=True).ticks()] == ["0", "20", "40", "60", "80", "100"]
    scale = Scale.of([1.0, 1000.0])
    assert scale.log
    assert scale.at(1.0) < scale.at(10.0) < scale.at(1000.0)
    assert scale.at(31.6) == pytest.approx(50.0, abs=0.1)
    assert scale.ticks() == [1, 10, 100, 1000]
    for values in ([], [0.0], [5.0], [-3.0, 3.0], [1e-9, 1e9], [1e12]):
        for zero in (False, True):
            found = Scale.of(values, zero=zero)
            assert all(0.0 <= found.at(value) <= 100.0 for value in values)
            assert 1 <= len(found.ticks()) <= 8
