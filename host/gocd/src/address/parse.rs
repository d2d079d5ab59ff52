//! Taking addresses apart.

/// The parts of a link that matter.
pub(super) struct Split<'a> {
    /// Scheme and authority, where they are spelled out.
    pub(super) origin: Option<(&'a str, &'a str)>,
    /// From the `/` that begins the path; without the fragment.
    pub(super) path_and_query: &'a str,
}

/// Splits an absolute address or a path. None for other kinds of links (`mailto:`, `//host`, relative ones), which no server sends.
pub(super) fn split(text: &str) -> Option<Split<'_>> {
    let text = text.split('#').next().unwrap_or_default();
    if text.starts_with('/') {
        return (!text.starts_with("//")).then_some(Split {
            origin: None,
            path_and_query: text,
        });
    }
    let (scheme, rest) = text.split_once("://")?;
    let is_scheme = !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path_and_query) = rest.split_at_checked(end)?;
    is_scheme.then_some(Split {
        origin: Some((scheme, authority)),
        path_and_query,
    })
}

/// `host[:port]` in lower case, without the port that the scheme implies. None if it is no authority without credentials.
pub(super) fn normal_authority(scheme: &str, authority: &str) -> Option<String> {
    let authority = authority.to_ascii_lowercase();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (authority.as_str(), ""),
    };
    let is_host_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let is_host = match host.strip_prefix('[') {
        Some(address) => address.strip_suffix(']').is_some_and(|address| {
            address
                .bytes()
                .all(|byte| byte.is_ascii_hexdigit() || b":.".contains(&byte))
        }),
        None => host.bytes().all(is_host_byte),
    };
    if host.is_empty() || !is_host || !(port.is_empty() || port.parse::<u16>().is_ok()) || port.starts_with('+') {
        return None;
    }
    let implied = if scheme.eq_ignore_ascii_case("https") {
        "443"
    } else {
        "80"
    };
    Some(if port.is_empty() || port == implied {
        host.to_owned()
    } else {
        format!("{host}:{port}")
    })
}
