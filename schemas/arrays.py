"""
Arrow arrays of what NumPy and lists hold, without `pa.array`: that imports pandas first, which takes half a second.

See findings/pyarrow-array-imports-pandas.sh.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pyarrow as pa


def as_array(values: npt.NDArray[Any], dtype: Any) -> pa.Array:
    """Return numbers, (n,), as an Arrow array of a NumPy type."""
    import pyarrow as pa

    whole = np.ascontiguousarray(values, dtype)
    return pa.Array.from_buffers(pa.from_numpy_dtype(whole.dtype), len(whole), [None, pa.py_buffer(whole)])


def as_flags(values: npt.NDArray[np.bool_]) -> pa.Array:
    """Return truth values, bool (n,), as an Arrow array."""
    import pyarrow as pa

    return pa.Array.from_buffers(pa.bool_(), len(values), [None, _bits(values)])


def as_texts(texts: Sequence[str]) -> pa.Array:
    """Return texts as an Arrow array."""
    import pyarrow as pa

    encoded = [text.encode("utf-8", "backslashreplace") for text in texts]
    offsets = np.zeros(len(encoded) + 1, np.int32)
    np.cumsum(np.fromiter(map(len, encoded), np.int32, len(encoded)), out=offsets[1:])
    return pa.Array.from_buffers(
        pa.string(), len(encoded), [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded))]
    )


def as_names(texts: Sequence[str | None]) -> pa.Array:
    """Return texts that repeat, or are None, as an Arrow array: each text once, and who has it."""
    import pyarrow as pa

    places = {text: at for at, text in enumerate(dict.fromkeys(text for text in texts if text is not None))}
    index = np.fromiter((-1 if text is None else places[text] for text in texts), np.int32, len(texts))
    there = index >= 0
    valid = None if there.all() else _bits(there)
    index[~there] = 0
    indices = pa.Array.from_buffers(pa.int32(), len(index), [valid, pa.py_buffer(index)])
    return pa.DictionaryArray.from_arrays(indices, as_texts(list(places)))


def numbers(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    """Return a column of numbers without nulls as an array of NumPy; `to_numpy` imports pandas as well."""
    parts = [np.from_dlpack(chunk) for chunk in column.chunks if len(chunk)]
    if len(parts) == 1:
        return parts[0]
    return np.concatenate([*parts, np.empty(0, column.type.to_pandas_dtype())])


def _bits(values: npt.NDArray[np.bool_]) -> pa.Buffer:
    import pyarrow as pa

    return pa.py_buffer(np.packbits(values, bitorder="little"))
