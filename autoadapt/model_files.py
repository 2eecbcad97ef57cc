"""Model folders: found by name, checked, and what their config.json and the headers of their weights state.

A name is one of `autoadapt.named_models`, a local folder or a hub id; no weights are read.
"""

import contextlib
import difflib
import functools
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoadapt.errors import Exit, UserError
from autoadapt.named_models import NAMED, required_folder

if TYPE_CHECKING:
    from tokenizers import Tokenizer

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
NO_LIMIT = 10**6
"""A context length of so many tokens or more means that there is no limit."""
# fmt: off
POSITIONS_BEHIND_PADDING = frozenset(
    [
        "camembert", "data2vec-text", "ibert", "longformer", "mpnet", "roberta", "roberta-prelayernorm", "xlm-roberta",
        "xlm-roberta-xl", "xmod",
    ]
)
"""Types of models that use fewer positions than their configuration states."""
ENCODERS = POSITIONS_BEHIND_PADDING | frozenset(
    [
        "albert", "bert", "big_bird", "convbert", "deberta", "deberta-v2", "distilbert", "electra", "ernie", "esm",
        "eurobert", "gte", "jina_embeddings_v3", "layoutlm", "luke", "megatron-bert", "mobilebert", "modernbert", "mra",
        "nomic_bert", "nystromformer", "rembert", "roformer", "squeezebert", "yoso",
    ]
)
"""Types of models that read a whole text at once, unless their configuration says that they are decoders."""
# fmt: on
GENERATORS = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration", "DoubleHeadsModel")
"""How the names of architectures end that write text."""
FILES = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]


def find_model(name: str, base: Path, download: bool) -> Path:
    """The folder of a model.

    Args:
        name: of a named model, a folder (relative to `base`), or a hub id ``owner/name``.
        base: folder of the task file.
        download: fetch it from the hub where it is not in the cache; otherwise only look.

    Raises:
        UserError: there is none, or it must not be used (pickled weights, code of its own).
    """
    if name in NAMED:
        folder = required_folder(name)
        check_model_folder(folder, name)
        return folder
    folder = (base / name).expanduser()
    if folder.is_dir():
        check_model_folder(folder, name)
        return folder.resolve()
    if not HUB_ID.fullmatch(name):
        raise unknown_model(name, base)
    return _snapshot(name, download)


def is_model_name(name: str, base: Path) -> bool:
    """Whether a name could be a model folder: a named model, a folder that exists, or a text formed like a hub id.

    Args:
        name: as written in the task.
        base: folder of the task file.
    """
    return name in NAMED or bool(HUB_ID.fullmatch(name)) or (base / name).expanduser().is_dir()


def names_encoder(name: str, base: Path) -> bool:
    """Whether a name is that of an encoder, which reads a whole text at once and writes none.

    Its configuration decides: in the folder, in the hub's cache, or what the hub states. Where none can be had, as when
    the hub cannot be reached, the name is not taken for an encoder's.

    Args:
        name: as written in the task.
        base: folder of the task file.
    """
    if name in NAMED:
        return NAMED[name].family == "encoder"
    folder = (base / name).expanduser()
    if folder.is_dir():
        return is_encoder(read_config(folder))
    return bool(HUB_ID.fullmatch(name)) and is_encoder(_hub_config(name))


def is_encoder(config: Mapping[str, Any]) -> bool:
    """Whether a configuration is an encoder's; one that is also used as a decoder says so itself.

    Args:
        config: content of config.json.
    """
    if config.get("is_decoder") or config.get("model_type") not in ENCODERS:
        return False
    return not any(str(name).endswith(GENERATORS) for name in config.get("architectures") or [])


def unknown_model(name: str, base: Path) -> UserError:
    """The error for a name that no family of models claims; it suggests the nearest model folder.

    Args:
        name: as written in the task.
        base: folder of the task file.
    """
    folder = (base / name).expanduser()
    known = [*NAMED, *(str(Path(name).parent / p.name) for p in _models_beside(folder))]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.3)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return UserError(f"model '{name}': no such folder ({folder}), and no hub id (owner/name).{hint}")


def read_config(folder: Path) -> dict[str, Any]:
    """The content of a model folder's config.json; empty where there is none or it cannot be read."""
    return _read_object(folder / "config.json")


