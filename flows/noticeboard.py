"""
What Prefect's dashboard shows of one flow run, and how it is changed: name, tags, artifacts.

A dashboard is there to be looked at. That it cannot be written to is told once, and never fails a run.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.client.schemas.filters import ArtifactCollectionFilter, ArtifactCollectionFilterKey
from prefect.client.schemas.objects import FlowRun

logger = logging.getLogger("idxflow.dashboard")


class Noticeboard:
    """The page of one flow run. It is made where the flow runs, and shares that one's connection; from any thread."""

    def __init__(self, flow_run: FlowRun) -> None:
        self._id, self._tags = flow_run.id, frozenset(flow_run.tags)
        self._client = get_client(sync_client=True)
        self._told = False

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Leave the block at the first thing that goes wrong, and tell the first of all of them."""
        try:
            yield
        except Exception as error:
            if not self._told:
                self._told = True
                logger.warning(
                    "dashboard: expected Prefect's API to take what it is to show, found %s. The run goes on; "
                    "`idxflow show` tells the same.",
                    type(error).__name__,  # its text may hold an address
                )

    def rename(self, name: str, tags: Iterable[str]) -> None:
        """Give the flow run another name, and these tags beside those that it began with."""
        self._client.update_flow_run(self._id, name=name, tags=sorted(self._tags.union(tags)))

    def post_progress(self, share: float, description: str, task_run: UUID | None) -> UUID:
        """
        Post a bar, which stands on the pages of this run alone.

        Args:    share: from 0 to 1.
        Returns: what `move` knows it by.
        """
        bar = ArtifactCreate(
            type="progress",
            data=100 * share,
            description=description,
            flow_run_id=self._id,
            task_run_id=task_run,
        )
        return self._client.create_artifact(bar).id

    def move(self, bar: UUID, share: float, description: str) -> None:
        """Move a bar."""
        self._client.update_artifact(bar, ArtifactUpdate(data=100 * share, description=description))

    def post_table(self, key: str, rows: list[dict[str, str]], description: str) -> None:
        """Post a table: under one key all runs together are its history."""
        self._post("table", key, json.dumps(rows), description)

    def post_page(self, key: str, markdown: str, description: str) -> None:
        """Post a page in Markdown; `key` as in `post_table`."""
        self._post("markdown", key, markdown, description)

    def tells(self, key: str, words: str) -> bool:
        """Tell whether the newest page or table under a key, of whichever run, holds these words."""
        wanted = ArtifactCollectionFilter(key=ArtifactCollectionFilterKey(any_=[key]))
        found = self._client.read_latest_artifacts(artifact_filter=wanted, limit=1)
        return any(words in str(each.data) for each in found)

    def _post(self, kind: str, key: str, data: str, description: str) -> None:
        self._client.create_artifact(
            ArtifactCreate(type=kind, key=key, data=data, description=description, flow_run_id=self._id)
        )
