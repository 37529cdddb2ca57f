# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Let atheris look for a point cloud that breaks the decoder.

Where ``fuzz.py`` draws messages by chance, atheris (libFuzzer for Python) watches which branches of
the decoder a message reaches and goes on from those that reached new ones. The promises held to are
the same (``hostile_clouds.py``). ``pip install atheris`` beside the package; it is no
dependency. A message that breaks a promise is left in ``--crashes`` as a file of bytes:

    python -m benchmarks fuzz-atheris --minutes 5
    python -m benchmarks fuzz-atheris --show crashes/crash-0123

The fuzzer ends its process by force, so it runs in one of its own, which writes its counts as it
goes.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.command_line import CommandLine, run_main, settings_of, write_results

_WRITE_EVERY = 2_000
_LARGEST_INPUT = 4_096
_MOST_DATA = 2_048
_NAMES = ('x', 'y', 'z', 'xyz', 'X', 'intensity', 'i', 'ring', 'time', 't', 'rgb', '')
_LARGE = (0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63, 2**64, -1)
_WRONG_TYPES: tuple[Any, ...] = (None, 'x', b'', 1.5, float('nan'), [], {}, 2**70, True)


def message_from(data: bytes) -> Any:
    """The message which these bytes stand for.

    One in two has its sizes mended to fit its fields, or hardly any would get past the first
    checks.
    """
    import atheris

    from benchmarks.robustness.point_cloud2_messages import Header, PointCloud2, PointField, Stamp

    source = atheris.FuzzedDataProvider(data)

    has_wrong_types = source.ConsumeIntInRange(0, 7) == 0

    def is_wrong() -> bool:
        return has_wrong_types and source.ConsumeIntInRange(0, 9) == 0

    def number(most: int) -> Any:
        if is_wrong():
            return source.PickValueInList(list(_WRONG_TYPES))
        is_large = source.ConsumeIntInRange(0, 15) == 0
        if is_large:
            return source.PickValueInList(list(_LARGE))
        return source.ConsumeIntInRange(0, most)

    def name() -> Any:
        return source.PickValueInList(list(_WRONG_TYPES if is_wrong() else _NAMES))

    is_mended = source.ConsumeBool()
    width, height = number(12), number(4)
    fields: Any = [
        PointField(name(), number(40), number(9), number(3))
        for _ in range(source.ConsumeIntInRange(0, 8))
    ]
    if is_mended and source.ConsumeBool():
        axes = [PointField(axis, number(20), number(9), 1) for axis in 'xyz']
        fields = [*fields[:4], *axes]
    point_step, row_step = number(48), number(400)
    header = Header(Stamp(number(100), number(10**9)), 'lidar')
    is_bigendian = source.ConsumeBool()
    if is_mended:
        sizes = [one if type(one) is int and 0 <= one <= 64 else 1 for one in (width, height)]
        point_step = point_step if type(point_step) is int and 0 < point_step <= 64 else 16
        row_step = sizes[0] * point_step + source.ConsumeIntInRange(0, 8)
        payload = source.ConsumeBytes(_MOST_DATA).ljust(sizes[1] * row_step, b'\x40')
        lie = source.ConsumeIntInRange(0, 5)
        if lie == 0:
            row_step = number(400)
        elif lie == 1:
            payload = payload[: source.ConsumeIntInRange(0, len(payload))]
    else:
        payload = source.ConsumeBytes(_MOST_DATA)
    return PointCloud2(
        header=header,
        height=height,
        width=width,
        fields=fields,
        is_bigendian=is_bigendian,
        point_step=point_step,
        row_step=row_step,
        data=bytearray(payload),
    )


def check_bytes(data: bytes) -> str:
    """Hold the decoder to its promises on the message of these bytes."""
    from benchmarks.robustness.hostile_clouds import Hostile, check

    return check(Hostile(-1, message_from(data), None))


def run_fuzzer(counts: Path, arguments: list[str]) -> None:
    """Fuzz until libFuzzer ends the process; counts go to a file."""
    import atheris

    with atheris.instrument_imports(include=['pointata_core.io']):
        import pointata_core.io.messages.point_cloud2  # noqa: F401 - instrumented as it is imported

    outcomes: Counter[str] = Counter()

    def target(data: bytes) -> None:
        outcomes[check_bytes(data)] += 1
        if outcomes.total() % _WRITE_EVERY == 0:
            counts.write_text(json.dumps(outcomes))

    atheris.Setup([sys.argv[0], *arguments], target)
    atheris.Fuzz()


def fuzz(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Run the fuzzer in its own process; what it found."""
    counts, corpus = folder / 'counts.json', folder / 'corpus'
    corpus.mkdir()
    options.crashes.mkdir(parents=True, exist_ok=True)
    before = set(options.crashes.iterdir())
    flags = (
        f'-max_total_time={round(60 * options.minutes)}',
        f'-max_len={_LARGEST_INPUT}',
        f'-seed={options.seed}',
        f'-artifact_prefix={options.crashes}/',
        '-rss_limit_mb=2048',
        '-timeout=10',
    )
    begin = time.monotonic()
    command = [
        sys.executable,
        '-m',
        'benchmarks',
        'fuzz-atheris',
        '--counts',
        str(counts),
        '--',
        *flags,
        str(corpus),
    ]
    ended = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    seconds = time.monotonic() - begin
    outcomes = Counter(json.loads(counts.read_text())) if counts.exists() else Counter()
    progress = re.findall(r'cov: (\d+) ft: (\d+) corp: (\d+)', ended.stderr)
    if not progress:
        raise SystemExit(f'the fuzzer did not run:\n{ended.stderr[-3000:]}')
    return {
        'tried_at_least': outcomes.total(),
        'clouds': outcomes.pop('cloud', 0),
        'rejected': dict(sorted(outcomes.items())),
        'crashes': sorted(one.name for one in set(options.crashes.iterdir()) - before),
        'exit_code': ended.returncode,
        'branches_reached_at_first': int(progress[0][0]),
        'branches_reached': int(progress[-1][0]),
        'inputs_worth_keeping': int(progress[-1][2]),
        'seconds': round(seconds, 1),
    }


def run(options: argparse.Namespace) -> int:
    """Fuzz; 1 if anything broke a promise."""
    with tempfile.TemporaryDirectory() as folder:
        results = fuzz(options, Path(folder))
    results['atheris'] = metadata.version('atheris')
    print(json.dumps(results, indent=2))
    write_results(options.output, settings_of(options, 'minutes', 'seed'), **results)
    return 1 if results['crashes'] or results['exit_code'] else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    line = CommandLine('fuzz-atheris', __doc__, minutes=0.1)
    line.add_argument('--minutes', type=float, default=5.0)
    line.add_argument('--seed', type=int, default=1, help='0 lets libFuzzer choose one')
    line.add_argument('--crashes', type=Path, default=Path('crashes'), help='where they are left')
    line.add_argument('--show', type=Path, help='check one such file and print its message')
    line.add_argument('--counts', type=Path, help=argparse.SUPPRESS)
    line.add_argument('flags', nargs='*', help=argparse.SUPPRESS)
    options = line.options(arguments)
    if options.counts:
        run_fuzzer(options.counts, options.flags)
        return 0
    if options.show:
        print(message_from(options.show.read_bytes()))
        print(check_bytes(options.show.read_bytes()))
        return 0
    return run_main(lambda: run(options), options.threads)
