"""python -m bench.scraper_export   (--messages 500000 for a quick look)

Reading an export into a corpus, beside merely inflating and orjson-parsing the same bytes in as many processes.

The export is synthetic (`bench/generated_export.py`). Beside it, from some of its channels: what each stage costs; and
the memory of all processes of an import together, sampled ten times a second.
"""

import argparse
import gc
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Final, TypeVar

import orjson

from bench.generated_export import TEAM, export_path
from bench.report import Figures, finish, parser
from services.scraper.adapters.building import MOST_WORKERS, build_from_export
from services.scraper.adapters.channel_job import PREFIX
from services.scraper.adapters.export_zip import ExportZip
from services.scraper.adapters.packing import write_shards
from services.scraper.adapters.sorting import Sorter
from services.scraper.adapters.work import Work
from services.scraper.adapters.zip_entries import Entry, ZipEntries, unpack_entries
from services.scraper.core.archive import Limits
from services.scraper.core.raw_message import decode_messages
from services.scraper.core.reading import Reader
from services.scraper.core.source import TsWindow

T = TypeVar("T")
LEAST_SHARE: Final = 0.2
MOST_RSS_MB: Final = 250
CACHE: Final = Path(tempfile.gettempdir()) / "doppel-bench"
STAGE_MESSAGES: Final = 200_000
SAMPLE_EVERY_S: Final = 0.1
MB: Final = 1_000_000
_HEADER_BYTES: Final = 512  # enough for a local header and its name


@dataclass
class Import:
    """One import: how long, how much, how large. Memory is the sum over its processes."""

    wall_s: float
    cpu_s: float
    messages: int
    content_sha256: str
    peak_rss_mb: float = 0.0
    peak_pss_mb: float = 0.0


def run(messages: int, small: int, workers: int | None = None) -> Figures:
    """Measure at both sizes."""
    figures = Figures()
    cores = len(os.sched_getaffinity(0))
    count = workers if workers is not None else min(cores, MOST_WORKERS)
    processes = max(count, 1)
    for label, size in (("0_5m", small), ("5m", messages)):
        began = time.monotonic()
        archive = export_path(CACHE, size)
        print(f"\n{size:,} synthetic messages (made or found in {time.monotonic() - began:.0f} s): ", end="")
        plan = _plan(archive)
        unpacked = sum(entry.size_bytes for entries in plan.values() for entry in entries)
        print(
            f"{unpacked / MB:,.0f} MB of JSON in {sum(map(len, plan.values())):,} files, {len(plan)} channels"
        )
        before = _baseline(archive, plan, processes)
        found = _import(archive, count)
        after = _baseline(archive, plan, processes)
        bare_wall_s, bare_cpu_s = (before[0] + after[0]) / 2, (before[1] + after[1]) / 2
        print(
            f"inflate + orjson, {processes} processes: {before[0]:.1f} s and {after[0]:.1f} s"
            f" ({size / bare_wall_s:,.0f} messages/s, {bare_cpu_s / size * 1e6:.2f} us of CPU each)"
        )
        print(
            f"the import, {count or 'no'} workers: {found.wall_s:.1f} s"
            f" ({size / found.wall_s:,.0f} messages/s, {found.cpu_s / size * 1e6:.2f} us of CPU each),"
            f" {found.messages:,} kept, content {found.content_sha256[:12]}"
        )
        print(
            f"peak memory of all its processes: RSS {found.peak_rss_mb:.0f} MB, PSS {found.peak_pss_mb:.0f} MB"
        )
        print(
            f"share of inflating and parsing: {bare_wall_s / found.wall_s:.3f} by the clock,"
            f" {bare_cpu_s / found.cpu_s:.3f} by CPU time"
        )
        figures.most(f"export_peak_rss_mb_at_{label}", found.peak_rss_mb, MOST_RSS_MB)
        if size == messages:
            figures.least("export_vs_inflate_and_parse", bare_wall_s / found.wall_s, LEAST_SHARE)
            figures.least("export_vs_inflate_and_parse_cpu", bare_cpu_s / found.cpu_s, LEAST_SHARE)
            _print_stages(archive, plan)
    return figures


def _plan(archive: Path) -> dict[str, list[Entry]]:
    """Day files by channel, largest first. The directory is read here, and costs the baseline nothing."""
    with tempfile.TemporaryDirectory() as folder, ExportZip(archive, TEAM) as export:
        path = Path(folder) / "plan"
        jobs, _ = export.plan(path)
        data = path.read_bytes()
        return {
            job.channel_id: unpack_entries(data[job.offset : job.offset + job.size_bytes]) for job in jobs
        }


def _bare(archive: Path, entries: list[Entry]) -> float:
    """Inflate and parse, nothing else. Returns the CPU seconds it took."""
    gc.disable()  # as in the import's workers
    began = time.process_time()
    handle = os.open(archive, os.O_RDONLY)
    for entry in entries:
        head = os.pread(handle, _HEADER_BYTES + entry.packed_bytes, entry.offset)
        at = 30 + int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
        orjson.loads(zlib.decompress(head[at : at + entry.packed_bytes], -zlib.MAX_WBITS, entry.size_bytes))
    os.close(handle)
    return time.process_time() - began


def _baseline(archive: Path, plan: dict[str, list[Entry]], processes: int) -> tuple[float, float]:
    """``(wall, CPU)`` seconds, evenly spread; the start of its processes is not counted."""
    entries = [entry for some in plan.values() for entry in some]
    parts = [entries[number :: 8 * processes] for number in range(8 * processes)]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        list(pool.map(abs, range(4 * processes)))
        began = time.monotonic()
        cpu_s = sum(pool.map(_bare, [archive] * len(parts), parts))
        return time.monotonic() - began, cpu_s


