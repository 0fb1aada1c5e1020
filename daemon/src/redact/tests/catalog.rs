//! What a catalog adds: forms, values that only root knows, and drawn words.

use std::sync::{Arc, LazyLock};

use policy::SecretPattern;
use proptest::prelude::*;
use wire::privsep::{RedactBy, RedactForm, RedactRules, RedactSetRules};

use super::super::*;
use super::{GITHUB, in_pieces_by};

const FORMS: [&str; 4] = [
    "(?:corp-key-)[A-Za-z0-9]{20,255}",
    r"customer_id=(?P<secret>[0-9]{6,12})\b",
    "^ticket [0-9]{8}$",
    "pin: ?(?:(?P<secret>[0-9]{4})|none)",
];
const VALUES: [&str; 5] =
    ["tea4two-and-more", "hunter22", "two words!", "corp-key-of-the-house", "hunter22-and-more"];
const CORP: &str = "corp-key-16C7e42F292c6912E7710c83";

fn told(forms: &[&str], values: &[&str]) -> RedactRules {
    let seal = Seal::new([7; 32], values.len());
    let form = |source: &&str| {
        let pattern = SecretPattern::new(source).unwrap();
        let least = u16::try_from(pattern.least()).unwrap();
        RedactForm { form: pattern.form().to_owned(), least }
    };
    let set = RedactSetRules {
        name: "internal".parse().unwrap(),
        label: "corp".parse().unwrap(),
        forms: forms.iter().map(form).collect(),
        literals: values.iter().map(|value| seal.seal(value.as_bytes()).unwrap()).collect(),
    };
    RedactRules { key: [7; 32], slot_bits: seal.bits(), sets: vec![set] }
}

fn rules(told: &RedactRules, names: &[RedactBy]) -> Arc<Rules> {
    let mut known = Known::built_in().unwrap();
    known.learn(told).unwrap();
    known.chosen(names).unwrap().unwrap()
}

fn own() -> RedactBy {
    RedactBy::Own("internal".parse().unwrap())
}

static ALL: LazyLock<Arc<Rules>> =
    LazyLock::new(|| rules(&told(&FORMS, &VALUES), &[RedactBy::Default, own()]));

fn redacted(text: &str) -> String {
    in_pieces_by(&ALL, text.as_bytes(), &[text.len()])
}

#[test]
fn forms_and_values_of_a_catalog_become_its_mark() {
    for (text, expected) in [
        (format!("a {CORP} b"), "a [redacted:corp] b"),
        (format!("x{CORP}, {CORP}"), "x[redacted:corp], [redacted:corp]"),
        (
            "customer_id=123456 customer_id=12".to_owned(),
            "customer_id=[redacted:corp] customer_id=12",
        ),
        ("ticket 12345678\nticket 123456789\n".to_owned(), "[redacted:corp]\nticket 123456789\n"),
        ("a ticket 12345678\n".to_owned(), "a ticket 12345678\n"),
        ("pin: 1234 pin: none".to_owned(), "pin: [redacted:corp] [redacted:corp]"),
        ("xhunter22x".to_owned(), "x[redacted:corp]x"),
        ("hunter22hunter22".to_owned(), "[redacted:corp][redacted:corp]"),
        ("say two words! now".to_owned(), "say [redacted:corp] now"),
        ("hunter22-and-mor".to_owned(), "[redacted:corp]-and-mor"),
        ("hunter22-and-more".to_owned(), "[redacted:corp]"),
        ("hunter2 hunter23 two\nwords!".to_owned(), "hunter2 hunter23 two\nwords!"),
        (format!("{GITHUB} hunter22"), "[redacted:github-token] [redacted:corp]"),
        // Where several rules find one, it has one mark.
        ("password=hunter22-and-more".to_owned(), "password=[redacted:password]"),
        ("corp-key-of-the-house0123456789".to_owned(), "[redacted:corp]0123456789"),
    ] {
        assert_eq!(redacted(&text), expected, "{text}");
    }
}

#[test]
fn only_the_rules_that_are_named_count() {
    let text = format!("{GITHUB} {CORP} hunter22\n");
    let told = told(&FORMS, &VALUES);
    let by = |names: &[RedactBy]| in_pieces_by(&rules(&told, names), text.as_bytes(), &[9, 9]);
    assert_eq!(by(&[own()]), format!("{GITHUB} [redacted:corp] [redacted:corp]\n"));
    assert_eq!(by(&[RedactBy::Default]), format!("[redacted:github-token] {CORP} hunter22\n"));
}

