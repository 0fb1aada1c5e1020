use age::secrecy::SecretString;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use policy::passport::{Narrowing, hand_on, mint, narrow};
use policy::{Authority, Capability, Constraint, Kind, Scope, SeatId, ShareId, Value};
use proptest::prelude::*;
use std::io::Write as _;
use zeroize::Zeroizing;

use super::*;

const ED25519: &str = include_str!("tests/ed25519");
const ED25519_PUB: &str = include_str!("tests/ed25519.pub");
const ED25519_ENCRYPTED: &str = include_str!("tests/ed25519_encrypted");
const RSA: &str = include_str!("tests/rsa");
const RSA_PUB: &str = include_str!("tests/rsa.pub");
const RSA_1024_PUB: &str = include_str!("tests/rsa1024.pub");
const ECDSA: &str = include_str!("tests/ecdsa");
const ECDSA_PUB: &str = include_str!("tests/ecdsa.pub");
const PKCS8: &str = include_str!("tests/pkcs8");
const GOLDEN: &str = include_str!("tests/golden");
const GOLDEN_IDENTITY: &str = include_str!("tests/golden_identity");
/// Of one secret, 01 02 … 20.
const TAG: &str = "age1tag1qfg4c0twh83edwgy60lv5l65lhxses0fj7lnwhw229ddpfkrksp4783a6c8";
const YUBIKEY: &str = "age1yubikey1qfg4c0twh83edwgy60lv5l65lhxses0fj7lnwhw229ddpfkrksp47dnz2m5";
/// Whole, and no point of the curve.
const NO_POINT: &str = "age1tag1qgqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqw8dyupc";
/// Of a plugin that nobody has.
const PLUGIN_IDENTITY: &str = "AGE-PLUGIN-OPENSCOPENONE-1DVMSER";
const NOT_AFTER: Timestamp = Timestamp(1_000_000);

fn daemon() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

/// Two verbs with their constraints, as in a usual share.
fn scope() -> Scope {
    let web = || Constraint::exact(Value::parse(Kind::Text, "web").unwrap());
    let service = || ("service".parse().unwrap(), web());
    let lines = ("lines".parse().unwrap(), Constraint::Range { min: 1, max: 100 });
    Scope::new([
        Capability::new("ssh.tail_logs".parse().unwrap(), [service(), lines]),
        Capability::new("ssh.restart_service".parse().unwrap(), [service()]),
    ])
}

fn handle() -> Handle {
    let redeem = SigningKey::from_bytes(&[3; 32]);
    let authority = Authority {
        daemon: "db-7.example".parse().unwrap(),
        share: ShareId::from_random([5; 8]),
        seat: SeatId(0),
        owner: "alice".to_owned(),
        relays: vec!["relay.example.com:443".to_owned()],
        not_after: NOT_AFTER,
        channel_key: [4; 32],
        redeem_key: redeem.verifying_key().to_bytes(),
        depth: 1,
        scope: scope(),
    };
    Handle {
        rendezvous: Secret::new([2; 32]),
        redeem: Some(Secret::new([3; 32])),
        daemon_key: daemon().verifying_key().to_bytes(),
        passport: mint(&daemon(), &authority).unwrap(),
        ancestors: Vec::new(),
    }
}

fn no_passphrase() -> Option<Zeroizing<String>> {
    panic!("no passphrase is needed here")
}

fn identity(text: &str) -> Identity {
    Identity::parse(text, no_passphrase).unwrap().remove(0)
}

fn opened(text: &str, identity: &Identity) -> Result<Handle, HandleFault> {
    Sealed::parse(text)?.open(std::slice::from_ref(identity))
}

fn redeem_of(handle: &Handle) -> Option<&[u8; 32]> {
    handle.redeem.as_ref().map(Secret::expose)
}

fn assert_same(one: &Handle, other: &Handle) {
    assert_eq!(one.rendezvous.expose(), other.rendezvous.expose());
    assert_eq!(redeem_of(one), redeem_of(other));
    assert_eq!(one.ancestors, other.ancestors);
    assert_eq!(one.daemon_key, other.daemon_key);
    assert_eq!(one.passport, other.passport);
}

