"""
The commands beside `run` and `server`: where each is, and what help says of it without importing it.

The table is data: a command's module is imported when it is called, or when its own help page is asked for.
"""

from __future__ import annotations

from typing import NamedTuple


class Command(NamedTuple):
    """
    A command that is imported when it is called.

    Args:
        help:     the beginning of its own help page; the first line stands in the list of commands.
        examples: the end of its own help page.
    """

    name: str
    help: str
    examples: str

    @property
    def place(self) -> str:
        """Where its function is, as cyclopts imports it."""
        return f"idxflow.cli.commands.{self.name}:{self.name}"


COMMANDS = (
    Command(
        "plan",
        """Say what `idxflow run` with the same options would do, stage by stage, and why. Nothing is computed.

cached: taken from the store. will run: computed. depends: on the
content that the stages before it will have.""",
        """Examples:
  idxflow plan
  idxflow plan --set training.epochs=10
  idxflow plan --dataset digits --refresh parse --json""",
    ),
    Command(
        "runs",
        """List the runs, newest first: when, of what, how they ended, how good the model is, what was computed.

killed: its record says running, but no process runs it any more.
`idxflow show RUN` tells everything about one.""",
        """Examples:
  idxflow runs                         the newest 20
  idxflow runs --dataset mnist -n 5
  idxflow runs --all --json""",
    ),
    Command(
        "show",
        """Tell everything about one run or one artifact.

A run: state, configuration, metrics, its stages, and what has become
of their artifacts. An artifact: how it was made, from what, and by which
runs it was used.""",
        """Examples:
  idxflow show latest      the newest run, however it ended
  idxflow show 43be        a run or a version, by its first digits
  idxflow show train/f28 --json""",
    ),
    Command(
        "lineage",
        """Show what an artifact was made from, down to the downloaded bytes, and what was made of it.

A run stands for its model. Manifests are read and no file is hashed: that is `idxflow verify`.""",
        """Examples:
  idxflow lineage latest             the model of the newest completed run
  idxflow lineage champion --json
  idxflow lineage train/f28b --mermaid > lineage.mmd""",
    ),
    Command(
        "compare",
        """Hold two runs against each other: what differs in what they were made from, and in what came of it.

Whether one model is better than the other by more than chance is asked with
the exact McNemar test, over the test images that exactly one of them gets right.
A model stands for the run that made it, or the newest that completed with it.""",
        """Examples:
  idxflow compare 1d54 43be
  idxflow compare champion latest    what the newest completed run changes
  idxflow compare champion latest --images 20
  idxflow compare champion latest --json > comparison.json""",
    ),
    Command(
        "verify",
        """Hash every file of every artifact in full, and hold each manifest against its record.

Exit code 1, and a line each, where anything is wrong.""",
        """Examples:
  idxflow verify
  idxflow verify --all --repair""",
    ),
    Command(
        "gc",
        """List what no recent run, alias, pin or living run holds, and with --yes take it away.

Leftovers of interrupted work and what lies in quarantine go too. Records of
runs stay. It is safe while a run works.""",
        """Examples:
  idxflow gc
  idxflow gc --keep 10 --older-than 30d --yes""",
    ),
    Command(
        "alias",
        """List the aliases, show one with its history, set or remove it.

An alias is a name for an artifact that every command takes in its place.
What has an alias is never cleaned up.""",
        """Examples:
  idxflow alias                    all of them
  idxflow alias champion latest    the model of the newest completed run
  idxflow alias champion f28b
  idxflow alias champion           what it stands for, and did before
  idxflow alias champion --remove""",
    ),
    Command(
        "pin",
        """List the pins, set or remove one.

What is pinned is never cleaned up. To pin it again replaces the note.""",
        """Examples:
  idxflow pin                  all of them
  idxflow pin latest           the newest completed run
  idxflow pin latest --note "the one of the paper"
  idxflow pin parse/b0c05
  idxflow pin 43be --remove""",
    ),
    Command(
        "trust",
        """List what remote files without a published checksum were on their first use; renew or forget it.

Such files are held to what they were then. They are trusted together, as one
generation of a set, once both of its splits have passed every check.
A file on this machine is hashed whenever it changes, and needs no trust.""",
        """Examples:
  idxflow trust                        all sets
  idxflow trust leaves                 the files of one
  idxflow trust leaves.toml --renew    the set was republished: accept all its files as they are now
  idxflow trust leaves.toml --forget""",
    ),
    Command(
        "export",
        """Write a model, and all that a stranger needs to use and judge it, into a folder.

The Keras model, its normaliser, class names, metrics, history, lineage,
a model card (README.md) and SHA256SUMS. All is hashed before: what is
damaged is not exported, and a failure leaves nothing.""",
        """Examples:
  idxflow export latest model        the model of the newest completed run
  idxflow export champion /srv/models/digits-7
  idxflow export train/f28b model --json""",
    ),
    Command(
        "up",
        """Start or find the server, deploy the pipeline, and take its runs until Ctrl-C.

Work pool, deployments (prefect.yaml), automations and a worker, in one
command that stays. Ctrl-C, SIGTERM or SIGHUP cancels the runs at work, leaves
what is queued, and ends with exit code 0; the server stays. A second one of
the same home folder is refused.""",
        """Examples:
  idxflow up
  idxflow up --serve                     without a work pool and a worker
  idxflow up --home /srv/idxflow --limit 1""",
    ),
)
