//! Paths and queries of URLs in the one spelling that is taken: what two servers could read as two things is refused.

use crate::name::shown;

/// What every server reads as the letter itself.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// A text as one part of a path or of a query: every byte but letters, digits and `-._~` escaped.
#[must_use]
pub fn encoded(text: &str) -> String {
    let byte = |byte: u8| {
        if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    text.bytes().map(byte).collect()
}

/// Whether the text is a path in its one spelling: absolute, no empty, `.` or `..` segment, no backslash, nothing escaped
/// that need not be, and no escaped `/`, `\`, `%`, `;`, dot or control character.
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
    // Some servers cut a segment at its first `;` before they look for dots.
    let head = text.split(';').next().unwrap_or_default();
    let Some(decoded) = decoded(text, b"!$&'()*+,;=:@") else { return false };
    // What is read twice ends at the first `?` or `#`.
    let dots = decoded.split(|byte| b";?#".contains(byte)).next().unwrap_or_default();
    let is_clean = !decoded.iter().any(|byte| byte.is_ascii_control() || b"/\\%".contains(byte))
        && !text.contains("%3B");
    let is_up = head.is_empty() || matches!(dots, b"." | b"..");
    is_clean && !is_up && std::str::from_utf8(&decoded).is_ok()
}

/// Whether the text is a query in its one spelling, without its `?`: fields with `&` between.
#[must_use]
pub fn is_query(text: &str) -> bool {
    decoded(text, b"!$&'()*+,;=:@/?[]").is_some_and(|bytes| !bytes.contains(&0))
}

/// The names of a query's fields, as servers read them; none where they could be read otherwise.
pub(super) fn field_names(query: &str) -> Option<Vec<String>> {
    let name = |field: &str| {
        let name = field.split('=').next().unwrap_or_default().replace('+', " ");
        String::from_utf8(decoded(&name, b"!$'()*,:@/?[] ")?).ok()
    };
    let fields = query.split(['&', ';']).filter(|field| !field.is_empty());
    fields.map(name).collect()
}

/// The bytes that a text stands for, when what may be plain is, and all else is `%XX` in capitals.
fn decoded(text: &str, plain: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => escaped(bytes.next()?, bytes.next()?)?,
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
        for good in ["/", "/a", "/a/", "/a/b.txt", "/a%20b", "/%C3%A9", "/a;v=1", "/@x/~y", "/..."]
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
