"""The page as text, and in a browser where one is installed."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from folders import falling, write_run
from pages import BROWSERS

from nlptool.cli import main
from nlptool.report.html_page import prose
from nlptool.report.page import fewshot_page
from nlptool.report.tables import Table

pytest.importorskip("matplotlib")

VOID = {"meta", "input", "br", "img", "link", "hr"}

# Runs in the page, as its last script: every state of the switch, and which charts are to be seen in it.
PROBE = """<script>
const wrong = [];
addEventListener("error", event => wrong.push(event.message));
addEventListener("securitypolicyviolation", event => wrong.push(event.blockedURI));
addEventListener("load", () => {
  const seen = {};
  const look = name => {
    seen[name] = [...document.querySelectorAll("figure svg")].filter(svg => {
      const box = svg.getBoundingClientRect();
      return box.width > 100 && box.height > 50 && svg.querySelectorAll("path").length > 3;
    }).map(svg => [svg.closest("figure").id, svg.dataset.x, svg.dataset.scale]);
  };
  look("at first");
  for (const log of [false, true]) {
    if (document.querySelector("[name=log]").checked !== log) document.querySelector("[name=log]").click();
    for (const input of document.querySelectorAll("[name=x]")) { input.click(); look(input.value + " " + log); }
  }
  const requests = performance.getEntriesByType("resource").map(entry => entry.name);
  const told = document.createElement("pre");
  told.id = "told";
  told.textContent = JSON.stringify({seen, wrong, requests});
  document.body.append(told);
});
</script></body>"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("page")
    one = write_run(folder / "기본 <1>", falling(), ended=True)
    other = write_run(folder / "other & more", falling(12), lr=2e-3)
    assert main(["report", str(one), str(other), "--out", str(folder / "out")]) == 0
    return (folder / "out" / "index.html").read_text("utf8")


class Tags(HTMLParser):
    """Checks that tags are closed in their order, and keeps what could load something."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.loads: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attributes:
            if name == "id":
                self.ids.append(str(value))
            if name in ("src", "href", "xlink:href", "action", "poster", "data"):
                self.loads.append(str(value))

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_the_page_is_well_formed_and_loads_nothing(page: str):
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert len(tags.ids) == len(set(tags.ids)), "no name is given twice"
    assert all(target.startswith("#") and target[1:] in tags.ids for target in tags.loads)
    assert set(re.findall(r"url\(#([^)]+)\)", page)) <= set(tags.ids)
    assert "default-src 'none'" in page


def test_names_are_shown_as_they_are(page: str):
    tags = Tags()
    tags.feed(page)
    assert {"기본 <1>", "other & more"} <= {word.strip() for word in tags.words}


def test_without_scripts_one_axis_is_shown(page: str):
    assert '<body data-x="steps" data-scale="linear">' in page
    assert "figure svg { display: none" in page
    assert (
        '[data-x="steps"][data-scale="linear"] svg[data-x="steps"][data-scale="linear"] { display: block }'
        in page
    )


def test_colours_come_from_the_page_so_that_it_can_be_dark(page: str):
    charts = "".join(re.findall(r"<svg.*?</svg>", page, re.DOTALL))
    assert set(re.findall(r"#[0-9a-f]{6}\b", charts)) == set()
    assert "prefers-color-scheme: dark" in page


def test_a_browser_shows_results_against_every_axis_and_the_course_against_steps(page: str, tmp_path: Path):
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"no browser on PATH; looked for {', '.join(BROWSERS)}")
    # The probe goes into the body; the page's own policy allows scripts in the page and nothing from elsewhere.
    (tmp_path / "page.html").write_text(page.replace("</body>", PROBE), encoding="utf8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    flags += ["--enable-logging=stderr", "--virtual-time-budget=5000", "--window-size=1200,900", "--dump-dom"]
    done = subprocess.run(
        [browser, *flags, (tmp_path / "page.html").as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    found = re.search(r'<pre id="told">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr
    told = json.loads(found[1].replace("&amp;", "&"))
    assert told["wrong"] == []
    assert told["requests"] == []
    assert "CONSOLE" not in done.stderr
    results = ["mlm", "mlm_accuracy"]
    course = [[chart, "steps", "linear"] for chart in ("lr", "grad_norm", "tokens_per_second")]  # always
    assert told["seen"].pop("at first") == [[chart, "steps", "linear"] for chart in results] + course
    assert told["seen"] == {
        f"{axis} {str(log).lower()}": [[chart, axis, "log" if log else "linear"] for chart in results]
        + course
        for log in (False, True)
        for axis in ("steps", "tokens", "flops", "time")
    }


def test_no_line_of_a_page_ends_within_a_figure():
    assert prose("15 % of 3 rows, 6.62 ± 0.14 nats & 1.2 GB in 5 s; 0.5 +- 0.1; ± -2 ms") == (
        "15~% of 3 rows, 6.62~±~0.14~nats &amp; 1.2~GB in 5~s; 0.5~+-~0.1; ±~-2~ms".replace("~", "\u00a0")
    )
    assert prose("12 steps, 7 bitter pills, 3 Bs") == "12 steps, 7 bitter pills, 3\u00a0Bs"


def test_a_row_that_is_as_the_one_above_says_so_where_it_stands_alone():
    rows = [["sums", "0", "accuracy", "1.0"], ["", "", "accuracy: 2da", "2.0"], ["", "5", "accuracy", "3.0"]]
    table = fewshot_page("t", [], [], {}, Table(["task", "shots", "score", "m"], rows))
    again = re.findall(r'<span class="again">(.*?)</span>', table)
    assert again == ["sums", "0", "sums"]


HOSTILE = (
    '"><img src=x onerror=alert(1)>',
    "a$\\frac{b$",
    "nul\x00 and half \ud800",
    "back\\1slash",
    "x" * 300,
)


def test_a_figures_name_puts_nothing_into_the_page_and_stops_nothing(tmp_path: Path):
    from nlptool.report import curves as curving
    from nlptool.report import drawing
    from nlptool.report.page import page as paged
    from nlptool.report.runs import read_all

    runs = read_all(
        [write_run(tmp_path / "m$\\frac{$", [{"step": s, **dict.fromkeys(HOSTILE, s)} for s in (1, 2)])]
    )
    charts, axis = curving.charts(runs), curving.AXES[0]
    look = drawing.Style.of([run.name for run in runs], [chart.metric.title for chart in charts])
    drawn = {}
    for chart in charts:
        figure = drawing.draw(chart, curving.curves(chart, runs, axis), axis, look)
        text = drawing.svg(figure, look, letters=True)
        drawn |= {(chart.name, axis.name, log): text for log in (False, True)}
        assert re.fullmatch(r"[\w.-]{1,90}", chart.name)
    tags = Tags()
    shown = paged(runs, charts, [axis], drawn)
    tags.feed(shown)
    assert len(charts) == len(HOSTILE)
    assert tags.open == []
    assert "<img" not in shown
    assert all(re.fullmatch(r"[\w.-]+", name) for name in tags.ids)
    shown.encode("utf8")
