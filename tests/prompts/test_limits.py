"""Templates that exhaust: each ends in a message, within the limits of memory and time, and leaves its process as it was."""

import resource
import signal
import threading
from collections.abc import Callable

import pytest

from autoadapt.errors import UserError
from autoadapt.prompts import limits
from autoadapt.prompts.limits import LimitError, UseLimits, check_limited
from autoadapt.prompts.rendering import check_prompt

DOUBLED = "{% set x = input %}"
EXHAUSTING = {
    "concatenation": DOUBLED + "{% set x = x ~ x %}" * 40 + "{{ x | length }}{{ input }}",
    "constants": "{{ " + "('x' ~ 'y') ~ " * 3 + "'z' }}" + "{% set x = 'x' %}" + "{% set x = x + x %}" * 40 + "{{ x }}",
    "sums of lists": "{% set x = labels %}" + "{% set x = x + x %}" * 40 + "{{ x | length }}{{ input }}",
    "joins": "{% set x = labels %}"
    + "{% set x = x + x %}" * 14
    + "{% set y = x | join(x | join('--------')) %}{{ y | length }}{{ input }}",
    "nested lists as text": "{% set x = labels %}"
    + "{% set x = [x, x] %}" * 40
    + "{{ x | string | length }}{{ input }}",
    "blocks": DOUBLED + "{% set x %}{{ x }}{{ x }}{% endset %}" * 40 + "{{ x | length }}{{ input }}",
    "macro": "{% macro m(n) %}x{{ m(n - 1) ~ m(n - 1) if n else '' }}{% endmacro %}{{ m(60) | length }}{{ input }}",
    "indented json": "{{ labels | tojson(indent=2000000000) }}{{ input }}",
    "bytes of a number": "{{ (1).to_bytes(2000000000, 'big') | length }}{{ input }}",
    "format": "{{ '{:>2000000000}'.format(1) | length }}{{ input }}",
    "format_map": "{{ '{a:>2000000000}'.format_map({'a': 1}) | length }}{{ input }}",
    "nested loops": "".join(f"{{% for a{i} in input %}}" for i in range(9)) + "{% endfor %}" * 9 + "{{ input }}",
    "comparison": "{% set x = [1] %}{% set y = [1] %}"
    + "{% set x = [x, x] %}{% set y = [y, y] %}" * 60
    + "{{ x == y }}",
    "endless macro": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}{{ input }}",
    "division": "{{ 1 // 0 }}{{ input }}",
}


def check(template: str) -> None:
    check_prompt(template, "", ["a", "b"])


@pytest.mark.parametrize("kind", EXHAUSTING)
def test_template_that_exhausts_is_refused(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SECONDS", 1)
    monkeypatch.setattr(limits, "BYTES", 50_000_000)
    with pytest.raises(UserError, match=r"^here: prompt template: ."):
        check_limited({"here": lambda: check(EXHAUSTING[kind])})


def test_first_failing_check_is_named_and_those_that_pass_are_silent() -> None:
    good = lambda: check("{{ input }}{% for e in examples %}{{ e.output }}{% endfor %}")  # noqa: E731
    check_limited({"a": good, "b": good})
    with pytest.raises(UserError, match=r"^b: prompt template: the input does not appear"):
        check_limited({"a": good, "b": lambda: check("nothing"), "c": lambda: check("{{ x }}")})


def exhaust_memory() -> None:
    bytearray(4 * limits.BYTES)


def exhaust_time() -> None:
    try:
        while True:
            pass
    except Exception:  # noqa: BLE001 - what a library may do
        raise AssertionError from None


@pytest.mark.parametrize(("exhaust", "message"), [(exhaust_memory, "256 MB of memory"), (exhaust_time, "CPU time")])
def test_what_exhausts_is_ended_and_limits_nothing_afterwards(
    exhaust: Callable[[], None], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SECONDS", 0.2)
    before = resource.getrlimit(resource.RLIMIT_AS)
    uses = UseLimits()
    for _ in range(2):
        assert uses.run(lambda: 5) == 5
        with pytest.raises(LimitError, match=message):
            uses.run(exhaust)
    assert resource.getrlimit(resource.RLIMIT_AS) == before
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)
    signal.raise_signal(signal.SIGPROF)  # of a timer that is not ours


def test_memory_that_a_process_has_taken_meanwhile_does_not_count() -> None:
    uses = UseLimits()
    uses.run(lambda: None)
    taken = bytearray(2 * limits.BYTES)
    assert uses.run(lambda: len(bytearray(limits.BYTES // 2))) == limits.BYTES // 2
    assert len(taken) == 2 * limits.BYTES


def test_other_threads_are_not_limited() -> None:
    sizes: list[int] = []

    uses = UseLimits()

    def work() -> None:
        sizes.append(uses.run(lambda: len(bytearray(2 * limits.BYTES))))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert sizes == [2 * limits.BYTES]