def known_config(location: str) -> dict[str, Any]:
    """The content of config.json of a folder, or what the hub states of a repository; empty where neither is known.

    Args:
        location: a folder or the name of a repository.
    """
    return read_config(Path(location)) if Path(location).is_dir() else _hub_config(location)


def context_length(folder: Path) -> int | None:
    """Greatest number of tokens that model and tokenizer take, by their configuration files; None: no limit stated."""
    stated = (
        usable_positions(read_config(folder)),
        _read_object(folder / "tokenizer_config.json").get("model_max_length"),
    )
    # tokenizers without a limit state 10^30
    return min((int(n) for n in stated if isinstance(n, int | float) and 0 < n < NO_LIMIT), default=None)


def usable_positions(config: Mapping[str, Any]) -> int | None:
    """Greatest number of tokens by a configuration's positions; None: it states none.

    Args:
        config: content of config.json.
    """
    positions = config.get("max_position_embeddings")
    if not isinstance(positions, int) or positions <= 0:
        return None
    # these count positions from behind the padding token's id
    padding = config.get("pad_token_id") if config.get("model_type") in POSITIONS_BEHIND_PADDING else None
    return positions - padding - 1 if isinstance(padding, int) else positions


def cached_numbers(config: Mapping[str, Any], tokens: int) -> int:
    """Numbers in the keys and values that a decoder keeps of one text; 0 where the configuration does not tell.

    Layers with a sliding window keep that many tokens. Layers that keep a state of fixed size (linear attention, state
    spaces) count as none, and those of multi-head latent attention by the width that `head_dim` states, which is less
    than theirs.

    Args:
        config: content of config.json.
        tokens: of the text, its answer included.
    """
    text = config.get("text_config") or config
    layers, heads = (
        _first_count(text, "num_hidden_layers", "n_layer"),
        _first_count(text, "num_attention_heads", "n_head"),
    )
    width = text.get("head_dim") or _first_count(text, "hidden_size", "n_embd") // max(1, heads)
    # models of before grouped queries state one key and value head in another way, or as many as there are heads
    shared = 1 if text.get("multi_query") else heads
    pairs = text.get("num_key_value_heads") or shared
    window = text.get("sliding_window") if text.get("use_sliding_window", True) else None
    kinds = text.get("layer_types") or ["full_attention" if window is None else "sliding_attention"] * layers
    kept = {"full_attention": tokens, "sliding_attention": min(tokens, window or tokens)}
    kept["chunked_attention"] = min(tokens, text.get("attention_chunk_size") or tokens)
    return int(2 * pairs * width * sum(kept.get(kind, 0) for kind in kinds))


def _first_count(config: Mapping[str, Any], *names: str) -> int:
    """The first of these numbers that a configuration states; 0: none of them."""
    return next((int(config[name]) for name in names if isinstance(config.get(name), int)), 0)