def _import(archive: Path, workers: int) -> Import:
    """In a process of its own, as a scraper has it, watched from here."""
    with tempfile.TemporaryDirectory(prefix="doppel-bench-") as folder:
        command = [sys.executable, "-m", "bench.scraper_export", "--import-to", folder]
        process = subprocess.Popen(
            [*command, str(archive), "--workers", str(workers)], stdout=subprocess.PIPE, text=True
        )
        with _watched(process.pid) as peaks:
            output, _ = process.communicate(timeout=1800)
        if process.returncode:
            raise SystemExit(f"the import ended with {process.returncode}")
        return Import(**json.loads(output), peak_rss_mb=peaks["Rss"] / MB, peak_pss_mb=peaks["Pss"] / MB)


def _import_here(archive: Path, folder: Path, workers: int) -> None:
    """The watched side."""
    began = time.monotonic()
    out = folder / "out"
    out.mkdir()
    built = build_from_export(archive, TEAM, TsWindow(), out, Work(), workers=workers)
    wall_s = time.monotonic() - began
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu_s = sum(each.ru_utime + each.ru_stime for each in used)
    shutil.rmtree(out)
    print(
        json.dumps(
            {
                "wall_s": wall_s,
                "cpu_s": cpu_s,
                "messages": built.message_count,
                "content_sha256": built.content_sha256,
            }
        )
    )


@contextmanager
def _watched(pid: int) -> Iterator[Counter[str]]:
    """Peaks of the memory of a process and its children: summed RSS, which counts what they share twice, and PSS."""
    peaks: Counter[str] = Counter()
    done = threading.Event()

    def watch() -> None:
        while not done.wait(SAMPLE_EVERY_S):
            total: Counter[str] = Counter()
            for each in (pid, *_children(pid)):
                total.update(_memory(each))
            for name, value in total.items():
                peaks[name] = max(peaks[name], value)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peaks
    finally:
        done.set()
        thread.join()


def _children(pid: int) -> list[int]:
    try:
        return [
            int(child)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    except OSError:  # it has just ended
        return []


def _memory(pid: int) -> dict[str, int]:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return {}
    fields = (line.split() for line in lines)
    return {each[0][:-1]: int(each[1]) * 1024 for each in fields if each[0] in ("Rss:", "Pss:")}


def _print_stages(archive: Path, plan: dict[str, list[Entry]]) -> None:
    """What each stage costs, one after another in this process, over some channels of middling size."""
    channels = list(plan.items())
    some: list[tuple[str, list[Entry]]] = []
    count = 0
    with ZipEntries(archive, Limits()) as entries, ExportZip(archive, TEAM) as export:
        names = {person.user_id: person.name for person in export.people} | export.channels
        for channel_id, days in channels[len(channels) // 3 :]:
            some.append((channel_id, days))
            count += sum(len(decode_messages(entries.whole(day) or b"") or ()) for day in days)
            if count >= STAGE_MESSAGES:
                break
        gc.disable()
        cost = _stage_costs(entries, some, names)
        gc.enable()
    print(f"\ncost per stage (us of CPU a message, over {count:,} of {len(some)} channels):")
    for name, seconds in cost.items():
        print(f"  {name:<44}{seconds / count * 1e6:6.2f}")


def _stage_costs(
    archive: ZipEntries, some: list[tuple[str, list[Entry]]], names: dict[str, str]
) -> dict[str, float]:
    cost: dict[str, float] = {}

    def timed(name: str, call: Callable[[], T]) -> T:
        began = time.process_time()
        found = call()
        cost[name] = time.process_time() - began
        return found

    reader = Reader(names)
    with tempfile.TemporaryDirectory(prefix="doppel-bench-") as scratch:
        folder = Path(scratch)
        days = timed(
            "inflate, check", lambda: [(c, [archive.whole(d) or b"" for d in each]) for c, each in some]
        )
        timed(
            "  (orjson, for comparison)", lambda: sum(len(orjson.loads(d)) for _, each in days for d in each)
        )
        raws = timed("parse", lambda: [(c, [decode_messages(d) or [] for d in each]) for c, each in days])
        rows = timed(
            "normalise", lambda: [(c, [reader.rows(d, c, PREFIX) for d in each]) for c, each in raws]
        )

        def sort(budget_bytes: int) -> list[tuple[str, list[list[bytes]]]]:
            sorter = Sorter(folder, budget_bytes, 1 << 62, lambda: None)
            done: list[tuple[str, list[list[bytes]]]] = []
            for channel_id, batches in rows:
                for batch in batches:
                    sorter.extend(batch)
                done.append((channel_id, list(sorter.drain(reader.dropped))))
            return done

        timed("sort, where a channel has to go to disk", lambda: sort(1_000_000))
        ready = timed("sort, in memory", lambda: sort(1 << 62))
        timed(
            "pack, hash, write",
            lambda: [list(write_shards(b, {PREFIX.encode(): c}, folder, lambda _: None)) for c, b in ready],
        )
    return cost


def main() -> int:
    """Measure; the last line printed is one JSON object."""
    arguments = parser(__doc__)
    arguments.add_argument("archive", nargs="?", help=argparse.SUPPRESS)
    arguments.add_argument("--import-to", help=argparse.SUPPRESS)
    arguments.add_argument("--messages", type=int, default=5_000_000, help="of the large export")
    arguments.add_argument("--small", type=int, default=500_000, help="of the small one")
    arguments.add_argument("--workers", type=int, help="processes; 0: none beside the import's own")
    args = arguments.parse_args()
    if args.import_to:
        _import_here(Path(args.archive), Path(args.import_to), args.workers)
        return 0
    figures = run(args.messages, args.small, args.workers)
    return finish(figures, "scraper_export")


if __name__ == "__main__":
    sys.exit(main())
