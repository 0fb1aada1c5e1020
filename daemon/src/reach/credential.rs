//! The credential of a service: read once, from a file that the owner cannot open.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;

use http::HeaderName;
use http::header::HeaderValue;
use zeroize::Zeroizing;

/// As long as tokens get.
const LONGEST: u64 = 16 * 1024;

/// A header field that is added to every request.
#[derive(Debug)]
pub(super) struct Credential {
    pub(super) name: HeaderName,
    /// Not shown where headers are.
    pub(super) value: HeaderValue,
}

impl Credential {
    pub(super) fn read(name: &str, before: &str, file: OwnedFd) -> io::Result<Self> {
        let mut secret = Zeroizing::new(String::new());
        File::from(file).take(LONGEST).read_to_string(&mut secret)?;
        let whole = Zeroizing::new(format!("{before}{}", secret.trim()));
        let wrong = || io::Error::other("the credential is no header field's value");
        let mut value = HeaderValue::from_str(&whole).map_err(|_| wrong())?;
        value.set_sensitive(true);
        Ok(Self { name: name.parse().map_err(|_| wrong())?, value })
    }
}
