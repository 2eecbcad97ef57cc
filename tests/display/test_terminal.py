"""What the terminal shows of a made-up study."""

import csv
import dataclasses
import io
import json
import re
from decimal import Decimal

import pytest
from made_up import HARM, LOAD, PLAN, RAWS, MadeUp, option
from rich.console import Console
from rich.table import Table
from rich.text import Text

from autoadapt.display.answer import Answer
from autoadapt.display.comparison_csv import comparison_csv
from autoadapt.display.sentences import (
    break_even_line,
    count_text,
    first_lines,
    load_lines,
    plan_line,
    verdict_lines,
)
from autoadapt.display.terminal.advice import print_advice
from autoadapt.display.terminal.latency import load_json, print_load, run_line
from autoadapt.display.terminal.options import frontier_table
from autoadapt.display.terminal.plain_text import plain, terminal
from autoadapt.display.terminal.plans import print_plan
from autoadapt.display.terminal.prices import print_prices
from autoadapt.display.terminal.result import print_result
from autoadapt.display.terminal.scenarios import print_comparison
from autoadapt.display.terminal.status import status_lines, time_left
from autoadapt.display.terminal.summary import print_summary
from autoadapt.display.text import VALIDATION_NOTE, dollars, duration, p95_text, too_few
from autoadapt.domain.comparison import BreakEven
from autoadapt.domain.events import Event, Phase, Running, Status
from autoadapt.domain.prices import DevicePrice, TokenPrice
from autoadapt.domain.task import Budget
from autoadapt.domain.verdict import LabelScore, Unmeasured
from autoadapt.shown_text import printable

STUDY = MadeUp()


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")


def shown(renderable: object) -> str:
    console = Console(width=400, record=True, file=io.StringIO())
    console.print(renderable)
    return console.export_text()


def test_result_names_recommendation_verdict_and_spend(capsys: pytest.CaptureFixture[str]) -> None:
    print_result(STUDY, None)  # type: ignore[arg-type]
    text = capsys.readouterr().out
    assert "Recommended: Trial 1 (lora) has the highest quality." in text
    assert re.search(r"It costs \$\S+ for [\d,]+ queries a month where its device time alone", text)
    assert "rented day and night" in text
    assert (
        "as it was chosen among 3 options, it is probably too high by 2.0 points [3.0 too low to 7.0 too high]" in text
    )
    assert "Dominated, but within measurement error: trial 0 (not scored on test rows)." in text
    assert (
        "Spent: 4 trials (3 complete, 0 stopped early, 1 failed, 0 answered from the cache), $0.0400, 1 min 05 s"
        in text
    )
    assert "25% of device time was imports and loading" in text
    assert "\u202e" not in text
    assert "</script><b>harm</b>?" in text


