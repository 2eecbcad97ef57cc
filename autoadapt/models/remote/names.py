"""Names of models behind servers: ``PROVIDER:MODEL`` and ``server:MODEL@URL``."""

import ipaddress
import os
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from autoadapt.domain.model import ModelReference
from autoadapt.domain.remote import RemoteModel
from autoadapt.errors import UserError
from autoadapt.providers.addresses import EXAMPLE, checked_url
from autoadapt.registry import expanded

SERVER = "server:"


class Provider(NamedTuple):
    """Where a provider's interface of OpenAI's form is."""

    url: str
    key: str
    """Environment variable that holds the key, as the provider's documentation names it."""


PROVIDERS = {
    "openai": Provider("https://api.openai.com/v1", "OPENAI_API_KEY"),
    "cerebras": Provider("https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
    "deepseek": Provider("https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"),
    "fireworks": Provider("https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"),
    "groq": Provider("https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    "mistral": Provider("https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
    "openrouter": Provider("https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    "together": Provider("https://api.together.xyz/v1", "TOGETHER_API_KEY"),
    "x-ai": Provider("https://api.x.ai/v1", "XAI_API_KEY"),
}
"""By their names in genai-prices; places and keys are those of the providers' documentation (2026-11)."""
INSTEAD = "give the key as remote: {NAME: {key: ${VARIABLE}}}"
BASE_URL = "OPENAI_BASE_URL"
"""Environment variable that names another place for ``openai:`` models, as OpenAI's own clients read it."""


def is_remote(name: str) -> bool:
    """Whether a name is one of a model behind a server."""
    return name.startswith(SERVER) or (name.split(":", 1)[0] in PROVIDERS and ":" in name)


def reference_of(name: str) -> ModelReference:
    """The reference to a model by its name.

    Raises:
        UserError: the name is incomplete, or holds a password.
    """
    prefix, _, rest = name.partition(":")
    model, url = rest, ""
    settings: dict[str, Any] = {}
    if prefix == "server":
        model, at, url = rest.rpartition("@http")
        url = f"http{url}" if at else ""
        if not url:
            raise UserError(f"model '{name}': write server:MODEL@URL, such as server:qwen@{EXAMPLE}")
        checked_url(url, INSTEAD)
    else:
        provider = PROVIDERS[prefix]
        url = "${OPENAI_BASE_URL}" if prefix == "openai" and os.environ.get(BASE_URL) else provider.url
        checked_url(expanded(url), INSTEAD)
        settings = {"provider": prefix, "key": f"${{{provider.key}}}"}
    if not model:
        raise UserError(f"model '{name}': the name of the model is missing")
    stated = RemoteModel(model=model, **settings).model_dump(mode="json", exclude_defaults=True)
    return ModelReference(name=name, family="remote", location=url, settings=stated)


def is_this_machine(url: str) -> bool:
    """Whether a URL leads to this very machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
