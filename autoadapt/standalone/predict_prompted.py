"""Answers by a language model behind a prompt: a label by its likelihood, or a text; needs torch and transformers."""

import copy
import inspect
import json
import math
from pathlib import Path
from typing import Any

import predict_loading as loading
import predict_reasoning as writing
import torch
from jinja2 import StrictUndefined, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment
from predict_examples import Examples
from transformers import (
    AutoModelForCausalLM,
    GenerationConfig,
    LogitsProcessorList,
    StoppingCriteriaList,
)
from transformers.cache_utils import DynamicCache, DynamicSlidingWindowLayer

LEAST_LOG_PROBABILITY = math.log(1e-6)
"""Of a label that a prompt does not offer."""


class Option:
    """A language model behind a prompt.

    Args:
        folder: with the model, its tokenizer, option.json, and examples.jsonl where the prompt shows examples.
        device: `cpu` or `cuda`; None: a GPU where there is one.
    """

    def __init__(self, folder: Path, device: str | None = None) -> None:
        option = json.loads((folder / "option.json").read_text(encoding="utf-8"))
        self.device = loading.chosen_device(device)
        self.tokenizer = loading.load_tokenizer(folder)
        self.tokenizer.padding_side = "left"
        self.model = loading.load_model(
            AutoModelForCausalLM, folder, option["precision"], attn_implementation="sdpa"
        ).to(self.device)
        self.keep = "logits_to_keep" in inspect.signature(type(self.model).forward).parameters
        self.start = loading.start_ids(self.tokenizer)
        self.chat = bool(getattr(self.tokenizer, "chat_template", None))
        self.names: list[str] = option["labels"] or []
        self.labels: list[str] = [] if option["multi_label"] else self.names
        self.decoding, self.tuned = option["decoding"], option["decoding"]["tuned"]
        self.max_new_tokens = option["max_new_tokens"]
        environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
        environment.globals["multi_label"] = option["multi_label"]
        self.template = environment.from_string(option["prompt"]["template"])
        self.instruction = environment.from_string(option["prompt"]["instruction"])
        self.examples = Examples(folder, option, self._vector)
        self.passages: Any = None
        if option.get("retrieval"):
            from predict_passages import Passages

            self.passages = Passages(folder, option["retrieval"])
        named = meta.find_undeclared_variables(environment.parse(option["prompt"]["template"]))
        self.places_passages = "passages" in named
        self.reasons = self.decoding["reasoning"] == "steps"
        whole = [self._answer_ids(label) for label in self.labels]
        room = max(map(len, whole)) if whole else self.max_new_tokens
        self.reasoning_room = self.decoding["reasoning_tokens"] + writing.MARKER_ROOM if self.reasons else 0
        self.context = loading.context_limit(self.model.config.to_dict(), self.tokenizer)
        self.limit = max(8, self.context - room - self.reasoning_room)
        self.label_ids = [self._behind_colon(label) for label in self.labels] if self.reasons else self._bare(whole)
        self.prefix: list[int] = []
        self.cache: Any = None
        layers = DynamicCache(config=self.model.config).layers
        windows = (one.sliding_window for one in layers if isinstance(one, DynamicSlidingWindowLayer))
        self.window: int | None = min(windows, default=None)
        """Tokens that the layer which sees least of them sees; None: all see all."""

    @torch.no_grad()
    def answer(self, texts: list[str]) -> list[dict[str, Any]]:
        """Answers with their confidences, and the log-probability of every label where one label is chosen."""
        shown = [self._encode(text) for text in texts]
        encoded, offered = [ids for ids, _ in shown], [labels for _, labels in shown]
        if not encoded:
            return []
        if self.reasons or self.decoding["temperature"] > 0 or self.decoding["samples"] > 1:
            return self._answer_by_writing(texts, encoded, offered)
        bias = self._prepare(encoded) if self.labels else None
        answers: list[dict[str, Any]] = [{} for _ in texts]
        written = self._most_tokens() * self.decoding["num_beams"]
        lengths = [len(ids) for ids in encoded]
        for batch in loading.batches(lengths, self.device, written, len(self.prefix), not self.labels):
            chosen = [encoded[i] for i in batch]
            if self.labels:
                done = self._choose(chosen, bias, [offered[i] for i in batch] if self.examples.count else None)
            else:
                done = self._write(chosen)
            for i, one in zip(batch, done, strict=True):
                answers[i] = one
        return answers

    def _most_tokens(self) -> int:
        """Tokens of an answer, or of all labels that are scored behind a prompt, at most."""
        longest = sorted(map(len, self.label_ids), reverse=True)
        return sum(longest[: self.examples.count or None]) if self.labels else self.max_new_tokens

    # -- from a text to token ids

    def _inert(self, text: str) -> str:
        return loading.inert(text, self.tokenizer)

    @torch.no_grad()
    def _vector(self, text: str) -> Any:
        """The mean of the states of a text's tokens."""
        ids = self.start + list(self.tokenizer(self._inert(text), add_special_tokens=False)["input_ids"])
        batch = torch.tensor([(ids or [self.tokenizer.pad_token_id])[: self.context]], device=self.device)
        return self.model.base_model(input_ids=batch).last_hidden_state[0].float().mean(0).cpu().numpy()

    def _ids(self, text: str, examples: list[dict[str, Any]], offered: list[str], passages: list[str]) -> list[int]:
        labels = offered or self.names
        instruction = self.instruction.render(labels=labels).strip()
        shown = [{"input": self._inert(e["input"]), "output": self._inert(e["outputs"][0])} for e in examples]
        if self.passages is not None and not self.places_passages:
            text = self.passages.beside(text, passages)
        variables = {"instruction": instruction, "labels": labels, "examples": shown, "input": text}
        variables["passages"] = passages
        prompt = self.template.render(**variables).rstrip()
        if self.reasons:
            prompt += writing.REQUEST if self.chat else writing.OPENING
        if self.chat:
            messages = [{"role": "user", "content": prompt}]
            prompt = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            return list(self.tokenizer(prompt, add_special_tokens=False)["input_ids"])
        return self.start + list(self.tokenizer(prompt, add_special_tokens=False)["input_ids"])

    def _encode(self, text: str) -> tuple[list[int], list[int]]:
        """The prompt, and the numbers of the labels that it offers.

        Of a prompt that does not fit, examples are dropped, then passages, then the input is cut.
        """
        offered = self.examples.offered(text)
        examples = self.examples.of(text, offered)
        passages = [self._inert(one) for one in self.passages.of(text)] if self.passages is not None else []
        text = self._inert(text)
        ids = self._ids(text, examples, offered, passages)
        while len(ids) > self.limit and examples:
            examples = examples[1:]
            ids = self._ids(text, examples, offered, passages)
        while len(ids) > self.limit and passages:
            passages = passages[:-1]
            ids = self._ids(text, examples, offered, passages)
        while len(ids) > self.limit and len(text) > 1:
            text = text[: max(1, int(len(text) * 0.95 * self.limit / len(ids)))]
            ids = self._ids(text, examples, offered, passages)
        return ids[: self.limit], [self.labels.index(label) for label in offered]

    def _answer_ids(self, text: str) -> list[int]:
        ids = self._tokenize(self._inert(text)) if self.chat else self._behind_colon(text)
        end = self.tokenizer.eos_token_id
        return ids + ([end] if self.tuned and end is not None else [])

    def _behind_colon(self, text: str) -> list[int]:
        """Tokenizers may put a space of their own before a text, so it is encoded behind a colon."""
        text = self._inert(text)
        anchor, whole = self._tokenize(":"), self._tokenize(": " + text)
        behind = whole[: len(anchor)] == anchor and len(whole) > len(anchor)
        return whole[len(anchor) :] if behind else self._tokenize(" " + text)

    def _tokenize(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _bare(self, whole: list[list[int]]) -> list[list[int]]:
        """Label tokens without the end token, unless one label begins another: then it decides between them."""
        if not self.tuned or not all(ids[-1:] == [self.tokenizer.eos_token_id] for ids in whole):
            return whole
        bare = [ids[:-1] for ids in whole]
        return whole if any(a is not b and b[: len(a)] == a for a in bare for b in bare) else bare

    # -- labels

    def _prepare(self, encoded: list[list[int]]) -> torch.Tensor | None:
        """Computes what all prompts share once; gives the scores that are subtracted where they are calibrated."""
        first, last = min(encoded), max(encoded)
        pairs = list(zip(first, last, strict=False))
        same = next((i for i, (a, b) in enumerate(pairs) if a != b), len(pairs))
        shared = first[: min(same, min(map(len, encoded)) - 1)]
        self.prefix, self.cache = [], None
        if len(shared) >= 2 and self._fit_window(encoded):
            ids = torch.tensor([shared], device=self.device)
            self.cache = self.model(input_ids=ids, use_cache=True).past_key_values
            self.prefix = shared
        return self._scores([self._encode("N/A")[0]])[0] if self.decoding["label_score"] == "calibrated" else None

    def _choose(
        self, encoded: list[list[int]], bias: torch.Tensor | None, offered: list[list[int]] | None
    ) -> list[dict[str, Any]]:
        scores = self._scores(encoded, offered)
        if self.decoding["label_score"] == "mean":
            scores = scores / torch.tensor([len(ids) for ids in self.label_ids], device=scores.device)
        if bias is not None:
            scores = scores - bias
        answers = []
        numbers = scores.log_softmax(dim=-1)
        for log_probs in (numbers if offered is None else numbers.clamp(min=LEAST_LOG_PROBABILITY)).tolist():
            best = max(range(len(self.labels)), key=lambda k: log_probs[k])
            answer = {"answer": self.labels[best], "confidence": math.exp(log_probs[best]), "log_probs": log_probs}
            answers.append(answer)
        return answers

    def _scores(self, encoded: list[list[int]], offered: list[list[int]] | None = None) -> torch.Tensor:
        """Log-likelihood of labels behind every prompt, shape (prompts, labels); of those not offered it is -inf."""
        fits = self._fit_window(encoded)
        if not fits and max(map(len, self.label_ids)) > 1:
            return self._whole_scores(encoded, offered)
        prefix, cache, suffixes = self.prefix, None, encoded
        if prefix and fits and all(ids[: len(prefix)] == prefix and len(ids) > len(prefix) for ids in encoded):
            cache = copy.deepcopy(self.cache)
            cache.batch_repeat_interleave(len(encoded))
            suffixes = [ids[len(prefix) :] for ids in encoded]
        else:
            prefix = []
        ids, mask, positions = self._padded(suffixes, len(prefix))
        out = self.model(
            input_ids=ids.to(self.device),
            attention_mask=mask.to(self.device),
            position_ids=positions.to(self.device),
            past_key_values=cache,
            use_cache=True,
            **({"logits_to_keep": 1} if self.keep else {}),
        )
        first = out.logits[:, -1].float().log_softmax(-1)
        scores = first[:, torch.tensor([i[0] for i in self.label_ids], device=self.device)]
        scored = [list(range(len(self.labels)))] if offered is None else offered
        if max(len(self.label_ids[k]) for row in scored for k in row) > 1:
            scores = scores + self._tail(out.past_key_values, mask, positions[:, -1] + 1, scored)
        if offered is None:
            return scores
        places = torch.full(scores.shape, -math.inf)
        for i, row in enumerate(offered):
            places[i, row] = 0.0
        return scores + places.to(self.device)

    def _fit_window(self, prompts: list[list[int]]) -> bool:
        """Whether every layer sees all of each prompt and of a label behind it."""
        longest = max(map(len, prompts), default=0) + max(map(len, self.label_ids))
        return self.window is None or longest < self.window

    def _padded(self, texts: list[list[int]], kept: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Token ids of texts, padded at their beginnings, mask and positions, behind so many kept tokens."""
        width = max(map(len, texts))
        ids = torch.full((len(texts), width), self.tokenizer.pad_token_id, dtype=torch.long)
        mask = torch.zeros(len(texts), kept + width, dtype=torch.long)
        mask[:, :kept] = 1
        for i, row in enumerate(texts):
            ids[i, width - len(row) :] = torch.tensor(row)
            mask[i, kept + width - len(row) :] = 1
        lengths = torch.tensor([len(row) for row in texts])
        return ids, mask, (torch.arange(width)[None, :] - (width - lengths)[:, None]).clamp(min=0) + kept

    def _whole_scores(self, encoded: list[list[int]], offered: list[list[int]] | None) -> torch.Tensor:
        """The scores by a pass over whole prompts for each label: of kept ones keys have left the window."""
        scores = torch.full((len(encoded), len(self.label_ids)), -math.inf, device=self.device)
        for k, label in enumerate(self.label_ids):
            rows = [i for i in range(len(encoded)) if offered is None or k in offered[i]]
            if not rows:
                continue
            ids, mask, positions = self._padded([encoded[i] + label[:-1] for i in rows], 0)
            logits = self.model(
                input_ids=ids.to(self.device),
                attention_mask=mask.to(self.device),
                position_ids=positions.to(self.device),
                use_cache=False,
                **({"logits_to_keep": len(label)} if self.keep else {}),
            ).logits[:, -len(label) :]
            wanted = torch.tensor(label, device=self.device).expand(len(rows), -1)
            scores[rows, k] = logits.float().log_softmax(-1).gather(-1, wanted[..., None])[..., 0].sum(-1)
        return scores

    def _tail(self, cache: Any, mask: torch.Tensor, starts: torch.Tensor, scored: list[list[int]]) -> torch.Tensor:
        """Log-likelihood of labels' tokens after their first: those of a row in one pass, each seeing itself alone."""
        tails = [self._side_by_side(labels) for labels in scored]
        width, rows = max(len(tail[0]) for tail in tails), mask.shape[0]
        fed, targets, owner, depth = (
            torch.tensor([column + [fill] * (width - len(column)) for column in columns])
            for columns, fill in zip(zip(*tails, strict=True), (0, 0, -1, 0), strict=True)
        )
        tree = (owner[:, :, None] == owner[:, None, :]) & torch.ones(width, width, dtype=torch.bool).tril()
        seen = mask.bool()[:, None, :].expand(rows, width, -1)
        allowed = torch.cat([seen, tree.expand(rows, -1, -1)], dim=-1)[:, None]
        logits = self.model(
            input_ids=fed.expand(rows, -1).to(self.device),
            attention_mask=allowed.to(self.device),
            position_ids=(starts[:, None] + depth).to(self.device),
            past_key_values=cache,
            use_cache=True,
        ).logits.float()
        target = targets.expand(rows, -1).to(self.device)
        token = logits.gather(-1, target[..., None])[..., 0] - logits.logsumexp(-1)
        token = token * (owner >= 0).to(self.device)
        sums = torch.zeros(rows, len(self.label_ids), device=self.device)
        return sums.scatter_add(1, owner.clamp(min=0).expand(rows, -1).to(self.device), token)

    def _side_by_side(self, labels: list[int]) -> tuple[list[int], list[int], list[int], list[int]]:
        """Tokens that are fed, those that should follow them, their labels, and their places within these."""
        fed = [t for k in labels for t in self.label_ids[k][:-1]]
        targets = [t for k in labels for t in self.label_ids[k][1:]]
        owner = [k for k in labels for _ in self.label_ids[k][:-1]]
        return fed, targets, owner, [j for k in labels for j in range(len(self.label_ids[k]) - 1)]

    # -- free text, reasoning, and several answers of which most agree

    def _answer_by_writing(
        self, texts: list[str], encoded: list[list[int]], offered: list[list[int]]
    ) -> list[dict[str, Any]]:
        """Each sample is a row of its own in a batch, whose draws depend on its input and number alone."""
        decoding, count = self.decoding, self.decoding["samples"]
        bias = None
        self.prefix, self.cache = [], None
        if self.labels and decoding["label_score"] == "calibrated":
            bias = self._scores([self._behind(self._encode("N/A")[0], "")])[0]
        every = [ids for ids in encoded for _ in range(count)]
        seeds = [writing.seed_of_sample(decoding["seed"], text, k) for text in texts for k in range(count)]
        samples: list[dict[str, Any]] = [{} for _ in every]
        written = self.reasoning_room + self._most_tokens()
        for batch in loading.batches([len(ids) for ids in every], self.device, written, generates=True):
            chosen, own = [every[i] for i in batch], [seeds[i] for i in batch]
            draws = writing.Draws(own, decoding) if decoding["temperature"] > 0 else None
            if self.reasons:
                stops = ["marker"] if self.chat else ["marker", "blank_line"]
                reasoning = self._written(chosen, decoding["reasoning_tokens"], stops, draws)
                chosen, draws = [self._behind(ids, one[0]) for ids, one in zip(chosen, reasoning, strict=True)], None
            own_labels = [offered[i // count] for i in batch] if self.examples.count else None
            answers = self._choose(chosen, bias, own_labels) if self.labels else self._write(chosen, draws)
            for i, one in zip(batch, answers, strict=True):
                samples[i] = one
        return [writing.agreed(samples[i : i + count], self.labels) for i in range(0, len(samples), count)]

    def _behind(self, ids: list[int], reasoning: str) -> list[int]:
        return [*ids, *self._answer_ids(f"{reasoning}\n{writing.MARKER}")[-self.reasoning_room :]]

    def _write(self, encoded: list[list[int]], draws: Any = None) -> list[dict[str, Any]]:
        answers: list[dict[str, Any]] = []
        stops = writing.stops_of(self.decoding, self.chat)
        for text, tokens, log_probs in self._written(encoded, self.max_new_tokens, stops, draws):
            counted = log_probs[: max(1, tokens)]
            confidence = math.exp(sum(counted) / len(counted)) if counted else None
            answers.append({"answer": text, "confidence": confidence, "log_probs": []})
        return answers

    def _written(
        self, encoded: list[list[int]], most: int, stops: list[str], draws: Any
    ) -> list[tuple[str, int, list[float]]]:
        """What is written behind each prompt, the number of its tokens, and their log-likelihoods."""
        tokenizer, width = self.tokenizer, max(map(len, encoded))
        ids = torch.full((len(encoded), width), tokenizer.pad_token_id, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for i, row in enumerate(encoded):
            ids[i, width - len(row) :] = torch.tensor(row)
            mask[i, width - len(row) :] = 1
        beams = 1 if draws is not None or self.reasons else self.decoding["num_beams"]
        likelihoods = draws or writing.Likelihoods()
        config = GenerationConfig(
            max_new_tokens=most,
            do_sample=False,
            num_beams=beams,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            bos_token_id=tokenizer.bos_token_id,
        )
        rows = self.model.generate(
            input_ids=ids.to(self.device),
            attention_mask=mask.to(self.device),
            generation_config=config,
            stopping_criteria=StoppingCriteriaList([writing.Ends(tokenizer, width, stops)] if stops else []),
            logits_processor=LogitsProcessorList([likelihoods] if beams == 1 else []),
        )[:, width:].tolist()
        sure = torch.stack(likelihoods.steps, dim=1).tolist() if beams == 1 else [[] for _ in rows]
        written = []
        for out, log_probs in zip(rows, sure, strict=True):
            last = [k for k, t in enumerate(out) if t in (tokenizer.eos_token_id, tokenizer.pad_token_id)]
            out = out[: last[0]] if last else out
            text = tokenizer.decode(out, skip_special_tokens=True).strip()
            for stop in stops:
                text = writing.cut(stop, text)
            written.append((text, len(out), log_probs))
        return written
