"""A metric that is a function: how short an answer is beside the longest reference."""


def score(answer: str, references: list[str], input: str) -> float:
    """1 for an answer no longer than the longest reference, less the longer it is; 0 where it repeats the input."""
    if answer == input or not answer:
        return 0.0
    return min(1.0, max(map(len, references)) / len(answer))
