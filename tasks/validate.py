"""Validate: a split's table is checked image by image, class by class, and against the train split."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np

from artifacts.ref import Ref
from artifacts.stage import stage
from schemas.content import TableWriter
from schemas.counts import counted
from schemas.datasets import Checks, TableSpec
from schemas.errors import InvalidData
from schemas.image_table import TABLE, ImageTable
from schemas.parameters import Summary
from schemas.results import (
    LEAKED,
    PROFILE,
    PROFILE_TYPES,
    SHOWN,
    STATISTICS,
    CheckName,
    Drift,
    Failure,
    Finding,
    Statistics,
)
from tasks.formats.packed import Origins
from tasks.quality.drift import measure_drift
from tasks.quality.duplicates import Duplicates, find_duplicates, find_shared
from tasks.quality.profile import Moments, gather, profile_images, read_parts

log = logging.getLogger("idxflow.validate")
FEW = 5
"""Classes that a message names."""
CHECKED_ROWS = 2**17
"""Images whose profiles are checked at once, or few more: Pandera takes 2 ms per call, but 4 ns per image."""


def check_layout(table: ImageTable, spec: TableSpec) -> list[Failure]:
    """Compare what the table says of itself, its number of images included, with what the catalog says."""
    said, expected = table.metadata.model_dump(), spec.model_dump()
    pairs = [(name, said[name], expected[name]) for name in said]
    samples = None if spec.test_fraction else spec.samples  # of a split that is cut it is that of the files
    if samples or not table.samples:
        pairs.append(("samples", table.samples, samples or "at least 1"))
    return [Failure(name, f"{name} is {has}, not {should}", 1) for name, has, should in pairs if has != should]


def write_profile(table: ImageTable, classes: int, target: Path) -> tuple[Moments, list[Failure], str]:
    """
    Profile and check a table row group by row group.

    Args:
        table:   of at least one image.
        classes: labels are 0 to classes - 1.
        target:  the Parquet file that takes the profile, one row per image.
    Returns: sums over all pixels, the checks that images fail by themselves, and the digest of the profile's content.
    """
    import pandas as pd
    import pyarrow as pa

    from schemas.tables import failures, image_profile

    schema, moments, start = image_profile(classes), Moments(), 0
    profiled = (profile_images(batch, table.metadata.shape.channels) for batch in table.batches())
    failed: dict[str, Failure] = {}
    columns = pa.schema([pa.field(name, kind, nullable=False) for name, kind in PROFILE_TYPES.items()])
    with TableWriter(target, columns, compression="lz4") as writer:
        for profile, sums in gather(profiled, CHECKED_ROWS):
            rows = pd.RangeIndex(start, start + len(profile.label), name="sample_id")
            for failure in failures(schema, pd.DataFrame(profile._asdict(), index=rows)):
                before = failed.get(failure.fault)
                failed[failure.fault] = before + failure if before else failure
            writer.write(pa.table(profile._asdict(), columns))
            moments, start = moments + sums, rows.stop
    return moments, list(failed.values()), writer.content


def describe(table: ImageTable, spec: TableSpec, moments: Moments, profile: Path) -> Statistics:
    """Return the statistics of a split by itself: without duplicates, drift and findings."""
    counts = np.zeros(len(spec.classes), np.int64)
    for label in read_parts(profile, "label"):
        counts += np.bincount(label, minlength=len(counts))[: len(counts)]
    values = table.samples * table.pixels
    return Statistics(
        samples=table.samples,
        shape=table.metadata.shape,
        classes=spec.classes,
        class_counts=tuple(counts.tolist()),
        imbalance=counts.max() / counts[counts > 0].min() if counts.any() else 1.0,
        minimum=min(int(low.min()) for low in read_parts(profile, "minimum")),
        maximum=max(int(high.max()) for high in read_parts(profile, "maximum")),
        sum=moments.sum,
        sum_of_squares=moments.sum_of_squares,
        mean=moments.sum / values,
        # Of integers, so that nothing is lost before the root.
        std=math.sqrt((values * moments.sum_of_squares - moments.sum**2) / values**2),
        ink=moments.inked / (values // table.metadata.shape.channels),
        blank=sum(int((spread == 0).sum()) for spread in read_parts(profile, "spread")),
    )


def compare_images(table: ImageTable, profile: Path, train: Path | None) -> tuple[Duplicates, list[Failure]]:
    """Look for images that occur twice: in the split, and in it and the train split (`train`, its profile)."""
    found = []
    twice = find_duplicates(profile, table)
    if twice.groups:
        fault = f"images that occur more than once, in groups ({twice.groups}, with different labels {twice.torn})"
        # The first 20 of all: each group that has one of them is among the first 20.
        ids = sorted(one for group in twice.shown for one in group.sample_ids)[:SHOWN]
        found.append(Failure("duplicate", fault, twice.images, "sample_id", tuple(ids)))
    leaked, first = find_shared(train, profile) if train else (0, ())
    if leaked:
        found.append(Failure("leak", LEAKED, leaked, "sample_id", first))
    return twice, found


def check_classes(statistics: Statistics, checks: Checks, *, complete: bool) -> list[Failure]:
    """Check the number of images of each class; `complete`: none may be without one."""
    import pandas as pd

    from schemas.tables import class_profile, failures

    counts = pd.Series(statistics.class_counts, pd.Index(statistics.classes, name="class"), "int64")
    largest = max(1, counts.max())
    frame = pd.DataFrame({"images": counts, "ratio": largest / counts.where(counts > 0, largest)})
    return failures(class_profile(checks.max_imbalance, complete=complete), frame)


def find_untested(statistics: Statistics, spec: TableSpec, checks: Checks) -> list[Finding]:
    """Say which classes got no image of a test split that was cut off: of a small one none is its share."""
    without = [name for name, count in zip(statistics.classes, statistics.class_counts, strict=True) if not count]
    if spec.split != "test" or not spec.test_fraction or not without or checks.missing_class == "ignore":
        return []
    named = ", ".join(without[:FEW] + ["..."] * (len(without) > FEW))
    message = f"classes without a test image, as they have too few for test.fraction = {spec.test_fraction:g}"
    return [Finding(check="missing_class", message=f"{message}: {len(without)} ({named})", count=len(without))]


def check_drift(drift: tuple[Drift, ...], max_drift: float) -> list[Failure]:
    """Check how far each feature is from the train split's, beyond what sampling alone explains."""
    import pandas as pd

    from schemas.tables import drift_profile, failures

    index = pd.Index([one.feature for one in drift], name="feature")
    excess = np.array([one.psi - one.noise for one in drift], np.float64)
    return failures(drift_profile(max_drift), pd.DataFrame({"excess": excess}, index))