#[test]
fn pp1_a_handle_opens_with_each_kind_of_key_and_is_what_was_sealed() {
    let generated = Identity::generate();
    for identity in [generated, identity(ED25519), identity(RSA)] {
        let text = handle().seal(identity.recipient()).unwrap();
        let opened = opened(&text, &identity).unwrap();
        assert_same(&opened, &handle());
        assert_eq!(opened.verify().unwrap().authority().owner, "alice");
    }
}

#[test]
fn a_handle_that_was_given_away_once_opens_with_every_later_version() {
    let handle = opened(GOLDEN, &identity(GOLDEN_IDENTITY)).unwrap();
    assert_eq!((handle.rendezvous.expose(), redeem_of(&handle)), (&[1; 32], Some(&[2; 32])));
    assert_eq!((handle.daemon_key, handle.passport), ([3; 32], vec![4; 400]));
}

#[test]
fn se2_a_bearer_handle_needs_its_second_value() {
    let (text, secret) = handle().seal_bearer().unwrap();
    assert_same(&opened(&text, &identity(secret.expose())).unwrap(), &handle());
    let (_, other) = handle().seal_bearer().unwrap();
    let fault = opened(&text, &identity(other.expose())).unwrap_err();
    assert!(matches!(fault, HandleFault::NotForYou), "{fault}");
}

#[test]
fn pp2_a_handle_is_good_until_its_not_after_and_not_at_it() {
    let handle = handle();
    assert!(handle.check(Timestamp(NOT_AFTER.0 - 1)).is_ok());
    let fault = handle.check(NOT_AFTER).unwrap_err();
    assert!(matches!(fault, HandleFault::Expired { not_after: NOT_AFTER }), "{fault}");
    assert!(handle.check(Timestamp(NOT_AFTER.0 + 1)).is_err());
}

#[test]
fn pp3_the_fingerprint_is_that_of_the_daemon_s_key() {
    assert_eq!(handle().fingerprint(), Fingerprint::of(&daemon().verifying_key().to_bytes()));
}

#[test]
fn pp4_every_field_that_is_tampered_with_is_found() {
    let good = handle();
    assert!(good.verify().is_ok());
    let redeem = Handle { redeem: Some(Secret::new([8; 32])), ..good.clone() };
    assert!(matches!(redeem.verify(), Err(HandleFault::Mixed)));
    for byte in 0..32 {
        let mut other = good.clone();
        other.daemon_key[byte] ^= 1;
        assert!(other.verify().is_err(), "daemon key, byte {byte}");
    }
    for byte in 0..good.passport.len() {
        let mut other = good.clone();
        other.passport[byte] ^= 1;
        assert!(other.verify().is_err(), "passport, byte {byte}");
    }
}

#[test]
fn pp5_a_passport_signed_by_another_daemon_is_refused() {
    let stranger = SigningKey::from_bytes(&[9; 32]).verifying_key().to_bytes();
    let handle = Handle { daemon_key: stranger, ..handle() };
    assert!(matches!(handle.verify(), Err(HandleFault::Passport(PassportFault::Signature))));
}

#[test]
fn pp7_a_handle_s_size_is_limited_exactly() {
    let recipient = Identity::generate().recipient().clone();
    let with = |length| Handle { passport: vec![7; length], ..handle() };
    assert!(with(8_192).seal(&recipient).is_ok(), "the largest passport fits");
    let fault = with(12_500).seal(&recipient).unwrap_err();
    assert!(matches!(fault, HandleFault::TooLong { .. }), "{fault}");
    let text = |length: usize| format!("osp1_{}", "a".repeat(length - 5));
    assert!(!matches!(Sealed::parse(&text(MAX_HANDLE)), Err(HandleFault::TooLong { .. })));
    assert!(matches!(Sealed::parse(&text(MAX_HANDLE + 1)), Err(HandleFault::TooLong { .. })));
    let blank = " ".repeat(10 * MAX_HANDLE);
    assert!(matches!(Sealed::parse(&blank), Err(HandleFault::TooLong { .. })));
}

#[test]
fn pp8_another_recipient_cannot_open_it() {
    for (owner, other) in [
        (Identity::generate(), Identity::generate()),
        (identity(ED25519), identity(RSA)),
        (identity(RSA), Identity::generate()),
    ] {
        let text = handle().seal(owner.recipient()).unwrap();
        let fault = opened(&text, &other).unwrap_err();
        assert!(matches!(fault, HandleFault::NotForYou), "{fault}");
        let both = Sealed::parse(&text).unwrap().open(&[other, owner]).unwrap();
        assert_same(&both, &handle());
    }
    let text = handle().seal(Identity::generate().recipient()).unwrap();
    let none = Sealed::parse(&text).unwrap().open(&[]).unwrap_err();
    assert!(matches!(none, HandleFault::NoIdentity));
}

