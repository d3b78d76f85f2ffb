"""Says what a sweep found: which hyperparameters are best, how sure that is, and what matters.

Usage:
    report.py [options] [--where=<condition>]...
    report.py --help
    report.py --version

Options:
    --out=<path>           The folder that tune.py wrote into [default: ./grid_search/].
    --run-id=<path>        Tag of the training session [default: default].
    --metric=<name>        What runs are judged by: final (the last evaluation, else the last 100
                           episodes), best, area (mean return while training), steps (until the
                           threshold) or time [default: final].
    --threshold=<return>   A return; the table has the steps until it is first reached.
    --where=<condition>    Only permutations with a choice, such as gamma=0.99; may be repeated.
    --sort=<column>        The column by which to sort instead of the rank.
    --top=<n>              How many permutations the table has at most [default: 24].
    --format=<name>        text, csv, json, markdown or latex [default: text].
    --to=<file>            Write the table there instead of to standard output.
    --page                 Write the page of the sweep, <out>/<run-id>.html: table, charts, cost, setup.
    --watch=<port>         Serve the page on localhost, brought up to date while the sweep runs.
    --plots=<folder>       Write the pictures for a paper, as PNG and SVG.
    --suggest=<file>       Write a tuning config for the next sweep: finer around the best, wider where
                           it lies at an edge, without what doesn't matter.
    -h --help              Show this text.
    --version              Show the version.
"""

from __future__ import annotations

from commands.command import Arguments, run_command
from commands.options import (
    choice_option,
    integer_option,
    optional_number,
    optional_path,
    path_option,
    port_option,
    run_id_option,
)


def main(arguments: Arguments) -> int:
    """Runs the command and returns its exit code."""
    # Imported here as SciPy takes a while to load, which `--help` needn't wait for.
    from commands.reporting import ReportOptions, report
    from reports.outcome import METRICS
    from reports.output.table import FORMATS

    return report(
        ReportOptions(
            out=path_option(arguments, "--out"),
            run_id=run_id_option(arguments),
            metric=choice_option(arguments, "--metric", METRICS),
            threshold=optional_number(arguments, "--threshold"),
            where=tuple(arguments["--where"]),
            sort=arguments["--sort"],
            top=integer_option(arguments, "--top", minimum=1),
            form=choice_option(arguments, "--format", FORMATS),
            to=optional_path(arguments, "--to"),
            suggest=optional_path(arguments, "--suggest"),
            plots=optional_path(arguments, "--plots"),
            page=bool(arguments["--page"]),
            watch=port_option(arguments, "--watch"),
        )
    )


if __name__ == "__main__":
    run_command(__doc__, main)
