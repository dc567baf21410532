"""The macro layer over statements: macros, repetition and conditionals as GNU-like assemblers have them.

It sits between the source text and the assembler proper, which only ever sees plain statements: a label (``name:``),
a directive, an instruction or a brace.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tile_emu.asm.source import Location, Statement, split_line, statements

MAX_DEPTH = 400  # macro expansions inside one another
MAX_STATEMENTS = 4_000_000  # expanded statements of one source, many times a tile's memory: stops runaway repetition

_LABEL = re.compile(r"([\w.$]+|\"[^\"]*\")\s*:(?!:)")
_WORD = re.compile(r"[^\s,({\"]+")
# A parameter with the separator \() after it, if any: an unknown one keeps it for an enclosed .irp.
_PARAMETER = re.compile(r"\\(@|\(\)|[A-Za-z_.$][\w$]*)(?:(?<!\(\))\\\(\))?")
_REPEAT_OPENERS = frozenset((".rept", ".rep", ".irp", ".irpc"))
_GLUE_BEFORE = frozenset("+-*/%&|^<>=!~(,:@")
_GLUE_AFTER = frozenset("+-*/%&|^<>=!),:@")


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    default: str | None
    required: bool
    vararg: bool


@dataclass(frozen=True, slots=True)
class Macro:
    name: str
    parameters: tuple[Parameter, ...]
    body: tuple[Statement, ...]


@dataclass(slots=True)
class _Condition:
    location: Location
    taken: bool  # some branch has been active
    active: bool
    enclosing: bool  # the surrounding text is active
    seen_else: bool = False


@dataclass(slots=True)
class _Frame:
    source: Iterator[Statement]
    depth: int
    conditions: int  # open conditionals when the frame began
    is_macro: bool


def split_arguments(text: str, blanks: bool = True) -> list[str]:
    """Arguments of a macro call: separated by commas, and by blanks that do not touch an operator."""
    arguments: list[str] = []
    current = ""
    depth = 0
    position = 0
    while position < len(text):
        char = text[position]
        if char == '"':
            end = _string_end(text, position)
            current += text[position:end]
            position = end
            continue
        depth += (char in "([") - (char in ")]")
        if char == "," and depth <= 0:
            arguments.append(current.strip())
            current = ""
        elif char.isspace() and depth <= 0 and blanks:
            rest = text[position:].lstrip()
            before = current.rstrip()
            if before and rest and before[-1] not in _GLUE_BEFORE and rest[0] not in _GLUE_AFTER:
                arguments.append(before)
                current = ""
        else:
            current += char
        position += 1
    if current.strip() or arguments:
        arguments.append(current.strip())
    return arguments


def _string_end(text: str, start: int) -> int:
    position = start + 1
    while position < len(text) and text[position] != '"':
        position += 2 if text[position] == "\\" else 1
    return min(position + 1, len(text))


def _unquote(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] == '"' and _string_end(text, 0) == len(text):
        return text[1:-1]
    return text


class MacroLayer:
    """Turns source texts into plain statements.

    ``evaluate`` gives the value of an absolute expression known so far, ``defined`` whether a symbol is; both serve
    the conditionals and ``.rept``.
    """

    def __init__(self, evaluate: Callable[[str, Location], int], defined: Callable[[str], bool]) -> None:
        self._evaluate = evaluate
        self._defined = defined
        self._frames: list[_Frame] = []
        self._pending: list[Statement] = []
        self._conditions: list[_Condition] = []
        self._skipping = False
        self._calls = 0
        self._local = 0
        self._count = 0
        self._altmacro = False
        self.macros: dict[str, Macro] = {}
        self._handlers: dict[str, Callable[[str, str, Location], None]] = {
            ".macro": self._define,
            ".endm": self._stray,
            ".endmacro": self._stray,
            ".endr": self._stray,
            ".exitm": self._exit,
            ".purgem": self._purge,
            ".rept": self._repeat,
            ".rep": self._repeat,
            ".irp": self._irp,
            ".irpc": self._irp,
            ".altmacro": self._set_altmacro,
            ".noaltmacro": self._set_altmacro,
        }
        self._tests: dict[str, Callable[[str, Location], bool]] = _condition_tests(self)

    def push(self, text: str, file: str) -> None:
        """Read ``text`` next, before what is still unread."""
        self._push(statements(text, file), is_macro=False)

    def _push(self, source: Iterator[Statement], is_macro: bool) -> None:
        depth = self._frames[-1].depth + 1 if self._frames else 0
        self._frames.append(_Frame(source, depth, len(self._conditions), is_macro))

    def _raw(self) -> Statement | None:
        if self._pending:
            return self._pending.pop()
        while self._frames:
            statement = next(self._frames[-1].source, None)
            if statement is not None:
                self._count += 1
                if self._count > MAX_STATEMENTS:
                    raise statement[1].error("the source expands to too many statements")
                return statement
            self._frames.pop()
        return None

    def __iter__(self) -> Iterator[Statement]:
        return self

    def __next__(self) -> Statement:
        while True:
            statement = self._raw()
            if statement is None:
                if self._conditions:
                    raise self._conditions[-1].location.error(".if has no .endif")
                raise StopIteration
            plain = self._step(*statement)
            if plain is not None:
                return plain

    def _step(self, text: str, location: Location) -> Statement | None:
        label = _LABEL.match(text)
        if label is not None:
            rest = text[label.end() :].strip()
            if rest:
                self._pending.append((rest, location))
            return None if self._skipping else (label[1] + ":", location)
        match = _WORD.match(text)
        word = match[0] if match else text
        rest = text[len(word) :].strip()
        if word[0] == ".":
            if word in self._tests or word in (".else", ".elseif", ".endif"):
                self._conditional(word, rest, location)
                return None
            handler = self._handlers.get(word)
            if handler is not None:
                if not self._skipping:
                    handler(word, rest, location)
                elif word == ".macro":
                    self._collect(location, (".macro",), (".endm", ".endmacro"))
                elif word in _REPEAT_OPENERS:
                    self._collect(location, _REPEAT_OPENERS, (".endr",))
                return None
        if self._skipping:
            return None
        macro = self.macros.get(word)
        if macro is not None:
            self._expand(macro, rest, location)
            return None
        return text, location

    # Definitions and repetition

    def _collect(
        self, start: Location, openers: tuple[str, ...] | frozenset[str], closers: tuple[str, ...]
    ) -> list[Statement]:
        body: list[Statement] = []
        depth = 1
        while True:
            statement = self._raw()
            if statement is None:
                raise start.error(f"{min(openers)} has no {closers[0]}")
            text = statement[0]
            label = _LABEL.match(text)
            match = _WORD.match(text[label.end() :].strip() if label else text)
            word = match[0] if match else ""
            if word in openers:
                depth += 1
            elif word in closers:
                depth -= 1
                if depth == 0:
                    if label:
                        body.append((label[0], statement[1]))
                    return body
            body.append(statement)

    def _define(self, word: str, rest: str, location: Location) -> None:
        match = re.match(r"([\w.$]+)\s*,?\s*(.*)\Z", rest, re.DOTALL)
        if match is None:
            raise location.error(".macro needs a name", f".macro {rest}")
        body = self._collect(location, (".macro",), (".endm", ".endmacro"))
        parameters = []
        for item in split_arguments(match[2]):
            parsed = re.match(r"([A-Za-z_.$][\w.$]*)(?::(req|vararg))?\s*(?:=\s*(.*))?\Z", item, re.DOTALL)
            if parsed is None:
                raise location.error(f"bad macro parameter `{item}`")
            default = None if parsed[3] is None else _unquote(parsed[3])
            parameters.append(Parameter(parsed[1], default, parsed[2] == "req", parsed[2] == "vararg"))
        names = [parameter.name for parameter in parameters]
        if len(set(names)) != len(names):
            raise location.error(f"macro {match[1]} has two parameters of one name")
        if any(parameter.vararg for parameter in parameters[:-1]):
            raise location.error("only the last parameter of a macro may be :vararg")
        if match[1] in self.macros:
            raise location.error(f"macro {match[1]} is already defined")
        self.macros[match[1]] = Macro(match[1], tuple(parameters), tuple(body))

    def _stray(self, word: str, rest: str, location: Location) -> None:
        raise location.error(f"{word} without a beginning")

    def _purge(self, word: str, rest: str, location: Location) -> None:
        if self.macros.pop(rest, None) is None:
            raise location.error(f"there is no macro `{rest}`")

    def _exit(self, word: str, rest: str, location: Location) -> None:
        while self._frames and not self._frames[-1].is_macro:
            self._frames.pop()
        if not self._frames:
            raise location.error(".exitm outside a macro")
        frame = self._frames.pop()
        del self._conditions[frame.conditions :]
        self._skipping = bool(self._conditions) and not self._conditions[-1].active
        self._pending.clear()

    def _set_altmacro(self, word: str, rest: str, location: Location) -> None:
        self._altmacro = word == ".altmacro"

    def _repeat(self, word: str, rest: str, location: Location) -> None:
        body = self._collect(location, _REPEAT_OPENERS, (".endr",))
        count = self._evaluate(rest, location)
        if count < 0:
            raise location.error(f".rept count {count} is negative")
        if count * len(body) > MAX_STATEMENTS:
            raise location.error("the source expands to too many statements")
        if not body:
            return
        self._push((statement for _ in range(count) for statement in body), is_macro=False)

    def _irp(self, word: str, rest: str, location: Location) -> None:
        body = self._collect(location, _REPEAT_OPENERS, (".endr",))
        match = re.match(r"([A-Za-z_.$][\w.$]*)\s*(?:,\s*|\s+|\Z)(.*)\Z", rest, re.DOTALL)
        if match is None:
            raise location.error(f"{word} needs a symbol")
        values = (
            list(_unquote(match[2])) if word == ".irpc" else [_unquote(v) for v in split_arguments(match[2])] or [""]
        )
        self._push(self._substituted(body, match[1], values, location), is_macro=False)

    def _substituted(
        self, body: list[Statement], name: str, values: list[str], location: Location
    ) -> Iterator[Statement]:
        for value in values:
            for text, place in body:
                yield from self._substitute(text, place, {name: value}, None)

    # Expansion

    def _expand(self, macro: Macro, rest: str, location: Location) -> None:
        if len(self._frames) and self._frames[-1].depth >= MAX_DEPTH:
            raise location.error(f"macros are nested deeper than {MAX_DEPTH}")
        values = self._bind(macro, rest, location)
        call = self._calls
        self._calls += 1
        self._push(self._expansion(macro, values, call, location), is_macro=True)

    def _expansion(self, macro: Macro, values: dict[str, str], call: int, location: Location) -> Iterator[Statement]:
        for text, place in macro.body:
            if self._altmacro and text.startswith("LOCAL"):
                for name in filter(None, re.split(r"[\s,]+", text[5:])):
                    self._local += 1
                    values[name] = f".LL{self._local}"
                continue
            yield from self._substitute(
                text, Location(place.file, place.line, location, f"macro {macro.name}"), values, call
            )

    def _substitute(self, text: str, place: Location, values: dict[str, str], call: int | None) -> Iterator[Statement]:
        if self._altmacro and values and call is not None:
            text = re.sub(r"(?<![\\\w$.])[A-Za-z_][\w$]*", lambda m: values.get(m[0], m[0]), text)
        if "\\" not in text:
            yield text, place
            return

        def value(match: re.Match[str]) -> str:
            name = match[1]
            if name == "@":
                return match[0] if call is None else str(call)
            return "" if name == "()" else values.get(name, match[0])

        expanded = _PARAMETER.sub(value, text)
        for line in expanded.split("\n"):
            for statement in split_line(line):
                yield statement, place

    def _bind(self, macro: Macro, rest: str, location: Location) -> dict[str, str]:
        values: dict[str, str] = {}
        parameters = macro.parameters
        arguments = split_arguments(rest)
        names = {parameter.name for parameter in parameters}
        position = 0
        for index, argument in enumerate(arguments):
            keyword = re.match(r"([A-Za-z_.$][\w.$]*)\s*=(?!=)\s*(.*)\Z", argument, re.DOTALL)
            if keyword is not None and keyword[1] in names:
                values[keyword[1]] = self._argument(keyword[2], location)
                continue
            if position >= len(parameters):
                raise location.error(f"macro {macro.name} takes {len(parameters)} arguments, more given", rest)
            parameter = parameters[position]
            if parameter.vararg:
                values[parameter.name] = ", ".join(arguments[index:])
                break
            if argument:
                values[parameter.name] = self._argument(argument, location)
            position += 1
        for parameter in parameters:
            if parameter.name not in values:
                if parameter.required:
                    raise location.error(f"macro {macro.name} needs its argument `{parameter.name}`")
                values[parameter.name] = parameter.default or ""
        return values

    def _argument(self, text: str, location: Location) -> str:
        if self._altmacro and text.startswith("%"):
            return str(self._evaluate(text[1:], location))
        if self._altmacro and len(text) >= 2 and text[0] == "<" and text[-1] == ">":
            return text[1:-1]
        return _unquote(text)

    # Conditionals

    def _conditional(self, word: str, rest: str, location: Location) -> None:
        if word in self._tests:
            enclosing = not self._skipping
            taken = enclosing and self._tests[word](rest, location)
            self._conditions.append(_Condition(location, taken, taken, enclosing))
        else:
            floor = next((frame.conditions for frame in reversed(self._frames) if frame.is_macro), 0)
            if len(self._conditions) <= floor:
                raise location.error(f"{word} without .if")
            condition = self._conditions[-1]
            if word == ".endif":
                self._conditions.pop()
            elif condition.seen_else:
                raise location.error(f"{word} after .else")
            else:
                open_branch = condition.enclosing and not condition.taken
                condition.active = open_branch and (word == ".else" or self._evaluate(rest, location) != 0)
                condition.taken |= condition.active
                condition.seen_else = word == ".else"
        self._skipping = bool(self._conditions) and not self._conditions[-1].active

    def compare(self, rest: str, location: Location) -> bool:
        """``.ifc a, b``: equality of two texts."""
        parts = split_arguments(rest, blanks=False)
        if len(parts) != 2:
            raise location.error("two texts expected, separated by a comma", rest)
        return parts[0].strip("'") == parts[1].strip("'")

    def value(self, rest: str, location: Location) -> int:
        return self._evaluate(rest, location)

    def known(self, rest: str, location: Location) -> bool:
        return self._defined(rest.strip())


def _condition_tests(layer: MacroLayer) -> dict[str, Callable[[str, Location], bool]]:
    value, compare, known = layer.value, layer.compare, layer.known
    return {
        ".if": lambda rest, at: value(rest, at) != 0,
        ".ifne": lambda rest, at: value(rest, at) != 0,
        ".ifeq": lambda rest, at: value(rest, at) == 0,
        ".ifgt": lambda rest, at: value(rest, at) > 0,
        ".ifge": lambda rest, at: value(rest, at) >= 0,
        ".iflt": lambda rest, at: value(rest, at) < 0,
        ".ifle": lambda rest, at: value(rest, at) <= 0,
        ".ifdef": known,
        ".ifndef": lambda rest, at: not known(rest, at),
        ".ifnotdef": lambda rest, at: not known(rest, at),
        ".ifb": lambda rest, at: not rest.strip(),
        ".ifnb": lambda rest, at: bool(rest.strip()),
        ".ifc": compare,
        ".ifnc": lambda rest, at: not compare(rest, at),
        ".ifeqs": compare,
        ".ifnes": lambda rest, at: not compare(rest, at),
    }
