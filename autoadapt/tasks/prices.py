"""Looking prices up: the package's dated book, a book of the user's own, tokens from the snapshot of genai-prices."""

import datetime
import functools
import importlib.metadata
from decimal import Decimal
from pathlib import Path
from typing import Any

from autoadapt.domain.comparison import Terms
from autoadapt.domain.prices import DevicePrice, PriceBook, TokenPrice
from autoadapt.domain.scenario import OUTPUT_SPREAD, PRICE_SPREAD, VOLUME_SPREAD, Scenario, Spread
from autoadapt.domain.task import Constraints, Economics, Owned, Task
from autoadapt.economics.costs import Machine, owned_usd_per_hour
from autoadapt.errors import UserError, did_you_mean
from autoadapt.registry import expanded
from autoadapt.tasks.parsing import parse
from autoadapt.tasks.yaml_document import Document

OWNED_SOURCE = "an owned machine: depreciation, energy and operations"
PACKAGE_BOOK = Path(__file__).parent.parent / "price_book.yaml"


class Prices:
    """The package's price book, and a user's own whose entries win.

    Args:
        own: a price file, or None.

    Raises:
        UserError: it cannot be read.
    """

    def __init__(self, own: Path | None = None) -> None:
        books = [_book(PACKAGE_BOOK)] if own is None else [_book(PACKAGE_BOOK), _book(own)]
        self.devices: dict[str, DevicePrice] = {p.name: p for book in books for p in book.devices}
        self.tokens: dict[str, TokenPrice] = {p.name: p for book in books for p in book.tokens}

    def device(self, name: str) -> DevicePrice:
        """The price of a device-hour by its name, PROVIDER/DEVICE/TIER.

        Raises:
            UserError: it is unknown; the message asks for it.
        """
        if name not in self.devices:
            alike = [n for n in self.devices if name.lower() in n]
            hint = f"such names are {', '.join(alike)}." if alike else did_you_mean(name, self.devices)
            raise UserError(
                f"no price called '{name}': {hint} Give usd_per_hour if you know the price: it is not guessed."
            )
        return self.devices[name]

    def token(self, name: str, provider: str | None = None) -> TokenPrice:
        """The price of a model's tokens: by its full name in a price file, or by its id as providers call it.

        Args:
            name: of the model.
            provider: whose price; None: the first that has such a model.

        Raises:
            UserError: it is unknown; the message asks for it.
        """
        listed = [p for p in self.tokens.values() if name in (p.name, p.model) and provider in (None, p.provider)]
        price = listed[-1] if listed else _snapshot_price(name, provider)
        if price is None:
            raise UserError(
                f"no token price of a model called '{name}': add it under tokens: in a price file of your own "
                "({model:, provider:, input:, output:, date:, source:}) and name that in price_book; it is not guessed"
            )
        return price


@functools.cache
def _book(path: Path) -> PriceBook:
    return parse(Document(path), PriceBook)


def _snapshot_price(name: str, provider_id: str | None) -> TokenPrice | None:
    from genai_prices.data_snapshot import get_snapshot

    try:
        provider, model = get_snapshot().find_provider_model(name, None, provider_id, None)
    except LookupError:
        return None
    quoted = model.get_prices(datetime.datetime.now(datetime.UTC))

    def usd(field: str) -> Decimal | None:
        value = getattr(quoted, field, None)
        # prices that rise with the length of the prompt: that of short ones
        value = getattr(value, "base", value)
        return None if value is None else Decimal(str(value))

    fresh, written = usd("input_mtok"), usd("output_mtok")
    if fresh is None or written is None:
        return None
    return TokenPrice(
        model=model.id,
        provider=provider.id,
        source=f"genai-prices {importlib.metadata.version('genai-prices')}",
        input=fresh,
        cached=usd("cache_read_mtok"),
        cache_write=usd("cache_write_mtok"),
        output=written,
    )


def owned_hour(owned: Owned, always_on: bool = False) -> Decimal:
    """USD of one hour of a machine of one's own; `always_on` as of `owned_usd_per_hour`."""
    machine = Machine(
        capex=owned.capex_usd,
        life_hours=Decimal(repr(owned.life_hours)),
        utilisation=Decimal(repr(owned.utilisation)),
        kilowatts=Decimal(repr(owned.kilowatts)),
        usd_per_kwh=owned.usd_per_kwh,
        pue=Decimal(repr(owned.pue)),
        operations=owned.ops_usd_per_hour,
    )
    return owned_usd_per_hour(machine, always_on)


