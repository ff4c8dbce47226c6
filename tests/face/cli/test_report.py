import io
import math
import types

import pytest

from gammajax.cli.report import format_unit, format_value, goodness, rich_table, significant, with_rest
from gammajax.cli.terminal import LOG_WIDTH, Progress, is_ascii, make_console


@pytest.mark.parametrize(
    ("value", "error", "unit", "text"),
    [
        (3.8485e-11, 1.143e-12, "TeV-1 s-1 cm-2", "(3.849 +- 0.114) x 10^-11 cm-2 s-1 TeV-1"),
        (2.50541, 0.02551, "", "2.505 +- 0.026"),
        (0.102598, 0.01065, "", "0.1026 +- 0.0106"),
        (83.6331, 0.0032, "deg", "83.6331 +- 0.0032 deg"),
        (-0.5, 12.3, "", "-0.5 +- 12.3"),
        (1234567.0, 4321.0, "", "(1.2346 +- 0.0043) x 10^6"),
        (9.96, 0.0999, "", "9.960 +- 0.100"),
        (9.96, 0.996, "", "9.96 +- 1.00"),
        (0.0, 1e-13, "", "(0.00 +- 1.00) x 10^-13"),
        (1.0, 0.0, "TeV", "1 TeV"),
        (3e-11, 0.0, "TeV-1 s-1 cm-2", "3 x 10^-11 cm-2 s-1 TeV-1"),
        (0.0, 0.0, "", "0"),
        (2.0, math.inf, "", "2 +- inf"),
        (5.0, math.nan, "", "5"),
        (math.nan, 1.0, "", "nan"),
    ],
)
def test_values_are_rounded_as_their_error_says(value, error, unit, text):
    assert format_value(value, error, unit, ascii_only=True) == text


def test_signs_of_papers_where_they_can_be_shown():
    assert format_value(3.8485e-11, 1.143e-12, "s-1 cm-2") == "(3.849 ± 0.114) × 10⁻¹¹ cm-2 s-1"


def test_significant_digits():
    assert significant(0.0255) == (-2, 2)
    assert significant(0.114) == (-1, 3)
    assert significant(0.0996) == (-1, 3)


def test_units_in_the_order_of_papers():
    assert format_unit("TeV-1 s-1 cm-2") == "cm-2 s-1 TeV-1"
    assert format_unit("deg") == "deg"
    assert format_unit("") == ""


def stream(encoding):
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_log_has_no_control_codes_and_lines_that_fit(encoding):
    file = stream(encoding)
    console = make_console(file)
    assert is_ascii(console) == (encoding != "utf-8")
    table = rich_table(console, "Name", "*Value")
    table.add_row("[bold]run-1[/bold] :smile:", "1.0")
    table.add_row("a-very-long-name-" * 10, "2.0")
    console.print(with_rest(table, 50))
    file.flush()
    text = file.buffer.getvalue().decode(encoding)
    assert "\x1b" not in text
    assert "[bold]run-1[/bold] :smile:" in text, "names are not markup"
    assert max(map(len, text.splitlines())) <= LOG_WIDTH
    assert "2.0" in text
    assert "... and 10 more" in text


def test_progress_says_nothing_on_a_short_fit(capsys):
    with Progress(make_console) as progress:
        progress(1, 2.0, 3.0)
    assert capsys.readouterr().out == ""


def test_progress_in_a_log_is_plain_lines(monkeypatch):
    monkeypatch.setattr("gammajax.cli.terminal.QUIET_SECONDS", 0.01)
    monkeypatch.setattr("gammajax.cli.terminal.LOG_SECONDS", 0.02)
    file = stream("ascii")
    with Progress(lambda: make_console(file)) as progress:
        progress(3, 1234.5678, 0.02)
        progress._stop.wait(0.15)
    file.flush()
    lines = file.buffer.getvalue().decode().splitlines()
    assert lines
    assert all("iteration 3: statistic 1234.568, distance to minimum 0.02" in line for line in lines)


def test_progress_before_the_first_iteration():
    assert Progress(make_console).text() == "compiling the fit"


def test_residuals_are_named_where_there_are_some():
    """In pictures that were drawn, else by the command that draws them; not of flux points, whose chi2 says it."""
    result = types.SimpleNamespace(ndf=10, stat=9.3)
    assert goodness(result, {"cash"}, True).endswith("see the residuals in the pictures of the counts.")
    assert "see" not in goodness(result, {"cash"}, False) and "gammajax plot" in goodness(result, {"cash"}, False)
    assert "p-value 0.504" in goodness(result, {"chi2"}, False)
