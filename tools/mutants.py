"""Mutants of the contracts: every condition flipped, every check and statement dropped, one by one.

All mutants of a file are written into it at once, each behind a question to `mutated(number)`, so
that one compilation serves them all: the coinbase of a block says which one is awake, and 0 is the
contract as it is written. For that every `pure` function becomes `view`; nothing else changes.

Kinds of mutants:

    flip      a condition is its opposite
    drop      a guard (an `if` in front of a revert, return, break or continue) never holds; a
              statement is not executed; a modifier is not there
    edge      < for <=, > for >=, and the other way round
    logic     && for ||, == for !=, and the other way round
    number    + for -, * for +, << for >>, & for |, and the other way round
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

GUARDED = ("revert", "return", "_revert", "continue", "break")
EDGES = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
LOGIC = {"&&": "||", "||": "&&", "==": "!=", "!=": "=="}
NUMBER = {"+": "-", "-": "+", "*": "+", "/": "*", "<<": ">>", ">>": "<<", "&": "|", "|": "&"}
OPERATOR = re.compile(r"(?<= )(&&|\|\||==|!=|<=|>=|<<|>>|<|>|\+|-|\*|/|&|\|)(?= )")
MODIFIERS = ("onlyCoalition", "restricted", "current", "nonReentrant")
FUNCTION = re.compile(r"\b(?:function (\w+)|(constructor)|(fallback)|(modifier) \w+)\s*\(")
YUL_CONDITION = re.compile(r"\b(if|switch) (?=\w)")
YUL_COMPARISON = re.compile(r"\b(gt|lt|eq|iszero)\(")
YUL_STATEMENT = re.compile(
    r"(?:\b(?:sstore|log3|mstore)\([^\n]*\)|\b\w+ := [^\n]+?)(?=\s*(?:\n|\}))"
)
HELPER_PATH = "contracts/types/Mutated.sol"
HELPER = """// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

