"""YAML files, loaded safely: plain data only, and every flaw ends in one `InputError` that names file and line."""

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

from ...kernels.programs import remembered
from ..errors import InputError
from .paths import Filename, as_path, read_bytes

if TYPE_CHECKING:
    import yaml


TEXT_KEYS = ("name", "datasets_names", "link")
"""Keys whose values are text, also where YAML sees numbers: 023523 (octal, 10067), 1_2 (12), 12:30 (750), 1.10."""


MOST_NODES, MOST_REPEATS = 100_000, 10
"""A file may grow to so many entries, or so many times its own, when its aliases are written out: a few lines may be
made so that they fill the memory."""


MOST_DIGITS = 1000


@remembered(1)
def _loader() -> Any:
    """The safe loader, which moreover refuses a key that is given twice (YAML itself would keep the last one)."""
    import yaml

    # libyaml where PyYAML was built with it: index files with thousands of datasets load ten times faster
    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):
        def get_single_data(self) -> Any:
            node = self.get_single_node()
            if node is None:
                return None
            _require_few(node)
            return self.construct_document(node)

    Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
    Loader.add_constructor("tag:yaml.org,2002:int", _whole)
    # dates stay text: a file that is read and written again keeps them as they were
    Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda loader, node: loader.construct_scalar(node))
    return Loader


def _require_few(root: "yaml.Node") -> None:
    """A ConstructorError for aliases that lead back to themselves, or that make a small text a very large object."""
    import yaml

    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()
    stack = [root]
    while stack:
        node = stack[-1]
        parts = [] if isinstance(node, yaml.ScalarNode) else node.value
        children = [n for pair in parts for n in pair] if isinstance(node, yaml.MappingNode) else parts
        if id(node) not in open_nodes:
            open_nodes.add(id(node))
            inside = [child for child in children if id(child) not in sizes]
            if any(id(child) in open_nodes for child in inside):
                raise yaml.constructor.ConstructorError(None, None, "an alias contains itself", node.start_mark)
            if inside:
                stack += inside
                continue
        stack.pop()
        sizes[id(node)] = 1 + sum(sizes[id(child)] for child in children)
        open_nodes.discard(id(node))
        if sizes[id(node)] > max(MOST_NODES, MOST_REPEATS * len(sizes)):
            problem = f"with its aliases written out it has more than {MOST_NODES:,} entries"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


def require_small(text: str, where: str) -> None:
    """An `InputError` for YAML that another library is to read, if it is no YAML or its aliases fill the memory."""
    import yaml

    try:
        node = yaml.compose(text, Loader=_loader())
        if node is not None:
            _require_few(node)
    except yaml.YAMLError as error:
        raise InputError(f"{where}{_line(error)}: {_problem(error, text)}") from error


def _mapping(loader: "yaml.SafeLoader", node: "yaml.MappingNode") -> dict[Hashable, object]:
    import yaml

    seen: dict[str, int] = {}
    for key_node, value_node in node.value:
        if key_node.value in TEXT_KEYS:
            for text in value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]:
                _as_written(loader, text)
        if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == "tag:yaml.org,2002:merge":
            continue
        line = key_node.start_mark.line + 1
        # gammapy's fit results carry their metadata twice
        if key_node.value in seen and key_node.value != "metadata":
            problem = f"the key {key_node.value!r} is given twice, first in line {seen[key_node.value]}"
            raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
        seen[key_node.value] = line
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


def _whole(loader: "yaml.SafeLoader", node: "yaml.ScalarNode") -> int:
    """A whole number of a length that Python can also show: messages and files do."""
    import yaml

    if len(node.value) > MOST_DIGITS:
        problem = f"a whole number of {len(node.value)} digits, expected {MOST_DIGITS} at most"
        raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
    return int(loader.construct_yaml_int(node))


def _as_written(loader: "yaml.SafeLoader", node: "yaml.Node") -> None:
    """Let a scalar that YAML takes for another number than is written there be text."""
    import yaml

    if isinstance(node, yaml.ScalarNode) and node.tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float"):
        try:
            same = str(loader.construct_object(node)) == node.value
        except ValueError:
            same = False
        # what it made of the number it keeps for good
        loader.constructed_objects.pop(node, None)
        if not same:
            node.tag = "tag:yaml.org,2002:str"


@remembered(1)
def _dumper() -> Any:
    """The safe dumper without anchors, which people find hard to edit."""
    import yaml

    base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

    class Dumper(base):
        def ignore_aliases(self, data: object) -> bool:
            return True

    return Dumper


def parse_yaml(text: str, where: str) -> dict[str, Any]:
    """The mapping that a YAML text holds; ``where`` names the source in error messages."""
    import yaml

    try:
        data = yaml.load(text, Loader=_loader())
    except yaml.YAMLError as error:
        raise InputError(f"{where}{_line(error)}: {_problem(error, text)}") from error
    except Exception as error:  # what its numbers and depths are too large for
        raise InputError(f"{where}: the YAML cannot be read ({error}).") from error
    if data is None:
        raise InputError(f"{where}: the file is empty. Expected YAML such as 'components: [...]' or 'datasets: [...]'.")
    if not isinstance(data, dict):
        raise InputError(f"{where}: expected a YAML mapping ('key: value' lines), found a {type(data).__name__}.")
    return data


def load_yaml(filename: Filename) -> dict[str, Any]:
    """The mapping in a YAML file (which may be gzip-compressed)."""
    path = as_path(filename)
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: this is not a text file in UTF-8, so it cannot be YAML.") from error
    return parse_yaml(text, str(path))


def dump_yaml(data: Mapping[str, object]) -> str:
    """YAML text of plain data, in the order of the keys; floats are written so that they read back exactly."""
    import yaml

    return yaml.dump(data, Dumper=_dumper(), sort_keys=False, indent=4, width=120, allow_unicode=True)


def dump_index(data: Mapping[str, object]) -> str:
    """YAML text in the layout of gammapy's files: their checksums are over the text."""
    import yaml

    return yaml.safe_dump(data, sort_keys=False, indent=4, width=80, default_flow_style=False)


def _line(error: "yaml.YAMLError") -> str:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    return f", line {mark.line + 1}" if mark is not None else ""


def _problem(error: "yaml.YAMLError", text: str) -> str:
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    if "could not determine a constructor for the tag" in problem:
        tag = problem.split("'")[1] if "'" in problem else "?"
        return f"the tag {tag!r} is not allowed: only numbers, text, lists and mappings are read. Remove the tag."
    mark = getattr(error, "problem_mark", None)
    lines = text.splitlines()
    if mark is not None and mark.line < len(lines) and lines[mark.line][mark.column : mark.column + 1] == "\t":
        return "there is a tab in the indentation, which YAML forbids. Replace tabs by spaces."
    return f"the YAML cannot be parsed: {problem}."