#[test]
fn pp4_a_handle_cut_short_anywhere_is_refused_and_mostly_named() {
    let identity = Identity::generate();
    let text = handle().seal(identity.recipient()).unwrap();
    let mut named = 0;
    for length in 0..text.len() {
        let fault = opened(text.get(..length).unwrap(), &identity).unwrap_err();
        named += usize::from(matches!(fault, HandleFault::CutShort));
    }
    assert!(named * 64 >= (text.len() - 1) * 62, "{named} of {}", text.len());
}

#[test]
fn pp4_every_single_changed_character_is_refused() {
    let identity = Identity::generate();
    let text = handle().seal(identity.recipient()).unwrap();
    for place in 0..text.len() {
        let mut changed = text.clone().into_bytes();
        changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert!(opened(&changed, &identity).is_err(), "character {place}");
    }
    let mut last = text.clone();
    let end = if last.pop() == Some('A') { 'B' } else { 'A' };
    last.push(end);
    assert!(matches!(opened(&last, &identity), Err(HandleFault::Damaged)));
    let fault = Sealed::parse(&text.replacen('_', "_é", 1)).unwrap_err();
    assert!(matches!(fault, HandleFault::Character { place: 6, .. }), "{fault}");
}

#[test]
fn what_mail_programs_and_people_add_does_no_harm() {
    let identity = Identity::generate();
    let text = handle().seal(identity.recipient()).unwrap();
    let lines: Vec<&str> = (0..text.len())
        .step_by(76)
        .map(|at| text.get(at..text.len().min(at + 76)).unwrap())
        .collect();
    for given in [
        lines.join("\n"),
        lines.join("\r\n"),
        format!("> {}", lines.join("\n> ")),
        format!("\u{feff}  \"{}\u{200b}\" ", lines.join("\u{a0}\n")),
        format!("`{text}`."),
    ] {
        assert_same(&opened(&given, &identity).unwrap(), &handle());
    }
}

#[test]
fn text_of_another_kind_is_named() {
    let fault = |text: &str| Sealed::parse(text).unwrap_err();
    assert!(matches!(fault(" \n"), HandleFault::Empty));
    assert!(matches!(fault("hello"), HandleFault::NotHandle));
    assert!(matches!(fault("osp_0123456789abcdef"), HandleFault::ShareId));
    assert!(matches!(fault("osp1"), HandleFault::CutShort));
    assert!(matches!(fault("osp1_"), HandleFault::CutShort));
    assert!(matches!(fault(ED25519), HandleFault::SecretKey));
    let secret = Identity::generate().to_file().unwrap();
    assert!(matches!(fault(&secret), HandleFault::SecretKey));
    let HandleFault::OtherVersion { version } = fault("osp2_abc") else { panic!("osp2_") };
    assert_eq!(version, "2");
}

#[test]
fn a_handle_sealed_with_a_passphrase_is_refused_unopened() {
    let mut scrypt = age::scrypt::Recipient::new(SecretString::from("x"));
    scrypt.set_work_factor(2);
    let recipients = std::iter::once(&scrypt as &dyn age::Recipient);
    let encryptor = age::Encryptor::with_recipients(recipients).unwrap();
    let mut file = Vec::new();
    let mut stream = encryptor.wrap_output(&mut file).unwrap();
    stream.write_all(&[0; 100]).unwrap();
    stream.finish().unwrap();
    let padded: Vec<u8> = file.iter().copied().chain(std::iter::repeat(0)).take(336).collect();
    let text = format!("osp1_{}", BASE64_URL_SAFE_NO_PAD.encode(padded));
    assert!(matches!(Sealed::parse(&text), Err(HandleFault::Passphrase)));
}

#[test]
fn a_handle_for_two_verbs_is_a_screenful_and_its_length_says_little() {
    let recipient = Identity::generate().recipient().clone();
    for _ in 0..64 {
        let text = handle().seal(&recipient).unwrap();
        assert!((1_000..=1_800).contains(&text.len()), "{}", text.len());
        assert_eq!((text.len() - 5) % 64, 0);
    }
}

