"""Our open-loop client and guidellm's on the same server, in turn: do they measure the same p95?

pip install guidellm                                   # in an environment of its own
transformers serve MODEL --device cpu --port 8123      # in another: pip install 'transformers[serving]'
python benchmarks/latency/run.py http://127.0.0.1:8123 --model MODEL --guidellm ENV/bin/guidellm
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from autoadapt.assess.server_load import LoadSettings, measure_server
from autoadapt.providers.openai import Server

PROMPTS = ["Once upon a time", "One day a little dog", "The sun was", "Lily had a red ball and"]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url", help="without /v1")
    parser.add_argument("--model", required=True)
    parser.add_argument("--guidellm", default="guidellm")
    parser.add_argument("--rate", type=float, default=4.0)
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--tokens", type=int, default=16)
    parser.add_argument("--times", type=int, default=3)
    args = parser.parse_args()
    ours, theirs = [], []
    for i in range(args.times):
        load = measure_server(
            Server(f"{args.url}/v1", args.model, max_tokens=args.tokens),
            PROMPTS,
            LoadSettings(
                rate=args.rate,
                requests=args.requests,
                search=False,
                seconds=600,
                hardware="this machine",
                seed=i,
            ),
        )
        ours.append(percentile(load.runs[0].e2el_ms))
        theirs.append(percentile(guidellm(args, i)))
        print(f"run {i}: p95 ours {ours[-1]:.1f} ms, guidellm {theirs[-1]:.1f} ms", flush=True)
    a, b = statistics.median(ours), statistics.median(theirs)
    print(f"median p95 ours {a:.1f} ms, guidellm {b:.1f} ms: ratio {a / b:.3f}")


def percentile(samples: list[float]) -> float:
    return statistics.quantiles(samples, n=20, method="inclusive")[18]


def guidellm(args: argparse.Namespace, seed: int) -> list[float]:
    """Milliseconds of every request, by guidellm."""
    with tempfile.TemporaryDirectory() as name:
        data, out = Path(name) / "prompts.jsonl", Path(name) / "out.json"
        rows = [json.dumps({"prompt": PROMPTS[i % len(PROMPTS)]}) for i in range(args.requests + 100)]
        data.write_text("\n".join(rows) + "\n")
        backend = {
            "kind": "openai_http",
            "target": args.url,
            "model": args.model,
            "request_format": "/v1/completions",
            "extras": {"body": {"max_tokens": args.tokens}},
        }
        command = [args.guidellm, "run", "--backend", json.dumps(backend), "--disable-progress"]
        command += ["--profile", f"kind=poisson,rate={args.rate}", "--data", f"kind=json_file,path={data}"]
        command += ["--constraint", f"kind=max_requests,count={args.requests}", "--seed", f"kind=static,value={seed}"]
        command += ["--tokenizer", f"kind=huggingface_auto,model={args.model}", "--output", f"kind=json,path={out}"]
        # one process that sends: on a small machine more of them take the server's cores
        environment = {**os.environ, "GUIDELLM__MAX_WORKER_PROCESSES": "1", "HF_HUB_OFFLINE": "1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if not out.is_file():
            sys.exit(f"guidellm failed: {done.stderr[-1000:] or done.stdout[-1000:]}")
        latency = json.loads(out.read_text())["benchmarks"][0]["metrics"]["request_latency"]["successful"]
        # its report holds percentiles, not every request: the p95 stands for all of them, so that it is their p95 too
        return [latency["percentiles"]["p95"] * 1000] * 20


if __name__ == "__main__":
    main()
