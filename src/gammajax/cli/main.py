"""The command line: arguments, and errors as one line. The commands themselves are imported when they run."""

import argparse
import contextlib
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from typing import TextIO

from gammajax.cli.terminal import drop_output, prepare_streams, shown
from gammajax.datasets.errors import InputError

OK, NOT_CONVERGED, BAD_INPUT, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143

EPILOG = """exit codes: 0 success, 1 the fit did not converge, 2 bad input, 130 interrupted, 143 terminated

`gammajax demo` shows the whole way on simulated data."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code. Errors in the input are one line on standard error."""
    prepare_streams()
    parser = make_parser()
    args = parser.parse_args(argv)
    with warnings.catch_warnings(), terminable():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.showwarning = _show_warning
        # pictures are files, whatever windows there are
        os.environ["MPLBACKEND"] = "Agg"
        # where there is no home it tells, in three lines, where it keeps its fonts
        logging.getLogger("matplotlib").setLevel(logging.ERROR)
        try:
            code: int = args.run(args)
            sys.stdout.flush()
            return code
        except InputError as error:
            message = str(error)
        except MemoryError:
            message = "not enough memory. Fit fewer datasets at once, or coarser bins."
        except BrokenPipeError:
            # the reader of a pipe (head, say) has seen enough
            drop_output()
            return OK
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            message = f"{where}{error.strerror or error}."
            drop_output()
        except Terminated:
            print("gammajax: terminated", file=sys.stderr)
            return TERMINATED
        except KeyboardInterrupt:
            print("gammajax: interrupted", file=sys.stderr)
            return INTERRUPTED
    print(f"gammajax: error: {shown(message)}", file=sys.stderr)
    return BAD_INPUT


