mod catalog;

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;

static RULES: LazyLock<Arc<Rules>> = LazyLock::new(|| Arc::new(Rules::built_in().unwrap()));

fn redactor() -> Redactor {
    Redactor::new(Arc::clone(&RULES))
}

/// All of it in one piece.
fn redacted(text: &str) -> String {
    in_pieces(text.as_bytes(), &[text.len()])
}

fn in_pieces(text: &[u8], cuts: &[usize]) -> String {
    in_pieces_by(&RULES, text, cuts)
}

fn in_pieces_by(rules: &Arc<Rules>, text: &[u8], cuts: &[usize]) -> String {
    let (mut redactor, mut out, mut rest) = (Redactor::new(Arc::clone(rules)), Vec::new(), text);
    for cut in cuts {
        let (piece, after) = rest.split_at((*cut).min(rest.len()));
        redactor.push(piece, &mut out);
        rest = after;
    }
    redactor.push(rest, &mut out);
    redactor.finish(&mut out);
    String::from_utf8(out).unwrap()
}

const GITHUB: &str = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";
const KEY: &str = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU\nAAAAMwAAAAtzc2gtZWQyNTUxOQ\n-----END OPENSSH PRIVATE KEY-----";
const PREFIXED: &str = "app[1]: -----BEGIN PRIVATE KEY-----\napp[1]: QUJDREVGR0hJQUJDREVGR0hJQUJDREVGR0hJQUJDREVGR0hJ\napp[1]: QUJD\napp[1]: -----END PRIVATE KEY-----";

#[test]
fn a_secret_becomes_a_mark_that_says_what_it_was_and_nothing_else_changes() {
    for (text, expected) in [
        (
            format!("clone with {GITHUB}, then build\n"),
            "clone with [redacted:github-token], then build\n",
        ),
        (
            "postgres://app:s3cr3t@db:5432/x".to_owned(),
            "postgres://app:[redacted:url-password]@db:5432/x",
        ),
        ("DB_PASSWORD=hunter2 DB_HOST=db".to_owned(), "DB_PASSWORD=[redacted:password] DB_HOST=db"),
        (
            "{\"password\":\"two words\",\"n\":1}".to_owned(),
            "{\"password\":\"[redacted:password]\",\"n\":1}",
        ),
        (
            "{\\\"password\\\":\\\"hunter2\\\"}".to_owned(),
            "{\\\"password\\\":\\\"[redacted:password]\\\"}",
        ),
        ("mysql --password hunter2 -e x".to_owned(), "mysql --password [redacted:password] -e x"),
        (
            "Authorization: Basic YWxpY2U6aHVudGVyMg==\r\n".to_owned(),
            "Authorization: Basic [redacted:authorization]\r\n",
        ),
        ("set-cookie: sid=31d4d96e407aad42; Path=/".to_owned(), "set-cookie: [redacted:cookie]"),
        ("api_key: 9f86d081884c7d65".to_owned(), "api_key: [redacted:secret]"),
        (format!("a\n{KEY}\nb\n"), "a\n[redacted:private-key]\nb\n"),
        ("DB_PASSWORD=Tr0u&b4dor x".to_owned(), "DB_PASSWORD=[redacted:password] x"),
        ("password=kX9;pQ2mZ7".to_owned(), "password=[redacted:password]"),
        ("pwd: a1)b2]c3}d4, next".to_owned(), "pwd: [redacted:password], next"),
        (
            "Server=db;Password=p4ss;w0rd;Database=x".to_owned(),
            "Server=db;Password=[redacted:password];Database=x",
        ),
        ("?password=hunter2&user=app".to_owned(), "?password=[redacted:password]&user=app"),
        ("{password: hunter2}".to_owned(), "{password: [redacted:password]}"),
    ] {
        assert_eq!(redacted(&text), expected);
    }
}

#[test]
fn what_only_looks_like_one_stays() {
    for text in [
        "commit 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "id 123e4567-e89b-42d3-a456-426614174000",
        "img src=\"data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ\"",
        "unexpected token: identifier",
        "token=%s secret: ${SECRET} password: null password=********",
        "const t={type:\"text\",token:e,secret:n};",
        "https://example.com:8443/a@b http://[::1]:80/@",
        "password authentication failed for user",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
        "task-123456789012345678901234 risk-free",
    ] {
        assert_eq!(redacted(text), text);
    }
}

