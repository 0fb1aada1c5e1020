//! The keys, and what is signed with each: a login at its own door.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;

use signature::Signer as _;
use ssh_agent_lib::proto::extension::SessionBind;
use ssh_agent_lib::proto::{Identity, PublicCredential, SignRequest};
use ssh_encoding::Decode as _;
use ssh_key::public::KeyData;
use ssh_key::{Algorithm, PrivateKey, PublicKey, Signature};
use zeroize::Zeroizing;

use super::Door;

/// The largest key file.
const MAX_KEY: u64 = 16 * 1024;
/// What begins a request for a login, RFC 4252.
const USERAUTH_REQUEST: u8 = 50;
const SERVICE: &str = "ssh-connection";
/// The method that names the host's key besides.
const HOST_BOUND: &str = "publickey-hostbound-v00@openssh.com";

/// All that this process holds.
pub(super) struct Ring(Vec<Held>);

struct Held {
    key: PrivateKey,
    user: String,
    host_keys: Vec<KeyData>,
}

impl Ring {
    /// Reads each key from its file.
    pub(super) fn read(files: Vec<OwnedFd>, doors: Vec<Door>) -> io::Result<Self> {
        if files.len() != doors.len() {
            return Err(io::Error::other("not every key came along"));
        }
        files
            .into_iter()
            .zip(doors)
            .map(|(file, door)| Held::read(file, door))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// What ssh is told that there is.
    pub(super) fn identities(&self) -> Vec<Identity> {
        let identity = |held: &Held| Identity {
            credential: PublicCredential::Key(held.key.public_key().key_data().clone()),
            comment: "held".to_owned(),
        };
        self.0.iter().map(identity).collect()
    }

    /// The signature, where the request is for a login at the key's own door.
    pub(super) fn sign(
        &self,
        request: &SignRequest,
        bond: Option<&SessionBind>,
    ) -> Option<Signature> {
        let PublicCredential::Key(wanted) = &request.credential else { return None };
        let (bond, login) = (bond?, Login::read(&request.data)?);
        // One key may let in at several hosts of the way.
        let mut same = self.0.iter().filter(|held| held.key.public_key().key_data() == wanted);
        same.find(|held| held.opens(&login, bond))?.key.try_sign(&request.data).ok()
    }
}

impl Held {
    fn read(file: OwnedFd, door: Door) -> io::Result<Self> {
        let mut text = Zeroizing::new(String::new());
        File::from(file).take(MAX_KEY).read_to_string(&mut text)?;
        let key = PrivateKey::from_openssh(text.as_str()).map_err(io::Error::other)?;
        if key.is_encrypted() {
            return Err(io::Error::other("a held key has a passphrase"));
        }
        // RSA signatures of this library can be timed.
        if !matches!(key.algorithm(), Algorithm::Ed25519 | Algorithm::Ecdsa { .. }) {
            return Err(io::Error::other("a held key is neither Ed25519 nor ECDSA"));
        }
        let read = |text: &String| Ok(PublicKey::from_openssh(text)?.key_data().clone());
        let host_keys: Result<_, ssh_key::Error> = door.host_keys.iter().map(read).collect();
        Ok(Self { key, user: door.user, host_keys: host_keys.map_err(io::Error::other)? })
    }

