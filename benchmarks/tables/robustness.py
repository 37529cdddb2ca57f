# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Tables of fuzzing, soak and life cycles."""

from __future__ import annotations

from benchmarks.tables.markdown import milliseconds, table
from benchmarks.tables.results import Results


def fuzz(results: Results) -> str:
    """Hostile messages: how many, what became of them, and how many broke a promise."""
    drawn, guided = results('fuzz'), results('fuzz_atheris')
    rows = [
        (
            'drawn by chance', f'{drawn["tried"]:,}', f'{drawn["clouds"]:,}',
            len(drawn['rejected']), len(drawn['crashes']), f'{drawn["seconds"]:.0f} s',
        ),
        (
            'guided by coverage', f'at least {guided["tried_at_least"]:,}',
            f'{guided["clouds"]:,}', len(guided['rejected']), len(guided['crashes']),
            f'{guided["seconds"]:.0f} s',
        ),
    ]  # fmt: skip
    header = (
        'messages', 'tried', 'decoded', 'reasons of rejection', 'broken promises', 'time',
    )  # fmt: skip
    return table(header, rows)


def soak(results: Results) -> str:
    """An hour of faults: where every cloud went."""
    found = results('soak')
    account = found['accounting']
    memory = found['resources']['anonymous_mib']
    reasons = account['by_reason']
    rows = [
        ('minutes', f'{found["settings"]["minutes"]:g}'),
        ('clouds', f'{found["settings"]["points"]:,} points at {found["settings"]["rate"]:g} Hz'),
        ('faults injected', f'{sum(found["faults"].values()):,} of {len(found["faults"])} kinds'),
        ('clouds sent', f'{account["sent"]:,}'),
        ('received', f'{account["received"]:,}'),
        ('published', f'{account["published"]:,}'),
        (
            'dropped',
            f'{account["dropped"]:,}, of which {reasons["dropped.superseded"]:,} superseded '
            f'and {reasons["dropped.overflow"]:,} overflowed',
        ),
        ('rejected', f'{account["rejected"]:,}'),
        ('account balanced', 'yes' if account['balanced'] else 'no'),
        ('broken promises', len(found['broken_promises'])),
        ('tracebacks', found['tracebacks']),
        ('exit code', found['exit_code']),
        ('allocated memory, last fifth over first', f'{memory["last_fifth_over_first"]:.1f} MiB'),
        ('limits broken', '; '.join(found['failures']) or 'none'),
    ]
    return table(('soak', 'value'), rows)


def soak_recovery(results: Results) -> str:
    """Time from a fault of the soak to the next right result."""
    rows = [
        (
            name.replace('_', ' '),
            row['count'],
            milliseconds(row['median']),
            milliseconds(row['max']),
        )
        for name, row in sorted(results('soak')['recovery_ms'].items())
    ]
    return table(('fault', 'times', 'median', 'longest'), rows)


def _median_longest(seconds: dict) -> str:
    return f'{seconds["median"]:.2f} s (median), {seconds["max"]:.2f} s (longest)'


def lifecycle(results: Results) -> str:
    """Life cycles of one process, and restarts of node and publisher."""
    found = results('lifecycle')
    cycles, memory = found['life_cycles'], found['life_cycles']['resources_unconfigured']
    seconds, growth = cycles['seconds_per_cycle'], memory['anonymous_mib']['per_100_cycles']
    first = found['kills']['seconds_from_start_to_first_answer']
    third = found['publisher_kills']['seconds_from_start_to_third_answer']
    still = all(not memory[name]['per_100_cycles'] for name in ('threads', 'files', 'shared_mib'))
    rows = [
        ('life cycles of one process', f'{cycles["cycles"]:,}'),
        ('time of a cycle', _median_longest(seconds)),
        ('growth of allocated memory', f'{growth:.2f} MiB per hundred cycles'),
        ('growth of threads, files, shared memory', 'none' if still else 'see the results'),
        ('predictions alike to the bit', 'yes' if cycles['answers_alike'] else 'no'),
        (
            f'node killed {found["kills"]["kills"]} times: start to first result',
            _median_longest(first),
        ),
        (
            f'publisher killed {found["publisher_kills"]["kills"]} times: start to third result',
            _median_longest(third),
        ),
        ('tracebacks', cycles['tracebacks'] + found['publisher_kills']['tracebacks']),
    ]  # fmt: skip
    return table(('what', 'value'), rows)


def fuzz_readers(results: Results) -> str:
    """Cloud files of every dialect, whole and damaged."""
    found = results('fuzz_readers')
    outcomes = found['outcomes']
    rows = [
        (
            f'{outcomes["whole"]:,}',
            f'{outcomes["damaged, read"]:,}',
            f'{outcomes["damaged, refused"]:,}',
            len(found['broken_promises']),
            f'{found["seconds"]:.0f} s',
        )
    ]
    header = ('whole, all read', 'damaged, read', 'damaged, refused', 'broken promises', 'time')
    return table(header, rows)


def readers(results: Results) -> str:
    """What our readers of cloud files take next to those of other programs."""
    spellings = results('readers')['spellings']
    names = list(dict.fromkeys(name for row in spellings for name in row['outcomes']))
    rows = [
        (row['format'], row['what'], *(row['outcomes'].get(name, '') for name in names))
        for row in spellings
    ]
    total = [
        (
            '',
            'all',
            *(
                f'{sum(row["outcomes"].get(name) == "yes" for row in spellings)} of '
                f'{sum(name in row["outcomes"] for row in spellings)}'
                for name in names
            ),
        )
    ]
    return table(('format', 'spelling', *names), [*rows, *total])


def recordings(results: Results) -> str:
    """How many clouds our reader of recordings finds next to that of rosbags."""
    rows = [
        (row['what'], *(f'{row["found"][name]} of {row["clouds"]}' for name in ('ours', 'rosbags')))
        for row in results('recordings')['recordings']
    ]
    return table(('recording', 'ours', 'rosbags'), rows)


TABLES = {
    'fuzz': fuzz,
    'fuzz-readers': fuzz_readers,
    'readers': readers,
    'recordings': recordings,
    'soak': soak,
    'soak-recovery': soak_recovery,
    'lifecycle': lifecycle,
}
"""By the name that documents use."""
