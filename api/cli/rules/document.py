"""A YAML file as values, each with the line it stands on."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

Path = tuple[str | int, ...]
_MAPPING, _SEQUENCE = "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"
_MOST_VALUES = 100_000  # aliases multiply: what is written on ten lines may mean billions


@dataclass(frozen=True)
class Problem:
    """Something wrong in a file: where, and what to do about it."""

    line: int
    path: Path
    message: str


class FileWrong(ValueError):
    """A file cannot be used; says every problem on a line of its own, as `file:line: path: message`."""

    def __init__(self, name: str, problems: list[Problem]) -> None:
        self.problems = sorted(problems, key=lambda each: each.line)
        super().__init__("\n".join(f"{name}:{each.line}: {_told(each)}" for each in self.problems))


@dataclass(frozen=True)
class Document:
    """Plain values (dict, list, text, number, bool, None, date) and the lines, counted from 1, they were read from."""

    name: str
    value: Any
    lines: Mapping[Path, int]

    def problem(self, path: Path, message: str) -> Problem:
        """Return a problem at the line of the value at `path`, or of the nearest value around it."""
        return Problem(
            next(self.lines[path[:n]] for n in range(len(path), -1, -1) if path[:n] in self.lines), path, message
        )


def read_document(text: str, name: str) -> Document:
    """Read one YAML document. Raises FileWrong for what is no YAML, repeats a key, or has keys that are no text."""
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            raise FileWrong(name, [Problem(1, (), "the file is empty")])
        reading = _Reading(loader)
        value = reading.value(node, (), frozenset())
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise FileWrong(name, [Problem(line, (), f"the character {chr(error.character)!r} is not allowed")]) from error
    except yaml.MarkedYAMLError as error:
        raise FileWrong(name, [Problem(_line_of(error), (), error.problem or "is no YAML")]) from error
    except RecursionError as error:
        raise FileWrong(name, [Problem(1, (), "is nested too deeply")]) from error
    if reading.problems:
        raise FileWrong(name, reading.problems)
    return Document(name, value, reading.lines)


class _Reading:
    """One walk over the nodes; collects lines and problems."""

    def __init__(self, loader: yaml.SafeLoader) -> None:
        self._loader = loader
        self.lines: dict[Path, int] = {}
        self.problems: list[Problem] = []

    def value(self, node: yaml.Node, path: Path, inside: frozenset[int]) -> Any:  # noqa: ANN401 - any YAML value
        if id(node) in inside or len(self.lines) >= _MOST_VALUES:
            raise yaml.MarkedYAMLError(problem="an alias stands for too much", problem_mark=node.start_mark)
        self.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode) and node.tag == _MAPPING:
            return self._mapping(node, path, inside | {id(node)})
        if isinstance(node, yaml.SequenceNode) and node.tag == _SEQUENCE:
            return [self.value(each, (*path, n), inside | {id(node)}) for n, each in enumerate(node.value)]
        return self._scalar(node)

    def _scalar(self, node: yaml.Node) -> Any:  # noqa: ANN401
        if not isinstance(node, yaml.ScalarNode):
            raise yaml.MarkedYAMLError(problem=f"the tag {node.tag!r} is not known", problem_mark=node.start_mark)
        try:
            return self._loader.construct_object(node, deep=True)
        except ValueError as error:
            problem = "looks like a number or a date and is none: put it in quotes"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark) from error

    def _mapping(self, node: yaml.MappingNode, path: Path, inside: frozenset[int]) -> dict[str, Any]:
        self._refuse_repeated_keys(node, path)
        self._loader.flatten_mapping(node)  # `<<`: what is merged in comes first, so that the own keys win
        found = {}
        for key_node, value_node in node.value:
            key = self._scalar(key_node) if isinstance(key_node, yaml.ScalarNode) else None
            if not isinstance(key, str):
                self._add(key_node, path, f"the key {key_node.value!s:.40} is no text: put it in quotes")
                continue
            found[key] = self.value(value_node, (*path, key), inside)
            self.lines[*path, key] = key_node.start_mark.line + 1
        return found

    def _refuse_repeated_keys(self, node: yaml.MappingNode, path: Path) -> None:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            if isinstance(key_node, yaml.ScalarNode):
                if key_node.value in seen:
                    self._add(key_node, path, f"{key_node.value!r} is given twice")
                seen.add(key_node.value)

    def _add(self, node: yaml.Node, path: Path, message: str) -> None:
        self.problems.append(Problem(node.start_mark.line + 1, path, message))


def _line_of(error: yaml.MarkedYAMLError) -> int:
    mark = error.problem_mark or error.context_mark
    return mark.line + 1 if mark else 1


def _told(problem: Problem) -> str:
    return f"{shown_path(problem.path)}: {problem.message}" if problem.path else problem.message


def shown_path(path: Path) -> str:
    """Return a path as a person writes it: `rules[0].threshold`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")