def judge(failed: list[Failure], checks: Checks) -> tuple[list[Failure], list[Finding]]:
    """Sort what failed into errors and findings, as `checks` says; a check that it does not name is an error."""
    severity = {name: getattr(checks, name) for name in get_args(CheckName)}
    return [one for one in failed if severity.get(one.check, "error") == "error"], [
        Finding(
            check=one.check, message=str(one), count=one.count, sample_ids=one.where if one.index == "sample_id" else ()
        )
        for one in failed
        if severity.get(one.check) == "warn"
    ]


def refuse(errors: list[Failure], table: ImageTable, spec: TableSpec) -> None:
    """Raise all errors as one. Raises: InvalidData: there is an error."""
    if errors:
        raise InvalidData(
            f"{spec.dataset} {spec.split} table",
            expected="a table that passes every check",
            found=f"{counted(len(errors), 'failure')} in {counted(table.samples, 'image')}:\n  - "
            + ";\n  - ".join(map(str, errors)),
            way_out=spec.way_out(own_way_out(errors, spec)),
        )


def _labels_of(there: list[int], spec: TableSpec) -> str:
    """Return the option by which the stored labels of these classes alone are read."""
    stored = [spec.stored_labels[at] for at in there]
    if stored == list(range(stored[0], stored[-1] + 1)):
        return f"label_offset = {stored[0]}"
    return f"label_values = {stored}" if len(stored) <= SHOWN else "label_values"


