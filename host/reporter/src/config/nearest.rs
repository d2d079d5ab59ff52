//! The known name that a misspelt one was probably meant to be.

/// The name among `known` that is nearest to `given`, if one is near enough to be worth proposing. Case, `-` and `_` do not count.
#[must_use]
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Longer than any name there is, twice over: comparing is quadratic, and the name comes from outside.
    if given.len() > 64 {
        return None;
    }
    let plain = |name: &str| name.to_ascii_lowercase().replace('-', "_");
    let given = plain(given);
    let (distance, name) = known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&given, &plain(name)), name))
        .min_by_key(|(distance, _)| *distance)?;
    // One slip in three letters is still that word; more is another one.
    (distance <= (given.len() / 3).clamp(1, 3)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let known = ["repository", "reference_id", "spool", "spool_limit"];
        assert_eq!(nearest("repositroy", known), Some("repository"));
        assert_eq!(nearest("reference-id", known), Some("reference_id"));
        assert_eq!(nearest("Spool", known), Some("spool"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("x", known), None);
        assert_eq!(nearest("", known), None);
        assert_eq!(nearest(&"repository".repeat(1000), known), None);
    }
}
