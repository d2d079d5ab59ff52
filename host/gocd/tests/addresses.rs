//! The addresses that are accepted, and the links that get credentials.

use pipefold_gocd::address::AddressError;
use pipefold_gocd::{Dialect, Href, Resource, ServerUrl};

#[test]
fn addresses_of_servers() {
    for (given, shown) in [
        ("https://ci.example.com", "https://ci.example.com/go"),
        (" HTTPS://CI.example.com:443/go/ ", "https://ci.example.com/go"),
        ("http://localhost:8153/go", "http://localhost:8153/go"),
        ("http://localhost:80", "http://localhost/go"),
        ("https://[::1]:8154/ci/go", "https://[::1]:8154/ci/go"),
        ("https://proxy/ci", "https://proxy/ci/go"),
    ] {
        assert_eq!(ServerUrl::parse(given).unwrap().to_string(), shown);
    }
    for (given, error) in [
        ("ci.example.com", AddressError::Scheme),
        ("ftp://ci.example.com", AddressError::Scheme),
        ("https://jez:badger@ci.example.com/go", AddressError::Credentials),
        ("https://jez:bad/ger@ci.example.com/go", AddressError::Credentials),
        ("https://", AddressError::Host),
        ("https:///go", AddressError::Host),
        ("https://a b/go", AddressError::Host),
        ("https://host:99999/go", AddressError::Host),
        ("https://host:+80/go", AddressError::Host),
        ("https://host/go?x", AddressError::Character),
        ("https://host/go#x", AddressError::Character),
        ("https://host/g\r\no", AddressError::Character),
    ] {
        assert_eq!(ServerUrl::parse(given), Err(error), "{given}");
    }
    assert_eq!(
        ServerUrl::parse(&format!("https://host/{}", "x".repeat(2048))),
        Err(AddressError::TooLong)
    );
    assert_eq!(ServerUrl::parse("https://[::1]:8154/go").unwrap().host(), "[::1]");
    assert_eq!(
        ServerUrl::parse("https://ci.example.com:8154/go").unwrap().host(),
        "ci.example.com"
    );
}

#[test]
fn a_link_is_foreign_unless_scheme_host_and_port_are_the_server_s() {
    let server = ServerUrl::parse("https://ci.example.com/go").unwrap();
    for (link, is_foreign) in [
        ("https://ci.example.com/go/api/stages/1.xml", false),
        ("https://CI.EXAMPLE.COM:443/go/api/stages/1.xml", false),
        ("/go/api/stages/1.xml", false),
        ("http://ci.example.com/go/api/stages/1.xml", true),
        ("https://ci.example.com:8154/go/api/stages/1.xml", true),
        ("https://ci.example.com.evil.example/go/api/stages/1.xml", true),
        ("https://ci.example.com@evil.example/go/api/stages/1.xml", true),
        ("https://evil.example/?https://ci.example.com/go/api/stages/1.xml", true),
        ("https://evil.example#ci.example.com/go", true),
        ("//evil.example/go/api/stages/1.xml", true),
        ("javascript:alert(1)", true),
        ("mailto:a@ci.example.com", true),
    ] {
        assert_eq!(server.is_foreign(&Href::new(link).unwrap()), is_foreign, "{link}");
    }
}

#[test]
fn what_a_link_leads_to_has_no_host() {
    let server = ServerUrl::parse("https://ci.example.com/go").unwrap();
    let evil = Href::new("https://evil.example:1/go/api/pipelines/p/stages.xml?before=9&x=1").unwrap();
    let resource = evil.resource().unwrap();
    assert_eq!(
        server.url(&resource),
        "https://ci.example.com/go/api/pipelines/p/stages.xml?before=9"
    );
    for link in [
        "https://ci/go/api/admin/config.xml",
        "https://ci/go/api/pipelines/p/stages.xml?before=x",
        "https://ci/go/api/pipelines/p/stages.xml?before=-1",
        "https://ci/go/api/stages/1",
        "https://ci/go/api/stages/1.xml/",
        "https://ci/go/api/stages/+1.xml",
        "https://ci/go/api/stages/99999999999999999999.xml",
        "https://ci/cruise/api/stages/1.xml",
        "https://ci/go/api/pipelines//stages.xml",
        "https://ci/go/api/feed/pipelines/p/0/s/1.xml",
        "https://ci/go/api/feed/pipelines/%ff/1.xml",
        "https://ci/go/api/feed/pipelines/%00/1.xml",
        "https://ci/?/go/api/pipelines.xml",
        "https://mingle09.example.com//api/v2/projects/go/cards/5531.xml",
    ] {
        assert_eq!(Href::new(link).unwrap().resource(), None, "{link}");
    }
    // Names differ by their case, and escapes are undone once.
    let feed = |path: &str| Resource::parse(path).map(|resource| resource.path());
    assert_eq!(
        feed("/go/api/pipelines/Foo/stages.xml").unwrap(),
        "/api/pipelines/Foo/stages.xml"
    );
    assert_eq!(
        feed("/go/api/pipelines/a%2Fb%252F/stages.xml").unwrap(),
        "/api/pipelines/a%2Fb%252F/stages.xml"
    );
    assert_eq!(
        feed("/ci/go/api/feed/pipelines.xml"),
        Some(Resource::Pipelines(Dialect::New).path())
    );
    assert_eq!(
        feed("/go/api/pipelines/unit.test/stages.xml").unwrap(),
        "/api/pipelines/unit.test/stages.xml"
    );
}