#[test]
fn nothing_secret_shows_when_a_handle_is_printed() {
    let identity = identity(ED25519);
    let (_, bearer) = handle().seal_bearer().unwrap();
    let shown = format!("{:?} {identity:?} {bearer:?}", handle());
    assert!(!shown.contains("2, 2, 2, 2") && !shown.contains("3, 3, 3, 3"), "{shown}");
    assert!(!shown.contains("SECRET") && !shown.contains("PRIVATE"), "{shown}");
}

#[test]
fn an_ssh_key_has_the_fingerprint_that_ssh_shows() {
    let key: RecipientKey = ED25519_PUB.parse().unwrap();
    assert_eq!(key.fingerprint(), "SHA256:pZ3CIfY6cD/WU9w9F3alIZVTMrru1xm6W9C1Zxrlzl4");
    let key: RecipientKey = RSA_PUB.parse().unwrap();
    assert_eq!(key.fingerprint(), "SHA256:nCfGUkIaHho90rFkUwM6DMIELLEfefL+5WPchXj+R4Y");
    assert_eq!(&key, identity(RSA).recipient());
    assert_eq!(key.to_string().parse(), Ok(key));
}

#[test]
fn text_that_is_no_recipient_is_named() {
    let fault = |text: &str| text.parse::<RecipientKey>().unwrap_err();
    let age = Identity::generate().recipient().to_string();
    assert_eq!(fault("bob"), RecipientFault::NotKey);
    assert_eq!(fault(""), RecipientFault::NotKey);
    assert_eq!(fault(age.get(..40).unwrap()), RecipientFault::Damaged { kind: "age1" });
    assert_eq!(
        fault(ED25519_PUB.get(..40).unwrap()),
        RecipientFault::Damaged { kind: "ssh-ed25519" }
    );
    for zeros in
        ["AAAAB3NzaC1yc2EAAAABAAAAAAIBAg==", "AAAAB3NzaC1yc2EAAAADAQABAAAAAgAA", "AAAAB3Nz,aC1y"]
    {
        assert_eq!(fault(&format!("ssh-rsa {zeros}")), RecipientFault::Damaged { kind: "ssh-rsa" });
    }
    assert_eq!(fault(ED25519), RecipientFault::Secret);
    assert_eq!(fault(RSA_1024_PUB), RecipientFault::Weak);
    let plugin = fault("age1se1qfg4c0twh83edwgy60lv5l65lhxses0fj7lnwhw229ddpfkrksp47tkte6j");
    assert_eq!(plugin, RecipientFault::Plugin { plugin: "se".to_owned() });
    let told = plugin.to_string();
    assert!(told.contains("`age-plugin-se`") && told.contains("`age1tag1…`"), "{told}");
    assert_eq!(fault(PLUGIN_IDENTITY), RecipientFault::Secret);
    for (key, kind) in [(TAG, "age1tag1"), (YUBIKEY, "age1yubikey1")] {
        let damaged = key.replace('4', "5");
        assert_eq!(fault(&damaged), RecipientFault::Damaged { kind });
    }
    assert_eq!(fault(NO_POINT), RecipientFault::Damaged { kind: "age1tag1" });
    let RecipientFault::SshKind { kind } = fault(ECDSA_PUB) else { panic!("ecdsa") };
    assert_eq!(kind, "ecdsa-sha2-nistp256");
}

#[test]
fn an_encrypted_ssh_key_asks_for_its_passphrase_once() {
    let given = |text: &'static str| move || Some(Zeroizing::new(text.to_owned()));
    let key = Identity::parse(ED25519_ENCRYPTED, given("correct horse")).unwrap().remove(0);
    let text = handle().seal(key.recipient()).unwrap();
    assert_same(&opened(&text, &key).unwrap(), &handle());
    let fault = |passphrase| Identity::parse(ED25519_ENCRYPTED, given(passphrase)).unwrap_err();
    assert_eq!(fault("wrong"), IdentityFault::WrongPassphrase);
    assert_eq!(fault(""), IdentityFault::WrongPassphrase);
    let none = Identity::parse(ED25519_ENCRYPTED, || None).unwrap_err();
    assert_eq!(none, IdentityFault::NoPassphrase);
}

