# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The command line of all benchmarks.

python -m benchmarks list                    # what there is
python -m benchmarks NAME [options]          # run one; --help tells its options
python -m benchmarks figures [--check]       # write the figures of README and docs anew
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.tables.markdown import table


@dataclass(frozen=True)
class Benchmark:
    """One line of the list.

    Attributes:
        room: Package below ``benchmarks``.
        question: What it answers.
        time: About how long it takes on one core with its defaults.
    """

    room: str
    question: str
    time: str


BENCHMARKS = {
    'node': Benchmark('speed', 'what one cloud costs in the live node, stage by stage', '12 min'),
    'streaming': Benchmark('speed', 'how much cheaper a step is than its window', '2 min'),
    'second-sensor': Benchmark('speed', 'how much memory a second sensor takes', '3 min'),
    'composition': Benchmark('speed', 'what a cloud costs on its way into the node', '2 min'),
    'operators': Benchmark('speed', 'how long point operators take', '1 min'),
    'codec': Benchmark('speed', 'how long decoding and encoding of messages take', '1 min'),
    'gpu': Benchmark('speed', 'what a GPU is worth: all questions in one run', '5 min'),
    'fleet': Benchmark('speed', 'what a cluster gains with many recordings', '2 min'),
    'transport': Benchmark('speed', 'what alignment losses cost', '2 min'),
    'simulator': Benchmark('speed', 'how many rays a second the simulator casts', '1 min'),
    'shapes': Benchmark('speed', 'how many shapes and images a second are made', '1 min'),
    'sparse': Benchmark('speed', 'how long sparse convolutions take', '1 min'),
    'camera-live': Benchmark('speed', 'what an image costs beside the cloud', '3 min'),
    'pretraining-costs': Benchmark('speed', 'parameters and FLOPs of backbones', '1 min'),
    'fuzz': Benchmark('robustness', 'whether any message breaks the decoder', '2 min'),
    'fuzz-atheris': Benchmark('robustness', 'the same, guided by coverage', '5 min'),
    'fuzz-readers': Benchmark('robustness', 'whether any cloud file breaks a reader', '5 min'),
    'readers': Benchmark('robustness', 'which spellings of files readers take', '3 min'),
    'recordings': Benchmark('robustness', 'how much of recordings readers find', '1 min'),
    'soak': Benchmark('robustness', 'whether the node survives every fault', '60 min'),
    'lifecycle': Benchmark('robustness', 'whether states and restarts leave traces', '15 min'),
    'adaptation': Benchmark('experiments', 'PointATA against fine-tuning and others', 'hours'),
    'transfer': Benchmark('experiments', 'what backbones are worth for skills', 'hours'),
    'frozen-features': Benchmark('experiments', 'what frozen features tell alone', '30 min'),
    'followed-tokens': Benchmark('experiments', 'whether tubes stay on the body', '1 min'),
    'temporal-context': Benchmark('experiments', 'whether time pays in segmentation', 'hours'),
    'pretraining': Benchmark('experiments', 'what the parts of pre-training are worth', 'hours'),
    'domain-adaptation': Benchmark('experiments', 'FtD++ on pairs of simulated domains', 'hours'),
    'street-statistics': Benchmark('experiments', 'whether simulated streets look real', '2 min'),
    'simulation-to-real': Benchmark('experiments', 'from simulation to a real street', 'hours'),
    'people-tracking': Benchmark('experiments', 'how well people are followed in crowds', '30 min'),
    'people-actions': Benchmark('experiments', 'whether people are understood', '30 min'),
    'learned-drives': Benchmark('experiments', 'what recorded drives teach', 'hours'),
    'real-scans': Benchmark('experiments', 'what labels of recorded scans look like', '2 min'),
    'scene-parts': Benchmark('experiments', 'what parts of the scene network are worth', 'hours'),
    'ten-drives': Benchmark('experiments', 'how right labels are on ten real drives', '5 min'),
}  # fmt: skip
"""By name, in the order of the list."""


def listing() -> str:
    """All benchmarks as a table."""
    rows = [(name, one.room, one.question, one.time) for name, one in BENCHMARKS.items()]
    return table(('name', 'room', 'question', 'time'), rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a benchmark by its name; return the exit status."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    name, options = (arguments or ['list'])[0], arguments[1:]
    if name == 'list':
        print(listing())
        return 0
    if name == 'figures':
        from benchmarks import figures

        return figures.main(options)
    if name not in BENCHMARKS:
        print(__doc__, file=sys.stdout if name in ('-h', '--help') else sys.stderr)
        return 0 if name in ('-h', '--help') else 2
    module = f'benchmarks.{BENCHMARKS[name].room}.{name.replace("-", "_")}'
    sys.argv = [f'benchmarks {name}', *options]
    return importlib.import_module(module).main() or 0


if __name__ == '__main__':
    sys.exit(main())
