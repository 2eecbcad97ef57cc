"""Does a server keep the rate and the p95 that the load test of a search states? And what do HTTP and many requests cost?

    python benchmarks/serving/run.py BUNDLE [BUNDLE ...] --rows rows.jsonl [--latency-p95-ms 250] [--requests 100000]

For each bundle, the server on one core (`--core`) and the client on the others:
1. batches of every size are timed in a process of its own on that core, as the load test of a search does it, and the
   queue is simulated from them: the p95 of single requests, and the greatest rate at which 99 % are within the target;
2. `autoadapt serve` is started on the same core, and `autoadapt latency` measures the same two over HTTP;
3. rows per second: `Bundle.predict` in batches of 32, beside plain scikit-learn or transformers doing the same work;
4. memory of the server while it answers many requests (`--requests`, by 32 connections at once).
`rows.jsonl` has the option's columns.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import httpx2

SIZES = (1, 2, 4, 8, 16, 32, 64)
CONNECTIONS = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundles", nargs="+", type=Path)
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--latency-p95-ms", type=float, default=250.0)
    parser.add_argument("--requests", type=int, default=0, help="to watch the server's memory; 0: do not")
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--in-process", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.in_process:
        print(json.dumps(in_process(args.in_process, args)))
        return
    for bundle in args.bundles:
        measured(bundle, args)


def measured(bundle: Path, args: argparse.Namespace) -> None:
    pinned = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, str(bundle), "--rows", str(args.rows), "--in-process", str(bundle)]
    command += ["--latency-p95-ms", str(args.latency_p95_ms)]
    done = subprocess.run(["taskset", "-c", str(args.core), *command], env=pinned, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    promised = json.loads(done.stdout.splitlines()[-1])
    serve = ["taskset", "-c", str(args.core), sys.executable, "-m", "autoadapt", "serve", str(bundle), "--port", "0"]
    server = subprocess.Popen(serve, env=pinned, stdout=subprocess.PIPE, text=True)
    try:
        url = next(line.split()[0] for line in server.stdout if line.startswith("http://"))  # type: ignore[union-attr]
        over_http = load_of(url, bundle, promised["rate"] / 2, args)
        print(f"{bundle.name}: {promised['option']}, {promised['megabytes']:.1f} MB")
        print(f"  single requests: p50 {promised['p50']:.2f} ms and p95 {promised['p95']:.2f} ms in the process,")
        print(f"    p50 {over_http['p50']:.2f} ms and p95 {over_http['p95']:.2f} ms over HTTP")
        ratio = (over_http["rate"] or 0) / promised["rate"]
        print(f"  greatest rate with 99 % within {args.latency_p95_ms:g} ms: {promised['rate']:.4g}/s stated,")
        print(f"    {over_http['rate'] or 0:.4g}/s measured over HTTP ({ratio:.2f} of it)")
        print(
            f"  batches of 32: {promised['rows_per_s']:.4g} rows/s; plain {promised['plain']}: {promised['plain_per_s']:.4g}"
        )
        if args.requests:
            watch_memory(server.pid, url, args)
    finally:
        server.terminate()
        server.wait()


def texts_of(bundle_folder: Path, rows: Path) -> list[dict[str, str]]:
    columns = json.loads((bundle_folder / "option.json").read_text())["columns"]["input"]
    lines = [json.loads(line) for line in rows.read_text().splitlines()]
    return [{column: line[column] for column in columns} for line in lines]


def in_process(folder: Path, args: argparse.Namespace) -> dict[str, object]:
    from autoadapt.bundle.loaded import Bundle
    from autoadapt.domain.load import Batch, Load
    from autoadapt.economics.batching import BatchTimes
    from autoadapt.economics.rates import service_rate

    inputs = texts_of(folder, args.rows)
    with Bundle.load(folder) as bundle:
        bundle.predict(inputs[:64])
        batches = []
        for turn in range(12):
            for size in SIZES:
                for _ in range(16 if size == 1 else 1):
                    start = (turn * 64 + len(batches)) % max(1, len(inputs) - size)
                    begun = time.perf_counter()
                    bundle.predict(inputs[start : start + size])
                    batches.append(
                        Batch(rows=size, seconds=time.perf_counter() - begun, first_share=1.0, tokens_out=0.0)
                    )
        some = inputs[:320]
        begun = time.perf_counter()
        for start in range(0, len(some), 32):
            bundle.predict(some[start : start + 32])
        rows_per_s = len(some) / (time.perf_counter() - begun)
        texts = [bundle.text_of(one, "row") for one in some]
        description = bundle.description
    plain, plain_per_s = plain_rate(folder, texts, description.parts[0].kind)
    load = Load(
        runs=BatchTimes(batches).runs(1.0), batches=batches, prefix_cache="unknown", engine="this process",
        clock="simulated", hardware="this machine", warm_up=64,
    )  # fmt: skip
    single = [1000 * batch.seconds for batch in batches if batch.rows == 1]
    return {
        "option": description.parts_text,
        "megabytes": sum(file.bytes for file in description.files.values()) / 1e6,
        "p50": statistics.median(single),
        "p95": statistics.quantiles(single, n=20)[18],
        "rate": service_rate(load, args.latency_p95_ms),
        "rows_per_s": rows_per_s,
        "plain": plain,
        "plain_per_s": plain_per_s,
    }


def plain_rate(folder: Path, texts: list[str], kind: str) -> tuple[str, float]:
    """Rows per second of the same model, asked without AutoAdapt in the simplest way; 0 where there is none to compare."""
    if kind == "features":
        import torch
        from transformers import AutoModel, AutoTokenizer

        model, tokenizer = (
            AutoModel.from_pretrained(folder / "model").eval(),
            AutoTokenizer.from_pretrained(folder / "model"),
        )
        begun = time.perf_counter()
        with torch.no_grad():
            for start in range(0, len(texts), 32):
                given = tokenizer(
                    texts[start : start + 32], padding=True, truncation=True, max_length=512, return_tensors="pt"
                )
                model(**given).last_hidden_state.mean(1)
        return "transformers, states alone", len(texts) / (time.perf_counter() - begun)
    if kind == "words":
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline

        pipeline = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(max_iter=1000))
        pipeline.fit(texts, [i % 4 for i in range(len(texts))])
        begun = time.perf_counter()
        for start in range(0, len(texts), 32):
            pipeline.predict_proba(texts[start : start + 32])
        return "scikit-learn, TF-IDF and logistic regression", len(texts) / (time.perf_counter() - begun)
    return "none", 0.0


def load_of(url: str, bundle: Path, rate: float, args: argparse.Namespace) -> dict[str, float | None]:
    """Measured by `autoadapt latency`: single requests one after the other, then the greatest rate."""
    inputs = texts_of(bundle, args.rows)
    prompts = [next(iter(one.values())) if len(one) == 1 else json.dumps(one) for one in inputs]
    task = json.loads((bundle / "option.json").read_text())["task"]
    with httpx2.Client(base_url=url, timeout=60) as client:
        single = []
        for one in inputs[:200]:
            begun = time.perf_counter()
            client.post("/predict", json={"input": one}).raise_for_status()
            single.append(1000 * (time.perf_counter() - begun))
    file = Path(os.environ.get("TMPDIR", "/tmp")) / f"prompts-{os.getpid()}.jsonl"
    file.write_text("".join(json.dumps({"prompt": prompt}) + "\n" for prompt in prompts))
    command = [sys.executable, "-m", "autoadapt", "latency", f"{url}/v1", "--model", task, "--interface", "chat"]
    command += ["--prompts", str(file), "--latency-p95-ms", str(args.latency_p95_ms), "--requests", "300"]
    command += ["--rate", f"{rate:.3g}", "--seconds", "60", "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    file.unlink()
    if done.returncode:
        sys.exit(done.stderr)
    rate = json.loads(done.stdout)["requests_per_s"]
    return {"p50": statistics.median(single), "p95": statistics.quantiles(single, n=20)[18], "rate": rate}


def watch_memory(pid: int, url: str, args: argparse.Namespace) -> None:
    """Prints the resident memory of the server after parts of many requests."""
    import psutil

    inputs = texts_of(args.bundles[0], args.rows)
    process = psutil.Process(pid)

    async def send(count: int) -> int:
        left, failed = iter(range(count)), 0

        async def connection(client: httpx2.AsyncClient) -> None:
            nonlocal failed
            for number in left:
                answer = await client.post("/predict", json={"input": inputs[number % len(inputs)]})
                failed += answer.status_code != 200

        async with httpx2.AsyncClient(base_url=url, timeout=60) as client:
            await asyncio.gather(*(connection(client) for _ in range(CONNECTIONS)))
        return failed

    parts, begun, failed = 10, time.perf_counter(), 0
    sizes = [process.memory_info().rss / 1e6]
    for _ in range(parts):
        failed += asyncio.run(send(args.requests // parts))
        sizes.append(process.memory_info().rss / 1e6)
    seconds = time.perf_counter() - begun
    print(
        f"  {args.requests:,} requests in {seconds:.0f} s ({args.requests / seconds:.0f}/s), {failed} failed; memory in MB,"
    )
    print(f"    at the beginning and after every tenth of them: {', '.join(f'{size:.0f}' for size in sizes)}")


if __name__ == "__main__":
    main()
