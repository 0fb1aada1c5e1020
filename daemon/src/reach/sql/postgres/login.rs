//! Who asks: the role, its password, and how its sessions are to be.

use std::fs::File;
use std::io::{self, Read as _};
use std::ops::RangeInclusive;
use std::os::fd::OwnedFd;
use std::time::Duration;

use fallible_iterator::FallibleIterator as _;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::Message;
use postgres_protocol::message::frontend;
use zeroize::Zeroizing;

use super::connection::Connection;
use super::dial::Trust;
use crate::reach::sql::fault::Fault;
use crate::reach::sql::order::Server;

/// As long as passwords get.
const LONGEST: u64 = 4096;
/// How often a password is hashed: servers say 4096. With fewer it could be guessed from the proof, and one that says a
/// billion would have us at it for hours.
const ROUNDS: RangeInclusive<u32> = 4096..=100_000;
/// How long a statement waits for somebody who changes its tables.
const LOCK: Duration = Duration::from_secs(5);
/// How long a transaction may wait for us.
const IDLE: Duration = Duration::from_secs(30);

/// The role and its password.
pub(super) struct Login {
    pub(super) server: Server,
    pub(super) statement_timeout: Duration,
    password: Option<Zeroizing<Vec<u8>>>,
    /// What every session begins with, and returns to.
    settings: Vec<(&'static str, String)>,
}

impl Login {
    pub(super) fn new(
        server: Server,
        statement_timeout: Duration,
        files: &mut impl Iterator<Item = OwnedFd>,
    ) -> io::Result<Self> {
        let missing = || io::Error::other("the file of the password did not come along");
        let file = server.has_password.then(|| files.next().ok_or_else(missing)).transpose()?;
        let millis = |time: Duration| time.as_millis().to_string();
        let settings = vec![
            ("user", server.user.clone()),
            ("database", server.database.clone()),
            ("application_name", "openscope".to_owned()),
            ("client_encoding", "UTF8".to_owned()),
            ("DateStyle", "ISO".to_owned()),
            ("bytea_output", "hex".to_owned()),
            ("default_transaction_read_only", "on".to_owned()),
            ("statement_timeout", millis(statement_timeout)),
            ("lock_timeout", millis(LOCK.min(statement_timeout))),
            ("idle_in_transaction_session_timeout", millis(IDLE)),
        ];
        let password = file.map(read).transpose()?;
        Ok(Self { server, statement_timeout, password, settings })
    }

