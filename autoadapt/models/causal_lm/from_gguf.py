"""Turns a GGUF file into a model folder, and asks the model a question; a program of its own.

    python -m autoadapt.models.causal_lm.from_gguf FILE FOLDER
    python -m autoadapt.models.causal_lm.from_gguf --ask QUESTION FOLDER

The weights are dequantised to bf16. It runs in a process of its own, so that whoever asks for it loads no torch.
"""

import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

MOST_TOKENS = 24


def convert(file: Path, folder: Path) -> None:
    """Writes weights, configuration, tokenizer and chat template as transformers and safetensors name them.

    Args:
        file: with llama.cpp's GGUF weights, of an architecture that transformers reads.
        folder: empty.
    """
    source = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
    tokenizer = AutoTokenizer.from_pretrained(**source)
    model = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
    # the weights are plain now; a model that says otherwise is refused when it is saved and when it is loaded again
    model.hf_quantizer = None
    model.is_quantized = False
    model.quantization_method = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def ask(question: str, folder: Path) -> str:
    """The most likely answer of the model in a folder, in its chat format where it has one."""
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, use_safetensors=True)
    prompt = question
    if tokenizer.chat_template:
        messages = [{"role": "user", "content": question}]
        prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    tokens = tokenizer(prompt, return_tensors="pt", add_special_tokens=not tokenizer.chat_template)
    with torch.inference_mode():
        written = model.generate(**tokens, do_sample=False, max_new_tokens=MOST_TOKENS)
    return str(tokenizer.decode(written[0, tokens["input_ids"].shape[1] :], skip_special_tokens=True)).strip()


if __name__ == "__main__":
    if sys.argv[1] == "--ask":
        print(ask(sys.argv[2], Path(sys.argv[3])))  # noqa: T201 - its output
    else:
        convert(Path(sys.argv[1]), Path(sys.argv[2]))
