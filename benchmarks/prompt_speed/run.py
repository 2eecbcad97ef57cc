"""CPU time of answering prompts: AutoAdapt beside lm-evaluation-harness, on one core, with the same model and prompts.

pip install lm-eval
python benchmarks/prompt_speed/run.py MODEL [--data sst2] [--rows 100] [--only nearest]

Both are given the same prompts (with the model's chat template) and score the same labels. The harness is asked by its
own batched loglikelihood, after it has encoded every pair of prompt and label as it does; AutoAdapt chooses examples,
renders, encodes, prepares what prompts share, and answers. Ratios of CPU time are medians over rounds, in turn.
"""

import argparse
import json
import os
import random
import statistics
import time
from pathlib import Path

import torch
from lm_eval.models.huggingface import HFLM

from autoadapt.domain.method import Decoding
from autoadapt.domain.rows import Row
from autoadapt.models.causal_lm import language_model
from autoadapt.models.causal_lm.answering import Answerer
from autoadapt.models.causal_lm.encoding import Encoder
from autoadapt.prompts.rendering import Prompt
from autoadapt.shelves import FAMILIES, SELECTORS
from autoadapt.tasks.space import load_space

SHARED = Path(os.environ.get("AUTOADAPT_SHARED", Path(__file__).parents[3] / "shared"))
KINDS = (
    ("none", 0, ""),
    ("options", 0, ""),
    ("none", 8, "balanced"),
    ("none", 8, "nearest"),
    ("options", 8, "nearest"),
)


def rows_of(file: Path, count: int) -> list[Row]:
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    rows = [Row(id=i, input=line["text"], outputs=[line["label"]]) for i, line in enumerate(lines)]
    return random.Random(0).sample(rows, count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--data", default="sst2")
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--ours-alone", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    place = FAMILIES.get("causal_lm").find(asked.model, Path(), False).place
    lm, space = language_model.load(place, "cpu"), load_space("joint", Path())
    train = rows_of(SHARED / "data" / asked.data / "train.jsonl", 300)
    inputs = [row.input for row in rows_of(SHARED / "data" / asked.data / "validation.jsonl", asked.rows)]
    labels = sorted({row.outputs[0] for row in train})
    print(f"{asked.model}, {asked.data}: {len(labels)} labels, {len(inputs)} rows, one thread, fp32")
    print("instruction  shots  selector  tokens  ours s  harness s  ratio  same label  largest difference")
    for instruction, shots, selector in KINDS:
        if asked.only not in f"{instruction} {shots} {selector}":
            continue
        select = SELECTORS.get(selector).prepare(train, shots, 0) if shots else None
        prompt = Prompt(space.templates["input_output"], space.instructions[instruction], labels)
        encoder = Encoder(lm, prompt, select, 16, False)
        model = Answerer(lm, encoder, labels, decoding=Decoding())
        harness = HFLM(
            pretrained=lm.model, tokenizer=lm.tokenizer, batch_size=32, device="cpu", max_length=lm.context_length
        )
        ours_s, theirs_s = [], []
        for _ in range(asked.rounds):
            begun = time.process_time()
            model.prepare(inputs)
            answers = model.answer(inputs)
            ours_s.append(time.process_time() - begun)
            if asked.ours_alone:
                continue
            encoded = [encoder.encode(text).ids for text in inputs]
            texts = [lm.tokenizer.decode(ids) for ids in encoded]
            begun = time.process_time()
            for text in texts:
                for label in labels:
                    harness._encode_pair(text, f" {label}")
            requests = [
                ((text, label), ids, encoder.answer(label))
                for text, ids in zip(texts, encoded, strict=True)
                for label in labels
            ]
            scores = harness._loglikelihood_tokens(requests, disable_tqdm=True)
            theirs_s.append(time.process_time() - begun)
        tokens = statistics.mean(answer.tokens_in for answer in answers)
        ours = statistics.median(ours_s)
        line = f"{instruction:<11}  {shots:>5}  {selector or '-':<8}  {tokens:6.0f}  {ours:6.2f}"
        if not asked.ours_alone:
            table = torch.tensor([score for score, _ in scores]).view(len(inputs), len(labels)).log_softmax(-1)
            same = sum(labels[int(row.argmax())] == a.text for row, a in zip(table, answers, strict=True)) / len(inputs)
            difference = (table - torch.tensor([a.log_probs for a in answers])).abs().max().item()
            ratio = statistics.median(t / o for t, o in zip(theirs_s, ours_s, strict=True))
            line += f"  {statistics.median(theirs_s):9.2f}  {ratio:5.2f}  {same:10.3f}  {difference:18.1e}"
        print(line, flush=True)


if __name__ == "__main__":
    main()