#[test]
fn a_key_in_a_log_is_hidden_with_what_stands_before_its_lines() {
    let body = ["QUJD".repeat(16), "REVG".repeat(16), "R0hJ".repeat(3)];
    for prefix in [
        "Nov 22 10:00:00 web-1 app[4711]: ",
        "2026-11-22T10:00:00.123456789Z stdout F ",
        "[pod/web-7f9c/app] ",
        "app_1  | ",
        "    ",
    ] {
        let begin = "-----BEGIN RSA PRIVATE KEY-----";
        let lines = [begin, &body[0], &body[1], &body[2], "-----END RSA PRIVATE KEY-----"];
        let log = lines.map(|line| format!("{prefix}{line}\n")).concat();
        let log = format!("{prefix}before\n{log}{prefix}after it\n");
        let wanted = format!("{prefix}before\n{prefix}[redacted:private-key]\n{prefix}after it\n");
        assert_eq!(redacted(&log), wanted);
        for size in [1, 7, 40, 100] {
            assert_eq!(in_pieces(log.as_bytes(), &vec![size; log.len()]), wanted, "{size}");
        }
    }
    // One that breaks off hides no more than one line that is not its own.
    let cut = format!("app[1]: -----BEGIN PRIVATE KEY-----\napp[1]: {}\n", body[0]);
    let log = format!("{cut}app[1]: [up]\napp[1]: it goes on\n");
    assert_eq!(redacted(&log), "app[1]: [redacted:private-key]app[1]: [up]\napp[1]: it goes on\n");
}

#[test]
fn a_key_that_never_ends_hides_what_could_be_of_it_and_no_more() {
    let begun = "-----BEGIN PRIVATE KEY-----\nMIIEvQ\n";
    assert_eq!(
        redacted(&format!("{begun}level=info msg=\"up\"\n")),
        "[redacted:private-key]level=info msg=\"up\"\n"
    );
    let endless = format!("{begun}{}", "QUJD\n".repeat(100_000));
    let shown = in_pieces(endless.as_bytes(), &[7; 1000]);
    assert!(shown.len() < endless.len(), "{}", shown.len());
}

#[test]
fn nothing_is_held_after_a_flush_and_what_goes_on_is_still_seen() {
    let (mut redactor, mut out) = (redactor(), Vec::new());
    redactor.push(b"login: ", &mut out);
    assert!(out.is_empty() && redactor.holds());
    redactor.flush(&mut out);
    assert_eq!((out.as_slice(), redactor.holds()), (&b"login: "[..], false));
    redactor.push(b"password=", &mut out);
    redactor.flush(&mut out);
    redactor.push(b"hunter2\n", &mut out);
    assert_eq!(String::from_utf8_lossy(&out), "login: password=[redacted:password]\n");
    out.clear();
    redactor.push(&GITHUB.as_bytes()[..20], &mut out);
    redactor.flush(&mut out);
    redactor.push(&GITHUB.as_bytes()[20..], &mut out);
    redactor.push(b" done\n", &mut out);
    assert_eq!(String::from_utf8_lossy(&out), "[redacted:github-token] done\n");
    assert_eq!(redactor.masked(), 2);
}

#[test]
fn a_long_line_is_passed_on_as_it_comes_and_a_secret_in_it_is_found_wherever_it_lies() {
    for at in [100, LINE_MAX - 20, LINE_MAX, 70_000] {
        let line = format!("{} {GITHUB} {}", "x ".repeat(at / 2), "y ".repeat(40_000));
        let shown = in_pieces(line.as_bytes(), &[4096; 100]);
        assert!(shown == line.replace(GITHUB, "[redacted:github-token]"), "{at}");
    }
    let (mut redactor, mut out) = (redactor(), Vec::new());
    redactor.push(&vec![b'x'; 1 << 20], &mut out);
    assert!(out.len() >= (1 << 20) - LINE_MAX, "no more than a line's end is held");
    let cookie = format!("cookie: a={}", "b1".repeat(20_000));
    assert!(redacted(&cookie) == "cookie: [redacted:cookie]", "one mark for all of it");
    assert!(in_pieces(cookie.as_bytes(), &[1000; 100]) == "cookie: [redacted:cookie]");
}

proptest! {
    #[test]
    fn the_pieces_in_which_it_comes_make_no_difference(
        cuts in prop::collection::vec(1_usize..80, 0..60),
        filler in prop::collection::vec("[ a-z0-9=:\"'/@._\n-]{0,40}", 0..6),
        places in prop::collection::vec(0_usize..8, 0..6),
    ) {
        let secrets = [GITHUB, "password=hunter2", KEY, "postgres://a:b1@c/", "Bearer abcdefgh12345678", "eyJhbGciOi.eyJzdWIi.x", PREFIXED, "pwd=a1&b2;c3"];
        let places = places.iter().chain(std::iter::repeat(&0));
        let text: Vec<String> =
            filler.iter().zip(places).map(|(filler, place)| format!("{filler} {} ", secrets[*place])).collect();
        let text = text.concat();
        prop_assert_eq!(in_pieces(text.as_bytes(), &cuts), redacted(&text));
    }

    #[test]
    fn any_bytes_in_any_pieces_with_any_pauses_lose_nothing_but_secrets(
        pieces in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..200), any::<bool>()), 0..20),
    ) {
        let (mut redactor, mut out, mut all) = (redactor(), Vec::new(), Vec::new());
        for (piece, pause) in &pieces {
            redactor.push(piece, &mut out);
            all.extend_from_slice(piece);
            if *pause {
                redactor.flush(&mut out);
                prop_assert!(!redactor.holds());
            }
        }
        redactor.finish(&mut out);
        if redactor.masked() == 0 {
            prop_assert_eq!(out, all);
        }
    }
}
