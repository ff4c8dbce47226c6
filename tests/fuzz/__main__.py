"""A long run of damaged files, in the folder tests: ``python -m fuzz --cases 200000 [--first 0] [--readers map]``."""

import argparse
import collections

import jax

from .cases import faults
from .readers import READERS

CHUNK = 50

parser = argparse.ArgumentParser(prog="fuzz", description="Damage files of every reader.")
parser.add_argument("--cases", type=int, default=10_000, help="of all readers together")
parser.add_argument("--first", type=int, default=0, help="number of the first damage")
parser.add_argument("--readers", nargs="*", default=[reader.name for reader in READERS])
arguments = parser.parse_args()
jax.config.update("jax_enable_x64", True)
readers = [reader for reader in READERS if reader.name in arguments.readers]
each = -(-arguments.cases // len(readers))
found: collections.Counter[str] = collections.Counter()
for start in range(arguments.first, arguments.first + each, CHUNK):
    print(f"{start - arguments.first} of {each} damages of each of {len(readers)} readers", flush=True)
    for reader in readers:
        for seed, text in faults(reader, range(start, min(start + CHUNK, arguments.first + each))):
            found[reader.name] += 1
            print(f"{reader.name} {seed}: {text}", flush=True)
print(f"{each * len(readers)} cases, {sum(found.values())} faults {dict(found)}")
