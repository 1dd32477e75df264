"""The files that the images of a run came from, found by its record."""

from __future__ import annotations

from artifacts.archive.lookup import find_stored
from artifacts.run_record import Record
from artifacts.store.disk import disk
from artifacts.store.store import Store
from schemas.source import FILES
from tasks.formats.packed import PACK, Origins


def origins_of(store: Store, record: Record) -> Origins:
    """
    Return what finds the file of a sample of a run: an empty name where its set was not packed, or that is gone.

    Raises: ArtifactDamaged: an artifact is not what it was.  StoreError: the disk.
    """
    packed = next((row for row in record.stages if row.stage == PACK), None)
    if packed is None or (ledger := find_stored(store, PACK, packed.version)) is None:
        return Origins()
    tables = {row.name: find_stored(store, "parse", row.version) for row in record.stages if row.stage == "parse"}
    folders = {split: table.folder for split, table in tables.items() if table}
    if len(folders) < len(tables):  # which rows a split was given when it was cut is not known any more
        return Origins()
    with disk(ledger.folder):
        return Origins.at(ledger.folder / FILES, folders)
