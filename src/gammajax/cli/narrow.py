"""Tables that stay readable on narrow terminals."""

from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from gammajax.cli.terminal import shown

SHORT = 12
"""Letters of a name that stand beside each other at least."""


class FittingTable(Table):
    """A table; where the terminal is too narrow for its columns, each row is a short list instead."""

    def __init__(self, **options: Any):
        super().__init__(**options)
        self._texts: list[tuple[str, ...]] = []

    def add_row(self, *cells: Any, **options: Any) -> None:
        self._texts.append(tuple(str(cell) for cell in cells))
        super().add_row(*cells, **options)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for table in (self, self._without_empty()):
            if table._width(console, options) <= options.max_width:
                yield from Table.__rich_console__(table, console, options)
                return
        heads = [" ".join(str(column.header).split()) for column in self.columns]
        for row in self._texts:
            if row[0]:
                yield Text(shown(row[0]))
            for head, cell in zip(heads[1:], row[1:], strict=False):
                if cell and cell != "-":
                    yield Text(f"  {head} {shown(cell)}".rstrip() if head else f"  {shown(cell)}")
        if self.caption:
            yield Text(str(self.caption))

    def _width(self, console: Console, options: ConsoleOptions) -> int:
        """Columns of the terminal that the table takes; names, in the first column, may fold."""
        names = max((len(row[0]) for row in self._texts), default=0)
        wanted = self.__rich_measure__(console, options.update(max_width=10_000)).maximum
        return wanted - max(names - SHORT, 0)

    def _without_empty(self) -> "FittingTable":
        """The table without the columns in which nothing stands."""
        table = FittingTable(
            box=self.box, pad_edge=self.pad_edge, caption=self.caption, caption_justify=self.caption_justify
        )
        kept = [i for i in range(len(self.columns)) if i == 0 or any(row[i] not in ("", "-") for row in self._texts)]
        for i in kept:
            column = self.columns[i]
            table.add_column(column.header, justify=column.justify, no_wrap=column.no_wrap, overflow=column.overflow)
        for row in self._texts:
            table.add_row(*(row[i] for i in kept))
        return table
