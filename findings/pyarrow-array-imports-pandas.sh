#!/usr/bin/env bash
# pyarrow 26.0.1, pandas 3.1.1 installed beside it: does an Arrow array of Python numbers need pandas?
#
# Guess:  no. pandas is an optional dependency, and nothing of it is in a list of whole numbers.
# Found:  `pa.array([1])`, `pa.scalar(1)`, `to_numpy()` of an Arrow column and `pq.read_table` import all of pandas.
#         `pq.ParquetFile(...).read()`, `to_pylist()` and NumPy's `from_dlpack` of an array without nulls do not.
# Matters for: command lines and cached pipeline steps that look something up in a Parquet file: the import takes longer
#         than the look. Read with `ParquetFile` and `to_pylist()` or `from_dlpack` where pandas is not there already.
#
# Output seen (modules of pandas after each, in a process of its own):
#   import pyarrow.parquet: 0
#   to_pylist: 0
#   from_dlpack: 0
#   pa.array([1]): 294
#   pa.scalar(1): 294
#   to_numpy: 294
#   pq.read_table: 294
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq "pyarrow==26.0.1" "pandas==3.1.1" "numpy==2.4.6"
cat > "$folder/measure.py" <<'PYTHON'
import subprocess
import sys

WAYS = {
    "import pyarrow.parquet": "",
    "to_pylist": "table['n'].to_pylist()",
    "from_dlpack": "numpy.from_dlpack(table['n'].chunk(0))",
    "pa.array([1])": "pa.array([1])",
    "pa.scalar(1)": "pa.scalar(1)",
    "to_numpy": "table['n'].to_numpy()",
    "pq.read_table": "pq.read_table('n.parquet')",
}
BEGIN = "import sys, numpy, pyarrow as pa, pyarrow.parquet as pq; table = pq.ParquetFile('n.parquet').read()"
END = "print(sum(name == 'pandas' or name.startswith('pandas.') for name in sys.modules))"
write = "import pyarrow as pa, pyarrow.parquet as pq; pq.write_table(pa.table({'n': [1, 2, 3]}), 'n.parquet')"
subprocess.run([sys.executable, "-c", write], check=True)
found = {}
for name, way in WAYS.items():
    done = subprocess.run([sys.executable, "-c", "\n".join([BEGIN, way, END])], capture_output=True, text=True, check=True)
    found[name] = int(done.stdout)
    print(f"{name}: {found[name]}")
light = [found[name] for name in ("import pyarrow.parquet", "to_pylist", "from_dlpack")]
heavy = [found[name] for name in ("pa.array([1])", "pa.scalar(1)", "to_numpy", "pq.read_table")]
sys.exit(0 if not any(light) and all(heavy) else 3)
PYTHON
cd "$folder"
"$folder/venv/bin/python" "$folder/measure.py"