class Terminated(BaseException):
    """The process was asked to end (SIGTERM)."""


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM end the command as an exception does, so that nothing is left half done."""

    def stop(*_: object) -> None:
        raise Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def make_parser() -> argparse.ArgumentParser:
    """The parser with all commands."""
    parser = argparse.ArgumentParser(
        prog="gammajax",
        description="Fit reduced gamma-ray data.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    fit = commands.add_parser("fit", help="fit models to datasets, write tables and pictures")
    fit.add_argument("datasets", help="index of the datasets (YAML), or a single spectrum (FITS)")
    fit.add_argument("models", help="models (YAML)")
    fit.add_argument(
        "-o", "--output", default="results", metavar="FOLDER", help="folder of the results (default: results)"
    )
    fit.add_argument("--method", choices=("scoring", "minuit"), default="scoring", help="optimiser (default: scoring)")
    fit.add_argument("--energy-min", metavar="E", help="fit only bins wholly above this energy, such as 0.5TeV")
    fit.add_argument("--energy-max", metavar="E", help="fit only bins that lie wholly below this energy")
    fit.add_argument("--max-iterations", type=_positive, default=200, metavar="N", help="limit (default: 200)")
    fit.add_argument(
        "--starts", type=_starts, default="auto", metavar="N", help="starts of the fit, 1 to 16 (default: auto)"
    )
    fit.add_argument("--no-plots", action="store_true", help="write no pictures")
    fit.add_argument(
        "--flux-points",
        nargs="+",
        metavar="E",
        help="edges of bands, such as 500GeV 1TeV 5: flux points of all sources",
    )
    fit.add_argument("--json", action="store_true", help="print the result as JSON instead of tables")
    fit.add_argument("--precision", choices=("float64", "float32"), default="float64", help="default: float64")
    _common(fit, overwrite=True)
    fit.set_defaults(run=_fit)

    info = commands.add_parser("info", help="show what datasets and models hold")
    info.add_argument("files", nargs="+", metavar="FILE", help="indices of datasets, spectra (FITS), or models (YAML)")
    info.set_defaults(run=_info)

    stack = commands.add_parser("stack", help="add up datasets of one type into one dataset")
    stack.add_argument("datasets", help="index of the datasets (YAML)")
    stack.add_argument(
        "-o", "--output", default="stacked", metavar="FOLDER", help="folder of the sum (default: stacked)"
    )
    stack.add_argument("--name", default="stacked", help="of the sum (default: stacked)")
    _common(stack, overwrite=True)
    stack.set_defaults(run=_stack)

    simulate = commands.add_parser("simulate", help="draw counts, and events, from models")
    simulate.add_argument("datasets", help="index of the datasets (YAML), or a single spectrum or map (FITS)")
    simulate.add_argument("models", help="models (YAML)")
    simulate.add_argument(
        "-o", "--output", default="simulated", metavar="FOLDER", help="folder of the datasets (default: simulated)"
    )
    simulate.add_argument("--seed", type=_seed, default=0, metavar="N", help="of the random numbers (default: 0)")
    simulate.add_argument(
        "--events",
        action="store_true",
        help="draw events, and write a list for each dataset, with those outside the safe and fit bins",
    )
    _common(simulate, overwrite=True)
    simulate.set_defaults(run=_simulate)

    plot = commands.add_parser("plot", help="draw datasets and what models, or the result of a fit, predict")
    plot.add_argument("datasets", help="index of the datasets (YAML), or a single spectrum or map (FITS)")
    plot.add_argument("models", help="result.yaml of a fit, or models (YAML)")
    plot.add_argument(
        "-o", "--output", default="plots", metavar="FOLDER", help="folder of the pictures (default: plots)"
    )
    plot.add_argument(
        "--only",
        nargs="+",
        choices=("counts", "sed", "sky", "peek", "corner"),
        metavar="KIND",
        help="counts, sed, sky, peek or corner (default: all that there are)",
    )
    _common(plot, overwrite=True)
    plot.set_defaults(run=_plot)

    points = commands.add_parser("flux-points", help="fluxes of a source in bands of energy")
    _estimator(points, "flux-points", "likelihood, dnde, e2dnde, flux or eflux (default: likelihood)")
    points.set_defaults(run=_flux_points)

    curve = commands.add_parser("light-curve", help="fluxes of a source in bins of time and energy")
    _estimator(curve, "light-curve", "likelihood, dnde, e2dnde, flux or eflux (default: likelihood)")
    curve.add_argument(
        "--times",
        nargs="+",
        default=["run-wise"],
        metavar="T",
        help="run-wise (default), night-wise, or edges: MJD (TT), or dates in UTC",
    )
    curve.add_argument(
        "--longitude", type=float, default=0.0, metavar="DEG", help="east, of the noon at which night-wise bins begin"
    )
    curve.set_defaults(run=_light_curve)

    maps = commands.add_parser("maps", help="make maps of residuals, excess and TS of fitted map datasets")
    maps.add_argument("datasets", help="index of the datasets (YAML), or a single map (FITS)")
    maps.add_argument("models", help="models as they were fitted (YAML), such as result.yaml of gammajax fit")
    maps.add_argument("-o", "--output", default="maps", metavar="FOLDER", help="folder of the maps (default: maps)")
    maps.add_argument("--radius", metavar="R", help="of the disks, such as 0.12deg (default: 2.5 pixels)")
    maps.add_argument("--source", metavar="NAME", help="TS of this model; of a point with index 2 by default")
    maps.add_argument("--stride", type=_positive, default=1, metavar="N", help="TS in blocks of N x N pixels")
    maps.add_argument("--no-plots", action="store_true", help="write no pictures")
    _common(maps, overwrite=True)
    maps.set_defaults(run=_maps)

    demo = commands.add_parser("demo", help="simulate a night of Crab nebula observations, and fit it")
    demo.add_argument(
        "-o", "--output", default="gammajax-demo", metavar="FOLDER", help="folder of the demo (default: gammajax-demo)"
    )
    demo.add_argument("--seed", type=_seed, default=0, metavar="N", help="of the random numbers (default: 0)")
    demo.add_argument("--no-plots", action="store_true", help="write no pictures")
    _common(demo, overwrite=True)
    demo.set_defaults(run=_demo)
    return parser


def _estimator(parser: argparse.ArgumentParser, folder: str, kinds: str) -> None:
    parser.add_argument("datasets", help="index of the datasets (YAML), or a single spectrum (FITS)")
    parser.add_argument("models", help="models (YAML), such as the result.yaml of gammajax fit")
    parser.add_argument(
        "-o", "--output", default=folder, metavar="FOLDER", help=f"folder of the tables (default: {folder})"
    )
    parser.add_argument("--source", metavar="NAME", help="not needed if there is one only")
    parser.add_argument(
        "--energy-edges", nargs="+", required=True, metavar="E", help="edges of the bands, such as 500GeV 1TeV 5 20"
    )
    parser.add_argument("--fit", action="store_true", help="fit the models first; else they are taken as they are")
    parser.add_argument(
        "--reoptimize", action="store_true", help="fit the other free parameters again in each bin: takes seconds"
    )
    parser.add_argument("--energy-min", metavar="E", help="only bins that lie wholly above this energy")
    parser.add_argument("--energy-max", metavar="E", help="only bins that lie wholly below this energy")
    parser.add_argument(
        "--sed-type",
        choices=("likelihood", "dnde", "e2dnde", "flux", "eflux"),
        default="likelihood",
        metavar="KIND",
        help=f"of the tables: {kinds}",
    )
    parser.add_argument("--no-plots", action="store_true", help="write no picture")
    _common(parser, overwrite=True)


def _common(parser: argparse.ArgumentParser, overwrite: bool) -> None:
    if overwrite:
        parser.add_argument("--overwrite", action="store_true", help="replace files of an earlier run")
    parser.add_argument("--quiet", action="store_true", help="print nothing but warnings and errors")
    parser.add_argument("--no-cache", action="store_true", help="compile anew, without the cache of compiled programs")


def _fit(args: argparse.Namespace) -> int:
    from gammajax.cli.fit import fit_command

    return fit_command(args)


def _info(args: argparse.Namespace) -> int:
    from gammajax.cli.info import info_command

    return info_command(args)


def _stack(args: argparse.Namespace) -> int:
    from gammajax.cli.stack import stack_command

    return stack_command(args)


def _simulate(args: argparse.Namespace) -> int:
    from gammajax.cli.simulate import simulate_command

    return simulate_command(args)


def _plot(args: argparse.Namespace) -> int:
    from gammajax.cli.pictures import plot_command

    return plot_command(args)


def _flux_points(args: argparse.Namespace) -> int:
    from gammajax.cli.points import flux_points_command

    return flux_points_command(args)


def _light_curve(args: argparse.Namespace) -> int:
    from gammajax.cli.points import light_curve_command

    return light_curve_command(args)


def _maps(args: argparse.Namespace) -> int:
    from gammajax.cli.maps import maps_command

    return maps_command(args)


def _demo(args: argparse.Namespace) -> int:
    from gammajax.cli.demo import demo_command

    return demo_command(args)


def _whole(text: str, low: int, high: int, expected: str) -> int:
    try:
        number = int(text)
    except ValueError:  # also of more digits than Python reads
        number = low - 1
    if not low <= number <= high:
        raise argparse.ArgumentTypeError(f"expected a whole number {expected}, found {text[:40]}")
    return number


def _positive(text: str) -> int:
    return _whole(text, 1, 2**31, "of at least 1")


def _seed(text: str) -> int:
    return _whole(text, 0, 2**63 - 1, "from 0 to 2^63 - 1")


def _starts(text: str) -> int | str:
    return text if text == "auto" else _positive(text)


class _Version(argparse.Action):
    """Looks the version up only when it is asked for."""

    def __init__(self, option_strings: Sequence[str], dest: str, **_: object):
        super().__init__(option_strings, dest, nargs=0, help="show the version")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        import gammajax

        print(f"gammajax {gammajax.__version__}")
        parser.exit()


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    print(f"gammajax: warning: {shown(str(message))}", file=sys.stderr)
