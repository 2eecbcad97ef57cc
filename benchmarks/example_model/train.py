"""Train the tiny causal language model that `examples/` runs on, from scratch, on one or two CPU cores.

A Llama of about 3M parameters with a byte-level BPE vocabulary (no unknown characters), trained on public documents and
on multi-task prompt episodes: several labelled texts in a row in one randomly drawn format, the labels listed or not,
the label words real or replaced by random words, so that the model learns to follow lists of labels and to copy the
pattern of examples. Reads the corpus folder and the *train* splits named in SOURCES; never a validation or test row.

    python benchmarks/example_model/train.py --shared ../shared --out examples/model --minutes 60

Prints, every two minutes, the loss and the accuracy of 4-way episodes on tasks kept out of training (trec6, sst2).
"""

import argparse
import gzip
import json
import math
import random
import time
from collections import defaultdict
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

SOURCES = ("banking77", "snips_slots", "medical_abstracts")  # train splits only; trec6 and sst2 are held out
WORDS = (  # noqa: SIM905
    "red blue green black white gold alpha beta gamma delta north south east west apple pear plum cherry one two "
    "three four five six lion tiger bear wolf eagle river stone cloud A B C D E F x y z w foo bar baz qux monday "
    "friday winter summer iron copper silver zinc piano drum violin flute oak pine maple cedar"
).split()


def read_jsonl(path):
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def load_tasks(shared):
    """name -> {noun, attribute, question, rows: {label: [text]}} from the corpus and from the train splits."""
    meta = json.loads((shared / "corpus/tasks.meta.json").read_text())
    rows = defaultdict(lambda: defaultdict(list))
    for row in read_jsonl(shared / "corpus/tasks.jsonl.gz"):
        rows[row["task"]][row["label"]].append(" ".join(row["text"].split()[:50]))
    tasks = {n: {**{k: m[k] for k in ("noun", "attribute", "question")}, "rows": rows[n]} for n, m in meta.items()}
    for name, noun, attribute, question in (
        ("banking77", "Message", "Intent", "What does the customer want?"),
        ("snips_slots", "Request", "Intent", "What is the intent of this request?"),
        ("medical_abstracts", "Abstract", "Topic", "What is this abstract about?"),
        ("trec6", "Question", "Type", "What kind of answer does this question ask for?"),
        ("sst2", "Review", "Sentiment", "Is this review positive or negative?"),
    ):
        split = defaultdict(list)
        for row in read_jsonl(shared / f"data/{name}/train.jsonl"):
            if name == "snips_slots":
                intent = json.loads(row["completion"])["intent"]
                label = "".join(" " + c.lower() if c.isupper() else c for c in intent).strip()
                split[label].append(row["prompt"])
            else:
                split[row["label"]].append(" ".join(row["text"].split()[:50]))
        tasks[name] = {"noun": noun, "attribute": attribute, "question": question, "rows": split}
    return tasks


def make_tokenizer(texts, size, out):
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    bpe.decoder = decoders.ByteLevel()
    special = ["<pad>", "<s>", "</s>"]
    bpe.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=size,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    bpe.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        padding_side="left",
        model_max_length=512,
        model_input_names=["input_ids", "attention_mask"],
    )
    tokenizer.save_pretrained(out)
    return tokenizer