function mutated(uint256 which) view returns (bool awake) {
    assembly ("memory-safe") {
        awake := eq(coinbase(), which)
    }
}
"""


@dataclass(frozen=True)
class Mutant:
    """One change. `key` names it independent of numbers and lines."""

    number: int
    file: str
    function: str
    kind: str
    change: str
    key: str
    line: int


@dataclass(frozen=True)
class Edit:
    """Text that replaces [start, end) of a source."""

    start: int
    end: int
    text: str


class Source:
    """One file, and the mutants found in it; numbers go on from those of the files before."""

    def __init__(self, path: str, text: str, first: int) -> None:
        self.path, self.text, self.plain = path, text, masked(text)
        self.mutants: list[Mutant] = []
        self.edits: list[Edit] = []
        self.function = ""
        self.next = first
        self.seen: Counter[str] = Counter()
        for name, header, body, end in functions(self.plain):
            self.function = name
            self.modifiers(header, body)
            if name != "modifier":
                self.block(body, end)

    # ---- walking

    def block(self, at: int, end: int) -> None:
        """Statements between two offsets, those of inner blocks too."""
        while (at := self.skip(at, end)) < end:
            word = re.match(r"\w+|.", self.plain[at:end]).group()  # type: ignore[union-attr]
            opening = self.plain.find("(", at)
            if word in "{}" or word in ("else", "unchecked"):
                at += len(word)
            elif word == "assembly":
                inner = self.plain.index("{", at)
                at = closing(self.plain, inner)
                self.yul(inner, at)
            elif word in ("if", "while", "for"):
                close = closing(self.plain, opening)
                first, last = opening + 1, close - 1
                if word == "for":
                    parts = [m.start() for m in re.finditer(";", self.plain[first:last])]
                    first, last = first + parts[0] + 1, first + parts[1]
                self.condition(first, last, guard=word == "if" and self.guards(close))
                at = close
            else:
                stop = self.statement_end(at, end)
                self.statement(word, at, stop)
                at = stop + 1

    def skip(self, at: int, end: int) -> int:
        while at < end and self.plain[at].isspace():
            at += 1
        return at

    def guards(self, at: int) -> bool:
        """Whether what follows the condition leaves the function or the loop."""
        follows = self.plain[at:].lstrip(" \n{")
        return follows.startswith(GUARDED)

    def statement_end(self, at: int, end: int) -> int:
        depth = 0
        for i in range(at, end):
            depth += (self.plain[i] in "([{") - (self.plain[i] in ")]}")
            if self.plain[i] == ";" and depth == 0:
                return i
        return end

    # ---- what can be changed

    def condition(self, first: int, last: int, *, guard: bool) -> None:
        first, last = self.trim(first, last)
        if first >= last:
            return
        written = self.text[first:last]
        variants = [("flip", f"!({written})", "opposite of " + written)]
        if guard:
            variants.append(("drop", "false", "never " + written))
        whole = OPERATOR.findall(self.plain[first:last])
        simple = len(whole) == 1 and whole[0] in ("==", "!=")
        if not simple:
            variants += self.operators(first, last)
        self.choose(first, last, variants)

    def statement(self, word: str, at: int, stop: int) -> None:
        written = self.plain[at:stop]
        if word == "return":
            self.expression(at + len("return"), stop)
        elif written.startswith(("revert", "_revert", "break", "continue", "_;")):
            return  # What stands in front of it can be dropped.
        elif declares(written):
            if "=" in written and not written.startswith("("):
                self.expression(at + written.index("=") + 1, stop)
        else:
            assigned = re.match(r"[\w.\[\]]+ (?:\+|-)?= ", written)
            name = written.partition(" = ")[0]
            if re.fullmatch(r"[A-Z_]+", name):
                return self.expression(at + len(name) + 3, stop)  # An immutable must be assigned.
            if f"storage {name})" in self.plain:
                return  # A pointer, which the compiler wants to see assigned.
            pieces = []
            if assigned:
                first = at + assigned.end()
                pieces = self.operators(first, stop)
                inner = "".join(self.pick(self.text[first:stop], pieces))
            else:
                first, inner = stop, ""
            number = self.add("drop", "without " + one_line(self.text[at:stop]), at)
            body = self.text[at:first] + inner if pieces else self.text[at:stop]
            self.edits.append(Edit(at, stop + 1, f"{{ if (!mutated({number})) {body}; }}"))

    def expression(self, first: int, last: int) -> None:
        first, last = self.trim(first, last)
        text = self.plain[first:last]
        if first >= last or (text.startswith("(") and closing(self.plain, first) == last):
            return
        self.choose(first, last, self.operators(first, last))

    def operators(self, first: int, last: int) -> list[tuple[str, str, str]]:
        """Each operator in [first, last) exchanged for its neighbour: kind, new text, name."""
        found = []
        for match in OPERATOR.finditer(self.plain[first:last]):
            old = match.group()
            kind, new = next(
                (kind, table[old])
                for kind, table in (("edge", EDGES), ("logic", LOGIC), ("number", NUMBER))
                if old in table
            )
            at = first + match.start()
            changed = self.text[first:at] + new + self.text[at + len(old) : last]
            found.append((kind, changed, f"{new} for {old} in {one_line(self.text[first:last])}"))
        return found + self.ternaries(first, last)

    def ternaries(self, first: int, last: int) -> list[tuple[str, str, str]]:
        """The opposite of each condition in front of a question mark, where no operator says it."""
        found = []
        for match in re.finditer(r" \? ", self.plain[first:last]):
            end = first + match.start()
            start, end = self.trim(self.argument_start(first, end), end)
            written = self.text[start:end]
            if re.search(r" (==|!=) ", written) and len(OPERATOR.findall(written)) == 1:
                continue
            changed = f"{self.text[first:start]}!({written}){self.text[end:last]}"
            name = f"opposite of {written} in {one_line(self.text[first:last])}"
            found.append(("flip", changed, name))
        return found

    def argument_start(self, first: int, end: int) -> int:
        """Where the expression begins that ends at `end`, within its brackets."""
        depth = 0
        for i in range(end - 1, first - 1, -1):
            depth += (self.plain[i] in ")]") - (self.plain[i] in "([")
            if depth < 0 or (depth == 0 and self.plain[i] == ","):
                return i + 1
        return first

    def choose(self, first: int, last: int, variants: list[tuple[str, str, str]]) -> None:
        if variants:
            text = "".join(self.pick(self.text[first:last], variants, at=first))
            self.edits.append(Edit(first, last, text))

    def pick(
        self, written: str, variants: list[tuple[str, str, str]], at: int = 0
    ) -> Iterator[str]:
        """`mutated(n) ? (variant) : ... : (written)`"""
        yield "("
        for kind, changed, name in variants:
            yield f"mutated({self.add(kind, name, at)}) ? ({changed}) : "
        yield f"({written}))"

    def modifiers(self, header: int, body: int) -> None:
        for match in re.finditer(rf"\b({'|'.join(MODIFIERS)})\b(?!\w|\()", self.plain[header:body]):
            at, name = header + match.start(), match.group()
            number = self.add("drop", f"without modifier {name}", at)
            self.edits.append(Edit(at, at + len(name), f"{name}Mutated({number})"))

    def yul(self, first: int, last: int) -> None:
        closers = []
        for match in YUL_CONDITION.finditer(self.plain[first:last]):
            at = first + match.end()
            # A name, or a call with its arguments.
            end = at + len(re.match(r"\w+", self.plain[at:]).group())  # type: ignore[union-attr]
            end = closing(self.plain, end) if self.plain[end] == "(" else end
            written, before, behind = self.text[at:end], "iszero(iszero(", "))"
            if not YUL_COMPARISON.match(written):
                number = self.add("flip", "opposite of " + written, at)
                before, behind = "xor(" + before, behind + f", eq(coinbase(), {number}))"
            if match.group(1) == "if":
                number = self.add("drop", "never " + written, at)
                before, behind = "and(" + before, behind + f", iszero(eq(coinbase(), {number})))"
            self.edits.append(Edit(at, at, before))
            closers.append(Edit(end, end, behind))
        for match in YUL_COMPARISON.finditer(self.plain[first:last]):
            at = first + match.start()
            close = closing(self.plain, self.plain.index("(", at))
            number = self.add("flip", "opposite of " + self.text[at:close], at)
            self.edits.append(Edit(at, at, "xor("))
            self.edits.append(Edit(close, close, f", eq(coinbase(), {number}))"))
        self.edits += closers  # Around the comparisons that end at the same place.
        for match in YUL_STATEMENT.finditer(self.plain[first:last]):
            at, end = first + match.start(), first + match.end()
            if self.plain[:at].rstrip().endswith("let"):
                continue
            number = self.add("drop", "without " + self.text[at:end], at)
            self.edits.append(Edit(at, at, f"if iszero(eq(coinbase(), {number})) {{ "))
            self.edits.append(Edit(end, end, " }"))

    # ---- bookkeeping

    def trim(self, first: int, last: int) -> tuple[int, int]:
        while first < last and self.plain[first].isspace():
            first += 1
        while first < last and self.plain[last - 1].isspace():
            last -= 1
        return first, last

    def add(self, kind: str, change: str, at: int) -> int:
        name = f"{self.path.removeprefix('contracts/')}:{self.function}: {one_line(change)}"
        self.seen[name] += 1
        key = name if self.seen[name] == 1 else f"{name} ({self.seen[name]})"
        number, self.next = self.next, self.next + 1
        line = self.text.count("\n", 0, at) + 1
        self.mutants.append(
            Mutant(number, self.path, self.function, kind, one_line(change), key, line)
        )
        return number

    def mutated(self) -> str:
        """The file with all mutants in it."""
        text = self.text
        # From the end, so that offsets stay true; of two at one place the later one first.
        order = sorted(enumerate(self.edits), key=lambda pair: (pair[1].start, pair[0]))
        for _, edit in reversed(order):
            text = text[: edit.start] + edit.text + text[edit.end :]
        return with_helper(text)


def with_helper(text: str) -> str:
    """Pure functions become view, and the question is there to be asked."""
    text = as_view(text)
    text = re.sub(
        r"(    modifier (\w+)\(\) \{\n(.*?)\n    \})", with_mutated_modifier, text, flags=re.S
    )
    question = f'import {{mutated}} from "{HELPER_PATH}";'
    return re.sub(r"(pragma solidity [^;]+;)", rf"\1\n{question}", text, count=1)


def as_view(text: str) -> str:
    """`pure` functions may not ask for the coinbase."""
    return re.sub(r"\bpure\b", "view", text)


def with_mutated_modifier(match: re.Match[str]) -> str:
    """The modifier, and its twin that a number puts to sleep."""
    lines = [
        line if line.strip() == "_;" else f"if (!mutated(number)) {{ {line.strip()} }}"
        for line in match.group(3).split("\n")
        if not line.strip().startswith("//")
    ]
    twin = "\n".join(lines)
    return (
        f"{match.group(1)}\n    modifier {match.group(2)}Mutated(uint256 number) {{\n{twin}\n    }}"
    )


def masked(text: str) -> str:
    """The text with comments and strings blanked out, offsets unchanged."""
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
    return pattern.sub(
        lambda m: re.sub(r"[^\n]", "~" if m.group()[0] in "\"'" else " ", m.group()), text
    )


def functions(plain: str) -> Iterator[tuple[str, int, int, int]]:
    """Name, end of the parameters, start and end of the body of every function that has one."""
    for match in FUNCTION.finditer(plain):
        after = closing(plain, match.end() - 1)
        opening, semicolon = plain.find("{", after), plain.find(";", after)
        if opening == -1 or -1 < semicolon < opening:
            continue
        name = next(group for group in match.groups() if group)
        yield name, after, opening + 1, closing(plain, opening) - 1


def closing(plain: str, at: int) -> int:
    """Offset behind the bracket that closes the one at `at`."""
    pairs = {"(": ")", "{": "}", "[": "]"}
    opened, closed, depth = plain[at], pairs[plain[at]], 0
    for i in range(at, len(plain)):
        depth += (plain[i] == opened) - (plain[i] == closed)
        if depth == 0:
            return i + 1
    raise ValueError(f"nothing closes {opened} at {at}")


def declares(statement: str) -> bool:
    """Whether a statement declares a variable: a type, maybe a place, a name."""
    return bool(
        re.match(
            r"\(?\s*(?:[\w.]+(?:\[\])?)(?: (?:memory|storage|calldata))? \w+(?:,| =|$|\))",
            statement,
        )
        or re.match(r"\((?:,| ?\w+ \w+,)", statement)
    )


def one_line(text: str) -> str:
    return " ".join(text.split())
