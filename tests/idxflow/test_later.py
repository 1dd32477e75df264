"""What is loaded when it is first used: nobody sees a difference but the clock."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.processes import PROJECT, bare_environment, run_python

PROGRAM = """
import json, sys
from contextlib import nullcontext
from idxflow.later import grammar_later

with grammar_later() if sys.argv[1] == "later" else nullcontext():
    from jsonschema import Draft202012Validator
loaded = "rfc3987_syntax.syntax_helpers" in sys.modules
checker = Draft202012Validator.FORMAT_CHECKER
texts = ("http://\\u00e4.test/\\u4e2d?q#f", "//host/a b", "a/b", "http://[::1", "", 7)
found = {name: [checker.conforms(text, name) for text in texts] for name in sorted(checker.checkers)}
import rfc3987_syntax
assert rfc3987_syntax.is_valid_syntax("iri", texts[0])
with grammar_later():
    assert sys.modules["rfc3987_syntax"] is rfc3987_syntax
assert sys.modules["rfc3987_syntax"] is rfc3987_syntax
print(json.dumps([loaded, found]))
"""
PREFECT = """
import sys
from idxflow.later import grammar_later

with grammar_later():
    import flows.pipeline
assert "jsonschema" in sys.modules
assert not [name for name in sys.modules if name.startswith("rfc3987_syntax")]
"""


def test_each_format_is_checked_as_ever(tmp_path: Path) -> None:
    """The same texts conform to the same formats, IRIs too; their grammar is loaded when the first is checked."""
    pytest.importorskip("rfc3987_syntax", reason="the extra export is not installed")
    environment = bare_environment(PYTHONPATH=str(PROJECT))
    later, at_once = (
        json.loads(run_python("-c", PROGRAM, how, cwd=tmp_path, environment=environment)[0])
        for how in ("later", "at once")
    )
    assert (later[0], at_once[0]) == (False, True)
    assert later[1] == at_once[1]
    assert {True, False} == set(later[1]["iri"]) == set(later[1]["iri-reference"])


def test_a_run_and_a_server_load_no_grammar(tmp_path: Path) -> None:
    """To import the main job, and Prefect with it, loads jsonschema without the grammar of IRIs."""
    run_python("-c", PREFECT, cwd=tmp_path, environment=bare_environment(PYTHONPATH=str(PROJECT)))
