//! One conversation with ssh: requests of the agent protocol, one after another.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use ssh_agent_lib::proto::extension::SessionBind;
use ssh_agent_lib::proto::{Request, Response};
use ssh_encoding::{Decode as _, Encode as _};

use super::ring::Ring;

/// The longest request: OpenSSH's own agent takes no longer ones.
const MAX_REQUEST: usize = 256 * 1024;
/// How long ssh may be silent: it asks while it logs in.
const SILENCE: Duration = Duration::from_mins(2);

/// Answers until ssh is done.
pub(super) fn hold(mut stream: UnixStream, ring: &Ring) -> io::Result<()> {
    stream.set_read_timeout(Some(SILENCE))?;
    stream.set_write_timeout(Some(SILENCE))?;
    let mut bond = None;
    loop {
        let request = read(&mut stream)?;
        let answer = answer(request, ring, &mut bond);
        let mut bytes = Vec::new();
        answer.encode_prefixed(&mut bytes).map_err(io::Error::other)?;
        stream.write_all(&bytes)?;
    }
}

fn read(stream: &mut UnixStream) -> io::Result<Request> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > MAX_REQUEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Request::decode(&mut body.as_slice()).map_err(io::Error::other)
}

/// What ssh needs to log in; to whatever else an agent may be asked, no.
fn answer(request: Request, ring: &Ring, bond: &mut Option<SessionBind>) -> Response {
    match request {
        Request::RequestIdentities => Response::IdentitiesAnswer(ring.identities()),
        Request::SignRequest(asked) => match ring.sign(&asked, bond.as_ref()) {
            Some(signature) => Response::SignResponse(signature),
            None => Response::Failure,
        },
        Request::Extension(extension) => {
            match extension.parse_message::<SessionBind>() {
                // Once: a connection that is bound anew would be one that goes through another.
                Ok(Some(said)) if bond.is_none() && said.verify_signature().is_ok() => {
                    *bond = Some(said);
                    Response::Success
                }
                Ok(_) | Err(_) => Response::Failure,
            }
        }
        Request::AddIdentity(_)
        | Request::RemoveIdentity(_)
        | Request::RemoveAllIdentities
        | Request::AddSmartcardKey(_)
        | Request::RemoveSmartcardKey(_)
        | Request::Lock(_)
        | Request::Unlock(_)
        | Request::AddIdConstrained(_)
        | Request::AddSmartcardKeyConstrained(_) => Response::Failure,
    }
}
