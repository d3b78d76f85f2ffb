"""Reports what a sweep found: the best hyperparameters, how certain that is, and which keys matter.

Usage:
    report.py [options] [--where=<condition>]...
    report.py --help
    report.py --version

Options:
    --out=<path>           The output folder of tune.py [default: ./grid_search/].
    --run-id=<path>        Tag of the training session [default: default].
    --metric=<name>        Score of a run: final (the last evaluation, else the last 100 episodes), best,
                           area (mean return while training), steps (until the threshold) or time
                           [default: final].
    --threshold=<return>   A return; the table shows the steps until a run first reaches it.
    --indifference=<return>  A difference of scores that doesn't matter to you. Once any permutation that
                           could be the best is within it of the best, no more repetitions are advised.
    --where=<condition>    Report only permutations with a choice such as gamma=0.99; may be repeated.
    --sort=<column>        Column to sort by instead of the rank.
    --top=<n>              Most permutations in the table [default: 24].
    --format=<name>        Format of the table: text, csv, json, markdown or latex [default: text].
    --to=<file>            Write the table to this file instead of to standard output.
    --answer=<file>        Write the whole answer as JSON, with names that stay the same, for scripts.
    --optuna=<file>        Write an Optuna study (SQLite), which optuna-dashboard shows.
    --page                 Write the sweep's page, <out>/<run-id>.html: table, charts, cost and setup.
    --watch=<port>         Serve the page on localhost. It updates itself while the sweep runs, and keeps
                           your filters, sorting and settings.
    --plots=<folder>       Write the figures for a paper, as PNG, SVG and PDF.
    --suggest=<file>       Write a tuning config for the next sweep. It is finer around the best choices,
                           goes beyond a best choice at an edge, and fixes keys that hardly matter.
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
    optional_positive,
    path_option,
    port_option,
    run_id_option,
)


def main(arguments: Arguments) -> int:
    """Run the command and return its exit code."""
    # Imported here because SciPy takes a while to load, and --help doesn't need it.
    from commands.reporting import ReportOptions, report
    from reports.outcome import METRICS
    from reports.output.table import FORMATS

    return report(
        ReportOptions(
            out=path_option(arguments, "--out"),
            run_id=run_id_option(arguments),
            metric=choice_option(arguments, "--metric", METRICS),
            threshold=optional_number(arguments, "--threshold"),
            indifference=optional_positive(arguments, "--indifference"),
            where=tuple(arguments["--where"]),
            sort=arguments["--sort"],
            top=integer_option(arguments, "--top", minimum=1),
            form=choice_option(arguments, "--format", FORMATS),
            to=optional_path(arguments, "--to"),
            suggest=optional_path(arguments, "--suggest"),
            plots=optional_path(arguments, "--plots"),
            answer=optional_path(arguments, "--answer"),
            optuna=optional_path(arguments, "--optuna"),
            page=bool(arguments["--page"]),
            watch=port_option(arguments, "--watch"),
        )
    )


if __name__ == "__main__":
    run_command(__doc__, main)
