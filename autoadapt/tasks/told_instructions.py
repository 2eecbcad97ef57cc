"""Instructions of a search space that tell a model something of its task: a schema, or what stands for no answer."""

from collections.abc import Mapping

from autoadapt.domain.space import Choices, SearchSpace


def with_told(space: SearchSpace, place: str, shown: str, added: Mapping[str, str]) -> SearchSpace:
    """A search space whose instructions tell a text.

    Where no instruction has the place for it, further instructions join those that are searched, and prompts that are
    tried first with some instruction are tried with the first of these.

    Args:
        space: as written.
        place: stands for the text in an instruction.
        shown: Jinja that gives the text.
        added: the further instructions by name, the text in them.
    """
    own = {name: text.replace(place, shown) for name, text in space.instructions.items()}
    if own != space.instructions:
        return space.model_copy(update={"instructions": own})
    listed = space.shared["instruction"]
    assert isinstance(listed, Choices)  # a search space checks it
    choices = listed.model_copy(update={"choices": [*(c for c in listed.choices if c not in added), *added]})
    telling = {name for name, text in space.instructions.items() if text}
    first = [
        {**one, "instruction": next(iter(added))}
        if one.get("method") == "prompt" and one.get("instruction") in telling
        else one
        for one in space.first
    ]
    return space.model_copy(
        update={
            "instructions": {**space.instructions, **added},
            "shared": {**space.shared, "instruction": choices},
            "first": first,
        }
    )