#[test]
fn an_identity_file_may_hold_several_keys_and_comments() {
    let (one, two) = (Identity::generate(), Identity::generate());
    let file = format!("{}\r\n\n{}", *one.to_file().unwrap(), *two.to_file().unwrap());
    let read = Identity::parse(&file, no_passphrase).unwrap();
    let recipients: Vec<_> = read.iter().map(Identity::recipient).collect();
    assert_eq!(recipients, [one.recipient(), two.recipient()]);
}

#[test]
fn text_that_is_no_identity_is_named() {
    let fault = |text: &str| Identity::parse(text, no_passphrase).unwrap_err();
    assert_eq!(fault("# only a comment"), IdentityFault::Empty);
    assert_eq!(fault("# a key\nhello"), IdentityFault::NotKey { line: 2 });
    assert_eq!(fault(ED25519_PUB), IdentityFault::Public);
    assert_eq!(fault("# a key\nAGE-PLUGIN-YUBIKEY-1QQQ"), IdentityFault::DamagedPlugin { line: 2 });
    assert_eq!(fault(PLUGIN_IDENTITY), IdentityFault::Plugin);
    assert_eq!(fault("-----BEGIN AGE ENCRYPTED FILE-----\n"), IdentityFault::AgeEncrypted);
    assert_eq!(fault("age-encryption.org/v1\n"), IdentityFault::AgeEncrypted);
    assert_eq!(fault(PKCS8), IdentityFault::OtherForm);
    assert_eq!(fault(ED25519.get(..200).unwrap()), IdentityFault::Damaged);
    assert_eq!(fault(&"#".repeat(64 * 1024 + 1)), IdentityFault::TooLarge);
    let IdentityFault::SshKind { kind } = fault(ECDSA) else { panic!("ecdsa") };
    assert_eq!(kind, "ecdsa-sha2-nistp256");
}

#[test]
fn a_handle_can_be_sealed_to_a_key_in_hardware_and_no_program_is_run_for_it() {
    for (text, form) in [(TAG, "-> p256tag "), (YUBIKEY, "-> piv-p256 ")] {
        let key: RecipientKey = text.parse().unwrap();
        assert_eq!(key.to_string(), text);
        let sealed = handle().seal(&key).unwrap();
        let file = BASE64_URL_SAFE_NO_PAD.decode(sealed.strip_prefix("osp1_").unwrap()).unwrap();
        assert!(String::from_utf8_lossy(&file).contains(form), "{form}");
        let other = opened(&sealed, &Identity::generate());
        assert!(matches!(other, Err(HandleFault::NotForYou)));
    }
    let fingerprint = |text: &str| text.parse::<RecipientKey>().unwrap().fingerprint();
    assert_ne!(fingerprint(TAG), fingerprint(YUBIKEY));
}

#[test]
fn a_file_of_a_plugins_names_the_program_and_its_public_key() {
    let own = Identity::generate();
    let text = format!(
        "# Created: today\n#    Recipient: {TAG}\n{PLUGIN_IDENTITY}\n\n{PLUGIN_IDENTITY}\n{}",
        *own.to_file().unwrap()
    );
    let file = KeyFile::parse(&text, no_passphrase).unwrap();
    assert_eq!(file.keys.len(), 1);
    let [named, unnamed] = file.plugins.as_slice() else { panic!("{file:?}") };
    assert_eq!(named.program(), "age-plugin-openscopenone");
    assert_eq!(named.recipient().map(ToString::to_string).as_deref(), Some(TAG));
    assert!(unnamed.recipient().is_none() && !unnamed.is_installed());
}

#[test]
fn a_plugin_that_is_not_there_is_named() {
    let file = KeyFile::parse(PLUGIN_IDENTITY, no_passphrase).unwrap();
    let sealed = Sealed::parse(&handle().seal(&TAG.parse().unwrap()).unwrap()).unwrap();
    let fault = sealed.open_by_plugin(&file.plugins[0], age::NoCallbacks).unwrap_err();
    assert!(
        matches!(&fault, PluginFault::Missing { program } if program == "age-plugin-openscopenone")
    );
}