def test_the_end_of_a_search_fits_one_screen(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    print_summary(STUDY, None)  # type: ignore[arg-type]
    text = capsys.readouterr().out
    assert len(text.splitlines()) <= 30
    assert "Recommended: LoRA on" in text
    assert "the untuned" in text
    assert "report runs/made-up --all" in text
    assert "\u202e" not in text


def test_comparison_shows_the_best_of_each_kind_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    print_comparison([STUDY.hosted("per_use")], STUDY.goals)
    text = capsys.readouterr().out
    assert re.search(r"\* LoRA +1 +0\.880 .* yes", text)
    assert re.search(r"prompt +0 +0\.480 .* yes", text), "trial 2 is better, but its p95 is not known"
    assert "What to do: at 100,000 queries a month, by use:" in text


def test_a_quality_on_validation_rows_is_marked_wherever_others_are_on_test_rows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    column = STUDY.hosted("per_use")
    untested = column.options[1].model_copy(update={"test_quality": None, "test_quality_ci": None, "method": "full"})
    mixed = column.model_copy(update={"options": [column.options[0], untested], "priced": column.priced[:2]})
    print_comparison([mixed])
    table = capsys.readouterr().out
    assert f"v {untested.quality:.3f}" in table
    assert f"  {column.options[0].test_quality:.3f}" in table
    assert VALIDATION_NOTE in table
    tested = [o.model_copy(update={"test_quality": 0.5, "test_quality_ci": (0.4, 0.6)}) for o in column.options]
    print_comparison([column.model_copy(update={"options": tested})])
    assert VALIDATION_NOTE not in capsys.readouterr().out
    pair = BreakEven(trial=untested.trial, other=column.options[0].trial, volumes=[], low=None, high=None)
    assert f"(full, {untested.quality:.3f} on validation rows) / " in break_even_line(pair, mixed.options)
    (row, *_) = csv.DictReader(io.StringIO(comparison_csv([mixed], STUDY.goals)))
    assert (row["validation_quality"], row["test_quality"]) == (
        str(column.options[0].quality),
        str(column.options[0].test_quality),
    )
    study = MadeUp()
    study.options = [STUDY.options[0], untested]
    print_summary(study, None)  # type: ignore[arg-type]
    screen = capsys.readouterr().out
    assert f"v {untested.quality:.3f} [" in screen
    assert VALIDATION_NOTE in " ".join(screen.split())


def test_tables_show_a_column_for_further_objectives() -> None:
    text = shown(frontier_table(STUDY.options, 1, STUDY.goals))
    assert "peak memory in MB" in text
    assert "peak memory" not in shown(frontier_table(STUDY.options, 1))


def test_a_percentile_of_too_few_samples_names_the_number_needed() -> None:
    assert p95_text(option(RAWS[2])) == "n/a (needs 59 samples)"
    assert [too_few(p) for p in (90, 99)] == ["n/a (needs 29 samples)", "n/a (needs 299 samples)"]
    assert "p99 n/a (needs 299 samples)" in load_lines(LOAD, 400.0)[0]


def test_table_with_an_option_of_too_few_samples_fits_into_80_columns() -> None:
    untuned = option(RAWS[2]).model_copy(update={"shown_as": "baseline", "method": "prompt"})
    console = Console(width=80, file=io.StringIO(), highlight=False)
    console.print(frontier_table([option(RAWS[0]), untuned]))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "prompt (base)" in text
    assert "\N{HORIZONTAL ELLIPSIS}" not in text
    assert " ".join(text.split()).endswith("p95 n/a (needs 59 samples).")


def test_load_lines_state_target_and_rate() -> None:
    assert load_lines(LOAD, 400.0)[1].startswith(
        "  It answers 6.52 requests/s, if it answers one at a time, on one device with 99 % of requests within 400 ms"
    )
    assert "without a growing queue" in load_lines(LOAD, None)[1]
    assert "It answers at no rate on one device" in load_lines(LOAD, 20.0)[1]
    assert run_line(LOAD.runs[0], 400.0).endswith("100.0% within 400 ms")


def test_latency_as_table_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    print_load(LOAD, 400.0)
    assert (
        "Greatest measured rate at which 99 % of requests meet the latency target: 2 requests/s."
        in capsys.readouterr().out
    )
    print_load(LOAD, 20.0)
    assert "None of the measured rates was one at which" in capsys.readouterr().out
    payload = json.loads(load_json(LOAD, 400.0))
    assert payload["latency_p95_ms"] == 400.0
    assert payload["requests_per_s"] == 2.0
    assert payload["runs"][0]["e2el_percentiles_ms"]["p99"] is None


def test_break_even_lines() -> None:
    one = BreakEven(trial=1, other=2, volumes=[Decimal(12345)] * 7, low=Decimal(10_000), high=Decimal(20_000))
    options = [option(raw) for raw in RAWS]
    assert break_even_line(one, options) == (
        "trial 1 (lora, 0.880) / trial 2 (prompt, 0.680): from 12,300 [10,000 - 20,000] queries a month the second is cheaper "
        "(6 further crossings)"
    )
    none = BreakEven(trial=1, other=2, volumes=[], low=None, high=None, cheaper=1)
    assert break_even_line(none, options).endswith("none in range, trial 1 (lora, 0.880) is cheaper at every volume")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1234567", "1,230,000"),
        ("1.2345", "1.23"),
        ("12.345", "12.3"),
        ("0.5", "0.50"),
        ("0.0012345", "0.00123"),
        ("0", "0"),
    ],
)
def test_volumes_have_three_significant_figures(value: str, text: str) -> None:
    assert count_text(Decimal(value)) == text


@pytest.mark.parametrize(
    ("expected", "observed", "sentence", "caveats"),
    [
        (0.02, (-0.018, -0.065, 0.029), "too low by 1.8 points [6.5 too low to 2.9 too high]", 1),
        (0.02, (0.018, 0.001, 0.065), "too high by 1.8 points [0.1 to 6.5 too high]", 1),
        (0.0, (-0.05, -0.08, -0.02), "too low by 5.0 points [8.0 to 2.0 too low]", 0),
        (0.0004, (0.0, -0.02, 0.02), "neither too high nor too low [2.0 too low to 2.0 too high]", 0),
        (None, (-0.018, None, None), "too low by 1.8 points", 0),
    ],
)
def test_sentences_on_optimism_name_the_direction(
    expected: float | None, observed: tuple[float, float | None, float | None], sentence: str, caveats: int
) -> None:
    fields = zip(("observed", "observed_low", "observed_high"), observed, strict=True)
    found = STUDY.verdict.optimism.model_copy(update={"expected": expected, **dict(fields)})
    study = MadeUp()
    study.verdict = STUDY.verdict.model_copy(update={"optimism": found, "split_differences": [], "waited_share": 0.0})
    (line,) = [line for line in verdict_lines(study.verdict) if line.startswith("Optimism")]
    assert line.endswith(f"by its test score, it is {sentence}.")
    said = [line for line in Answer(study).caveats() if "validation score" in line]  # type: ignore[arg-type]
    assert len(said) == caveats, "no caveat where no optimism is expected"
    assert not re.search(r"too (high|low) by [+-]", " ".join([line, *said]))


