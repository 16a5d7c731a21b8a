"""Prints what pyarrow and duckdb make of Parquet files, as JSON, for the test that calls it.

usage: read_back.py FILE..      exit status 77: pyarrow or duckdb is not installed
"""

import json
import sys

try:
    import duckdb
    import pyarrow.parquet as parquet
except ImportError as missing:
    print(missing.name)
    sys.exit(77)


def describe(path):
    table = parquet.read_table(path)
    file = parquet.ParquetFile(path)
    # Older versions close a connection that nobody holds under the relation that was made from it.
    connection = duckdb.connect()
    relation = connection.from_parquet(path)
    names = relation.columns
    return {
        "pyarrow": {
            "columns": {field.name: str(field.type) for field in table.schema},
            "rows": table.to_pylist(),
            "metadata": {key.decode(): value.decode() for key, value in (file.metadata.metadata or {}).items()},
            "compression": sorted(
                {
                    file.metadata.row_group(group).column(column).compression
                    for group in range(file.metadata.num_row_groups)
                    for column in range(file.metadata.num_columns)
                }
            ),
        },
        "duckdb": {
            "columns": dict(zip(names, map(str, relation.types))),
            "rows": [dict(zip(names, row)) for row in relation.fetchall()],
        },
    }


json.dump([describe(path) for path in sys.argv[1:]], sys.stdout)