proptest! {
    #[test]
    fn no_text_makes_parsing_panic(text in "(osp1_)?[ -~\u{a0}é]{0,300}") {
        let _ = Sealed::parse(&text);
        let _ = text.parse::<RecipientKey>();
        let _ = Identity::parse(&text, || None);
    }

    #[test]
    fn no_bytes_behind_the_prefix_make_opening_panic(blocks in prop::collection::vec(any::<u8>(), 0..20)) {
        let mut file = b"age-encryption.org/v1\n-> X25519 AAAA\n".to_vec();
        file.extend(blocks.iter().flat_map(|byte| [*byte; 7]));
        file.resize(file.len().next_multiple_of(48), 0);
        let text = format!("osp1_{}", BASE64_URL_SAFE_NO_PAD.encode(file));
        let _ = opened(&text, &Identity::generate());
    }

    #[test]
    fn no_contents_make_reading_panic(bytes: Vec<u8>) {
        prop_assert!(contents::read(&bytes).is_err());
    }

    #[test]
    fn every_passport_length_is_padded_to_a_block(length in 0usize..2_000) {
        let handle = Handle { passport: vec![7; length], ..handle() };
        let text = handle.seal(Identity::generate().recipient()).unwrap();
        prop_assert_eq!((text.len() - 5) % 64, 0);
    }
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn public(seed: u8) -> [u8; 32] {
    key(seed).verifying_key().to_bytes()
}

fn narrowing(depth: u8) -> Narrowing {
    Narrowing { not_after: NOT_AFTER, depth, scope: scope(), reason: String::new() }
}

/// The handle, handed on by the holder 20 to redeem key 21.
fn handed_on() -> Handle {
    let parent = handle();
    let root = daemon().verifying_key();
    let passport = hand_on(&parent.passport, &root, &key(20), &narrowing(0), public(21)).unwrap();
    let redemption = Redemption::of(parent.daemon_key, &parent.verify().unwrap(), public(20));
    let ancestors = vec![Some(redemption.prove(&key(3)).unwrap())];
    Handle { redeem: Some(Secret::new([21; 32])), passport, ancestors, ..parent }
}

#[test]
fn a_handle_that_was_handed_on_is_what_was_sealed_and_about_as_long_again() {
    let identity = Identity::generate();
    let text = handed_on().seal(identity.recipient()).unwrap();
    let opened = opened(&text, &identity).unwrap();
    assert_same(&opened, &handed_on());
    assert_eq!(opened.verify().unwrap().redeem_key(), public(21));
    // What age adds of its own, to keep its readers honest, is of any length up to some hundred.
    assert!(text.len() <= 2800, "{}", text.len());
}

#[test]
fn pp4_the_parts_of_a_handle_that_was_handed_on_belong_together() {
    let good = handed_on();
    assert!(good.verify().is_ok());
    let mixed = |handle: Handle| matches!(handle.verify(), Err(HandleFault::Mixed));
    assert!(mixed(Handle { redeem: Some(Secret::new([3; 32])), ..good.clone() }), "the parent's");
    assert!(mixed(Handle { redeem: None, ..good.clone() }), "none at all");
    assert!(mixed(Handle { ancestors: vec![], ..good.clone() }));
    assert!(mixed(Handle { ancestors: vec![None, None], ..good.clone() }));
    assert!(mixed(Handle { ancestors: vec![Some(Proof([1; 64]))], ..good.clone() }));
    let of_another = Redemption::of(good.daemon_key, &good.verify().unwrap(), public(22));
    let of_another = vec![Some(of_another.prove(&key(3)).unwrap())];
    assert!(mixed(Handle { ancestors: of_another, ..good.clone() }));
    assert!(Handle { ancestors: vec![None], ..good }.verify().is_ok(), "the daemon may know them");
}

#[test]
fn a_narrowed_handle_has_no_redeem_secret_and_no_other_goes_without() {
    let whole = handle();
    let root = daemon().verifying_key();
    let passport = narrow(&whole.passport, &root, &narrowing(1)).unwrap();
    let narrowed = Handle { redeem: None, passport, ..whole.clone() };
    assert!(narrowed.verify().is_ok());
    let identity = Identity::generate();
    let text = narrowed.seal(identity.recipient()).unwrap();
    assert_same(&opened(&text, &identity).unwrap(), &narrowed);
    assert!(matches!(Handle { redeem: None, ..whole }.verify(), Err(HandleFault::Mixed)));
}
