"""
Print what makes a shell complete commands, options, runs, aliases and data sets.

Runs and names are looked up while you type, in the home folder that the command
would use. Start a new shell afterwards.

Examples:
  idxflow completion bash > ~/.local/share/bash-completion/completions/idxflow
  idxflow completion zsh > ~/.zfunc/_idxflow    a folder that is in $fpath
  idxflow completion fish > ~/.config/fish/completions/idxflow.fish
"""

from __future__ import annotations

import sys
from typing import Annotated, Literal

from cyclopts import Parameter

from idxflow.cli.ending import DONE


def completion(shell: Annotated[Literal["bash", "zsh", "fish"], Parameter(help="bash, zsh or fish.")], /) -> int:
    """Print a shell's completion script."""
    from idxflow.cli.app import app

    sys.stdout.write(app.generate_completion(prog_name="idxflow", shell=shell))
    return DONE
