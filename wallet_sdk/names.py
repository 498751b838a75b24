"""From Solidity's declarations to Python's names: shared by events, refusals and orders."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_KEYWORDS: Final = {"from": "from_"}
_WORD_START: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def snake_case(name: str) -> str:
    """`issuersShareBps` -> `issuers_share_bps`, `_tokenId` -> `token_id`, `from` -> `from_`."""
    snake = _WORD_START.sub("_", name.lstrip("_")).lower()
    return _KEYWORDS.get(snake, snake)


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter of an event or error: ABI type, Solidity name, Python attribute."""

    type: str
    name: str
    attribute: str
    indexed: bool


@dataclass(frozen=True, slots=True)
class Declaration:
    """`Name(type [indexed] name, ...)` as Solidity writes it, enums as uint8."""

    name: str
    params: tuple[Param, ...]

    @property
    def signature(self) -> str:
        """The canonical form whose Keccak is topic0 or holds the selector: `Name(type,type)`."""
        return f"{self.name}({','.join(p.type for p in self.params)})"


def parse_declaration(text: str) -> Declaration:
    """Reads one declaration. Raises ValueError: it is written in this package, a slip is a bug."""
    match = re.fullmatch(r"(\w+)\((.*)\)", text)
    if match is None:
        raise ValueError(f"no declaration: {text!r}")
    params = []
    for part in filter(None, match[2].split(", ")):
        words = part.split(" ")
        indexed = len(words) == 3 and words[1] == "indexed"
        if not indexed and len(words) != 2:
            raise ValueError(f"no parameter: {part!r} in {text!r}")
        params.append(Param(words[0], words[-1], snake_case(words[-1]), indexed))
    return Declaration(match[1], tuple(params))
