"""Fit results as tables of a paper."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from gammajax.cli.terminal import is_ascii

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from gammajax.fit.predictions import Prediction
    from gammajax.fit.result import FitResult

SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")

# lengths, times, energies: the order of papers
UNIT_ORDER = {"m": 0, "cm": 0, "s": 1}

MOST_ROWS = 40
"""Longest table on the terminal; files hold all rows."""


def significant(error: float) -> tuple[int, int]:
    """Exponent of the leading digit of ``error``, and how many digits of it to show: 3 after a leading 1, else 2."""
    mantissa, exponent = f"{error:.6e}".split("e")
    digits = 3 if mantissa[0] == "1" else 2
    # rounding may carry over to the next power of ten: 0.0999 -> 0.100
    mantissa, exponent = f"{error:.{digits - 1}e}".split("e")
    return int(exponent), 3 if mantissa[0] == "1" else 2


def format_value(value: float, error: float = 0.0, unit: str = "", *, ascii_only: bool = False) -> str:
    """A value with its error and unit, rounded as the error says and with one power of ten for both.

    >>> format_value(3.8485e-11, 1.143e-12, "TeV-1 s-1 cm-2", ascii_only=True)
    '(3.849 +- 0.114) x 10^-11 cm-2 s-1 TeV-1'
    """
    plus_minus = "+-" if ascii_only else "±"
    if not math.isfinite(value):
        text, power = f"{value}", 0
    elif not error > 0 or not math.isfinite(error):
        text, power = _plain(value)
        if math.isinf(error):
            text = f"{text} {plus_minus} inf"
    else:
        leading, digits = significant(error)
        power = _power(max(abs(value), error))
        decimals = max(digits - 1 - leading + power, 0)
        text = f"{value / 10.0**power:.{decimals}f} {plus_minus} {error / 10.0**power:.{decimals}f}"
    if power:
        ten = f"x 10^{power}" if ascii_only else f"× 10{str(power).translate(SUPERSCRIPTS)}"
        text = f"({text}) {ten}" if " " in text else f"{text} {ten}"
    return f"{text} {format_unit(unit)}".rstrip()


def format_unit(unit: str) -> str:
    """A unit in the order of papers: cm-2 s-1 TeV-1."""
    parts = unit.split()
    return " ".join(sorted(parts, key=lambda part: UNIT_ORDER.get(part.rstrip("0123456789-+"), 2)))


def _power(value: float) -> int:
    """The common power of ten: none for numbers that read well without."""
    exponent = math.floor(math.log10(value))
    return 0 if -3 <= exponent < 5 else exponent


def _plain(value: float) -> tuple[str, int]:
    power = _power(abs(value)) if value else 0
    return f"{value / 10.0**power:.6g}", power


def parameter_rows(result: "FitResult", ascii_only: bool) -> list[tuple[str, str, str]]:
    """Name, value and remark of every parameter; linked ones name the first of them."""
    rows: list[tuple[str, str, str]] = []
    first_of_link: dict[str, str] = {}
    at_bound, unconstrained = set(result.at_bound), " & ".join(result.degenerate).split(" & ")
    for name, p in result.parameters.items():
        remark = ""
        if p.link is not None and first_of_link.setdefault(p.link, name) != name:
            remark = f"= {first_of_link[p.link]}"
        elif p.frozen:
            remark = "frozen"
        elif name in at_bound:
            remark = "at bound"
        elif name in unconstrained:
            remark = "not constrained"
        elif p.prior is not None:
            remark = "prior"
        error = 0.0 if p.frozen else float(p.error)
        rows.append((name, format_value(float(p.value), error, p.unit, ascii_only=ascii_only), remark))
    return rows


def parameter_table(result: "FitResult", console: "Console") -> "Table":
    """Parameters with errors, as a rich table."""
    rows = parameter_rows(result, is_ascii(console))
    shown = rich_table(console, "Parameter", "Value", "")
    for row in rows[:MOST_ROWS]:
        shown.add_row(*row)
    return with_rest(shown, len(rows))


def dataset_table(predictions: "Iterable[Prediction]", console: "Console") -> "Table":
    """What each dataset adds to the fit: bins, counts, prediction and statistic inside its mask."""
    listed = list(predictions)
    shown = rich_table(console, "Dataset", "*Bins", "*Counts", "*Background", "*Predicted", "*Statistic")
    for p in listed[:MOST_ROWS]:
        inside = p.mask
        background, total = float(p.background[inside].sum()), float(p.npred[inside].sum())
        counts = float(p.counts[inside].sum())
        if math.isnan(counts):
            # flux points, say
            shown.add_row(p.name, str(p.n_bins), "-", "-", "-", f"{p.stat:.2f}")
            continue
        whole = f"{counts:.0f}" if counts == round(counts) else f"{counts:.1f}"
        shown.add_row(p.name, str(p.n_bins), whole, f"{background:.1f}", f"{total:.1f}", f"{p.stat:.2f}")
    return with_rest(shown, len(listed))


def summary_lines(
    result: "FitResult", seconds: float, stat_types: "Iterable[str]" = (), pictures: bool = False
) -> list[str]:
    """Statistic, status and time in words; ``stat_types`` of the datasets; ``pictures``: whether there are any of
    them."""
    head = "Converged" if result.success else f"NOT CONVERGED ({result.status})"
    lines = [
        f"Statistic {result.stat:.3f} for {result.n_bins} bins and {len(result.free_names)} free parameters. "
        + goodness(result, set(stat_types), pictures),
        f"{head} in {result.iterations} iterations ({result.method}, {seconds:.1f} s with compilation), "
        f"distance to minimum {result.edm:.1e}",
    ]
    if not result.success or result.at_bound:
        lines.append(result.message)
    return lines + result.hints


def goodness(result: "FitResult", stat_types: set[str], pictures: bool) -> str:
    """What the statistic says about the goodness of the fit: only chi2 says anything by itself."""
    from scipy.stats import chi2

    if stat_types == {"chi2"} and result.ndf > 0:
        return f"chi2 of {result.ndf} degrees of freedom: p-value {chi2.sf(result.stat, result.ndf):.3g}."
    if not pictures:
        return "Of counts it is no chi2: `gammajax plot` draws the residuals."
    return "Of counts it is no chi2: see the residuals in the pictures of the counts."


def print_result(
    console: "Console",
    result: "FitResult",
    predictions: "Iterable[Prediction]",
    seconds: float,
    pictures: bool = False,
) -> None:
    """The whole report of a fit; ``pictures``: whether its counts are drawn."""
    listed = list(predictions)
    console.print(parameter_table(result, console))
    console.print(dataset_table(listed, console))
    for line in summary_lines(result, seconds, [p.stat_type for p in listed], pictures):
        console.print(line)


def rich_table(console: "Console", *columns: str) -> "Table":
    """A table with a rule below its head; a star in front of a column's name means numbers, which line up right."""
    from rich.box import SIMPLE, Box

    from gammajax.cli.narrow import FittingTable

    plain = Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)
    table = FittingTable(box=plain if is_ascii(console) else SIMPLE, pad_edge=False)
    for number, column in enumerate(columns):
        # numbers are never cut; long names fold
        table.add_column(
            column.lstrip("*"),
            justify="right" if column.startswith("*") else "left",
            no_wrap=number > 0 and bool(column),
            overflow="fold",
        )
    return table


def with_rest(table: "Table", n_rows: int) -> "Table":
    """The table with a caption that says how many of ``n_rows`` it leaves out."""
    if n_rows > MOST_ROWS:
        table.caption = f"... and {n_rows - MOST_ROWS} more, see the result files"
        table.caption_justify = "left"
    return table
