use super::*;

fn prefix(text: &str) -> UrlPrefix {
    text.parse().unwrap()
}

#[test]
fn a_url_has_one_spelling() {
    for good in [
        "https://example.com/",
        "http://example.com:8080/a/b?x=1&y=/../",
        "https://10.0.0.1/",
        "https://[2001:db8::1]/",
        "https://xn--bcher-kva.example/",
        "https://example.com/a%20b",
        "https://example.com/%C3%A9",
    ] {
        assert!(parse(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "example.com",
        "https://example.com",
        "HTTPS://example.com/",
        "https://Example.com/",
        "https://example.com:443/",
        "https://example.com/a/../b",
        "https://example.com/a/./b",
        "https://example.com/%2e%2e/b",
        "https://example.com/%2Fb",
        "https://example.com/%2fb",
        "https://example.com/%5Cb",
        "https://example.com/a%2Eb",
        "https://example.com/%61dmin/",
        "https://example.com/%c3%a9",
        "https://example.com/%",
        "https://example.com/a//b",
        "https://example.com/a b",
        "https://example.com\\a",
        "https://example.com/#x",
        "https://u@example.com/",
        "https://u:p@example.com/",
        "https://@example.com/",
        "https://example.com./",
        "https://[::ffff:10.0.0.1]/",
        "https://0x7f.1/",
        "https://bücher.example/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "https:example.com/",
        " https://example.com/",
    ] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_prefix_is_not_deceived_by_a_host_that_looks_alike() {
    let api = prefix("https://example.com/api/");
    for good in
        ["https://example.com/api/", "https://example.com/api/v1", "https://example.com/api/?q=1"]
    {
        assert!(api.holds(good), "{good}");
    }
    for bad in [
        "https://example.com.evil.org/api/",
        "https://example.com@evil.org/api/",
        "https://example.comevil/api/",
        "https://evil.org/https://example.com/api/",
        "https://a.example.com/api/",
        "https://example.com:8443/api/",
        "https://example.com./api/",
        "http://example.com/api/",
        "https://example.com/api",
        "https://example.com/apis/",
        "https://example.com/api/../secret",
        "https://example.com/api/%2e%2e/secret",
        "https://example.com/?/api/",
        "https://example.com/api/#x",
    ] {
        assert!(!api.holds(bad), "{bad}");
    }
}

#[test]
fn a_wildcard_is_every_proper_subdomain() {
    let any = prefix("https://*.example.com/");
    assert!(any.holds("https://a.example.com/") && any.holds("https://a.b.example.com/x"));
    for bad in [
        "https://example.com/",
        "https://.example.com/",
        "https://aexample.com/",
        "https://a.example.com.evil.org/",
        "https://a.example.com:8443/",
    ] {
        assert!(!any.holds(bad), "{bad}");
    }
    for bad in ["https://*.0.0.1/", "https://*.1/", "https://*./", "https://*/", "https://*.*.x/"] {
        assert!(bad.parse::<UrlPrefix>().is_err(), "{bad}");
    }
}

#[test]
fn a_prefix_has_one_spelling_and_ends_in_a_slash() {
    for good in ["https://example.com/", "http://*.example.com:81/a/b/", "https://[::1]/x/"] {
        assert_eq!(prefix(good).to_string(), good);
    }
    for bad in [
        "https://example.com",
        "https://example.com/a",
        "https://example.com/?x=/",
        "https://Example.com/",
    ] {
        assert!(bad.parse::<UrlPrefix>().is_err(), "{bad}");
    }
}

#[test]
fn two_prefixes_meet_in_the_narrower_host_and_the_longer_path() {
    let meet = |a: &str, b: &str| prefix(a).meet(&prefix(b)).map(|met| met.to_string());
    let both = meet("https://*.example.com/a/", "https://x.example.com/").unwrap();
    assert_eq!(both, "https://x.example.com/a/");
    assert_eq!(meet("https://a.com/", "https://b.com/"), None);
    assert_eq!(meet("https://a.com/x/", "https://a.com/y/"), None);
    assert_eq!(meet("https://a.com/", "http://a.com/"), None);
    assert_eq!(meet("https://a.com/", "https://a.com:8443/"), None);
    assert_eq!(meet("https://*.a.com/", "https://a.com/"), None);
    let both = meet("https://*.a.com/", "https://*.b.a.com/").unwrap();
    assert_eq!(both, "https://*.b.a.com/");
    assert_eq!(prefix("https://*.a.com/").lead(), "https://");
}
