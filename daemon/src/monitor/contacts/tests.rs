use super::*;
use std::fs;
use std::os::unix::fs::PermissionsExt;

const AGE: &str = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";
const SSH: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHsKLqeplhpW+uObz5dvMgjz1OxfM/XXUB+VHtZ6isGN alice@rust";

fn place(cap: usize) -> (tempfile::TempDir, OwnContacts) {
    let dir = crate::strict::trusted_directory();
    let own = OwnContacts::new(dir.path(), cap);
    (dir, own)
}

fn roots(alias: &str) -> Contacts {
    Contacts::parse("contacts.toml", &format!("[contact.{alias}]\nkey = \"{AGE}\"\n")).unwrap()
}

#[test]
fn roots_contacts_are_read() {
    let text = format!("[contact.vendor-a]\nkey = \"{AGE}\"\nnote = \"Acme\"\n");
    let contacts = Contacts::parse("contacts.toml", &text).unwrap();
    let contact = contacts.lookup(&"vendor-a".parse().unwrap()).unwrap();
    assert_eq!((contact.key.to_string().as_str(), contact.note.as_str()), (AGE, "Acme"));
}

#[test]
fn lo7_faults_in_contacts_have_line_column_and_suggestion() {
    let said = |text: &str| Contacts::parse("contacts.toml", text).unwrap_err().to_string();
    let unknown = said(&format!("[contact.a]\nkey = \"{AGE}\"\nnotes = \"\"\n"));
    assert!(unknown.starts_with("contacts.toml:3:1: unknown field `notes`"), "{unknown}");
    assert!(unknown.ends_with("did you mean `note`?"), "{unknown}");
    let bad = said("[contact.a]\nkey = \"age1nonsense\"\n");
    assert!(bad.starts_with("contacts.toml:2:7: this `age1` key is damaged"), "{bad}");
    assert!(said(&format!("[contact.\"own/a\"]\nkey = \"{AGE}\"\n")).contains("have no `own/`"));
    assert!(
        said(&format!("[contact.a]\nkey=\"{AGE}\"\n[contact.a]\nkey=\"{AGE}\"\n"))
            .contains("duplicate key")
    );
}

#[test]
fn a_note_is_kept_up_to_its_limit() {
    let of = |length: usize| {
        let note = "n".repeat(length);
        Contacts::parse("c", &format!("[contact.a]\nkey = \"{AGE}\"\nnote = \"{note}\"\n"))
    };
    assert!(of(MAX_NOTE - 1).is_ok());
    assert!(of(MAX_NOTE).is_ok());
    assert!(of(MAX_NOTE + 1).is_err());
}

#[test]
fn an_owners_contact_is_there_for_them_and_for_nobody_else() {
    let (_dir, own) = place(64);
    assert_eq!(own.add(1000, "vendor-b", SSH, "", Change::Refuse).unwrap(), Added::New);
    assert_eq!(own.list(1000).unwrap().len(), 1);
    assert!(own.list(1001).unwrap().is_empty());
    let (alias, contact) = resolve(&Contacts::default(), &own, 1000, "vendor-b").unwrap();
    assert_eq!(alias.as_str(), "own/vendor-b");
    assert_eq!(format!("{} alice@rust", contact.key), SSH);
    assert!(resolve(&Contacts::default(), &own, 1001, "vendor-b").is_err());
}

#[test]
fn lo8_an_owners_alias_never_passes_for_one_of_roots() {
    let (_dir, own) = place(64);
    own.add(1000, "vendor-a", SSH, "", Change::Refuse).unwrap();
    let (alias, contact) = resolve(&roots("vendor-a"), &own, 1000, "vendor-a").unwrap();
    assert_eq!((alias.as_str(), contact.key.to_string().as_str()), ("vendor-a", AGE));
    let (alias, contact) = resolve(&roots("vendor-a"), &own, 1000, "own/vendor-a").unwrap();
    assert_eq!(
        (alias.as_str(), contact.key.to_string().as_str()),
        ("own/vendor-a", SSH.strip_suffix(" alice@rust").unwrap())
    );
}

#[test]
fn lo6_another_key_needs_confirmation() {
    let (_dir, own) = place(64);
    own.add(1000, "v", SSH, "", Change::Refuse).unwrap();
    assert_eq!(own.add(1000, "own/v", SSH, "new note", Change::Refuse).unwrap(), Added::Same);
    let fault = own.add(1000, "v", AGE, "", Change::Refuse).unwrap_err();
    assert!(matches!(&fault, ContactFault::Changed { known, given, .. } if known != given));
    let kept = own.list(1000).unwrap();
    assert_ne!(kept.lookup(&"v".parse().unwrap()).unwrap().key.to_string(), AGE);
    let replaced = own.add(1000, "v", AGE, "", Change::Confirmed).unwrap();
    assert!(matches!(replaced, Added::Replaced { .. }));
    assert_eq!(own.list(1000).unwrap().lookup(&"v".parse().unwrap()).unwrap().key.to_string(), AGE);
}

#[test]
fn an_owner_keeps_as_many_contacts_as_the_limit_says() {
    let (_dir, own) = place(2);
    own.add(1000, "a", AGE, "", Change::Refuse).unwrap();
    own.add(1000, "b", AGE, "", Change::Refuse).unwrap();
    let fault = own.add(1000, "c", AGE, "", Change::Refuse).unwrap_err();
    assert!(fault.to_string().contains("limits.contacts_per_owner"));
    own.add(1000, "b", AGE, "again", Change::Refuse).unwrap();
    own.add(1001, "c", AGE, "", Change::Refuse).unwrap();
}

#[test]
fn a_contact_that_was_removed_is_gone_and_an_unknown_one_is_named_with_the_nearest() {
    let (_dir, own) = place(64);
    own.add(1000, "vendor-b", SSH, "", Change::Refuse).unwrap();
    let fault = own.remove(1000, "vendor-c").unwrap_err().to_string();
    assert!(fault.contains("did you mean `vendor-b`?"), "{fault}");
    assert_eq!(own.remove(1000, "vendor-b").unwrap().as_str(), "own/vendor-b");
    assert!(own.list(1000).unwrap().is_empty());
    assert!(own.remove(1000, "vendor-b").is_err());
}

#[test]
fn what_is_no_alias_and_what_is_no_key_is_refused() {
    let (_dir, own) = place(64);
    for alias in ["", "../x", "own/own/x", "A", "a b", "a\n"] {
        let fault = own.add(1000, alias, AGE, "", Change::Refuse).unwrap_err();
        assert!(matches!(fault, ContactFault::Alias { .. }), "{alias:?}");
    }
    for key in ["", "age1", "ssh-ed25519", "ssh-dss AAAA", "-----BEGIN", &"a".repeat(5000)] {
        let fault = own.add(1000, "a", key, "", Change::Refuse).unwrap_err();
        assert!(matches!(fault, ContactFault::Key(_)), "{key:?}");
    }
}

#[test]
fn the_file_is_its_owners_alone_and_one_that_others_may_write_is_not_read() {
    let (dir, own) = place(64);
    own.add(1000, "a", AGE, "", Change::Refuse).unwrap();
    let file = dir.path().join("own/1000/contacts.toml");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o622)).unwrap();
    assert!(matches!(own.list(1000), Err(ContactFault::Damaged(_))));
}

#[test]
fn an_ssh_keys_fingerprint_is_what_ssh_keygen_says() {
    let key: RecipientKey = SSH.parse().unwrap();
    assert_eq!(key.fingerprint(), "SHA256:PYX4o9UfGwCwG76hFcLAEkmMS0PtIBtV9MNmVgW16Oc");
}