def look_up(economics: Economics, base: Path) -> tuple[Economics, str, list[str]]:
    """Economics with the price of a device-hour filled in, where that price comes from, and warnings.

    Args:
        economics: of a task.
        base: folder of the task file, for a price file of its own.

    Raises:
        UserError: the price is unknown.
    """
    if economics.owned is not None:
        priced = _priced(economics, owned_hour(economics.owned))
        return priced.model_copy(update={"machine": economics.owned}), OWNED_SOURCE, []
    if economics.price is None:
        return economics, "given in the task", []
    quote = Prices(own_book(economics.price_book, base)).device(economics.price)
    return _priced(economics, quote.usd_per_hour), quote.description, [w for w in [quote.stale_now()] if w]


def _priced(economics: Economics, hour: Decimal) -> Economics:
    return economics.model_copy(update={"usd_per_hour": hour, "price": None, "owned": None})


def own_book(name: str | None, base: Path) -> Path | None:
    """The path of a price file as a task names it, relative to the folder of the task; None: it names none."""
    return None if name is None else (base / expanded(name)).expanduser()


def task_terms(task: Task) -> Terms:
    """The task's own use: the device time of answers, by its price, volume, horizon and constraints."""
    return terms("task", Scenario(), task, "the task", 0.0, None)[0]


def terms(
    name: str, scenario: Scenario, task: Task, source: str, search_usd: float, prices: Prices | None
) -> tuple[Terms, list[str]]:
    """A scenario with everything that it leaves open taken from the task, and warnings of old prices.

    Args:
        name: of the scenario.
        scenario: as written.
        task: its price looked up; its constraints hold where the scenario has none of its own.
        source: where the task's price comes from.
        search_usd: what the whole search cost.
        prices: the books; None: the scenario names no price.

    Raises:
        UserError: a price is unknown.
    """
    economics = task.economics
    assert economics.usd_per_hour is not None
    scenario = _with_hosting(scenario, economics)
    hour, source, warnings = _serving_hour(scenario, economics.usd_per_hour, source, prices)
    training = economics.usd_per_hour if scenario.training_price is None else scenario.training_price
    overhead = Decimal(repr(economics.overhead_factor))
    limits = {name: limit for name in Constraints.model_fields if (limit := getattr(scenario, name)) is not None}
    low, likely, high = hour.filled(PRICE_SPREAD)
    volume = scenario.volume or Spread(likely=Decimal(economics.queries_per_month))
    return Terms(
        name=name,
        scenario=scenario,
        volumes=volume.filled(VOLUME_SPREAD),
        hour_usd=(low * overhead, likely * overhead, high * overhead),
        off_hour_usd=_off_hour(scenario) * overhead,
        training_hour_usd=training * overhead,
        outputs=scenario.output.filled(OUTPUT_SPREAD),
        horizon_months=Decimal(repr(scenario.horizon_months or economics.horizon_months)),
        search_usd=Decimal(repr(search_usd)) if scenario.with_search else Decimal(0),
        constraints=task.constraints.model_copy(update=limits),
        advice=task.recommend,
        price_source=source,
    ), warnings


def _with_hosting(scenario: Scenario, economics: Economics) -> Scenario:
    """A scenario with the task's hosting and owned machine, where it says nothing of them."""
    update: dict[str, Any] = {}
    if "hosting" not in scenario.model_fields_set:
        update["hosting"] = economics.hosting
    if scenario.owned is None and scenario.price is None and economics.machine is not None:
        update["owned"] = economics.machine
        # it is the machine on which times were measured
        update["device_speed"] = scenario.device_speed or 1.0
    return scenario.model_copy(update=update)


def _off_hour(scenario: Scenario) -> Decimal:
    """USD of an hour in which an owned machine is switched off: its price over its life, and operations."""
    owned = scenario.owned
    if owned is None or scenario.hosting != "scale_to_zero":
        return Decimal(0)
    return owned_hour(owned.model_copy(update={"kilowatts": 0.0}), always_on=True)


def _serving_hour(
    scenario: Scenario, of_task: Decimal, source: str, prices: Prices | None
) -> tuple[Spread, str, list[str]]:
    """USD of a device-hour that serves, where that comes from, and warnings."""
    hour, warnings = Spread(likely=of_task), []
    by_use = scenario.hosting == "per_use"
    if scenario.owned is not None:
        hour, source = Spread(likely=owned_hour(scenario.owned, always_on=not by_use)), OWNED_SOURCE
    elif isinstance(scenario.price, str):
        quote = (prices or Prices()).device(scenario.price)
        hour, source = Spread(likely=quote.usd_per_hour), quote.description
        warnings += [w for w in [quote.stale_now()] if w]
    elif scenario.price is not None:
        hour, source = scenario.price, "given in the scenario"
    if scenario.owned is not None and scenario.device_speed is None:
        warnings.append(
            "times were measured on the device of the search, and the owned machine is taken to be as fast: give "
            "device_speed where it is not"
        )
    return hour, source, warnings
