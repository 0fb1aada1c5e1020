//! Paths and queries of URLs in the one spelling that is taken: what two servers could read as two things is refused.

use crate::name::shown;

/// What every server reads as the letter itself.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// A text as one part of a query: every byte but letters, digits and `-._~` escaped.
#[must_use]
pub fn encoded(text: &str) -> String {
    let byte = |byte: u8| {
        if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    text.bytes().map(byte).collect()
}

/// A text as one segment of a path, in the one spelling that it has there.
pub(super) fn segment(text: &str) -> String {
    let byte = |byte: u8| {
        let is_itself = is_plain(byte) || PATH_PLAIN.contains(&byte);
        if is_itself { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    text.bytes().map(byte).collect()
}

/// What stands for itself in a path, besides: it has no other spelling. A `;` has none at all, since some servers end the
/// segment there.
pub const PATH_PLAIN: &[u8] = b"!$&'()*+,=:@";

/// Whether the text is a path in its one spelling: absolute, no empty, `.` or `..` segment, no backslash or `;`, nothing
/// escaped that need not be, and no escaped `/`, `\`, `%`, `;`, dot or control character.
#[must_use]
pub fn is_path(text: &str) -> bool {
    let Some(segments) = text.strip_prefix('/') else { return false };
    let mut segments = segments.split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        if !(is_segment(segment) || segment.is_empty() && is_last) {
            return false;
        }
    }
    true
}

fn is_segment(text: &str) -> bool {
    let is_needless = |byte: u8| PATH_PLAIN.contains(&byte);
    let Some(decoded) = decoded(text, PATH_PLAIN, is_needless) else { return false };
    // What is read twice ends at the first `?` or `#`.
    let dots = decoded.split(|byte| b"?#".contains(byte)).next().unwrap_or_default();
    let is_clean = !decoded.iter().any(|byte| byte.is_ascii_control() || b"/\\%;".contains(byte));
    let is_up = text.is_empty() || matches!(dots, b"." | b"..");
    is_clean && !is_up && std::str::from_utf8(&decoded).is_ok()
}

/// Whether the text is a query in its one spelling, without its `?`: fields with `&` between.
#[must_use]
pub fn is_query(text: &str) -> bool {
    decoded(text, b"!$&'()*+,;=:@/?[]", |_| false).is_some_and(|bytes| !bytes.contains(&0))
}

/// The names of a query's fields, as servers read them; none where they could be read otherwise.
pub(super) fn field_names(query: &str) -> Option<Vec<String>> {
    let name = |field: &str| {
        let name = field.split('=').next().unwrap_or_default().replace('+', " ");
        String::from_utf8(decoded(&name, b"!$'()*,:@/?[] ", |_| false)?).ok()
    };
    let fields = query.split(['&', ';']).filter(|field| !field.is_empty());
    fields.map(name).collect()
}

/// The bytes that a text stands for, when what may be plain is, and all else is `%XX` in capitals; nothing where one is
/// escaped for which that is needless.
fn decoded(text: &str, plain: &[u8], is_needless: impl Fn(u8) -> bool) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => escaped(bytes.next()?, bytes.next()?).filter(|byte| !is_needless(*byte))?,
            byte if is_plain(byte) || plain.contains(&byte) => byte,
            _ => return None,
        };
        decoded.push(byte);
    }
    Some(decoded)
}

fn escaped(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    };
    let byte = digit(high)? << 4 | digit(low)?;
    // A letter has one spelling, and that is the letter.
    (!is_plain(byte)).then_some(byte)
}

/// Why a text of the catalog is no path.
pub(crate) fn not_path(text: &str) -> String {
    format!(
        "`{}` is no path of a URL in its one spelling: it begins with `/`, has no empty, `.` or `..` segment, and escapes only what must be",
        shown(text)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_spelling() {
        for good in
            ["/", "/a", "/a/", "/a/b.txt", "/a%20b", "/%C3%A9", "/a!b:c,d=e", "/@x/~y", "/..."]
        {
            assert!(is_path(good), "{good}");
        }
        for bad in [
            "",
            "a",
            "//",
            "/a//b",
            "/.",
            "/..",
            "/a/../b",
            "/a/./b",
            "/a/..",
            "/%2e%2e/a",
            "/%2E",
            "/a%2fb",
            "/a%2Fb",
            "/a%5Cb",
            "/a\\b",
            "/..;/a",
            "/.;x/a",
            "/;x/a",
            "/%252e%252e/",
            "/%41",
            "/a%",
            "/a%2",
            "/a%zz",
            "/a%C0%AE",
            "/a%00",
            "/a%0A",
            "/a b",
            "/é",
            "/a?b",
            "/a#b",
            "/a%c3%a9",
            "http://x/",
            "*",
            "/a\n",
            "/\"",
            "/a%3B/..",
            "/..%3B/x",
            "/.%3Bv/x",
            "/%3B/x",
            "/a%3Bb",
            "/%3B/x%2F",
            "/..%3F/x",
            "/.%23/x",
            "/a;v=1",
            "/admin;x/users",
            "/%40internal/x",
            "/v1/jobs%3Arun",
            "/logs-a%2Csecret",
            "/a%2A",
            "/%21%24%26%27%28%29%2B%3D",
        ] {
            assert!(!is_path(bad), "{bad}");
        }
    }

    #[test]
    fn a_value_becomes_one_part() {
        assert_eq!(encoded("a b/c?d=é&x"), "a%20b%2Fc%3Fd%3D%C3%A9%26x");
        assert_eq!(encoded("OPS-1_x.~"), "OPS-1_x.~");
    }

    #[test]
    fn the_names_of_fields_are_read_as_servers_read_them() {
        let names = |query| field_names(query).unwrap();
        assert_eq!(names("a=1&b=2;c"), ["a", "b", "c"]);
        assert_eq!(names(""), Vec::<String>::new());
        assert_eq!(names("x%5B0%5D=1&a+b="), ["x[0]", "a b"]);
        for bad in ["a#b", "a b", "%zz", "a\"", "\u{e9}", "a%00b"] {
            assert!(!is_query(bad), "{bad}");
        }
        assert!(is_query("a=%20&b=x%2Fy&c=[1]"));
    }
}
