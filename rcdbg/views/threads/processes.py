"""The processes: whose child each is, and what is left of those that have exited."""

from rich.console import Group, RenderableType
from rich.text import Text

from rcdbg.model.tasks.relatives import ProcessEntry, ProcessTree
from rcdbg.views import palette
from rcdbg.views.common import address, guest, note_line, problem_line, styled
from rcdbg.views.layout import Column, Fitted, Row, listing, problem_lines

_MOST = 12
_PAGE_SHIFT = 12


def view(tree: ProcessTree) -> RenderableType:
    """A row for each process, and how many there are."""
    parts: list[RenderableType] = [note_line(tree.note)] if tree.note else []
    if tree.entries:
        number = len(tree.entries)
        parts.append(Text(f"{number:,} process" + "es" * (number != 1)))
        parts.append(Fitted(lambda width: _table(tree, width)))
    return Group(*parts, *problem_lines(tree.problems))


def _table(tree: ProcessTree, width: int) -> RenderableType:
    named = any(entry.name for entry in tree.entries)
    columns = [Column("id"), *[Column("name")] * named, Column("state"), Column("parent", "parent")]
    columns += [Column("root table", "root table"), Column("threads", "threads")]
    columns.append(Column("children", "children"))
    rows = []
    for entry in tree.entries:
        cells = [Text("?" if entry.id is None else str(entry.id), palette.HEADING)]
        cells += [guest(entry.name)] * named
        cells += [_state(entry), _parent(entry), _root(entry)]
        cells += [_ids(entry.threads), _ids(entry.children)]
        below = tuple(Text("    ") + problem_line(problem) for problem in entry.problems)
        rows.append(Row(tuple(cells), below))
    return listing(columns, rows, width)


def _unknown() -> Text:
    return styled("not known", palette.NOTE)


def _state(entry: ProcessEntry) -> Text:
    if entry.is_dead is None and not entry.state:
        return _unknown()
    text = guest(entry.state) if entry.state else Text("alive")
    if entry.is_dead:
        text.stylize(palette.DEAD)
        code = entry.exit_code
        text.append(", exit code " + ("not known" if code is None else str(code)))
    return text


def _parent(entry: ProcessEntry) -> Text:
    if not entry.parent_is_known:
        return _unknown()
    return Text("none" if entry.parent is None else str(entry.parent))


def _root(entry: ProcessEntry) -> Text:
    if entry.address is None:
        return Text("none left")
    return _unknown() if entry.root_ppn is None else address(entry.root_ppn << _PAGE_SHIFT)


def _ids(ids: tuple[int, ...] | None) -> Text:
    if ids is None:
        return _unknown()
    if not ids:
        return Text("none")
    more = f" and {len(ids) - _MOST:,} more" if len(ids) > _MOST else ""
    return Text(", ".join(map(str, ids[:_MOST])) + more)