#[test]
fn rules_that_were_not_told_are_not_taken_for_none() {
    let mut known = Known::built_in().unwrap();
    assert!(known.chosen(&[own()]).is_none());
    assert!(known.chosen(&[]).unwrap().is_none());
    known.learn(&told(&FORMS, &VALUES)).unwrap();
    assert!(known.chosen(&[own()]).unwrap().is_some());
    let mut broken = told(&FORMS, &[]);
    broken.sets[0].forms[0].form = "(".to_owned();
    assert!(known.learn(&broken).is_err());
    assert!(known.chosen(&[own()]).is_none(), "the old ones are not used in their place");
}

#[test]
fn what_is_told_of_a_value_is_not_the_value_and_another_key_tells_something_else() {
    let value = b"correct horse battery";
    let (one, other) = (Seal::new([1; 32], 1), Seal::new([2; 32], 1));
    assert!(one.seal(value) == one.seal(value) && one.seal(value) != other.seal(value));
    assert_ne!(one.seal(value).unwrap().tag, other.seal(value).unwrap().tag);
    assert_ne!(one.seal(value).unwrap().tag, one.seal(b"correct horse batterz").unwrap().tag);
    assert_eq!((one.bits(), Seal::new([1; 32], 256).bits()), (10, 18));
    assert!(one.seal(value).unwrap().slot < 1 << 10, "a few bits, and no more");
}

#[test]
fn a_value_has_8_to_1024_bytes() {
    let seal = Seal::new([1; 32], 1);
    for (length, good) in [(7, false), (8, true), (1024, true), (1025, false)] {
        assert_eq!(seal.seal(&vec![b'x'; length]).is_some(), good, "{length}");
    }
}

/// What goes out when the text comes in two pieces with a pause between them.
fn with_a_pause(text: &str, at: usize) -> (String, u64) {
    let (mut redactor, mut out) = (Redactor::new(Arc::clone(&ALL)), Vec::new());
    let (before, after) = text.as_bytes().split_at(at);
    redactor.push(before, &mut out);
    redactor.flush(&mut out);
    assert!(!redactor.holds());
    redactor.push(after, &mut out);
    redactor.finish(&mut out);
    (String::from_utf8(out).unwrap(), redactor.masked())
}

#[test]
fn of_a_value_or_a_form_that_comes_with_a_pause_no_more_goes_out_than_is_said() {
    let value = "say tea4two-and-more now\n";
    for at in 12..20 {
        assert_eq!(with_a_pause(value, at), ("say [redacted:corp] now\n".to_owned(), 1), "{at}");
    }
    assert_eq!(with_a_pause(value, 11).0, "say tea4two[redacted:corp] now\n");
    let form = format!("say {CORP} now\n");
    for at in 4 + 15..4 + CORP.len() {
        assert_eq!(with_a_pause(&form, at), ("say [redacted:corp] now\n".to_owned(), 1), "{at}");
    }
    let prompt = "Continue with the installation? ";
    assert_eq!(with_a_pause(&format!("{prompt}yes\n"), prompt.len()).0, format!("{prompt}yes\n"));
}

#[test]
fn in_a_long_line_it_makes_no_difference_where_it_is_cut() {
    for secret in [CORP, "hunter22-and-more", "customer_id=123456"] {
        let marked = if secret.starts_with("customer") {
            "customer_id=[redacted:corp]"
        } else {
            "[redacted:corp]"
        };
        for at in [100, LINE_MAX - 20, LINE_MAX, 20_001, 70_000] {
            let line = format!("{} {secret} {}", "x ".repeat(at / 2), "y ".repeat(40_000));
            let shown = in_pieces_by(&ALL, line.as_bytes(), &[4096; 100]);
            assert!(shown == line.replace(secret, marked), "{secret} {at}");
        }
    }
    // A line that is cut does not begin where it is cut.
    let line = format!("{}ticket 12345678", "x".repeat(40_000));
    for cut in 19_990..20_010 {
        let pieces = [cut, 1, 1, 4096, 9000];
        assert!(in_pieces_by(&ALL, line.as_bytes(), &pieces) == line, "{cut}");
    }
}

