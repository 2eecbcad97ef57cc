"""The live view, on a real terminal."""

import os
import pty
import re
import subprocess
import sys

from conftest import MakeTask, environment


def test_a_terminal_gets_a_live_view(make_task: MakeTask) -> None:
    task = make_task(methods=["prompt"], budget={"trials": 3, "usd": 50}, constraints={"quality": 0.0})
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "autoadapt.cli.main", "search", str(task), "--runs", str(task.parent / "runs")],
        stdout=subprocess.PIPE,
        stderr=follower,
        env=environment(TERM="xterm", COLUMNS="120", LINES="40"),
    )
    os.close(follower)
    seen = b""
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:  # the terminal was closed
            break
        if not part:
            break
        seen += part
    out = process.communicate()[0].decode()
    os.close(leader)
    assert process.returncode == 0, seen.decode()
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode())
    assert "\x1b[" in seen.decode(), "drawn in place"
    assert "fruits: searching" in text
    assert re.search(r"running trial \d +prompt on scripted +(in full|\d+ rows)", text)
    assert re.search(r"best so far: trial \d \(prompt\) 0\.\d+", text)
    # earlier phases of this end take less time than the view takes to be drawn again
    assert re.search(r"fruits: end (\d) of \1, verdict", text)
    assert re.search(r"trials [1-3] of 3", text)
    assert re.search(r"spent \$\d+\.\d+ of \$50", text)
    assert "left" in text
    assert re.search(r"trial +method +quality", text)
    assert "trial 0 done: prompt on scripted, quality 0." in text
    assert "Recommended" in out