def test_numbers_as_text() -> None:
    assert [dollars(v) for v in (12.345, 0.012345, 1.0)] == ["12.35", "0.012", "1.00"]
    assert [duration(s) for s in (5, 65, 3665)] == ["5 s", "1 min 05 s", "1 h 01 min"]


def test_texts_on_a_terminal_are_no_markup_and_cannot_steer_it(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("[red]head[/x]")
    table.add_row(Text("cell\x9b31m"))
    terminal().print("runs/a[/b]:smile:\x1b[31m", table, soft_wrap=True)
    shown = capsys.readouterr().out
    assert shown.startswith("runs/a[/b]:smile:?[31m")
    assert "[red]head[/x]" in shown
    assert "cell?31m" in shown


def test_invisible_characters_are_shown_as_question_marks() -> None:
    assert printable("\x1b[31mred\x07") == "?[31mred?"
    assert str(plain("zero\u200bwidth \u202eturned")) == "zero?width ?turned"
    assert plain("[bold]no markup[/bold]").plain == "[bold]no markup[/bold]"


def test_comparison_shows_target_cells_and_further_objectives(capsys: pytest.CaptureFixture[str]) -> None:
    one = BreakEven(trial=1, other=2, volumes=[Decimal(12345)], low=Decimal(10_000), high=Decimal(20_000))
    column = STUDY.hosted("per_use").model_copy(update={"break_even": [one]})
    print_comparison([column, STUDY.hosted("always_on")], STUDY.goals)
    text = capsys.readouterr().out
    assert "latency limit" in text
    assert "peak memory in MB" in text
    assert "9 of 9" in text
    assert "break-even trial 1 (lora, 0.880) / trial 2 (prompt, 0.680): from 12,300" in text


def test_csv_has_one_row_per_scenario_and_option_and_no_formulas() -> None:
    column = STUDY.hosted("per_use")
    named = column.model_copy(update={"terms": column.terms.model_copy(update={"name": "=cmd()"})})
    rows = list(csv.DictReader(io.StringIO(comparison_csv([named], STUDY.goals))))
    assert len(rows) == len(column.options)
    assert rows[0]["scenario"] == "'=cmd()"
    assert rows[0]["usd_per_1k"] == str(column.priced[0].usd_per_1k)
    assert float(rows[0]["memory_mb"]) == column.options[0].peak_memory_bytes / 1e6
    assert {r["latency_p95_ms"] for r in rows if r["trial"] == "2"} == {""}
    assert comparison_csv([]) == ""


def test_plan_and_actual_figures_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_plan(PLAN, [HARM])
    assert "Wall-clock hours: 1.000 / 2.000 / 3.000 (low / likely / high); ended by trials." in capsys.readouterr().out
    assert plan_line(PLAN, STUDY.results.spent).startswith("Planned: trials 2 [1 - 3], took 4; hours 2.000")


def test_advice_names_binding_constraints(capsys: pytest.CaptureFixture[str]) -> None:
    print_advice(STUDY.recommendation, ["latency_p95_ms"], STUDY.options, STUDY.goals)
    assert "Binding: without latency_p95_ms another option would be recommended." in capsys.readouterr().out


def test_prices_with_source_and_age(capsys: pytest.CaptureFixture[str]) -> None:
    device = DevicePrice(provider="p", source="here", device="d", usd_per_hour=Decimal("2.5"))
    tokens = TokenPrice(provider="p", source="there", model="m", input=Decimal(1), output=Decimal(4))
    print_prices([device, tokens])
    text = capsys.readouterr().out
    assert "p/d/standard" in text
    assert "$1 in / 4 out per 1M tokens" in text


def test_status_counts_trials_that_were_stopped_early() -> None:
    status = Status(
        name="s", budget=Budget(trials=9), spent=STUDY.results.spent, stopped_early=2, frontier=tuple(STUDY.options)
    )
    text = shown(status_lines(status))
    assert "stopped early 2" in text
    assert "trials 4 of 9" in text
    assert "time left not known yet" in text
    assert "nothing runs at the moment" in text


def test_status_names_jobs_phase_and_the_best_against_the_floor() -> None:
    best, floor = STUDY.options[0], STUDY.options[1].model_copy(update={"method": "tfidf", "floor": True})
    status = Status(
        name="s",
        budget=Budget(trials=9, hours=0.5, usd=Decimal(2), device_hours=1),
        spent=STUDY.results.spent,
        running=(Running(7, HARM, "minilm", "33% of its training", 65),),
        best=best,
        floor=floor,
        phase=Phase("final fit", 3, 5, seconds=60, seconds_after=20),
        seconds_left=100,
    )
    text = shown(status_lines(status))
    assert "s: end 3 of 5, final fit" in text
    assert "33% of its training" in text
    assert "\x1b[31m" not in text
    assert (
        f"best so far: {best.name} {best.quality:.3f}, {best.quality - floor.quality:.3f} above the floor (tfidf"
        in text
    )
    assert "about 1 min 40 s left" in text
    for limit in ("of 9", "of 30 min 00 s", "of 1 h 00 min", "of $2.00"):
        assert limit in text
    assert time_left(dataclasses.replace(status, seconds_left=2)) == "a few seconds left"
    searching = dataclasses.replace(status, phase=None, seconds_left=1500, end_seconds=130)
    assert time_left(searching) == "about 25 min left, 2 min 10 s of it for the end"


def test_events_as_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    from autoadapt.display.terminal.watchers import watcher

    status = Status(name="s", budget=Budget(trials=9), spent=STUDY.results.spent, stopped_early=2)
    with watcher(as_json=True) as watch:
        watch(Event("trial_stopped_early", "enough", status, trial=3))
    payload = json.loads(capsys.readouterr().out)
    assert (payload["event"], payload["status"]["stopped_early"]) == ("trial_stopped_early", 2)


def test_without_ties_the_verdict_says_none() -> None:
    untied = STUDY.verdict.model_copy(
        update={"compared": STUDY.verdict.compared[:1], "within_noise": [], "trained": []}
    )
    assert verdict_lines(untied)[0] == "Tied with the best option, trial 1, on validation and 200 test rows: none."


def test_dominated_options_within_measurement_error_that_were_scored_are_told_apart() -> None:
    both = STUDY.verdict.model_copy(update={"within_noise": [0, 5], "scored_parts": [5]})
    assert (
        "Dominated, but within measurement error: trial 0 (not scored on test rows), trial 5 (scored on test rows)."
        in verdict_lines(both)
    )


def test_methods_that_were_never_measured_are_named_together_where_the_reason_is_the_same() -> None:
    arms = [("lora", "encoder", "a"), ("full", "encoder", "b"), ("lora", "causal_lm", "a"), ("head", "encoder", "a")]
    found = [Unmeasured(method=m, family=f, trials=0, reason=reason) for m, f, reason in arms]
    assert first_lines(STUDY.verdict.model_copy(update={"unmeasured": found})) == [
        "lora on encoder models, lora on causal_lm models and head on encoder models were never measured in full: a.",
        "full on encoder models was never measured in full: b.",
    ]
    assert first_lines(None) == []


def test_table_says_why_a_dominated_option_is_shown() -> None:
    dominated = STUDY.options[0].model_copy(update={"on_frontier": False})
    marks = {"floor": "floor", "baseline": "base", "default": "default", "part": "part"}
    for role, mark in marks.items():
        text = shown(frontier_table([dominated.model_copy(update={"shown_as": role})]))
        assert f"{dominated.method} ({mark})" in text


def test_differences_between_splits_are_told_with_the_labels_that_suffer() -> None:
    labels = [
        LabelScore(label=name, validation_rows=5, validation_right=0.8, test_rows=30, test_right=0.1 * i)
        for i, name in enumerate("abcdefg")
    ]
    changed = {"split_differences": ["label 'a' is 20 % of the test rows"], "labels": labels}
    lines = verdict_lines(STUDY.verdict.model_copy(update=changed))
    assert "Test rows differ from validation rows: label 'a' is 20 % of the test rows." in lines
    [worst] = [line for line in lines if line.startswith("Right on test rows")]
    assert "a 0% of 30 (80% of 5), b 10% of 30" in worst
    assert worst.endswith("2 further in verdict.json.")
    assert not any(line.startswith("Test rows differ") for line in verdict_lines(STUDY.verdict))
