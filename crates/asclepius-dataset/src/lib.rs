//! Arrow and Parquet, splits, tokens with loss mask, packing.
