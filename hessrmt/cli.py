"""The command line: ``hessrmt list``, ``rerun``, ``sweep`` and ``campaign``."""

from __future__ import annotations

import argparse
import logging
import os
import re
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TextIO

import hessrmt
from hessrmt.optional import install_command, require
from hessrmt.processes import open_streams, report, terminable

if TYPE_CHECKING:
    from hessrmt.book import Text
    from hessrmt.campaigns import Campaign

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments, by default those of the process.

    Returns
    -------
    int
        0, or 2 after an error, which one line on standard error explains, 130 after Ctrl-C, SIGTERM
        or SIGHUP, or 1 where the reader of standard output, such as ``head``, has left.

    Raises
    ------
    SystemExit
        By `argparse`, after ``--help``, ``--version`` or a malformed command.
    """
    open_streams()
    try:
        with terminable():
            arguments = _parser().parse_args(argv)
            code = int(arguments.run(arguments))
            sys.stdout.flush()
            return code
    except BrokenPipeError:
        _give_up(sys.stdout)
        return 1
    except KeyboardInterrupt:
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # about the kernel just stopped
        return _fail("interrupted", code=130)
    except OSError as error:  # a full disk, for one, which is noticed again at exit
        _give_up(sys.stdout)
        return _fail(error)
    except Exception as error:
        return _fail(report(error))


def _give_up(stream: TextIO) -> None:
    """Let nothing go to a stream any more, not even what it holds at exit."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _fail(reason: object, code: int = 2) -> int:
    try:
        print("hessrmt:", " ".join(str(reason).splitlines()), file=sys.stderr, flush=True)
    except OSError:
        _give_up(sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hessrmt",
        description="Rerun the book's chapters with other parameters; search for critical points.",
    )
    parser.add_argument("--version", action="version", version=f"hessrmt {hessrmt.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    book = argparse.ArgumentParser(add_help=False)
    book.add_argument(
        "--book", metavar="DIR", help="the book (default: this checkout's, or ./book)"
    )
    run = argparse.ArgumentParser(add_help=False, parents=[book])
    run.add_argument(
        "chapter",
        metavar="CHAPTER",
        help="a name that `hessrmt list` shows; rerun takes book as well",
    )
    run.add_argument("--out", metavar="DIR", default="out", help="folder of results (default: out)")
    run.add_argument("--no-html", dest="html", action="store_false", help="make no HTML page")
    _add_progress(run)

    listing = commands.add_parser("list", parents=[book], help="list chapters and parameters")
    listing.set_defaults(run=_on_book, command=_list)

    rerun = commands.add_parser(
        "rerun", parents=[run], help="execute a chapter, or the whole book, with other parameters"
    )
    _add_parameters(rerun, "VALUE", "a parameter and its value, as in -p phi 0.25", required=False)
    rerun.set_defaults(run=_on_book, command=_rerun)

    sweep = commands.add_parser(
        "sweep",
        parents=[run],
        help="execute a chapter for every combination of values; again, to do what is missing",
    )
    _add_parameters(sweep, "VALUES", "a parameter and its values, as in -p phi 0.25,0.5")
    where = sweep.add_mutually_exclusive_group()
    where.add_argument("--jobs", metavar="N", type=_count, default=1, help="runs at a time")
    where.add_argument("--scheduler", metavar="ADDRESS", help="of Dask, as tcp://host:8786")
    sweep.add_argument("--force", action="store_true", help="redo what is there already")
    sweep.add_argument("--plot", metavar="NAME", help="draw a number of the index on it")
    sweep.set_defaults(run=_on_book, command=_sweep)

    _add_campaign(commands.add_parser("campaign", help="many searches for critical points"))
    return parser


def _add_campaign(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="make runs; again, to make what is missing")
    run.add_argument("--path", metavar="FILE", required=True, help="where they are kept")
    run.add_argument(
        "--phi",
        metavar="RATIO",
        type=_ratio,
        action="append",
        required=True,
        help="2n/m, as 1/2 or 0.5; may be repeated",
    )
    task = run.add_mutually_exclusive_group()
    task.add_argument(
        "--search", default="projected", help="projected (the default), full or near-linear"
    )
    task.add_argument("--minimiser", help="minimise instead, by gradient-descent, adam or newton")
    run.add_argument(
        "--steps", metavar="N", type=_count, help="of the minimiser, or of a search at most"
    )
    run.add_argument("--n", metavar="N", type=_count, default=16, help="width (default: 16)")
    run.add_argument(
        "--runs", metavar="N", type=_count, default=1000, help="for each ratio (default: 1000)"
    )
    run.add_argument("--seed", metavar="N", type=_whole, default=0, help="of draws (default: 0)")
    run.add_argument(
        "--shard-size", metavar="N", type=_count, default=50, help="runs at a time (default: 50)"
    )
    where = run.add_mutually_exclusive_group()
    where.add_argument("--workers", metavar="N", type=_count, help="processes (default: all cores)")
    where.add_argument("--scheduler", metavar="ADDRESS", help="of Dask, as tcp://host:8786")
    run.add_argument("--device", default="cpu", help="cpu (the default) or cuda")
    _add_progress(run)
    run.set_defaults(run=_on_campaign, command=_campaign_run)

    status = commands.add_parser("status", help="how far a campaign has come, also while it runs")
    status.add_argument("path", metavar="FILE")
    status.set_defaults(run=_on_campaign, command=_campaign_status)

    check = commands.add_parser("check", help="compare a file with the digests in it")
    check.add_argument("path", metavar="FILE")
    check.set_defaults(run=_on_campaign, command=_campaign_check)

    export = commands.add_parser("export", help="write a compact copy and where it comes from")
    export.add_argument("path", metavar="FILE")
    export.add_argument("out", metavar="OUT", help="the copy; OUT with suffix .json says whence")
    export.set_defaults(run=_on_campaign, command=_campaign_export)


def _add_progress(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--progress",
        action=argparse.BooleanOptionalAction,
        default=sys.stderr.isatty(),
        help="show what is done and the time left (default: in a terminal)",
    )


def _add_parameters(
    parser: argparse.ArgumentParser, values: str, help: str, required: bool = True
) -> None:
    parser.add_argument(
        "-p",
        dest="parameters",
        metavar=("NAME", values),
        nargs=2,
        action="append",
        default=[],
        required=required,
        help=f"{help}; may be repeated",
    )
    # argparse takes -1e-3, -inf and -1,-2 for options otherwise
    parser._negative_number_matcher = re.compile(r"-(\d|\.\d|inf)")


def _count(text: str) -> int:
    if not re.fullmatch("[0-9]{1,99}", text) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 on, got {text!r}")
    return int(text)


def _whole(text: str) -> int:
    if not re.fullmatch("[-+]?[0-9]{1,99}", text):
        raise argparse.ArgumentTypeError(f"must be a whole number, got {text!r}")
    return int(text)


_RATIO = re.compile(
    r"[-+]?([0-9]{1,99}/[0-9]{1,99}|([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,3})?)"
)


def _ratio(text: str) -> Fraction:
    try:
        if _RATIO.fullmatch(text):
            return Fraction(text)
    except ZeroDivisionError:
        pass
    raise argparse.ArgumentTypeError(f"must be a ratio, as 1/2 or 0.5, got {text!r}") from None


def _on_book(arguments: argparse.Namespace) -> int:
    """Run a command of the book, which needs what the extra ``book`` installs."""
    try:
        require("yaml", "pyyaml", "book")
    except ImportError as error:
        return _fail(error)
    from hessrmt.book import BookError

    try:
        arguments.command(arguments)
    except ModuleNotFoundError as error:
        return _fail(error)
    except BrokenPipeError:
        raise
    except (BookError, OSError) as error:
        return _fail(error)
    return 0


def _on_campaign(arguments: argparse.Namespace) -> int:
    """Run a command of a campaign, which needs what the extra ``campaign`` installs."""
    try:
        from hessrmt.campaigns import Campaign, CampaignError

        arguments.command(Campaign(arguments.path), arguments)
    except ModuleNotFoundError as error:
        return _fail(f"{error.name} is needed: {install_command('campaign,networks')}")
    except BrokenPipeError:
        raise
    except (CampaignError, OSError, ValueError, sqlite3.Error) as error:
        return _fail(error)
    return 0


def _campaign_run(campaign: Campaign, arguments: argparse.Namespace) -> None:
    names = ("search", "minimiser", "steps", "n", "runs", "seed", "shard_size")
    where = ("workers", "scheduler", "device", "progress")
    campaign.run(arguments.phi, **{name: getattr(arguments, name) for name in names + where})


def _campaign_status(campaign: Campaign, arguments: argparse.Namespace) -> None:
    for progress in campaign.status():
        print(progress)


def _campaign_check(campaign: Campaign, arguments: argparse.Namespace) -> None:
    print(campaign.check())


def _campaign_export(campaign: Campaign, arguments: argparse.Namespace) -> None:
    campaign.export(arguments.out)
    print("copy:", arguments.out)


def _list(arguments: argparse.Namespace) -> None:
    from hessrmt.book import chapters

    for chapter in chapters(arguments.book):
        print(f"{chapter.name}: {chapter.title}")
        rows = [(p.name, p.type, str(p.default), p.domain, p.help) for p in chapter.parameters]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            cells = (f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))
            print(("   " + " ".join(cells)).rstrip())
        print()


