"""Secrets that the process knows are in no text, in whatever form they travel."""

from __future__ import annotations

import json
from base64 import b64encode
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.addresses import fill
from schemas.errors import BadIdx
from schemas.secrets import SHORTEST, conceal, conceal_all, remember, remember_login

ODD = "w\u00f6rd \u20ac:/#?%&'\"\\+=x"
FORMS = (
    ODD,
    quote(ODD, safe=""),
    quote(ODD),
    quote_plus(ODD),
    quote(ODD, safe="").lower(),
    repr(ODD)[1:-1],
    json.dumps(ODD)[1:-1],
    b64encode(ODD.encode()).decode(),
    b64encode(f"alice:{ODD}".encode()).decode(),
)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_hidden(form: str) -> None:
    """As it is, percent-encoded, escaped, in base64, alone and behind its user."""
    remember(ODD)
    remember_login(b"alice", ODD.encode())
    assert conceal(f"said {form} twice {form}") == "said *** twice ***"
    assert form not in str(BadIdx(form, expected=form, found=form, way_out=form))


@given(st.text(min_size=SHORTEST))
def test_what_an_address_refers_to_is_hidden(word: str) -> None:
    """Whatever stands in the environment variable is in no text once the address has been filled in."""
    if not (word.isprintable() and word.strip() == word):
        return
    filled = fill("https://alice:${WORD}@host/?token=${WORD}", {"WORD": word})
    shown = conceal_all(f"no answer from {filled}")
    assert shown == "no answer from https://host/"


def test_addresses_in_a_text_lose_what_may_be_secret() -> None:
    """User, password, query and fragment of what nobody has named a secret are not passed on either."""
    text = "at https://user:word@host:1/a?key=1#x, and 'file:///x?y' twice"
    assert conceal_all(text) == "at https://host:1/a and 'file:///x' twice"
    assert conceal_all("12:30 a@b.example") == "12:30 a@b.example"
