use super::*;
use proptest::prelude::*;

fn shown(bytes: &[u8]) -> String {
    Screen::default().text(bytes)
}

#[test]
fn text_colours_and_the_cursor_are_shown() {
    for fair in [
        "a\tbé → 日本 🦀\r\n\u{8}\u{7}",
        "\x1b[m\x1b[1;31mred\x1b[38;5;208m\x1b[38:2:0:1:2:3m\x1b[4:3m",
        "\x1b[A\x1b[2B\x1b[3C\x1b[4D\x1b[E\x1b[F\x1b[5G\x1b[6;7H\x1b[8;9f\x1b[10d\x1b[I\x1b[Z",
        "\x1b[J\x1b[1J\x1b[2J\x1b[K\x1b[1K\x1b[2K\x1b[5X",
        "\x1b[2;20r\x1b[r\x1b[S\x1b[2T\x1bD\x1bE\x1bM",
        "\x1b[L\x1b[2M\x1b[3@\x1b[4P\x1b[5b",
        "\x1b7\x1b8\x1b[s\x1b[u",
        "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[?1h\x1b[?2004h\x1b[?1049l\x1b[?25h",
    ] {
        assert_eq!(shown(fair.as_bytes()), fair, "{fair:?}");
    }
}

/// What a hostile owner's side would write. Between an `a` and a `b`, which alone are to be left.
const HOSTILE: &[&[u8]] = &[
    // The clipboard, the title, its stack, links, notices, colours of the terminal, a directory.
    b"\x1b]52;c;aGVsbG8=\x07",
    b"\x1b]52;c;?\x1b\\",
    b"\x1b]0;title\x07",
    b"\x1b]2;title\x1b\\",
    b"\x1b]1337;File=inline=1:AAAA\x07",
    b"\x1b]8;;http://evil.example\x1b\\",
    b"\x1b]9;notice\x07",
    b"\x1b]777;notify;a;b\x07",
    b"\x1b]4;1;?\x07",
    b"\x1b]10;?\x1b\\",
    b"\x1b]7;file:///etc\x07",
    b"\x1b[22;0t\x1b[23;0t",
    // Questions, which are answered into what is typed.
    b"\x1b[c",
    b"\x1b[0c",
    b"\x1b[>c",
    b"\x1b[=c",
    b"\x1b[5n",
    b"\x1b[6n",
    b"\x1b[?6n",
    b"\x1b[?15n",
    b"\x1b[x",
    b"\x1b[14t\x1b[18t\x1b[21t",
    b"\x1b[8;1;1t",
    b"\x1b[?25$p",
    b"\x1b[4$p",
    b"\x1bZ",
    b"\x05",
    b"\x1b[>q",
    b"\x1b[?u\x1b[>1u",
    b"\x1b[?996n",
    // Strings for the device, for the application, private.
    b"\x1bP$qm\x1b\\",
    b"\x1bP+q544e\x1b\\",
    b"\x1bP1$r0m\x1b\\",
    b"\x1bPq#0;2;0;0;0\x1b\\",
    b"\x1b_Gi=1,a=q;AAAA\x1b\\",
    b"\x1b^private\x1b\\",
    b"\x1bXstring\x1b\\",
    // The mouse, focus, keys, printing, insertion, origin, columns, keypad, character sets, resets.
    b"\x1b[?9h\x1b[?1000h\x1b[?1002h\x1b[?1003h\x1b[?1005h\x1b[?1006h\x1b[?1015h\x1b[?1016h",
    b"\x1b[?1004h",
    b"\x1b[>4;2m",
    b"\x1b[?5i\x1b[4i\x1b[5i",
    b"\x1b[4h\x1b[20h",
    b"\x1b[?3h\x1b[?6h\x1b[?5h\x1b[?2026h\x1b[?1:2h",
    b"\x1b=\x1b>",
    b"\x1b(0\x1b)0\x1b%G\x1b#8\x0e\x0f",
    b"\x1bc\x1b[!p\x1b[?69h\x1b[1;5s\x1b[ q\x1b[3g\x1bH",
    // What has left the screen.
    b"\x1b[3J",
    // The same by one byte each, bare and as characters.
    b"\x9b6n",
    b"\x9d0;title\x9c",
    b"\x90$qm\x9c",
    b"\x85\x84\x8d\x9a",
    "\u{9b}6n".as_bytes(),
    "\u{9d}0;t\u{9c}".as_bytes(),
    // Too many numbers, numbers with parts, and what is between them.
    b"\x1b[1;1;1H",
    b"\x1b[1:1H",
    b"\x1b[1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1m",
    b"\x1b[?1;2c\x1b[?1$A\x1b[1 A\x1b[1\"A\x1b[?1A\x1b[>1A",
    // What turns text round or hides it, and other controls.
    "\u{202e}\u{2066}\u{200f}\u{feff}".as_bytes(),
    b"\x00\x01\x0b\x0c\x7f",
];

