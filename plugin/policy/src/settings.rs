//! The settings of the policy, as a host gives them by `config.get`.

/// The setting with the rules as JSON.
pub const RULES: &str = "rules";

/// The settings of an operator.
pub trait Settings {
    /// The value of a setting, if it is set.
    fn get(&self, key: &str) -> Option<String>;
}

/// The name of the setting with the key of a hash rule.
pub fn key_of(rule: usize) -> String {
    format!("key.{rule}")
}

/// The name of the setting with the target of a text in a map rule.
pub fn target_of(rule: usize, text: &str) -> String {
    format!("values.{rule}.{text}")
}
