"""Searches of public data that several benchmarks run: the embedded model, MiniLM and models of words within some minutes.

The data are not part of this project; they must lie in `../shared` beside the checkout.
"""

from pathlib import Path

SHARED = (Path(__file__).parent / "../../shared/data").resolve()
METRICS = {"medical_abstracts": "macro_f1"}
"""Of data sets whose metric is not accuracy."""
TASK = """\
name: {name}
data:
  train: {data}/train.jsonl
  validation: {data}/validation.jsonl
  test: {data}/test.jsonl
  columns: {{input: text, output: label}}
  train_rows: {rows}
metric: {metric}
models: {models}
budget: {{hours: {hours}}}
economics: {{usd_per_hour: 0.10, queries_per_month: 100000, horizon_months: 12}}
evaluation: {{test_rows: 1000, load_seconds: 5}}
seed: {seed}
"""


def write_task(
    file: Path, data: str, rows: int, minutes: float, models: str = "[embedded, minilm, classical]", seed: int = 0
) -> None:
    """Writes the task file of a search, which is named as the file.

    Args:
        file: NAME.yaml.
        data: name of the data set, with a hyphen and what distinguishes it from others of the same data.
        rows: training rows.
        minutes: budget.
        models: a YAML list.
        seed: of the search.
    """
    folder, metric = data.split("-")[0], METRICS.get(data, "accuracy")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(
        TASK.format(
            name=file.stem,
            data=SHARED / folder,
            rows=rows,
            metric=metric,
            models=models,
            hours=minutes / 60,
            seed=seed,
        )
    )
