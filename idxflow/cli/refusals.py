"""Command lines that make no command, told in a person's words: what belongs there, what was found, what was meant."""

from __future__ import annotations

from cyclopts.exceptions import (
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    RepeatArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)

from idxflow.cli.usage import NOTHING_RAN, did_you_mean
from schemas.errors import UsageError


def refusal(error: CycloptsError) -> UsageError:
    """Return the error that a command line deserves which cyclopts could not read."""
    command = " ".join(("idxflow", *(error.command_chain or ())))
    subject, hint = command, ""
    match error:
        case UnknownCommandError(unused_tokens=[word, *_], app=app) if app:
            names = [name for name in app if not name.startswith("-")]
            expected, found, hint = f"one of {', '.join(names)}", repr(word), did_you_mean(word, names)
        case UnknownOptionError(token=token, argument_collection=arguments):
            word = token.keyword or token.value
            # The dashes, which all have in common, are no sign of nearness.
            options = {name.lstrip("-"): name for argument in arguments for name in argument.names}
            expected, found = "an option that it has", word
            hint = did_you_mean(word.lstrip("-"), options, options)
        case MissingArgumentError(argument=argument, keyword=keyword) if argument:
            given = keyword or next((token.keyword for token in argument.tokens if token.keyword), None)
            expected, found = f"a value after {given}" if given else f"{argument.name} after it", "none"
        case CoercionError(argument=argument, token=token) if argument and token:
            subject = f"{command} {token.keyword or argument.name}"
            expected, found = "no value, or true or false" if argument.is_flag() else "a number", repr(token.value)
        case RepeatArgumentError(token=token):
            expected, found = f"{token.keyword} once", "it several times"
        case UnusedCliTokensError(unused_tokens=[word, *_]):
            expected, found = "no further word", repr(word)
        case _:
            expected, found = "what its help lists", " ".join(str(error).split()).rstrip(" .,?")
    return UsageError(subject, expected=expected, found=found, way_out=f"{hint}See `{command} --help`. {NOTHING_RAN}")