    /// Whether it is for this account, and at a host that has shown one of the keys that root has pinned.
    fn opens(&self, login: &Login, bond: &SessionBind) -> bool {
        let is_ours = |key: &KeyData| self.host_keys.contains(key);
        let bonded =
            is_ours(&bond.host_key) && bond.session_id == login.session && !bond.is_forwarding;
        let named = login.host_key.as_ref().map(is_ours);
        let key = self.key.public_key();
        login.user == self.user
            && key.to_bytes().is_ok_and(|bytes| bytes == login.key)
            && login.algorithm == key.algorithm().as_str()
            && bonded
            && named.unwrap_or(true)
    }
}

/// A request for a login by public key, as it is signed.
struct Login {
    session: Vec<u8>,
    user: String,
    algorithm: String,
    key: Vec<u8>,
    host_key: Option<KeyData>,
}

impl Login {
    /// Nothing where the bytes are anything else.
    fn read(mut bytes: &[u8]) -> Option<Self> {
        let from = &mut bytes;
        let session = Vec::decode(from).ok()?;
        if u8::decode(from).ok()? != USERAUTH_REQUEST {
            return None;
        }
        let user = String::decode(from).ok()?;
        let service = String::decode(from).ok()?;
        let method = String::decode(from).ok()?;
        let signed = u8::decode(from).ok()?;
        let algorithm = String::decode(from).ok()?;
        let key = Vec::decode(from).ok()?;
        let host_key = match method.as_str() {
            "publickey" => None,
            HOST_BOUND => Some(host_key(&Vec::decode(from).ok()?)?),
            _ => return None,
        };
        let whole = service == SERVICE && signed == 1 && bytes.is_empty();
        whole.then_some(Self { session, user, algorithm, key, host_key })
    }
}

fn host_key(mut bytes: &[u8]) -> Option<KeyData> {
    KeyData::decode(&mut bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ssh_encoding::Encode as _;
    use ssh_key::private::Ed25519Keypair;

    fn key(seed: u8) -> PrivateKey {
        Ed25519Keypair::from_seed(&[seed; 32]).into()
    }

    fn ring() -> Ring {
        let host_keys = vec![key(2).public_key().key_data().clone()];
        Ring(vec![Held { key: key(1), user: "ops".into(), host_keys }])
    }

    /// What ssh would have signed.
    fn login(user: &str, service: &str, method: &str, by: u8, host: Option<u8>) -> Vec<u8> {
        let mut bytes = Vec::new();
        let put = |bytes: &mut Vec<u8>, part: &[u8]| part.encode(bytes).unwrap();
        put(&mut bytes, b"session");
        bytes.push(USERAUTH_REQUEST);
        for part in [user, service, method] {
            put(&mut bytes, part.as_bytes());
        }
        bytes.push(1);
        put(&mut bytes, b"ssh-ed25519");
        put(&mut bytes, &key(by).public_key().to_bytes().unwrap());
        if let Some(host) = host {
            put(&mut bytes, &key(host).public_key().to_bytes().unwrap());
        }
        bytes
    }

    fn request(data: Vec<u8>) -> SignRequest {
        let credential = PublicCredential::Key(key(1).public_key().key_data().clone());
        SignRequest { credential, data, flags: 0 }
    }

    fn bond(host: u8, session: &[u8], is_forwarding: bool) -> SessionBind {
        let signature = key(host).try_sign(session).unwrap();
        let host_key = key(host).public_key().key_data().clone();
        SessionBind { host_key, session_id: session.to_vec(), signature, is_forwarding }
    }

    #[test]
    fn a_login_at_its_own_door_is_signed() {
        let asked = request(login("ops", SERVICE, "publickey", 1, None));
        let signature = ring().sign(&asked, Some(&bond(2, b"session", false))).unwrap();
        assert!(
            signature::Verifier::verify(key(1).public_key().key_data(), &asked.data, &signature)
                .is_ok()
        );
        let bound = request(login("ops", SERVICE, HOST_BOUND, 1, Some(2)));
        assert!(ring().sign(&bound, Some(&bond(2, b"session", false))).is_some());
    }

    #[test]
    fn one_key_lets_in_at_each_host_that_root_has_given_it_for() {
        let Ring(mut held) = ring();
        let host_keys = vec![key(3).public_key().key_data().clone()];
        held.insert(0, Held { key: key(1), user: "gate".into(), host_keys });
        let both = Ring(held);
        let signed = |user: &str, host| {
            let asked = request(login(user, SERVICE, "publickey", 1, None));
            both.sign(&asked, Some(&bond(host, b"session", false))).is_some()
        };
        assert!(signed("ops", 2) && signed("gate", 3));
        assert!(!signed("ops", 3) && !signed("gate", 2), "each at its own");
    }

    #[test]
    fn nothing_else_is() {
        let good = bond(2, b"session", false);
        for (data, what) in [
            (login("root", SERVICE, "publickey", 1, None), "another account"),
            (login("ops", "ssh-userauth", "publickey", 1, None), "another service"),
            (login("ops", SERVICE, "hostbased", 1, None), "another method"),
            (login("ops", SERVICE, "publickey", 3, None), "another key"),
            (login("ops", SERVICE, HOST_BOUND, 1, Some(3)), "another host"),
            ([login("ops", SERVICE, "publickey", 1, None), vec![0]].concat(), "more than that"),
            (b"SSHSIG a file".to_vec(), "no login"),
            (Vec::new(), "nothing"),
        ] {
            assert!(ring().sign(&request(data), Some(&good)).is_none(), "{what}");
        }
        let asked = request(login("ops", SERVICE, "publickey", 1, None));
        for (bond, what) in [
            (bond(3, b"session", false), "a host that is not pinned"),
            (bond(2, b"another", false), "another session"),
            (bond(2, b"session", true), "a forwarded agent"),
        ] {
            assert!(ring().sign(&asked, Some(&bond)).is_none(), "{what}");
        }
        assert!(ring().sign(&asked, None).is_none(), "whoever has not said which session");
    }
}
