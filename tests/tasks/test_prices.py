"""The price book: dates, sources, overrides by a user's own book, and errors for unknown prices."""

import datetime
import decimal
from pathlib import Path

import pytest

from autoadapt.domain.prices import DevicePrice
from autoadapt.domain.scenario import Scenario
from autoadapt.domain.task import Economics, Owned, Task
from autoadapt.errors import UserError
from autoadapt.tasks.prices import Prices, look_up, terms

D = decimal.Decimal

OWN = """\
devices:
  - {device: h100-sxm-80gb, provider: runpod, tier: secure, usd_per_hour: 1.5, date: 2026-11-20, source: our contract}
tokens:
  - {model: ours, provider: me, input: 0.1, output: 0.2, date: 2026-11-20, source: our contract}
"""


def test_price_book_entries_have_date_and_source() -> None:
    book = Prices()
    assert len(book.devices) >= 25
    for price in book.devices.values():
        assert price.date is not None
        assert price.source
        assert 0 < price.usd_per_hour < 50
    assert book.device("runpod/h100-sxm-80gb/secure").usd_per_hour == D("3.99")


def test_token_prices_of_the_snapshot() -> None:
    price = Prices().token("gpt-5-mini")
    assert (price.input, price.cached, price.output) == (D("0.25"), D("0.025"), D(2))
    assert "genai-prices" in price.source
    assert Prices().token("claude-haiku-4-5").cache_write == D("1.25")


def test_stale_price_warning() -> None:
    price = DevicePrice(
        device="d", provider="p", tier="t", source="s", usd_per_hour=D(1), date=datetime.date(2026, 9, 20)
    )
    assert price.stale(datetime.date(2026, 11, 19)) is None, "60 days"
    assert "61 days old" in (price.stale(datetime.date(2026, 11, 20)) or "")


def test_date_may_be_a_text(tmp_path: Path) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text(OWN.replace("2026-11-20", '"2026-11-20"'))
    assert Prices(file).token("ours").date == datetime.date(2026, 11, 20)
    file = tmp_path / "wrong.yaml"
    file.write_text(OWN.replace("2026-11-20", '"20 Nov"', 1))
    with pytest.raises(UserError, match=r"line 2, devices.0.date: should be a date such as 2026-11-09, not '20 Nov'"):
        Prices(file).token("ours")


def test_own_price_book_overrides_the_package(tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text(OWN)
    book = Prices(tmp_path / "prices.yaml")
    assert book.device("runpod/h100-sxm-80gb/secure").usd_per_hour == D("1.5")
    assert book.token("ours").output == D("0.2")
    economics = Economics(price="runpod/h100-sxm-80gb/secure", price_book="prices.yaml")
    economics, source, _ = look_up(economics, tmp_path)
    assert economics.hour_usd == D("1.5")
    assert "our contract" in source


@pytest.mark.parametrize("name", ["h100", "runpod/h100", "nonsense"])
def test_unknown_price_error(name: str) -> None:
    with pytest.raises(UserError, match="not guessed"):
        Prices().device(name)
    with pytest.raises(UserError, match="not guessed"):
        Prices().token("no-such-model-xyz")


def test_partial_price_name_error_lists_matches() -> None:
    with pytest.raises(UserError, match="akash/h200-141gb/on-demand"):
        Prices().device("h200")


def test_price_file_error_names_the_line(tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text(OWN.replace("usd_per_hour: 1.5", "usd_per_hour: -1"))
    with pytest.raises(UserError, match=r"line 2, devices\.0\.usd_per_hour"):
        Prices(tmp_path / "prices.yaml")


def test_free_device() -> None:
    free = Scenario(owned=Owned(kilowatts=0, usd_per_kwh=D(0)))
    task = Task.model_validate(
        {
            "name": "t",
            "data": {"path": "d"},
            "metric": "accuracy",
            "models": ["m"],
            "budget": {"trials": 1},
            "economics": Economics(usd_per_hour=D(1)),
        }
    )
    free_terms, _ = terms("s", free, task, "the task", 0.0, None)
    assert free_terms.hour_usd == (0, 0, 0)


def test_owned_machine_hour_with_overhead() -> None:
    owned = Owned(capex_usd=D(35_040), kilowatts=0.5, usd_per_kwh=D("0.20"))
    economics, source, _ = look_up(Economics(owned=owned, overhead_factor=1.1), Path())
    assert economics.hour_usd == D("1.1") * D("1.1"), (
        "a dollar of depreciation and ten cents of energy, ten percent on top"
    )
    assert "own" in source


@pytest.mark.parametrize("given", [{}, {"usd_per_hour": D(1), "price": "a/b/c"}])
def test_missing_or_double_price_error(given: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="give one price"):
        Economics(**given)  # type: ignore[arg-type]
