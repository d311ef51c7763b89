"""Options of the form name=value."""

from __future__ import annotations

from itemwise.errors import UserError


def key_values(texts: list[str], option: str) -> dict[str, str]:
    """Read the values `name=value` of an option."""
    made = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise UserError(f"{option} {text}: is not of the form name=value")
        made[name] = value
    return made