#[test]
fn a_secret_that_goes_on_is_masked_to_its_end_in_bounded_memory() {
    let long = format!("corp-key-{}", "a1B2".repeat(300));
    let wide = rules(&told(&["corp-key-[A-Za-z0-9]{20,1000}"], &[]), &[own()]);
    let shown = in_pieces_by(&wide, format!("{long} end").as_bytes(), &[100; 9]);
    assert_eq!(shown, "[redacted:corp] end");
    let (mut redactor, mut out) = (Redactor::new(Arc::clone(&wide)), Vec::new());
    redactor.push(b"corp-key-", &mut out);
    for _ in 0..100 {
        redactor.push(&[b'a'; 10_000], &mut out);
        assert!(redactor.line.len() <= LINE_MAX + SECRET_MAX, "{}", redactor.line.len());
    }
    redactor.finish(&mut out);
    assert_eq!(
        (String::from_utf8(out).unwrap().as_str(), redactor.masked()),
        ("[redacted:corp]", 1)
    );
}

fn drawn(text: &str) -> String {
    let rules = rules(&RedactRules::default(), &[RedactBy::Entropy]);
    in_pieces_by(&rules, text.as_bytes(), &[text.len()])
}

#[test]
fn words_that_look_drawn_are_masked_and_what_only_looks_so_is_not() {
    for (text, expected) in [
        ("value Zk3vQ9xTb7LmR2pWc8Ys1Hd4 ok", "value [redacted:high-entropy] ok"),
        ("(Zk3vQ9xTb7LmR2pWc8Ys1Hd4)", "([redacted:high-entropy])"),
    ] {
        assert_eq!(drawn(text), expected);
    }
    for text in [
        "commit 16c7e42f292c6912e7710c838347ae178b4a0c1d",
        "9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08",
        "f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
        "/usr/lib/x86_64-linux-gnu/libQt5Widgets.so.5.15.2",
        "org.springframework.beans.factory.BeanCreationException2",
        "createAbstractSingletonProxyFactoryBean2",
        "SHA256:nThbg6kXUpJWGl7E1IGOCspRomTxdCARLviKw6E5SY8",
        "integrity sha512-oqVuAfXRKap7fdgcCY5uykM6+R9GqQ8K/uxy9rx7HNQlGYl1kPzQho1wx4JwY8wC",
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4",
        "iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4//8/w38GIAXDIBKE",
        "Zk3vQ9xTb7LmR2pWc8Y",
    ] {
        assert_eq!(drawn(text), text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_pieces_in_which_it_comes_make_no_difference(
        cuts in prop::collection::vec(1_usize..80, 0..60),
        filler in prop::collection::vec("[ a-z0-9=:\"'/@._\n-]{0,40}", 0..8),
        places in prop::collection::vec(0_usize..8, 0..8),
    ) {
        let secrets = [GITHUB, "password=hunter22", CORP, "customer_id=123456", "\nticket 12345678\n", "hunter22-and-more", "two words!", "pin: 1234"];
        let places = places.iter().chain(std::iter::repeat(&0));
        let text: Vec<String> =
            filler.iter().zip(places).map(|(filler, place)| format!("{filler}{}", secrets[*place])).collect();
        let text = text.concat();
        prop_assert_eq!(in_pieces_by(&ALL, text.as_bytes(), &cuts), redacted(&text));
    }

    #[test]
    fn a_value_is_found_wherever_it_stands(
        value in "[ -~]{6,40}x1", before in "[ -~\n]{0,60}", after in "[ -~\n]{0,60}", cut in 0_usize..120,
    ) {
        let value = value.trim();
        prop_assume!(value.len() >= 8);
        let rules = rules(&told(&[], &[value]), &[own()]);
        let text = format!("{before}{value}{after}");
        let shown = in_pieces_by(&rules, text.as_bytes(), &[cut]);
        prop_assert!(!shown.contains(value) || "[redacted:corp]".contains(value), "{}", shown);
    }

    #[test]
    fn any_bytes_with_any_pauses_lose_nothing_but_secrets(
        pieces in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..200), any::<bool>()), 0..20),
    ) {
        let (mut redactor, mut out, mut all) = (Redactor::new(Arc::clone(&ALL)), Vec::new(), Vec::new());
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
