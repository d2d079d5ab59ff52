//! The known name that a misspelt one means. `plugin/core` compiles it too.

/// The name among `known` that is nearest to `given`, if one is near enough to propose it. Case, `-` and `_` do not count.
#[must_use]
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Twice as long as any known name: comparing is quadratic, and the name comes from outside.
    if given.len() > 64 {
        return None;
    }
    let plain = |name: &str| name.to_ascii_lowercase().replace('-', "_");
    let given = plain(given);
    let (distance, name) = known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&given, &plain(name)), name))
        .min_by_key(|(distance, _)| *distance)?;
    // One slip in three letters is still the same name; more is another one.
    (distance <= (given.len() / 3).clamp(1, 3)).then_some(name)
}
