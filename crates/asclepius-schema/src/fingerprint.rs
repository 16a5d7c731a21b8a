//! What decides whether a finished stage may be skipped: a hash of its inputs' bytes and of the settings that
//! can change its output.

use std::io::Read;
use std::path::Path;

use fs_err::File;
use serde::Serialize;

use crate::SchemaError;

/// A hash under construction. Parts are labelled and length-prefixed, so no two sequences collide by concatenation.
#[derive(Debug, Clone)]
pub struct Fingerprint(blake3::Hasher);

impl Fingerprint {
    /// Starts the fingerprint of `stage`.
    pub fn new(stage: &str) -> Self {
        Self(blake3::Hasher::new()).bytes("stage", stage.as_bytes())
    }

    /// Adds bytes under a label.
    #[must_use]
    pub fn bytes(mut self, label: &str, bytes: &[u8]) -> Self {
        for part in [label.as_bytes(), bytes] {
            self.0.update(&(part.len() as u64).to_le_bytes());
            self.0.update(part);
        }
        self
    }

    /// Adds a setting by its JSON form, object keys sorted.
    #[must_use]
    pub fn setting(self, label: &str, value: &impl Serialize) -> Self {
        let value = serde_json::to_value(value).expect("settings are plain data");
        self.bytes(label, canonical(&value).as_bytes())
    }

    /// Adds a file's content under a label; its path does not count.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn file(self, label: &str, path: &Path) -> Result<Self, SchemaError> {
        let hash = hash_file(path)?;
        Ok(self.bytes(label, hash.as_bytes()))
    }

    /// The fingerprint: 32 hex digits.
    pub fn finish(self) -> String {
        self.0.finalize().to_hex()[..32].to_owned()
    }
}

/// 32 hex digits of the BLAKE3 hash of `bytes`.
pub fn hash_bytes(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex()[..32].to_owned()
}

/// 32 hex digits of the BLAKE3 hash of a file's content.
///
/// # Errors
/// When the file cannot be read.
pub fn hash_file(path: &Path) -> Result<String, SchemaError> {
    let mut file = File::open(path)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0_u8; 1 << 16];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(hasher.finalize().to_hex()[..32].to_owned());
        }
        hasher.update(&buffer[..read]);
    }
}

/// JSON text with object keys sorted, whatever order the value holds them in.
pub fn canonical(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Object(map) => {
            let mut keys: Vec<_> = map.keys().collect();
            keys.sort_unstable();
            let fields: Vec<String> = keys
                .into_iter()
                .map(|key| format!("{}:{}", serde_json::Value::String(key.clone()), canonical(&map[key])))
                .collect();
            format!("{{{}}}", fields.join(","))
        }
        serde_json::Value::Array(items) => {
            format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn key_order_does_not_count_but_values_labels_and_boundaries_do() {
        let of = |value: &serde_json::Value| Fingerprint::new("s").setting("a", value).finish();
        assert_eq!(of(&json!({"x": 1, "y": [2]})), of(&json!({"y": [2], "x": 1})));
        assert_ne!(of(&json!({"x": 1})), of(&json!({"x": 2})));
        let joined = Fingerprint::new("s").bytes("ab", b"c").finish();
        let split = Fingerprint::new("s").bytes("a", b"bc").finish();
        assert_ne!(joined, split);
    }
}
