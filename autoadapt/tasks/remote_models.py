"""Models behind servers: their settings in the task and their prices, put together before anything is spent."""

from collections.abc import Collection, Mapping
from pathlib import Path

from autoadapt.domain.model import Capabilities, ModelReference
from autoadapt.domain.remote import RemoteModel, TokenRates
from autoadapt.domain.task import Economics, Task
from autoadapt.errors import UserError, did_you_mean
from autoadapt.models.remote.names import is_this_machine
from autoadapt.providers.addresses import checked_key
from autoadapt.registry import expanded
from autoadapt.tasks.prices import Prices, own_book


def with_settings(model: ModelReference, task: Task, base: Path) -> tuple[ModelReference, list[str]]:
    """A model behind a server with the task's settings and with a price, and warnings of an old price.

    A server on this machine without a price costs the time it takes, at the price of the task's own devices.

    Args:
        model: as its family has found it.
        task: its settings of remote models and its prices.
        base: folder of the task file.

    Raises:
        UserError: the price is not known, or the key is not set; the message says which key of the task to give.
    """
    written = task.remote[model.name].model_dump(mode="json", exclude_unset=True) if model.name in task.remote else {}
    remote = RemoteModel.model_validate({**model.settings, **written})
    if remote.key is not None:
        checked_key(expanded(remote.key), remote.key.strip("${}"))
    warnings: list[str] = []
    if remote.price is None and remote.usd_per_hour is None:
        remote, warnings = _priced(model, remote, task.economics, base)
    settings = remote.model_dump(mode="json", exclude_defaults=True)
    return model.model_copy(update={"settings": settings}), warnings


def _priced(
    model: ModelReference, remote: RemoteModel, economics: Economics, base: Path
) -> tuple[RemoteModel, list[str]]:
    give = f'remote: {{"{model.name}": {{price: {{input: 0.25, output: 2.00}}}}}} (USD per million tokens)'
    if remote.provider is None:
        if is_this_machine(model.place):
            return remote, []
        raise UserError(
            f"model '{model.name}': what it costs is not known and not guessed; give {give}, or usd_per_hour in place "
            "of price for a server of your own"
        )
    try:
        quote = Prices(own_book(economics.price_book, base)).token(remote.model, remote.provider)
    except UserError as error:
        raise UserError(f"model '{model.name}': {error}; or give {give}") from error
    price = TokenRates(input=quote.input, cached=quote.cached, output=quote.output)
    stale = quote.stale_now()
    return remote.model_copy(update={"price": price, "price_source": quote.description}), [stale] if stale else []


def check_names(task: Task, capabilities: Mapping[str, Capabilities], asked: Collection[str] = ()) -> None:
    """Refuses settings of models that are not asked over a network.

    Args:
        task: with its settings of remote models.
        capabilities: of its models, by name.
        asked: models that its metric asks, and those that write instructions.

    Raises:
        UserError: names the first one.
    """
    remote = [name for name, known in capabilities.items() if known.remote] + list(asked)
    for name in task.remote:
        if name not in remote:
            raise UserError(
                f"settings of '{name}', which is no model behind a server in `models` or `proposer`: "
                f"{did_you_mean(name, remote)}"
            )
