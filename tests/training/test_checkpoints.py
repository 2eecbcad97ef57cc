"""Checkpoints that were cut short, replaced or lost: the last whole one is used, and the log says so."""

from collections.abc import Callable
from pathlib import Path

import pytest

from autoadapt.training import checkpoints

DAMAGES: dict[str, Callable[[bytes], bytes | None]] = {
    "half": lambda content: content[: len(content) // 2],
    "last": lambda content: content[:-2],
    "empty": lambda content: b"",
    "object": lambda content: b"{}",
    "other": lambda content: bytes(255 - byte for byte in content),
    "lost": lambda content: None,
}
"""What becomes of a file's content; None: the file is lost."""


def fill(folder: Path) -> None:
    """A checkpoint's files."""
    (folder / "adapter").mkdir()
    (folder / "adapter" / "weights.safetensors").write_bytes(bytes(range(200)))
    (folder / "progress.json").write_text('{"step": 10}')


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["adapter/weights.safetensors", "progress.json", checkpoints.MARK])
def test_the_last_whole_checkpoint_is_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, damage: str
) -> None:
    for step in (10, 20):
        checkpoints.write(tmp_path / f"checkpoint-{step:07d}", fill)
    assert checkpoints.latest(tmp_path) == tmp_path / "checkpoint-0000020"
    file = tmp_path / "checkpoint-0000020" / name
    content = DAMAGES[damage](file.read_bytes())
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    assert checkpoints.latest(tmp_path) == tmp_path / "checkpoint-0000010"
    assert "checkpoint-0000020 is incomplete or damaged and is skipped" in capsys.readouterr().out