/// The letters of what is left when sequences are: those that are text where a terminal would take them for a sequence
/// are no harm.
fn has_only_ours(text: &str) -> bool {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('\x1b') {
        let last = |c: char| c.is_ascii_alphabetic() || "@`".contains(c);
        let end = if after.starts_with('[') { after.find(last) } else { Some(0) };
        let Some((sequence, left)) = end.and_then(|end| after.split_at_checked(end + 1)) else {
            return false;
        };
        let (body, letter) = sequence.split_at(sequence.len() - 1);
        let fair = match body.strip_prefix('[') {
            None => body.is_empty() && "78DEM".contains(letter),
            Some(body) => match body.strip_prefix('?') {
                Some(mode) => {
                    "hl".contains(letter)
                        && ["1", "7", "25", "47", "1047", "1048", "1049", "2004"].contains(&mode)
                }
                None => {
                    body.chars()
                        .all(|c| c.is_ascii_digit() || c == ';' || (c == ':' && letter == "m"))
                        && "@ABCDEFGHIJKLMPSTXZ`abdefmrsu".contains(letter)
                }
            },
        };
        if !fair {
            return false;
        }
        rest = left;
    }
    let known = |c: char| !c.is_control() || "\u{7}\u{8}\t\n\r\x1b".contains(c);
    text.chars().all(known)
}

#[test]
fn nothing_hostile_is_shown() {
    for hostile in HOSTILE {
        let text = shown(&[b"a", *hostile, b"b"].concat());
        assert!(has_only_ours(&text), "{:?} became {text:?}", String::from_utf8_lossy(hostile));
        let words = ["6n", "0;title", "$qm", "0;t", "\u{fffd}"];
        let left = words.iter().fold(text.clone(), |text, word| text.replace(word, ""));
        assert_eq!(left, "ab", "{:?} became {text:?}", String::from_utf8_lossy(hostile));
    }
}

#[test]
fn what_is_hostile_is_none_the_less_so_however_it_is_cut() {
    for hostile in HOSTILE {
        let bytes = [b"a", *hostile, "é🦀b".as_bytes()].concat();
        let whole = shown(&bytes);
        for cut in 0..=bytes.len() {
            let mut screen = Screen::default();
            let pieces = screen.text(&bytes[..cut]) + &screen.text(&bytes[cut..]);
            assert_eq!(pieces, whole, "{bytes:x?} cut at {cut}");
        }
        let mut screen = Screen::default();
        let singly: String = bytes.iter().map(|byte| screen.text(&[*byte])).collect();
        assert_eq!(singly, whole, "{bytes:x?} byte by byte");
    }
}

/// What `vte` 0.15 gets wrong by itself: the `a` is lost.
#[test]
fn a_character_that_is_cut_loses_nothing_of_what_follows() {
    let bytes = "\u{591}a\u{fffc}\x1b[31mb".as_bytes();
    for cut in 0..=bytes.len() {
        let mut screen = Screen::default();
        let text = screen.text(&bytes[..cut]) + &screen.text(&bytes[cut..]);
        assert_eq!(text.as_bytes(), bytes, "cut at {cut}");
    }
}

#[test]
fn a_string_that_never_ends_shows_nothing_and_costs_nothing() {
    for begins in [&b"\x1b]52;c;"[..], b"\x1bP$q", b"\x1b_", b"\x1b^", b"\x1bX", b"\x1b[?"] {
        let mut screen = Screen::default();
        assert_eq!(screen.text(begins), "");
        for _ in 0..16 {
            assert_eq!(screen.text(&vec![b'0'; 64 * 1024]), "");
        }
        assert!(screen.shown.text.capacity() < 64 * 1024);
        // It ends as it would at a terminal.
        assert_eq!(screen.text(b"\x18after"), "after");
    }
    assert!(size_of::<vte::Parser<WORDS>>() < 1024, "what is kept is in it, and is little");
}

#[test]
fn of_many_modes_those_that_are_ours_are_set_and_numbers_are_kept_within_a_screen() {
    assert_eq!(shown(b"\x1b[?5;1049;1000;25l"), "\x1b[?1049l\x1b[?25l");
    assert_eq!(shown(b"\x1b[65535b\x1b[999999999999L"), "\x1b[1000b\x1b[1000L");
}

#[test]
fn a_terminal_is_left_as_it_was_found() {
    let mut screen = Screen::default();
    assert_eq!(screen.leave(), "");
    screen.text(b"\x1b[?1049h\x1b[?25l\x1b[?1h\x1b[?2004h\x1b[?7l\x1b[2;5r\x1b[31m");
    let left = screen.leave();
    assert_eq!(left, "\x1b7\x1b[r\x1b8\x1b[?7h\x1b[?2004l\x1b[?1l\x1b[?25h\x1b[?1049l\x1b[m");
    assert_eq!(screen.leave(), "", "once");
    screen.text(b"\x1b[?1049h\x1b[?25l\x1b[?25h\x1b[?1049l");
    assert_eq!(screen.leave(), "", "what the verb has undone is undone");
}

fn junk() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        proptest::sample::select(HOSTILE).prop_map(<[u8]>::to_vec),
        proptest::collection::vec(any::<u8>(), 0..12),
        "\\x1b[\\[\\]P_^X][?>=!0-9;:]{0,6}[ -/]?[@-~]".prop_map(String::into_bytes),
        "\\PC{0,4}".prop_map(String::into_bytes),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn whatever_comes_only_what_is_ours_is_shown(bytes in junk()) {
        let text = shown(&bytes);
        prop_assert!(has_only_ours(&text), "{text:?}");
        prop_assert_eq!(shown(text.as_bytes()), text, "what was shown would be again");
    }

    #[test]
    fn where_it_is_cut_makes_no_difference(bytes in junk(), cuts in proptest::collection::vec(0..200_usize, 0..6)) {
        let mut screen = Screen::default();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        cuts.sort_unstable();
        cuts.push(bytes.len());
        let mut from = 0;
        let mut pieces = String::new();
        for to in cuts {
            pieces.push_str(&screen.text(&bytes[from..to]));
            from = to;
        }
        prop_assert_eq!(pieces, shown(&bytes));
    }
}
