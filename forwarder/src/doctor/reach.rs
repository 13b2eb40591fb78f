//! Whether a peer can be reached, without a key of ours: a QUIC handshake with one made up for it.
//!
//! The other end proves its key before it looks at ours (TLS 1.3), and then refuses ours, as it is nobody's. So UDP
//! passes both ways, large datagrams as well as small ones, and whoever is there is who is meant; and no session
//! comes of it that could meddle with one that there is.

use std::{net::SocketAddr, path::Path, time::Duration};

use causeway_tunnel::{
    aead::Cipher,
    identity::PrivateKey,
    session::{Endpoint, SessionError, SessionOptions},
};

use super::{
    check::{Check, failing, ok, unknown},
    session::resolve,
};
use crate::{
    control::Hellos,
    spec::PeerSpec,
    stations::Role,
    uplink::{bind, wildcard},
};

const NAME: &str = "handshake";

/// How long an answer may take: attempts are repeated by QUIC meanwhile.
const PATIENCE: Duration = Duration::from_secs(3);

/// Dials each peer that has an address; the others have to dial us.
pub async fn checks(peers: &[PeerSpec]) -> Vec<Check> {
    let mut checks = Vec::new();
    for peer in peers {
        let Some(address) = &peer.address else {
            checks.push(no_address(&peer.name));
            continue;
        };
        checks.push(match dial(peer, address).await {
            Ok(outcome) => judge(&peer.name, &outcome),
            Err(why) => failing(
                NAME,
                format!("{}: {why}", peer.name),
                "give --peer NAME=PUBKEY@HOST:PORT with an address that can be resolved here",
            ),
        });
    }
    checks
}

/// What else there is to know of a path takes a key that the peer takes.
pub fn without_key(name: &str) -> Check {
    unknown(
        "path",
        format!(
            "{name}: path MTU, ESP, loss, NAT and throughput are found out by a session: give --config FILE, or --key FILE, with the key that the other end knows"
        ),
    )
}

/// A session of ours would take the place of that which an appliance has.
pub fn in_use(name: &str, key: &Path) -> Check {
    unknown(
        "path",
        format!(
            "{name}: a causeway on this machine works with {}: give --lan and --control (and the network namespace) that it runs with, or stop it first",
            key.display()
        ),
    )
}

/// The other end dials, and the causeway that runs here with our key would not take it.
pub fn not_of_running(name: &str) -> Check {
    unknown(
        "session",
        format!(
            "{name}: no address to dial, and the causeway that runs here does not know it as a peer: restart it with the configuration that names it"
        ),
    )
}

/// The other end dials, and we do not know where it would find us.
pub fn no_address(name: &str) -> Check {
    unknown(
        "session",
        format!(
            "{name}: no address to dial: give --peer {name}=PUBKEY@HOST:PORT, or, where it is the other end that dials, --config with listen"
        ),
    )
}

/// The other end dials, and has not; or somebody has who may be meant.
pub fn silent(name: &str, at: SocketAddr, refused: Option<&SessionError>) -> Check {
    let who = refused.map_or_else(
        || "is causeway running there, and does UDP to that port get here (firewall, security group)? `causeway doctor --config FILE` there tells as much".into(),
        ToString::to_string,
    );
    unknown(
        "session",
        format!("{name}: nobody with its key has dialled {at}: {who}"),
    )
}

/// Something could not be found out.
pub fn nothing(name: &'static str, why: String) -> Check {
    unknown(name, why)
}

async fn dial(peer: &PeerSpec, address: &str) -> Result<Result<(), SessionError>, String> {
    let to = resolve(address).await?;
    let socket = bind(wildcard(0), false);
    let socket = socket.map_err(|e| format!("no UDP socket: {e}"))?;
    let options = SessionOptions {
        handshake_timeout: PATIENCE,
        ..SessionOptions::default()
    };
    // Nobody hears this Hello: the other end hangs up before it.
    let hellos = Hellos::new(Role::Site, 1, 1_522, Cipher::Aes256Gcm)?;
    let key = PrivateKey::generate();
    let endpoint = Endpoint::new(socket, &key, [peer.key], options, move |peer| {
        hellos.to(peer)
    });
    let endpoint = endpoint.map_err(|e| e.to_string())?;
    Ok(endpoint.dial(to, &peer.key).await.map(drop))
}

/// What the outcome of dialling with a key that nobody knows says.
fn judge(name: &str, outcome: &Result<(), SessionError>) -> Check {
    match outcome {
        Err(SessionError::KeyRefused { addr, .. }) => ok(
            NAME,
            format!(
                "{name}: UDP passes both ways to {addr}, which proved its key; one that we made up it refused, as it should"
            ),
        ),
        Ok(()) => failing(
            NAME,
            format!("{name}: a key that we made up was taken"),
            "this is a defect of that end; please report it",
        ),
        Err(error @ SessionError::WrongKey { .. }) => failing(
            NAME,
            format!("{name}: another end answers"),
            error.to_string(),
        ),
        Err(error) => {
            unheard(NAME, name, error).unwrap_or_else(|| unknown(NAME, format!("{name}: {error}")))
        }
    }
}

/// If it is UDP that does not pass, what to do about it.
pub fn unheard(check: &'static str, name: &str, error: &SessionError) -> Option<Check> {
    let mend = match error {
        SessionError::NoAnswer { .. } => {
            "UDP to that port has to be let in there and out here, and the answers back: firewalls, security groups, NAT"
        }
        SessionError::Stalled { .. } => {
            "the path has to carry IP packets of 1,228 bytes (IPv6: 1,248)"
        }
        _ => return None,
    };
    Some(failing(check, format!("{name}: {error}"), mend))
}

#[cfg(test)]
mod tests {
    use super::{super::check::Verdict, *};

    #[test]
    fn a_refusal_is_what_is_wanted() {
        let addr = SocketAddr::from(([192, 0, 2, 1], 24_500));
        let ours = PrivateKey::generate().public();
        let (presented, expected) = (PrivateKey::generate().public(), ours);
        let seconds = PATIENCE;
        for (outcome, word) in [
            (Err(SessionError::KeyRefused { addr, ours }), "Ok"),
            (Ok(()), "Failing"),
            (Err(SessionError::NoAnswer { addr, seconds }), "Failing"),
            (Err(SessionError::Stalled { addr, seconds }), "Failing"),
            (
                Err(SessionError::WrongKey {
                    addr,
                    expected,
                    presented,
                }),
                "Failing",
            ),
            (Err(SessionError::NotCauseway(addr)), "Unknown"),
        ] {
            let check = judge("cloud", &outcome);
            let is = match check.verdict {
                Verdict::Ok { .. } => "Ok",
                Verdict::Failing { .. } => "Failing",
                Verdict::Unknown { .. } => "Unknown",
            };
            assert_eq!(is, word, "{check:?}");
        }
    }
}
