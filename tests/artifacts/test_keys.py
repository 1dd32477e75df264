"""Keys: canonical, complete, and blind to places."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifacts.keys import KeyParts, canonical_json, content_digest, digest_of, plain, references
from artifacts.ref import Ref
from schemas.datasets import RemoteFile
from schemas.training import Training

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def ref(digest: str = "d" * 64, name: str = "train") -> Ref:
    return Ref(stage="parse", name=name, version="0" * 16, digest=digest, manifest="m" * 64)


def parts(**changes: object) -> KeyParts:
    whole: dict[str, object] = {"stage": "parse", "parameters": {}, "inputs": {}, "code": {}, "packages": {}}
    return KeyParts.model_validate(whole | changes)


@given(JSON)
def test_canonical_json_does_not_depend_on_the_order_of_keys(value: object) -> None:
    """The same value, its dicts built in another order, has the same bytes."""

    def turned(item: object) -> object:
        if isinstance(item, dict):
            return {name: turned(item[name]) for name in reversed(item)}
        return [turned(each) for each in item] if isinstance(item, list) else item

    assert canonical_json(value) == canonical_json(turned(value))


def test_nan_has_no_canonical_form() -> None:
    """A NaN in a key is an error: it is not equal to itself."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest_of({"rate": math.nan})


def test_a_mirror_is_in_no_key() -> None:
    """Two remote files that differ only in where they lie have the same form."""
    file = RemoteFile(name="a.gz", bytes=1, sha256="a" * 64, mirrors=("https://one.example/",))
    assert plain(file) == plain(file.model_copy(update={"mirrors": ("file:///elsewhere/",)}))
    assert plain(file) != plain(file.model_copy(update={"sha256": "b" * 64}))


def test_a_profile_is_in_no_key_but_its_values_are() -> None:
    """What counts of a configuration is its values, not the name that they were taken from."""
    assert "profile" not in plain(Training())
    assert plain(Training()) != plain(Training(epochs=10))


def test_a_reference_counts_by_its_content_alone() -> None:
    """Another version or name with equal content makes the same key, other content another one."""
    assert plain([ref(name="train")]) == plain([ref(name="other")])
    assert plain(ref("a" * 64)) != plain(ref("b" * 64))


def test_references_are_found_in_lists_and_dicts() -> None:
    """Every reference in an argument is found, in order."""
    one, two = ref("1" * 64), ref("2" * 64)
    assert references({"a": [one, 3], "b": two}) == [one, two]
    assert references("text") == []


def test_a_value_without_a_stable_form_is_refused() -> None:
    """An argument that could be written in two ways is an error, not a cache miss now and then."""
    with pytest.raises(TypeError, match="set has no stable form"):
        plain({1, 2})


@pytest.mark.parametrize("field", ["parameters", "inputs", "code", "packages"])
def test_each_part_changes_the_key(field: str) -> None:
    """A difference in any part makes another key."""
    assert parts().key != parts(**{field: {"x": "1"}}).key
    assert parts().key != parts(stage="train").key
    assert parts(**{field: {"x": "1"}}).version == parts(**{field: {"x": "1"}}).key[:16]


def test_a_content_digest_covers_names_and_contents() -> None:
    """Renaming a file or changing its content changes the artifact's digest; the order of files does not."""
    digest = content_digest({"a": "1", "b": "2"})
    assert digest == content_digest({"b": "2", "a": "1"})
    assert digest != content_digest({"a": "2", "b": "1"})
