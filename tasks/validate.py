"""Validate: a split is checked as a whole, class by class, for images that occur twice, and against the train split."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np

from artifacts.ref import Ref
from artifacts.stage import stage
from schemas.counts import counted
from schemas.datasets import Checks, TableSpec
from schemas.errors import InvalidData
from schemas.image_table import ImageTable
from schemas.parameters import Summary
from schemas.part_facts import SUMS, PartFacts
from schemas.results import (
    LEAKED,
    PROFILE,
    SHOWN,
    STATISTICS,
    CheckName,
    Drift,
    Failure,
    Finding,
    Statistics,
)
from tasks.formats.packed import Origins
from tasks.formats.table import Parts, open_table, parts_of, profile_of
from tasks.profile import add_sums, measure_part, read_facts
from tasks.quality.drift import measure_drift
from tasks.quality.duplicates import Duplicates, Tables, find_duplicates, find_shared
from tasks.quality.profile import Profiles

log = logging.getLogger("idxflow.validate")
FEW = 5
"""Classes that a message names."""


def check_layout(facts: PartFacts, spec: TableSpec) -> list[Failure]:
    """Compare what the table says of itself, its number of images included, with what the catalog says."""
    said, expected = facts.metadata.model_dump(), spec.model_dump()
    pairs = [(name, said[name], expected[name]) for name in said]
    samples = None if spec.test_fraction else spec.samples  # of a split that is cut it is that of the files
    if samples or not facts.samples:
        pairs.append(("samples", facts.samples, samples or "at least 1"))
    return [Failure(name, f"{name} is {has}, not {should}", 1) for name, has, should in pairs if has != should]


def describe(facts: PartFacts, spec: TableSpec) -> Statistics:
    """Return the statistics of a split by itself: without duplicates, drift and findings. Args: facts: of all of it."""
    counts = [count for count in facts.class_counts if count]
    shape = facts.metadata.shape
    values = facts.samples * shape.pixels
    return Statistics(
        samples=facts.samples,
        shape=shape,
        classes=spec.classes,
        class_counts=facts.class_counts,
        imbalance=max(counts) / min(counts) if counts else 1.0,
        minimum=facts.minimum,
        maximum=facts.maximum,
        sum=facts.sum,
        sum_of_squares=facts.sum_of_squares,
        mean=facts.sum / values,
        # Of integers, so that nothing is lost before the root.
        std=math.sqrt((values * facts.sum_of_squares - facts.sum**2) / values**2),
        ink=facts.inked / (values // shape.channels),
        blank=facts.blank,
    )


def compare_images(table: Tables, profile: Profiles, train: Profiles | None) -> tuple[Duplicates, list[Failure]]:
    """Look for images that occur twice: in the split, whatever its parts, and in it and the train split (`train`)."""
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


def refuse(errors: list[Failure], samples: int, spec: TableSpec) -> None:
    """Raise all errors as one. Raises: InvalidData: there is an error."""
    if errors:
        raise InvalidData(
            f"{spec.dataset} {spec.split} table",
            expected="a table that passes every check",
            found=f"{counted(len(errors), 'failure')} in {counted(samples, 'image')}:\n  - "
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


def judge_split(  # noqa: PLR0917 - what a split is compared with
    table: Tables,
    spec: TableSpec,
    checks: Checks,
    train: Profiles | None,
    profile: Profiles,
    facts: PartFacts,
    origins: Origins = Origins(),  # noqa: B008 - it knows nothing
) -> Statistics:
    """
    Check a split whose parts have been profiled, and describe it.

    Args:
        spec:    what it has to be.
        checks:  how serious each finding is.
        train:   the profile of the train split, for one that is compared with it.
        profile: of this one.
        facts:   those of all parts as one.
        origins: of the samples.
    Raises: InvalidData: the table breaks its schema; every failure is reported, with counts and the first sample ids.
    """
    failed = check_layout(facts, spec)
    if not facts.samples:
        refuse(failed, 0, spec)
    statistics = describe(facts, spec)
    duplicates, twice = compare_images(table, profile, train)
    drift = measure_drift(train, profile, len(spec.classes)) if train else ()
    failed += [*facts.failures, *twice, *check_classes(statistics, checks, complete=spec.split == "train")]
    failed = named(failed + check_drift(drift, checks.max_drift), origins, spec.split)
    errors, findings = judge(failed, checks)
    refuse(errors, facts.samples, spec)
    findings += find_untested(statistics, spec, checks)
    return statistics.model_copy(update={"duplicates": duplicates.shown, "drift": drift, "findings": tuple(findings)})


def validate_table(  # noqa: PLR0917 - as `judge_split`
    table: ImageTable,
    spec: TableSpec,
    checks: Checks,
    train: Profiles | None,
    target: Path,
    origins: Origins = Origins(),  # noqa: B008 - it knows nothing
) -> Validated:
    """
    Profile a split that is one part, check it and describe it; see `judge_split`.

    Args: target: the file that takes the profile; what adds up lies beside it afterwards.
    """
    facts, content = measure_part(table, len(spec.classes), target)
    return Validated(judge_split(table, spec, checks, train, target, facts, origins), content)


class ValidateSummary(Summary):
    """A valid split, briefly; pixel values are raw ones, 0 to 255."""

    samples: int
    per_class: dict[str, int]
    mean: float
    std: float
    findings: tuple[str, ...]


@stage(name="{spec.split}", imports="schemas.tables", on_demand=("table",))
def validate(  # noqa: PLR0917 - what a split is compared with
    table: Parts,
    spec: TableSpec,
    checks: Checks,
    reference: Parts | None,
    out: Path,
    packed: Ref | None = None,
    profiles: list[Ref] | None = None,
) -> ValidateSummary:
    """
    Check one split's table, and compare it with the train split's profile (`reference`) if there is one.

    Args: profiles: of the parts, in their order, where the split has several; a split that is one part is profiled
                    here.
    """
    train = profile_of(reference) if reference else None
    origins, content = Origins.of(packed, {spec.split: table}), dict[str, str]()
    if profiles:
        opening = [partial(open_table, part) for part in parts_of(table)]
        facts = judge_split(opening, spec, checks, train, profile_of(profiles), read_facts(profiles), origins)
        np.save(out / SUMS, add_sums(profiles), allow_pickle=False)
    else:
        facts, content[PROFILE] = validate_table(open_table(table), spec, checks, train, out / PROFILE, origins)
    (out / STATISTICS).write_text(facts.model_dump_json(indent=2) + "\n", encoding="utf-8")
    for finding in facts.findings:
        log.warning("%s %s: %s", spec.dataset, spec.split, finding.message)
    return ValidateSummary(
        content=content,
        samples=facts.samples,
        per_class=dict(zip(facts.classes, facts.class_counts, strict=True)),
        mean=facts.mean,
        std=facts.std,
        findings=tuple(finding.message for finding in facts.findings),
    )
