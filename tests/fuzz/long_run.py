"""Feed every reader with hostile input for as long as it takes, and count.

    python tests/fuzz/long_run.py                        # 100,000 inputs and more
    python tests/fuzz/long_run.py --inputs 5000 --only bundle,URL
    python tests/fuzz/long_run.py --engine atheris --only CSV --inputs 30000

Ends with an error at the first input that is neither understood nor refused in one line, and prints
it. `--engine atheris` (where `pip install atheris` works) lets coverage choose the bytes of one of
CSV, ids, JSON, image and archive, and takes far less time for each.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--only", default="", help="properties, separated by commas")
    parser.add_argument("--engine", choices=("hypothesis", "atheris"), default="hypothesis")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="munkey-fuzz-") as folder:
        os.environ["MUNKEY_CACHE"] = folder
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        if arguments.engine == "atheris":
            return guided(arguments.only, arguments.inputs, Path(folder) / "corpus")
        return run(arguments)


def run(arguments):
    import torch
    from fuzz_properties import ACCEPTED, RUN, all_properties
    from hypothesis import HealthCheck, Phase, given, seed, settings

    torch.set_num_threads(1)
    properties = all_properties()
    chosen = [name for name in arguments.only.split(",") if name] or list(properties)
    share = sum(properties[name].share for name in chosen)
    start = time.monotonic()
    for name in chosen:
        one, began = properties[name], time.monotonic()
        wanted = max(1, round(arguments.inputs * one.share / share))
        # A large run is several of hypothesis's own: one of many examples slows down.
        for part in range(-(-wanted // 2_000)):
            count = min(2_000, wanted - 2_000 * part)
            test = seed(arguments.seed + part)(
                settings(
                    max_examples=count,
                    deadline=None,
                    database=None,
                    suppress_health_check=list(HealthCheck),
                    phases=(Phase.generate, Phase.shrink),
                )(given(one.inputs)(one.run))
            )
            test()
            print(f"{name:8} {RUN[name]:8,} inputs so far", file=sys.stderr, flush=True)
        took = time.monotonic() - began
        print(
            f"{name:8} {RUN[name]:8,} inputs, {ACCEPTED[name]:8,} understood, {took:7.1f} s",
            flush=True,
        )
    total, took = sum(RUN.values()), time.monotonic() - start
    print(f"all      {total:8,} inputs, none got through, {took:7.1f} s", flush=True)
    return 0


def guided(name, inputs, corpus):
    """Let libFuzzer choose the bytes, by what they reach in the readers and in what they call."""
    import atheris

    readers = [
        "munkey_core.files.untrusted",
        "munkey_core.bundle.forget_sets",
        "munkey_core.data",
        "munkey_core.bundle.records",
    ]
    with atheris.instrument_imports(include=[*readers, "csv", "json", "zipfile", "PIL"]):
        import fuzz_properties

    property_ = fuzz_properties.all_properties()[name]
    corpus.mkdir()
    for number, seed_ in enumerate(fuzz_properties.SEEDS[name]()):
        (corpus / f"{number:03d}").write_bytes(seed_)

    def one(data):
        property_.run(data.decode("utf-8", "ignore") if name == "ids" else data)
        if fuzz_properties.RUN[name] % 1_000 == 0:
            print(f"{name:8} {fuzz_properties.RUN[name]:8,} inputs so far", flush=True)

    options = [f"-runs={inputs}", "-rss_limit_mb=4096", "-max_len=4096", "-timeout=300"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], one)
    atheris.Fuzz()  # ends the process
    return 0


if __name__ == "__main__":
    sys.exit(main())