    /// Lets the role in, if it is one that can be kept from writing.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the protocol has messages that do not belong here"
    )]
    pub(super) async fn enter(
        &self,
        mut connection: Connection,
        trust: Trust,
    ) -> Result<Connection, Fault> {
        let settings = self.settings.iter().map(|(name, value)| (*name, value.as_str()));
        frontend::startup_message(settings, &mut connection.words).map_err(unsaid)?;
        connection.say(1).await?;
        let mut has_proven = false;
        loop {
            match connection.hear().await? {
                Message::AuthenticationOk => break,
                Message::AuthenticationSasl(offered) => {
                    let known = |name: &str| Ok(name == SCRAM_SHA_256);
                    if !offered.mechanisms().any(known).map_err(|fault| unheard(&fault))? {
                        return Err(lost("it asks for the password in no way that is known here"));
                    }
                    self.prove(&mut connection).await?;
                    has_proven = true;
                }
                Message::AuthenticationMd5Password(salted) => {
                    let password = self.shown(trust)?;
                    let user = self.server.user.as_bytes();
                    let hash = Zeroizing::new(md5_hash(user, password, salted.salt()));
                    pass(&mut connection, hash.as_bytes()).await?;
                }
                Message::AuthenticationCleartextPassword => {
                    pass(&mut connection, self.shown(trust)?).await?;
                }
                _ => return Err(lost("it asks for something else than a password")),
            }
        }
        if trust == Trust::Anybody && self.password.is_some() && !has_proven {
            return Err(lost(
                "it lets us in without knowing the password: it may be anybody. Leave `password` out, or say `tls = \"verify\"`",
            ));
        }
        self.entered(&mut connection).await?;
        Ok(connection)
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the protocol has messages that do not belong here"
    )]
    async fn entered(&self, connection: &mut Connection) -> Result<(), Fault> {
        loop {
            match connection.hear().await? {
                Message::BackendKeyData(key) => {
                    connection.key = Some((key.process_id(), key.secret_key()));
                }
                Message::ReadyForQuery(_) => break,
                _ => return Err(lost("it begins with something else")),
            }
        }
        let user = &self.server.user;
        match connection.is_superuser {
            Some(false) => Ok(()),
            Some(true) => Err(Fault::Lost(format!(
                "the role `{user}` is a superuser, and nothing keeps it from writing: give `user` one that may only read"
            ))),
            None => Err(Fault::Lost(format!(
                "it does not say whether the role `{user}` is a superuser: name the server itself, not what stands before it"
            ))),
        }
    }

    fn password(&self) -> Result<&[u8], Fault> {
        let missing = || lost("it asks for a password: name the file that holds it in `password`");
        self.password.as_ref().map(|password| password.as_slice()).ok_or_else(missing)
    }

    /// The password, for a server that wants to see it.
    fn shown(&self, trust: Trust) -> Result<&[u8], Fault> {
        match trust {
            Trust::Known => self.password(),
            Trust::Anybody => Err(lost(
                "it wants to see the password, and may be anybody: have it store passwords as scram-sha-256, or say `tls = \"verify\"`",
            )),
        }
    }

    /// Shows that we know the password, and sees that the server does.
    async fn prove(&self, connection: &mut Connection) -> Result<(), Fault> {
        let mut scram = ScramSha256::new(self.password()?, ChannelBinding::unsupported());
        frontend::sasl_initial_response(SCRAM_SHA_256, scram.message(), &mut connection.words)
            .map_err(unsaid)?;
        connection.say(0).await?;
        let Message::AuthenticationSaslContinue(challenge) = connection.hear().await? else {
            return Err(lost("it does not go on with the password"));
        };
        if rounds(challenge.data()).is_none_or(|rounds| !ROUNDS.contains(&rounds)) {
            return Err(lost("it wants the password hashed too often, or not often enough"));
        }
        scram.update(challenge.data()).map_err(|fault| unheard(&fault))?;
        frontend::sasl_response(scram.message(), &mut connection.words).map_err(unsaid)?;
        connection.say(0).await?;
        let Message::AuthenticationSaslFinal(proof) = connection.hear().await? else {
            return Err(lost("it does not show that it knows the password"));
        };
        scram.finish(proof.data()).map_err(|_| lost("it does not know the password"))
    }
}

async fn pass(connection: &mut Connection, password: &[u8]) -> Result<(), Fault> {
    frontend::password_message(password, &mut connection.words).map_err(unsaid)?;
    connection.say(0).await
}

fn read(file: OwnedFd) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut whole = Zeroizing::new(Vec::with_capacity(usize::try_from(LONGEST).unwrap_or(0)));
    File::from(file).take(LONGEST).read_to_end(&mut whole)?;
    let end = whole.trim_ascii_end().len();
    whole.truncate(end);
    if whole.is_empty() || whole.contains(&0) {
        return Err(io::Error::other("the password's file holds none"));
    }
    Ok(whole)
}

/// How often the password is to be hashed: `r=…,s=…,i=4096`.
fn rounds(challenge: &[u8]) -> Option<u32> {
    let said = std::str::from_utf8(challenge).ok()?;
    said.split(',').find_map(|part| part.strip_prefix("i="))?.parse().ok()
}

fn lost(why: &str) -> Fault {
    Fault::Lost(why.to_owned())
}

/// Names and values were looked at: none has a NUL.
#[expect(clippy::needless_pass_by_value, reason = "as `map_err` gives it")]
pub(super) fn unsaid(fault: io::Error) -> Fault {
    Fault::Lost(format!("this cannot be said to a server: {fault}"))
}

pub(super) fn unheard(fault: &io::Error) -> Fault {
    Fault::lost("the server is not understood", fault)
}
