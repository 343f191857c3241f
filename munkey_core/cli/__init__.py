"""`munkey …`: a thin skin over Studio and the training line.

Answers go to stdout (with --json exactly one JSON document), progress and notes to stderr.
Exit code 0: done. 1: a check failed. 2: bad input, with a one-line reason on stderr.
The standard library's argparse, because `munkey train` must run where only PyTorch is installed.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from munkey_core import __version__
from munkey_core.cli import erase, exact, images, results, train
from munkey_core.cli.base import (
    IDS_HELP,
    MODE_HELP,
    Parser,
    answer,
    bundle_argument,
    command,
    examples_text,
    watch,
)
from munkey_core.errors import BadInputError, MunkeyError
from munkey_core.files.untrusted import safe_cell, shown

T = TypeVar("T")

_NICE = 10


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    if os.environ.get("MUNKEY_BACKGROUND"):
        _stay_in_the_background()
    try:
        argv = sys.argv[1:] if argv is None else argv
        if not argv:
            make_parser().print_help()
            return 0
        arguments = make_parser().parse_args(argv)
        images.use_images(arguments)
        run: Callable[[argparse.Namespace], int] = arguments.command
        return run(arguments)
    except MunkeyError as error:
        print(f"munkey: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # Whoever read our output has left (`munkey bundles | head -1`): nothing is wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # a full disk, a folder that can't be written
        print(f"munkey: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("munkey: interrupted; what was finished is kept", file=sys.stderr)
        return 130


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = Parser(
        prog="munkey",
        description="Watch a model forget: delete an image's key from a memory-augmented "
        "transformer, see what changes,\nand hold it against a model that never saw the image.\n\n"
        "`munkey COMMAND --help` says more of each command.",
        epilog=examples_text(
            [
                "munkey app                                   open the app",
                "munkey forget fashion random-1pct            what 100 keys less would change",
                "munkey train --data photos --out my-bundle   a model of your own images",
            ]
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"munkey {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")

    app = command(
        commands,
        "app",
        _app,
        "open the app in the browser",
        ["munkey app", "munkey app --bundle my-bundle --host 0.0.0.0 --port 8600"],
        json_answer=False,
    )
    app.add_argument("--bundle", help="bundle to open first: a name or a folder")
    app.add_argument(
        "--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 lets a class join"
    )
    app.add_argument("--port", type=int, metavar="N", default=8501, help="default: %(default)s")
    app.add_argument("--headless", action="store_true", help="do not open a browser")
    app.add_argument(
        "--demo",
        action="store_true",
        help="read-only, for public demonstrations: nothing is erased, uploaded or trained",
    )

    command(
        commands,
        "bundles",
        _bundles,
        "list the bundles that can be opened",
        ["munkey bundles"],
    )

    show = command(
        commands,
        "show",
        _show,
        "check a bundle and tell what it is",
        ["munkey show fashion", "munkey show fashion --records > records.csv"],
    )
    bundle_argument(show)
    show.add_argument("--records", action="store_true", help="list ids, labels, owners as CSV")

    predict = command(
        commands,
        "predict",
        _predict,
        "tell what images show, with all keys or without some",
        [
            "munkey predict fashion test-00007",
            "munkey predict fashion photo.png --without owner:customer-0001",
        ],
    )
    bundle_argument(predict)
    predict.add_argument("images", nargs="+", metavar="IMAGE", help="an id or an image file")
    predict.add_argument("--without", metavar="IDS", help="with these keys deleted: " + IDS_HELP)

    forget = command(
        commands,
        "forget",
        _forget,
        "tell what would change without some keys; writes nothing",
        ["munkey forget fashion train-14265", "munkey forget fashion random-1pct"],
    )
    bundle_argument(forget)
    forget.add_argument("ids", metavar="IDS", help=IDS_HELP)

    erase.add(commands)
    train.add(commands)

    audit = command(
        commands,
        "audit",
        _audit,
        "retrain without a forget set and compare (takes minutes)",
        [
            "munkey audit fashion --forget random-10pct",
            "munkey audit fashion --forget @ids.csv --csv images.csv",
        ],
    )
    bundle_argument(audit)
    audit.add_argument("--forget", required=True, metavar="IDS", help=IDS_HELP)
    audit.add_argument("--mode", default="", help=MODE_HELP)
    audit.add_argument(
        "--seeds", type=int, metavar="N", help="trainings of each kind (default: all known)"
    )
    audit.add_argument("--device", default="auto", help="auto, cpu or cuda")
    audit.add_argument("--csv", type=Path, metavar="FILE", help="write one row an image")

    compare = command(
        commands,
        "compare",
        _compare,
        "audit every unlearning method on a forget set",
        [
            "munkey compare fashion --forget random-10pct",
            "munkey compare my-bundle --forget canonical --tune --save",
        ],
    )
    bundle_argument(compare)
    compare.add_argument(
        "--forget", required=True, metavar="IDS", help=IDS_HELP + "; or canonical: all of those"
    )
    compare.add_argument("--mode", default="", help=MODE_HELP)
    compare.add_argument(
        "--methods",
        metavar="KEYS",
        help="separated by commas, such as scrub,salun,knn; a wrong one lists all (default: all)",
    )
    compare.add_argument(
        "--seeds", type=int, metavar="N", help="trainings of each kind (default: all known)"
    )
    compare.add_argument("--device", default="auto", help="auto, cpu or cuda")
    compare.add_argument(
        "--tune",
        action="store_true",
        help="first choose the post-hoc methods' settings on another forget set",
    )
    compare.add_argument(
        "--save", action="store_true", help="into the bundle: metrics.json, CARD.md"
    )

    oracles = command(
        commands,
        "oracles",
        _oracles,
        "train the models that stand beside a bundle's own; their answers go into the bundle",
        ["munkey oracles my-bundle"],
    )
    bundle_argument(oracles)
    oracles.add_argument(
        "--seeds",
        type=int,
        metavar="N",
        default=3,
        help="of the originals, and for random-10pct (default: %(default)s)",
    )
    oracles.add_argument(
        "--other-seeds",
        type=int,
        metavar="N",
        default=1,
        help="for each of the other canonical sets (default: %(default)s)",
    )
    oracles.add_argument(
        "--sets", metavar="NAMES", help="canonical forget sets, separated by commas (default: all)"
    )
    oracles.add_argument(
        "--references", type=int, metavar="N", default=8, help="of each family, an even number"
    )
    oracles.add_argument("--device", default="auto", help="auto, cpu or cuda")

    retrain = command(
        commands,
        "retrain",
        _retrain,
        "find or train models that never saw a forget set",
        ["munkey retrain fashion --without owner:customer-0001"],
    )
    bundle_argument(retrain)
    retrain.add_argument("--without", required=True, metavar="IDS", help=IDS_HELP)
    retrain.add_argument(
        "--seeds", type=int, metavar="N", default=1, help="how many of each family"
    )
    retrain.add_argument(
        "--seed", type=int, metavar="N", help="the first of them (default: the bundle's own)"
    )
    retrain.add_argument("--family", choices=("munkey", "plain", "both"), default="both")
    retrain.add_argument("--device", default="auto", help="auto, cpu or cuda")

    project = command(
        commands,
        "project",
        _project,
        "fit the maps of the memory, which the app shows",
        ["munkey project my-bundle --save"],
    )
    bundle_argument(project)
    project.add_argument("--mode", default="", help=MODE_HELP)
    project.add_argument("--space", choices=("keys", "tokens", "both"), default="both")
    project.add_argument("--seed", type=int, metavar="N", default=0, help="of UMAP")
    project.add_argument("--save", action="store_true", help="into the bundle")

    influence = command(
        commands,
        "influence",
        _influence,
        "tell what forgetting each image alone changes for others",
        ["munkey influence fashion --top 5"],
    )
    bundle_argument(influence)
    influence.add_argument(
        "--top", type=int, metavar="N", default=10, help="list so many, largest first"
    )
    influence.add_argument("--save", action="store_true", help="compute anew, into the bundle")

    exact.add(commands)
    results.add(commands)

    bench = command(
        commands,
        "bench",
        _bench,
        "time deletion and prediction on this machine",
        ["munkey bench"],
    )
    bundle_argument(bench, nargs="?", default="fashion")
    images.add(commands)
    return parser


def _stay_in_the_background() -> None:
    """For a job of the app (MUNKEY_BACKGROUND=1): leave the cores to whoever else wants them, and
    end when stdin does, because then the app is gone."""
    if hasattr(os, "nice"):
        os.nice(max(0, _NICE - os.nice(0)))

    def end_with_parent() -> None:
        while os.read(0, 1024):  # not sys.stdin: its lock must be free when this process ends
            pass
        if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()


# -- commands ----------------------------------------------------------------------------------


def _app(arguments: argparse.Namespace) -> int:
    from munkey_core.bundle.find import find_bundle
    from munkey_core.bundle.manifest import read_manifest
    from munkey_core.files.limits import DEMO, limits

    limits()  # a wrong one is told now, not to the first visitor
    if arguments.demo:
        os.environ[DEMO] = "1"
    if not 1 <= arguments.port <= 65535:
        raise BadInputError(f"--port must be between 1 and 65535, got {arguments.port}")
    if arguments.bundle:
        folder = find_bundle(arguments.bundle)
        read_manifest(folder)
        os.environ["MUNKEY_BUNDLE"] = str(folder.resolve())
    # The library starts the app and never imports it. -P: an `app` in the current folder is not
    # ours.
    command = [sys.executable, "-P", "-m", "app.launch"]
    command += ["--host", arguments.host, "--port", str(arguments.port)]
    command += ["--headless"] if arguments.headless else []
    if os.name == "posix":  # takes this process's place, so that ending it ends the server
        os.execv(sys.executable, command)
    return subprocess.call(command)


def _bundles(arguments: argparse.Namespace) -> int:
    from dataclasses import asdict

    from munkey_core.studio import list_bundles

    found = list_bundles()
    return answer(
        arguments,
        [asdict(info) for info in found],
        [
            f"{info.name:12} {info.problem}"
            if info.problem
            else f"{info.name:12} {info.title}: {info.keys:,} keys, {len(info.classes)} classes, "
            f"{info.bytes / 1e6:.0f} MB, {info.path}"
            for info in found
        ]
        or ["no bundle found; set MUNKEY_BUNDLES to a folder of bundles, or train one"],
    )


def _show(arguments: argparse.Namespace) -> int:
    from munkey_core.studio import Studio

    studio = Studio.open(arguments.bundle)
    if arguments.records:
        return _records(arguments, studio)
    about, memory = studio.about, studio.memory
    facts = {"digest": about.digest, **about.manifest, "metrics": about.metrics}
    provenance = facts["provenance"]
    return answer(
        arguments,
        facts,
        [
            f"{about.name}: {about.title}, {', '.join(about.classes)}",
            f"licence {facts['dataset']['licence']}; owners "
            + ("simulated" if about.owners_simulated else "from the source"),
            f"{memory.keys_total:,} keys, {len(memory.test_ids()):,} test images",
            f"K = {about.ensemble.k}, {about.ensemble.aggregation}, tau = {about.ensemble.tau}, "
            f"anchor = {about.ensemble.anchor}",
            f"trained on {provenance['device']} in {sum(provenance['seconds'].values()):.0f} s",
            f"digest {about.digest}; all files match it",
        ],
    )


def _records(arguments: argparse.Namespace, studio: Any) -> int:
    """Ids and what is known of them: private and test images."""
    from dataclasses import asdict

    memory = studio.memory
    records = [memory.record(id_) for id_ in (*memory.private_ids(), *memory.test_ids())]
    rows = [{**asdict(record), "label": studio.about.classes[record.label]} for record in records]
    cells = [{name: safe_cell(value) for name, value in row.items()} for row in rows]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(cells)
    return answer(arguments, rows, [text.getvalue().rstrip("\n")])


def _predict(arguments: argparse.Namespace) -> int:
    from munkey_core.studio import Studio

    studio = Studio.open(arguments.bundle)
    if arguments.without:
        studio.forget(studio.memory.select(arguments.without))
    results = [_predict_one(studio, image) for image in arguments.images]
    return answer(
        arguments,
        {"bundle": studio.about.name, "generation": studio.memory.generation, "images": results},
        [
            f"{r['image']}: {r['class']} ({r['probabilities'][r['class']]:.1%}); "
            f"answered by {', '.join(n['id'] for n in r['neighbours'])}"
            for r in results
        ],
    )


def _predict_one(studio: Any, image: str) -> dict[str, Any]:
    about, known = studio.about, studio.memory.can_ask(image)
    if not known and not _is_file(image):
        raise BadInputError(f"{shown(image)} is neither an id of bundle {about.name} nor a file")
    if known:
        prediction = studio.predict([image])
    else:
        prediction = studio.predict_images(studio.pictures.read(Path(image)))
    probabilities = prediction.probabilities[0]
    result = {
        "image": image,
        "class": about.classes[int(prediction.classes[0])],
        "probabilities": {
            name: round(float(p), 6) for name, p in zip(about.classes, probabilities, strict=True)
        },
        "neighbours": [
            {"id": id_, "similarity": round(float(s), 6), "weight": round(float(w), 6)}
            for id_, s, w in zip(
                prediction.retrieval.ids[0],
                prediction.retrieval.similarity[0],
                prediction.exemplar_weights[0],
                strict=False,  # the weights' last column is the null anchor's
            )
        ],
    }
    if known:
        result["label"] = about.classes[studio.memory.record(image).label]
    return result


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):  # too long for a path, or with a null byte in it
        return False


def _forget(arguments: argparse.Namespace) -> int:
    from munkey_core.studio import Studio

    studio = Studio.open(arguments.bundle)
    deletion = studio.forget(studio.memory.select(arguments.ids))
    changes = studio.changes(deletion)
    effects = watch(studio.side_effects(deletion))
    near = studio.memory.near_duplicates(deletion.ids)
    flipped = [change for change in changes if change.flipped]
    names = studio.about.classes
    document = {
        "bundle": studio.about.name,
        "n_forget": len(deletion.ids),
        "milliseconds": deletion.milliseconds,
        "keys_left": deletion.remaining,
        "changed": {
            "forget": len(flipped),
            "retain": len(effects.retain),
            "retain_of": effects.retain_checked,
            "test": len(effects.test),
            "test_of": effects.test_checked,
        },
        "near_duplicates_that_stay": [
            {"id": p.id, "other": p.other, "similarity": round(p.similarity, 6)} for p in near
        ],
        "images": [
            {
                "id": change.id,
                "label": names[change.label],
                "before": names[int(change.before.argmax())],
                "after": names[int(change.after.argmax())],
                "truth_before": round(float(change.before[change.label]), 6),
                "truth_after": round(float(change.after[change.label]), 6),
                "neighbours_after": list(change.neighbours_after),
            }
            for change in changes
        ],
        "written": False,
    }
    lines = [
        f"{len(deletion.ids)} keys deleted in {deletion.milliseconds:.2f} ms, "
        f"{deletion.remaining:,} left; nothing was written",
        f"predictions that changed: {len(flipped)} of {len(changes)} forgotten images, "
        f"{len(effects.retain)} of {effects.retain_checked:,} retain, "
        f"{len(effects.test)} of {effects.test_checked:,} test",
        f"{len({p.other for p in near})} near-duplicates of them stay in the memory",
        "exact mode: what is left is what there would be had they never been written"
        if studio.about.mode == "exact"
        else "the shared weights stay as they are: this is not exact unlearning",
    ]
    shown = sorted(changes, key=lambda change: change.shift)[:20]
    lines += [
        f"  {c.id} ({names[c.label]}): {names[int(c.before.argmax())]} {c.before[c.label]:.0%}"
        f" -> {names[int(c.after.argmax())]} {c.after[c.label]:.0%} for the true class"
        for c in shown
    ]
    return answer(arguments, document, lines)


def _audit(arguments: argparse.Namespace) -> int:
    from munkey_core.audit.audit import ForgettingAudit
    from munkey_core.audit.image_table import image_table
    from munkey_core.audit.privacy import attack_lines, privacy
    from munkey_core.audit.reports import find_report, report_lines, with_stored
    from munkey_core.bundle.find import find_bundle
    from munkey_core.bundle.read import read_bundle

    bundle = read_bundle(find_bundle(arguments.bundle))
    bundle = bundle.in_mode(arguments.mode or bundle.mode)
    audit = ForgettingAudit(bundle, arguments.forget, arguments.seeds, arguments.device)
    report = watch(audit.run())
    report = with_stored(report, find_report(bundle, audit.ids))
    attacks = watch(privacy(audit.evidence, audit.ids))
    if arguments.csv:
        arguments.csv.write_text(image_table(audit, audit.measured), encoding="utf-8")
    document = {**report.to_dict(), "attacks": attacks.to_dict(charts=False)}
    return answer(arguments, document, [*report_lines(report), *attack_lines(attacks)])


def _compare(arguments: argparse.Namespace) -> int:
    from munkey_core.audit.comparison import known_methods
    from munkey_core.audit.reports import report_lines, save_reports
    from munkey_core.audit.tuning import find_tuning
    from munkey_core.bundle.find import find_bundle
    from munkey_core.bundle.forget_sets import CANONICAL
    from munkey_core.bundle.read import read_bundle
    from munkey_core.cli.canonical import ALL, attack_sets, compare_sets

    folder = find_bundle(arguments.bundle)
    methods = arguments.methods.split(",") if arguments.methods is not None else None
    reports = watch(
        compare_sets(
            folder,
            arguments.forget,
            known_methods(methods),
            seeds=arguments.seeds,
            device=arguments.device,
            tune=arguments.tune,
            mode=arguments.mode,
        )
    )
    if arguments.save:
        named = arguments.forget in (ALL, *CANONICAL)
        attacks = watch(attack_sets(folder, arguments.forget, arguments.mode)) if named else {}
        tuning = find_tuning(read_bundle(folder))
        save_reports(folder, reports, tuning, attacks, arguments.mode)
    lines = [line for report in reports for line in (*report_lines(report), "")]
    return answer(arguments, [report.to_dict() for report in reports], lines)


def _oracles(arguments: argparse.Namespace) -> int:
    from munkey_core.audit.shipping import ship_oracles
    from munkey_core.bundle.find import find_bundle

    folder = find_bundle(arguments.bundle)
    sets = watch(
        ship_oracles(
            folder,
            arguments.seeds,
            arguments.references,
            arguments.device,
            only=arguments.sets.split(",") if arguments.sets is not None else None,
            other_seeds=arguments.other_seeds,
        )
    )
    size = sum(path.stat().st_size for path in folder.glob("oracles/*"))
    return answer(
        arguments,
        {"bundle": str(folder), "sets": sets, "bytes": size},
        [f"{folder} now carries the answers of retrained models: {size:,} bytes"],
    )


def _retrain(arguments: argparse.Namespace) -> int:
    from dataclasses import asdict

    from munkey_core.audit.oracles import Oracles
    from munkey_core.bundle.find import find_bundle
    from munkey_core.bundle.read import read_bundle
    from munkey_core.training.retraining import MUNKEY, PLAIN

    bundle = read_bundle(find_bundle(arguments.bundle))
    families = {"munkey": [MUNKEY], "plain": [PLAIN], "both": [MUNKEY, PLAIN]}[arguments.family]
    oracles = Oracles(
        bundle, arguments.without, families, arguments.seeds, arguments.seed, arguments.device
    )
    figures = watch(oracles.run())
    document = {
        "bundle": bundle.manifest.name,
        "n_forget": len(oracles.ids),
        "device": str(oracles.runs.device),
        "oracles": [asdict(one) for one in figures],
    }
    lines = [
        f"retrained without {len(oracles.ids):,} images; accuracy on test (TA), retain (RA) and "
        "forget (FA) images in percent",
        f"{'family':8} {'seed':>5} {'TA':>7} {'RA':>7} {'FA':>7} {'seconds':>8}  from",
    ]
    lines += [
        f"{f.family:8} {f.seed:5} {f.test_accuracy:7.2f} {f.retain_accuracy:7.2f} "
        f"{f.forget_accuracy:7.2f} {f.seconds:8.1f}  {f.source}"
        for f in figures
    ]
    return answer(arguments, document, lines)


def _project(arguments: argparse.Namespace) -> int:
    from munkey_core.bundle.bundle import FittedMap
    from munkey_core.bundle.find import find_bundle
    from munkey_core.bundle.manifest import SPACES
    from munkey_core.bundle.read import read_bundle
    from munkey_core.explain.map import maps_of, save_projections

    folder = find_bundle(arguments.bundle)
    bundle = read_bundle(folder)
    bundle = bundle.in_mode(arguments.mode or bundle.mode)
    maps, seed = maps_of(bundle.bank), arguments.seed
    fitted: dict[str, FittedMap] = {}
    found: dict[str, dict[str, Any]] = {}
    for space in SPACES if arguments.space == "both" else (arguments.space,):
        start, known = time.perf_counter(), maps.cached(space, seed)
        one = known or watch(maps.fit(space, seed))
        bundle.settle(maps.path(space, seed))
        fitted[space] = one
        found[space] = {
            "seed": one.seed,
            "digest": one.digest,
            "source": "cache" if known else "fitted",
            "seconds": round(time.perf_counter() - start, 2),
            "file": str(maps.path(space, seed)),
        }
    if arguments.save:
        save_projections(folder, fitted)
    document = {
        "bundle": bundle.manifest.name,
        "entries": len(bundle.bank),
        "maps": found,
        "saved": arguments.save,
    }
    lines = [
        f"{space}: {len(bundle.bank):,} points, {facts['seconds']:.1f} s ({facts['source']})"
        for space, facts in found.items()
    ]
    return answer(arguments, document, [*lines, f"saved in {folder}"] if arguments.save else lines)


def _influence(arguments: argparse.Namespace) -> int:
    from munkey_core.bundle.find import find_bundle
    from munkey_core.explain.influence import save_influence
    from munkey_core.studio import Studio

    if arguments.top < 0:
        raise BadInputError(f"--top must be 0 or more, got {arguments.top}")
    studio = Studio.open(arguments.bundle)
    stored = None if arguments.save else studio.explain.influence()
    found = stored or watch(studio.explain.compute_influence())
    if arguments.save:
        save_influence(find_bundle(arguments.bundle), found)
    entries = [
        {
            "id": found.ids[row],
            "label": studio.about.classes[studio.memory.record(found.ids[row]).label],
            "total": round(float(found.total[row]), 6),
            "shift": round(float(found.shift[row]), 6),
            "flips": int(found.flips[row]),
            "touched": int(found.touched[row]),
        }
        for row in (-found.total).argsort(kind="stable")[: arguments.top].tolist()
    ]
    document = {
        "bundle": studio.about.name,
        "n_test": found.n_test,
        "n_entries": len(found.ids),
        "source": "bundle" if stored else "computed",
        "saved": arguments.save,
        "entries": entries,
    }
    lines = [
        f"forgetting one image alone, each of {len(found.ids):,}: what it changes for "
        f"{found.n_test:,} test images",
        "total, shift: sum of |change| and of change of the true class's probability; flips: "
        "answers that change; touched: images it is a neighbour of",
        f"{'id':16} {'label':12} {'total':>8} {'shift':>8} {'flips':>6} {'touched':>8}",
    ]
    lines += [
        f"{e['id']:16} {e['label']:12} {e['total']:8.4f} {e['shift']:+8.4f} {e['flips']:6} "
        f"{e['touched']:8}"
        for e in entries
    ]
    return answer(arguments, document, lines)


def _bench(arguments: argparse.Namespace) -> int:
    from munkey_core.cli.timing import bench

    results = bench(arguments.bundle)
    return answer(
        arguments, results, [f"{name}: {value:.3f}" for name, value in results["median"].items()]
    )


if __name__ == "__main__":
    sys.exit(main())