def own_way_out(errors: list[Failure], spec: TableSpec) -> str:
    """Return what the author of a data set can do about these errors."""
    missing = next((one for one in errors if one.check == "missing_class"), None)
    source = f"Correct the source files, or what {spec.described_in} says of them."
    if missing is None:
        return source
    way_out = f'Add checks.missing_class = "warn" to {spec.described_in}'
    there = [at for at, name in enumerate(spec.classes) if name not in missing.where]
    # Of many missing classes not all are known here.
    if missing.count == len(missing.where) and len(there) > 1 and spec.labels == "integers":
        way_out += f", or name only the {len(there)} classes that occur, with {_labels_of(there, spec)}"
    return f"{way_out}." if len(errors) == 1 else f"{way_out}. {source}"


class Validated(NamedTuple):
    """A valid split in figures, and the digest of its profile's content; see `schemas.content`."""

    statistics: Statistics
    profile: str


def named(failures: list[Failure], origins: Origins, split: str) -> list[Failure]:
    """Say of samples which files they come from, where that is known."""
    found = []
    for one in failures:
        names = [origins.name(split, at) for at in one.where] if one.index == "sample_id" else []
        found.append(replace(one, names=tuple(names)) if names and all(names) else one)
    return found


def validate_table(  # noqa: PLR0917 - what a split is compared with
    table: ImageTable,
    spec: TableSpec,
    checks: Checks,
    train: Path | None,
    target: Path,
    origins: Origins = Origins(),  # noqa: B008 - it knows nothing
) -> Validated:
    """
    Check a split and describe it.

    Args:
        spec:   what it has to be.
        checks: how serious each finding is.
        train:  the profile of the train split, for one that is compared with it.
        target: the file that takes the profile.
        origins: of the samples.
    Raises: InvalidData: the table breaks its schema; every failure is reported, with counts and the first sample ids.
    """
    failed = check_layout(table, spec)
    if not table.samples:
        refuse(failed, table, spec)
    moments, by_image, content = write_profile(table, len(spec.classes), target)
    statistics = describe(table, spec, moments, target)
    duplicates, twice = compare_images(table, target, train)
    drift = measure_drift(train, target, len(spec.classes)) if train else ()
    failed += by_image + twice + check_classes(statistics, checks, complete=spec.split == "train")
    failed = named(failed + check_drift(drift, checks.max_drift), origins, spec.split)
    errors, findings = judge(failed, checks)
    refuse(errors, table, spec)
    findings += find_untested(statistics, spec, checks)
    update = {"duplicates": duplicates.shown, "drift": drift, "findings": tuple(findings)}
    return Validated(statistics.model_copy(update=update), content)


class ValidateSummary(Summary):
    """A valid split, briefly; pixel values are raw ones, 0 to 255."""

    samples: int
    per_class: dict[str, int]
    mean: float
    std: float
    findings: tuple[str, ...]


@stage(name="{spec.split}", imports="schemas.tables")
def validate(  # noqa: PLR0917 - what a split is compared with
    table: Ref, spec: TableSpec, checks: Checks, reference: Ref | None, out: Path, packed: Ref | None = None
) -> ValidateSummary:
    """Check one split's table, and compare it with the train split's profile (`reference`) if there is one."""
    train = reference.file(PROFILE) if reference else None
    origins = Origins.of(packed, {spec.split: table})
    facts, content = validate_table(ImageTable(table.file(TABLE)), spec, checks, train, out / PROFILE, origins)
    (out / STATISTICS).write_text(facts.model_dump_json(indent=2) + "\n", encoding="utf-8")
    for finding in facts.findings:
        log.warning("%s %s: %s", spec.dataset, spec.split, finding.message)
    return ValidateSummary(
        content={PROFILE: content},
        samples=facts.samples,
        per_class=dict(zip(facts.classes, facts.class_counts, strict=True)),
        mean=facts.mean,
        std=facts.std,
        findings=tuple(finding.message for finding in facts.findings),
    )
