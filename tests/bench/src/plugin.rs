//! Criterion's results of `benches/plugin.rs`, read from its files.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

/// The median of one benchmark in microseconds, by its path, such as `merge/wasm/1000`.
pub(crate) fn median(criterion: &Path, benchmark: &str) -> Result<f64> {
    let path = criterion.join(benchmark).join("new/estimates.json");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}: run the benchmark `plugin` first", path.display()))?;
    let estimates: Value = serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))?;
    let nanoseconds = estimates["median"]["point_estimate"].as_f64();
    nanoseconds
        .map(|nanoseconds| nanoseconds / 1e3)
        .with_context(|| format!("{} has no median", path.display()))
}
