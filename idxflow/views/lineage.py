"""What an artifact was made from and what was made from it: as trees, and as a Mermaid flowchart."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

from rich.text import Text
from rich.tree import Tree

from artifacts.archive.lineage import Edge, Lineage, Making, Node, Source
from idxflow.views.console import Console
from idxflow.views.layout import local_time
from schemas.counts import counted
from schemas.text import amount

DIGITS = 12
"""How many digits of a digest a person is shown."""
LISTED = 4
"""The longest list that is shown and not counted."""
MATCHES = {"exact": "", "content": "another version, of the same content", "changed": "rebuilt since, differently"}
CHECKSUMS = {
    "published": "as published",
    "own file": "of the file on this machine",
    "first use": "trusted on first use",
    None: "no proof of it is stored",
}
PLAIN = re.compile(r"[^\w .,:;/()+-]")
"""What a label of a Mermaid drawing has to write as a number."""


def print_lineage(console: Console, lineage: Lineage) -> None:
    """Print the artifact's facts, a tree of what it was made from, and one of what was made from it."""
    for part in _Drawing(lineage).parts():
        # Broken between words and within its branch, where a terminal would break it anywhere.
        console.out.print(part, soft_wrap=False)


class _Drawing:
    """One lineage as text: the artifact's facts, a tree upwards and a tree downwards."""

    def __init__(self, lineage: Lineage) -> None:
        self._lineage, self._artifact = lineage, lineage.node(lineage.artifact)
        self._usual = list(_circumstances(self._artifact.made)) if self._artifact.made else []
        self._said: set[str] = set()

    def parts(self) -> Iterator[Text | Tree]:
        """Yield what is to be printed, one below the other."""
        up, down = self._lineage.up, self._lineage.down
        yield Text("\n").join([_name(self._artifact), *self._facts(self._artifact)])
        yield self._tree(
            "Made from", "nothing: it came from outside", [(each.target, each.source, each) for each in up]
        )
        yield self._tree("Used in", "nothing that is stored", [(each.source, each.target, each) for each in down])

    def _tree(self, title: str, nothing: str, steps: list[tuple[str, str, Edge]]) -> Text | Tree:
        if not steps:
            return Text.assemble("\n", (title, "bold"), f" {nothing}")
        branches: defaultdict[str, list[tuple[Node, Edge]]] = defaultdict(list)
        for near, far, edge in steps:
            branches[near].append((self._lineage.node(far), edge))
        usual = " (run, commit and software as above, unless shown)"
        tree, shown = Tree(Text.assemble("\n", (title, "bold"), (usual, "dim"))), set[str]()

        def grow(branch: Tree, near: str) -> None:
            for node, edge in branches[near]:
                note = ", ".join(filter(None, [MATCHES[edge.match], "as above" if node.id in shown else ""]))
                label = Text.assemble(f"{edge.argument}: ", _name(node), (f" ({note})" if note else "", "yellow"))
                if node.id in shown:
                    branch.add(label)
                    continue
                shown.add(node.id)
                grow(branch.add(Text("\n").join([label, *self._facts(node)])), node.id)

        grow(tree, self._artifact.id)
        return tree

    def _facts(self, node: Node) -> Iterator[Text]:
        """Yield the lines below an artifact's name: no parameter twice, and nothing that all have in common."""
        if (made := node.made) is None:
            yield Text("no longer in the store", "yellow")
            return
        lines = [f"{amount(made.bytes, 'bytes')}, {local_time(made.created)}, content {node.digest[:DIGITS]}"]
        lines += _source_lines(made.source) if made.source else ()
        lines.append(
            ", ".join([f"code {made.code[:DIGITS]} ({counted(made.code_files, 'file')})", *_versions(made.packages)])
        )
        for name, value in made.parameters.items():
            if value is not None and (line := f"{name}: {brief(value)}") not in self._said:
                self._said.add(line)
                lines.append(line)
        known = self._usual if node is not self._artifact else [*_versions(made.packages)]
        lines.append(", ".join(each for each in _circumstances(made) if each not in known))
        yield from (Text(line, "dim") for line in lines if line)


def brief(value: object) -> str:
    """Return a parameter in a few words: long lists and nested values are counted, digests are cut."""
    match value:
        case dict():
            inner = {name: each for name, each in value.items() if each is not None}
            return ", ".join(
                f"{name} {counted(len(each), 'value')}" if isinstance(each, dict) else f"{name} {brief(each)}"
                for name, each in inner.items()
            )
        case list() if len(value) > LISTED or any(isinstance(each, dict | list) for each in value):
            return counted(len(value), "value")
        case list():
            return f"[{','.join(map(brief, value))}]"
        case float():
            return f"{value:g}"
        case str() if re.fullmatch("[0-9a-f]{64}", value):
            return value[:DIGITS]
    return str(value)


def flowchart(lineage: Lineage) -> Iterator[str]:
    """Yield the lines of a Mermaid flowchart: mirrors, artifacts, and the inputs by their names."""
    names = {node.id: f"n{number}" for number, node in enumerate(lineage.nodes)}
    sources = [(node.id, node.made.source) for node in lineage.nodes if node.made and node.made.source]
    mirrors = {mirror: f"m{number}" for number, mirror in enumerate(dict.fromkeys(each.mirror for _, each in sources))}
    yield "flowchart LR"
    yield from (f'  {mirrors[mirror]}[("{_quoted(mirror)}")]' for mirror in mirrors)
    for node in lineage.nodes:
        kind = ":::asked" if node.id == lineage.artifact else "" if node.made else ":::gone"
        first = " ".join(filter(None, [node.stage, node.name]))
        yield f'  {names[node.id]}["{_quoted(first)}<br>{_quoted(node.version)}"]{kind}'
    yield from (f"  {mirrors[source.mirror]} --> {names[identity]}" for identity, source in sources)
    for edge in dict.fromkeys([*lineage.up, *lineage.down]):
        arrow = "-->" if edge.match == "exact" else "-.->"
        yield f'  {names[edge.source]} {arrow}|"{_quoted(edge.argument)}"| {names[edge.target]}'
    yield "  classDef asked stroke-width:4px"
    yield "  classDef gone stroke-dasharray:4"


def _name(node: Node) -> Text:
    return Text.assemble((node.stage, "bold"), f" {node.name}" if node.name else "", (f" {node.version}", "cyan"))


def _circumstances(made: Making) -> Iterator[str]:
    """Yield run, commit and software of an artifact, each fact alone, so that they can be compared."""
    where = made.environment
    yield f"run {made.run}"
    dirty = " with uncommitted changes" if where.git_dirty else ""
    yield f"commit {where.git_commit[:DIGITS]}{dirty}" if where.git_commit else "no commit"
    yield from (f"Python {where.python}", where.platform, *_versions(where.packages))
    yield from (f"{name}={value}" for name, value in where.numerics.items())


def _versions(packages: dict[str, str]) -> Iterable[str]:
    return (f"{name} {version}" for name, version in packages.items())


def _source_lines(source: Source) -> Iterator[str]:
    yield f"from {source.mirror}"
    yield f"SHA-256 {source.sha256[:DIGITS]}, {CHECKSUMS[source.checksum]}"


def _quoted(text: str) -> str:
    """Escape what ends a label or has a meaning in it, as Mermaid's numbered entities."""
    return PLAIN.sub(lambda found: f"#{ord(found[0])};", text)