class Episodes:
    """Random prompt episodes as (token ids, loss weights); the answers weigh most."""

    def __init__(self, tasks, tokenizer, seed):
        self.random = random.Random(seed)
        self.tasks, self.names = tasks, list(tasks)
        self.weights = [math.sqrt(min(20000, sum(map(len, t["rows"].values())))) for t in tasks.values()]
        if "banking77" in tasks:
            self.weights[self.names.index("banking77")] *= 3  # many labels: the richest source of new label sets
        self.cache = {}
        self.tokenizer = tokenizer

    def encode(self, text):
        ids = self.cache.get(text)
        if ids is None:
            ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
            if len(self.cache) < 400_000:
                self.cache[text] = ids
        return ids

    def style(self, task, shown):
        r, noun, attribute, question = self.random, task["noun"], task["attribute"], task["question"]
        options = ", ".join(shown)
        before, after = r.choice(
            [
                (f"{noun}: ", f"\n{attribute}:"),
                ("Text: ", "\nLabel:"),
                ("Input: ", "\nOutput:"),
                ("", "\nAnswer:"),
                ("", " =>"),
                ("", f"\nQuestion: {question}\nAnswer:"),
                (f"{noun}: ", "\nAnswer:"),
                ("", f"\n{attribute}:"),
                ("Text: ", f"\nOptions: {options}\nAnswer:"),
                ("", f"\nWhich one: {options}?\nAnswer:"),
            ]
        )
        head = r.choice(
            [
                "",
                "",
                f"{question}\n\n",
                f"Classify each {noun.lower()}.\n\n",
                f"Classify the text as one of: {options}.\n\n",
                f"Choose one of: {options}.\n\n",
                f"Labels: {options}\n\n",
                f"{question} Answer with one of these labels: {options}.\n\n",
            ]
        )
        return head, before, after

    def draw(self, shots=None, ways=None, names=None, rename=None):
        """Returns (ids, weights, (last answer position, its label, shown labels)); drawn anew on each call."""
        r = self.random
        task = self.tasks[r.choice(names) if names else r.choices(self.names, self.weights)[0]]
        labels = list(task["rows"])
        k = min(len(labels), ways or r.choice([2, 3, 4, 5, 6, 8]))
        labels = r.sample(labels, k)
        rename = r.random() < 0.35 if rename is None else rename
        shown = dict(zip(labels, r.sample(WORDS, k) if rename else labels, strict=True))
        head, before, after = self.style(task, list(shown.values()))
        shots = r.choice([0, 0, 1, 2, 4, 6, 8, 12] if not rename else [4, 6, 8, 12]) if shots is None else shots
        chosen = r.choices(labels, k=shots + 1)
        if shots >= k and r.random() < 0.7:  # every label seen once, so that copying pays
            chosen = r.sample(labels, k) + r.choices(labels, k=shots - k)
            r.shuffle(chosen)
            chosen.append(r.choice(labels))
        ids, weights = [1], [0.0]
        if head:
            ids += self.encode(head)
            weights += [0.1] * (len(ids) - 1)
        for i, label in enumerate(chosen):
            text = r.choice(task["rows"][label])
            x = self.encode(before + text + after) if before else self.encode(text) + self.encode(after)
            y = self.encode(" " + shown[label])
            e = self.encode("\n\n") if i < len(chosen) - 1 else [2]
            ids += x + y + e
            weight = 4.0 if rename and i < 2 else 10.0
            weights += [0.1] * len(x) + [weight] * len(y) + [0.5] * len(e)
        return ids, weights, (shown, chosen[-1], len(y) + 1)


def copy_episode(episodes, e2e):
    """Data to text and extraction, for free-text answers."""
    r = episodes.random
    rows = r.sample(e2e, r.choice([1, 2, 3]))
    before, after = r.choice([("", "\nAnswer:"), ("Input: ", "\nOutput:"), ("Text: ", "\nAnswer:")])
    back = r.random() < 0.3
    ids, weights = [1], [0.0]
    for i, row in enumerate(rows):
        source, target = (row["completion"], row["prompt"]) if back else (row["prompt"], row["completion"])
        x, y = episodes.encode(before + source + after), episodes.encode(" " + target)
        e = episodes.encode("\n\n") if i < len(rows) - 1 else [2]
        ids += x + y + e
        weights += [0.1] * len(x) + [1.0] * len(y) + [0.5] * len(e)
    return ids, weights