def count_weights(folder: Path) -> int:
    """Number of weights in a model folder, by the headers of its safetensors files; 0 where there are none.

    Raises:
        UserError: a file is damaged, or not in the safetensors format.
    """
    from safetensors import SafetensorError, safe_open

    total = 0
    for file in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(file, framework="numpy") as weights:
                total += sum(math.prod(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise UserError(
                f"model folder {folder}: {file.name} is damaged, or was cut off while it was copied ({error}); copy "
                "the model again"
            ) from error
    return total


def has_chat_template(folder: Path) -> bool:
    """Whether the tokenizer of a model folder says how a conversation is written."""
    beside = any((folder / name).is_file() for name in ("chat_template.jinja", "chat_template.json"))
    return beside or bool(_read_object(folder / "tokenizer_config.json").get("chat_template"))


def _read_object(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


@functools.cache
def _hub_config(name: str) -> dict[str, Any]:
    """The configuration of a hub repository, from the cache or as the hub states it in short.

    Empty where it cannot be had, for a reason that `find_model` explains.
    """
    import httpx2
    import huggingface_hub
    from huggingface_hub import errors

    cached = huggingface_hub.try_to_load_from_cache(name, "config.json")
    if isinstance(cached, str):
        return _read_object(Path(cached))
    with contextlib.suppress(errors.HfHubHTTPError, httpx2.HTTPError, OSError, ValueError):
        return dict(huggingface_hub.HfApi().model_info(name, expand=["config"]).config or {})
    return {}


def _models_beside(folder: Path) -> list[Path]:
    try:
        return [p for p in folder.parent.iterdir() if (p / "config.json").is_file()]
    except OSError:
        return []


def _snapshot(name: str, download: bool) -> Path:
    import httpx2
    import huggingface_hub
    from huggingface_hub import errors
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    try:
        folder = Path(huggingface_hub.snapshot_download(name, allow_patterns=FILES, local_files_only=True))
        check_model_folder(folder, name)
        return folder
    except (errors.LocalEntryNotFoundError, UserError):
        pass  # not in the cache, or only half of it
    try:
        if download:
            folder = Path(huggingface_hub.snapshot_download(name, allow_patterns=FILES))
            check_model_folder(folder, name)
            return folder
        listed = huggingface_hub.HfApi().model_info(name).siblings or []
        if not any(f.rfilename.endswith(".safetensors") for f in listed):
            raise UserError(f"model '{name}': its repository has no safetensors weights, and pickled ones are refused")
        return Path(name)
    except errors.GatedRepoError as error:
        raise UserError(
            f"model '{name}' is gated: accept its terms on its page, then sign in with `hf auth login`", Exit.PROVIDER
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise UserError(
            f"model '{name}': the hub has no such repository (or it is private: `hf auth login`)"
        ) from error
    except (errors.HfHubHTTPError, httpx2.HTTPError, OSError, ValueError) as error:
        begun = isinstance(huggingface_hub.try_to_load_from_cache(name, "config.json"), str)
        cause = "it is in the cache only in part" if begun else "it is not in the cache"
        raise UserError(
            f"model '{name}': the hub cannot be reached and {cause}; connect, or give a local folder",
            Exit.ENVIRONMENT,
        ) from error


def check_model_folder(folder: Path, name: str) -> None:
    """Checks that a folder holds a model that can be loaded safely: its configuration, tokenizer and headers are read.

    Raises:
        UserError: what is missing, damaged or refused.
    """
    if not (folder / "config.json").is_file():
        raise UserError(f"model '{name}': {folder} has no config.json; it should be a transformers model folder")
    for file in ("config.json", "tokenizer_config.json"):
        if "auto_map" in _object_in(folder / file, name):
            raise UserError(
                f"model '{name}' needs code of its own (auto_map in {file}), which is refused; "
                "choose a model that transformers supports itself"
            )
    if not any(folder.glob("*.safetensors")):
        pickled = [p.name for p in folder.glob("*.bin")] + [p.name for p in folder.glob("*.pt")]
        lack = (
            f"only pickled weights ({pickled[0]}), which are refused: convert them to safetensors"
            if pickled
            else "no weights (*.safetensors): copy the model again"
        )
        raise UserError(f"model '{name}': {folder} has {lack}")
    _check_weights(folder, name)
    if not any((folder / f).is_file() for f in ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")):
        raise UserError(f"model '{name}': {folder} has no tokenizer (tokenizer.json); copy the model again")
    tokenizer_of(folder)


def _object_in(file: Path, name: str) -> dict[str, Any]:
    """The object in a JSON file of a model folder; empty where there is no such file."""
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"model '{name}': {file.name} is not valid JSON ({error}); copy the model again") from error
    if not isinstance(value, dict):
        raise UserError(
            f"model '{name}': {file.name} holds a {type(value).__name__} and no object of settings; copy the model "
            "again"
        )
    return value


def _check_weights(folder: Path, name: str) -> None:
    """Checks that every file of weights is there and whole, by the index and the headers."""
    shards = _object_in(folder / "model.safetensors.index.json", name).get("weight_map")
    stated = set(shards.values()) if isinstance(shards, dict) else set()
    if missing := sorted(str(file) for file in stated if not (folder / str(file)).is_file()):
        raise UserError(
            f"model '{name}': {folder} lacks {missing[0]}, which model.safetensors.index.json names; copy the model "
            "again"
        )
    if count_weights(folder) == 0:
        raise UserError(f"model '{name}': the safetensors files of {folder} hold no weights; copy the model again")


@functools.lru_cache(maxsize=8)
def tokenizer_of(folder: Path) -> "Tokenizer | None":
    """The tokenizer of a model folder; None where it is not in the format of the package tokenizers.

    Raises:
        UserError: its file is damaged.
    """
    from tokenizers import Tokenizer

    file = folder / "tokenizer.json"
    if not file.is_file():
        return None
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the package raises nothing more exact
        raise UserError(f"model folder {folder}: tokenizer.json is damaged ({error}); copy the model again") from error
    tokenizer.no_truncation()
    return tokenizer