def _rerun(arguments: argparse.Namespace) -> None:
    from hessrmt.book import rerun, rerun_book

    values = dict(_given(arguments))
    if arguments.chapter == "book":
        index, results = rerun_book(values, **_options(arguments))
        print(f"{len(results)} chapters:", os.path.relpath(index))
        return
    result = rerun(arguments.chapter, values, **_options(arguments))
    print("notebook:", os.path.relpath(result.notebook))
    if result.page:
        print("page:    ", os.path.relpath(result.page))


def _sweep(arguments: argparse.Namespace) -> None:
    from hessrmt.book import sweep

    grid = {name: text.split_values() for name, text in _given(arguments)}
    options = {name: getattr(arguments, name) for name in ("jobs", "force", "plot", "scheduler")}
    options |= _options(arguments)
    index, results = sweep(arguments.chapter, grid, **options)
    print(f"{len(results)} runs:", os.path.relpath(index))


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    return {name: getattr(arguments, name) for name in ("out", "book", "html", "progress")}


def _given(arguments: argparse.Namespace) -> list[tuple[str, Text]]:
    from hessrmt.book import BookError, Text

    names = [name for name, _ in arguments.parameters]
    for name in names:
        if names.count(name) > 1:
            raise BookError(f"{name} is given twice")
    return [(name, Text(text)) for name, text in arguments.parameters]