@torch.no_grad()
def probe(model, episodes, shots, ways, names, rename, n=150):
    """Share of episodes whose right label has the greatest log-likelihood among those shown."""
    right = 0
    for _ in range(n):
        ids, _, (shown, label, tail) = episodes.draw(shots, ways, names, rename)
        prefix = ids[:-tail]
        answers = [episodes.encode(" " + s) for s in shown.values()]
        longest = max(map(len, answers))
        batch = torch.tensor([(prefix + a + [0] * (longest - len(a)))[-1024:] for a in answers])
        logits = model(input_ids=batch).logits.log_softmax(-1)
        scores = [sum(logits[i, len(prefix) - 1 + j, t].item() for j, t in enumerate(a)) for i, a in enumerate(answers)]
        right += list(shown)[max(range(len(scores)), key=scores.__getitem__)] == label
    return right / n


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--shared", type=Path, default=Path("../shared"))
    ap.add_argument("--out", type=Path, default=Path("examples/model"))
    ap.add_argument("--minutes", type=float, default=60)
    ap.add_argument("--lr", type=float, default=3e-3)
    ap.add_argument("--batch", type=int, default=16)
    ap.add_argument("--length", type=int, default=320)
    ap.add_argument("--vocabulary", type=int, default=6144)
    ap.add_argument("--hidden", type=int, default=192)
    ap.add_argument("--layers", type=int, default=4)
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--seed", type=int, default=0)
    args = ap.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    rng = random.Random(args.seed)

    tasks = load_tasks(args.shared)
    documents = [row["text"] for row in read_jsonl(args.shared / "corpus/documents.jsonl.gz")]
    e2e = read_jsonl(args.shared / "data/e2e_nlg/train.jsonl")
    sample = [d[:2000] for d in rng.sample(documents, 8000)]
    sample += [t for task in tasks.values() for rows in task["rows"].values() for t in rows[:200]]
    args.out.mkdir(parents=True, exist_ok=True)
    tokenizer = make_tokenizer(sample, args.vocabulary, args.out)

    held_out = {n: tasks.pop(n) for n in ("trec6", "sst2")}
    train, probes = Episodes(tasks, tokenizer, args.seed), Episodes({**tasks, **held_out}, tokenizer, 99)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=args.hidden,
            intermediate_size=args.hidden * 8 // 3 // 64 * 64,
            num_hidden_layers=args.layers,
            num_attention_heads=args.hidden // 32,
            num_key_value_heads=args.hidden // 64,
            max_position_embeddings=1024,
            tie_word_embeddings=True,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
        )
    )
    print(
        f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f}M parameters, vocabulary {len(tokenizer)}", flush=True
    )
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}],
        lr=args.lr,
        betas=(0.9, 0.95),
        fused=True,
    )

    def sequence():
        ids, weights = [], []
        kind = rng.random()
        while len(ids) < args.length:
            if kind < 0.25:
                text = rng.choice(documents)
                start = rng.randrange(max(1, len(text) - 1500))
                x = [1, *train.encode(text[start : start + 1500])]
                w = [1.0] * len(x)
            elif kind < 0.32:
                x, w = copy_episode(train, e2e)
            else:
                x, w, _ = train.draw()
            if ids and len(ids) + len(x) > args.length:
                break
            ids, weights = ids + x, weights + w
        ids, weights = ids[: args.length], weights[: args.length]
        short = args.length - len(ids)
        return ids + [0] * short, weights + [0.0] * short

    started = told = time.time()
    step = tokens = 0
    losses = []
    while (spent := time.time() - started) < args.minutes * 60:
        progress = spent / (args.minutes * 60)
        rate = args.lr * min(1, (step + 1) / 200) * (0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * progress)))
        for group in optimizer.param_groups:
            group["lr"] = rate
        ids, weights = map(torch.tensor, zip(*[sequence() for _ in range(args.batch)], strict=True))
        logits = model(input_ids=ids).logits[:, :-1]
        weights = weights[:, 1:]
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
        loss = (loss * weights.flatten()).sum() / weights.sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
        tokens += ids.numel()
        losses.append(loss.item())
        if time.time() - told > 120:
            told = time.time()
            model.eval()
            scores = {
                "trec6 4-way zero-shot": probe(model, probes, 0, 4, ["trec6"], False),
                "sst2 zero-shot": probe(model, probes, 0, 2, ["sst2"], False),
                "trec6 3-way renamed 8-shot": probe(model, probes, 8, 3, ["trec6"], True),
                "banking77 3-way renamed 8-shot": probe(model, probes, 8, 3, ["banking77"], True),
            }
            model.train()
            print(
                f"step {step} {tokens / 1e6:.1f}M tokens {tokens / spent:.0f}/s lr {rate:.1e} "
                f"loss {sum(losses[-100:]) / len(losses[-100:]):.3f} "
                + " ".join(f"| {k} {v:.2f}" for k, v in scores.items()),
                flush=True,
            )
            model.save_pretrained(args.out)
    half = model.half()
    half.save_pretrained(args.out)
    print(f"saved {args.out}: {(args.out / 'model.safetensors').stat().st_size / 1e6:.1f} MB after {step} steps")


if __name__ == "__main__":
    main()
