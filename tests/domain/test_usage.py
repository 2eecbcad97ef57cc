"""Usage: quantities that add up."""

from hypothesis import given
from hypothesis import strategies as st

from autoadapt.domain.usage import Usage, total_usage

USAGES = st.builds(
    Usage,
    device_seconds=st.dictionaries(st.sampled_from(["gpu", "cpu"]), st.integers(0, 1000).map(float)),
    tokens_in=st.integers(0, 1000),
    tokens_cached=st.integers(0, 1000),
    tokens_out=st.integers(0, 1000),
    usd=st.integers(0, 1000).map(float),
    usd_estimated=st.booleans(),
    joules=st.none() | st.integers(0, 1000).map(float),
)


def test_sum_of_quantities() -> None:
    one = Usage(device_seconds={"gpu": 2.0}, tokens_in=1, tokens_cached=2, tokens_out=3, usd=0.5, joules=10.0)
    other = Usage(device_seconds={"gpu": 1.0, "cpu": 4.0}, tokens_in=10, usd=0.25, usd_estimated=True, joules=5.0)
    both = one.plus(other)
    assert both.device_seconds == {"gpu": 3.0, "cpu": 4.0}
    assert both.total_device_seconds == 7.0
    assert (both.tokens_in, both.tokens_cached, both.tokens_out) == (11, 2, 3)
    assert (both.usd, both.usd_estimated, both.joules) == (0.75, True, 15.0)


def test_energy_is_unknown_where_a_part_is() -> None:
    assert Usage(joules=1.0).plus(Usage(tokens_in=1)).joules is None


def test_energy_of_nothing_used_does_not_count() -> None:
    assert Usage(joules=1.0).plus(Usage()).joules == 1.0


def test_total_of_no_usages() -> None:
    assert total_usage([]) == Usage()


@given(USAGES)
def test_nothing_added_changes_nothing(usage: Usage) -> None:
    assert usage.plus(Usage()) == usage
    assert Usage().plus(usage) == usage


@given(USAGES, USAGES)
def test_order_does_not_matter(one: Usage, other: Usage) -> None:
    assert one.plus(other) == other.plus(one)


@given(st.lists(USAGES, max_size=4))
def test_total_is_the_sum_of_each_quantity(usages: list[Usage]) -> None:
    total = total_usage(usages)
    assert total.total_device_seconds == sum(u.total_device_seconds for u in usages)
    assert total.tokens_in == sum(u.tokens_in for u in usages)
    assert total.usd == sum(u.usd for u in usages)
    assert total.usd_estimated == any(u.usd_estimated for u in usages)
