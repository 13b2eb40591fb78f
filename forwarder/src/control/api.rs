//! The control socket: an abstract unix socket (unix(7)) in the host's network namespace.
//!
//! It leaves no file behind, whatever ends the process, and each network namespace has its
//! own. A request is one line of JSON, `{"request": "status"}`; the answer is one line of JSON.
//! Only root and the user that the appliance runs as are answered.

mod turn;

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixListener, UnixStream},
    },
    sync::Arc,
    time::Duration,
};

use rustix::event::{PollFd, PollFlags, Timespec};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt},
    sync::{Semaphore, mpsc, oneshot},
    time::timeout,
};

pub(super) use self::turn::Turn;
use self::turn::{Outcome, turn};
use super::event::Event;
pub use super::segment::{ListedStation, StationAnswer, StationRequest};
use crate::{
    spec::{MacName, parse_mac},
    status::Status,
};

/// A client has this long to ask, and to read; the control plane has it to begin.
const PATIENCE: Duration = Duration::from_secs(5);

/// A client waits this long for all of that, and what begun may take: then the process hangs.
const CLIENTS_PATIENCE: Duration = Duration::from_secs(20);

/// Clients that are served at once; more are turned away.
pub(super) const CLIENTS: usize = 16;

/// What one more than that gets.
const CROWD: &str = "too many clients ask at the control socket: try again";

/// What anybody else gets.
const REFUSAL: &str = "only root and the user that causeway runs as may ask";

/// Longest request in bytes.
const LONGEST_REQUEST: u64 = 64 * 1024;

#[derive(Deserialize, Serialize)]
#[serde(tag = "request", rename_all = "snake_case")]
enum Request {
    Status,
    /// Something with the stations.
    Stations {
        want: StationRequest,
    },
    /// Frames to and from these addresses are the doctor's, for a while; none: no longer.
    Probes {
        macs: Vec<String>,
    },
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Status(Box<Status>),
    Stations(StationAnswer),
    Done,
    Error(String),
}

/// Opens the control socket.
///
/// # Errors
///
/// A text that says what to do if the name is taken.
pub(crate) fn listen(name: &str) -> Result<UnixListener, String> {
    let address = SocketAddr::from_abstract_name(name)
        .map_err(|e| format!("--control {name} is no name for a socket: {e}"))?;
    let listener = UnixListener::bind_addr(&address).map_err(|e| match e.kind() {
        io::ErrorKind::AddrInUse => format!(
            "control socket {name} is in use: another causeway runs here; stop it or give this one --control OTHER"
        ),
        _ => format!("cannot open control socket {name}: {e}"),
    })?;
    listener
        .set_nonblocking(true)
        .map_err(|e| format!("cannot open control socket {name}: {e}"))?;
    Ok(listener)
}

/// Answers requests for as long as the program runs.
pub(super) async fn serve(
    listener: UnixListener,
    events: mpsc::Sender<Event>,
    room: Arc<Semaphore>,
) {
    let listener = match tokio::net::UnixListener::from_std(listener) {
        Ok(listener) => listener,
        Err(e) => return tracing::error!("control socket: {e}"),
    };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let room = Arc::clone(&room).try_acquire_owned();
                if !may_ask(&stream) {
                    let _ = stream.try_write(&line_of(&Answer::Error(REFUSAL.into())));
                } else if let Ok(place) = room {
                    let events = events.clone();
                    tokio::spawn(async move {
                        let _ = answer(stream, events).await;
                        drop(place);
                    });
                } else {
                    let _ = stream.try_write(&line_of(&Answer::Error(CROWD.into())));
                }
            }
            Err(e) => {
                tracing::warn!("control socket: {e}");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn answer(mut stream: tokio::net::UnixStream, events: mpsc::Sender<Event>) -> io::Result<()> {
    let mut line = String::new();
    let mut reader = tokio::io::BufReader::new((&mut stream).take(LONGEST_REQUEST));
    timeout(PATIENCE, reader.read_line(&mut line)).await??;
    // It may have waited for us in vain, and then it is not for us to do.
    if has_hung_up(&stream) {
        return Ok(());
    }
    let answer = match serde_json::from_str(&line) {
        Ok(Request::Status) => status(&events).await,
        Ok(Request::Stations { want }) => stations(&events, want).await,
        Ok(Request::Probes { macs }) => probes(&events, &macs).await,
        Err(e) => Answer::Error(format!("not a request: {e}")),
    };
    timeout(PATIENCE, stream.write_all(&line_of(&answer))).await?
}

/// Whether the other end is closed altogether: one that has only said all that it had to say waits for the answer.
fn has_hung_up(stream: &tokio::net::UnixStream) -> bool {
    let mut asked = [PollFd::new(stream, PollFlags::empty())];
    let answered = rustix::event::poll(&mut asked, Some(&Timespec::default()));
    answered.is_ok() && asked[0].revents().contains(PollFlags::HUP)
}

fn may_ask(stream: &tokio::net::UnixStream) -> bool {
    let ours = rustix::process::geteuid().as_raw();
    stream
        .peer_cred()
        .is_ok_and(|peer| peer.uid() == 0 || peer.uid() == ours)
}

fn line_of(answer: &Answer) -> Vec<u8> {
    let mut line = serde_json::to_vec(answer).expect("strings and numbers have a JSON form");
    line.push(b'\n');
    line
}

async fn status(events: &mpsc::Sender<Event>) -> Answer {
    let (reply, status) = oneshot::channel();
    // An error means that the control plane stops; so does the missing reply.
    let _ = events.send(Event::Status(reply)).await;
    match status.await {
        Ok(status) => Answer::Status(Box::new(status)),
        Err(_) => Answer::Error("causeway is stopping".into()),
    }
}

async fn stations(events: &mpsc::Sender<Event>, want: StationRequest) -> Answer {
    let (reply, done) = turn();
    let asked = timeout(PATIENCE, events.send(Event::Stations(want, reply))).await;
    let outcome = match asked {
        Ok(_) => done.answer(PATIENCE).await,
        Err(_) => Outcome::NotBegun,
    };
    match outcome {
        Outcome::Answered(Ok(answer)) => Answer::Stations(answer),
        Outcome::Answered(Err(error)) => Answer::Error(error),
        Outcome::NotBegun => Answer::Error(
            "causeway is too busy to look at this, and nothing is changed: try again".into(),
        ),
        Outcome::Ended => Answer::Error("causeway is stopping".into()),
    }
}

async fn probes(events: &mpsc::Sender<Event>, macs: &[String]) -> Answer {
    let (reply, done) = oneshot::channel();
    let macs = match macs.iter().map(|mac| parse_mac(mac)).collect() {
        Ok(macs) => macs,
        Err(e) => return Answer::Error(e.to_string()),
    };
    let _ = events.send(Event::Probes { macs, reply }).await;
    match done.await {
        Ok(Ok(())) => Answer::Done,
        Ok(Err(error)) => Answer::Error(error),
        Err(_) => Answer::Error("causeway is stopping".into()),
    }
}

/// Has a running appliance pass frames to and from these addresses to the host's packet sockets, until
/// it is told others or half a minute is over. None: no longer.
///
/// # Errors
///
/// A text that says what to do.
pub fn pass_probes(name: &str, macs: &[[u8; 6]]) -> Result<(), String> {
    let macs = macs.iter().map(|&mac| MacName(mac).to_string()).collect();
    match ask(name, &Request::Probes { macs })? {
        Answer::Done => Ok(()),
        answer => Err(unexpected(&answer)),
    }
}

/// Asks a running appliance how things are.
///
/// # Errors
///
/// A text that says what to do.
pub fn query_status(name: &str) -> Result<Status, String> {
    match ask(name, &Request::Status)? {
        Answer::Status(status) => Ok(*status),
        answer => Err(unexpected(&answer)),
    }
}

/// Asks something of the stations of a running appliance, or has it change them.
///
/// # Errors
///
/// A text that says what to do. After one that says that it is done, it is.
pub fn ask_stations(name: &str, want: &StationRequest) -> Result<StationAnswer, String> {
    let want = want.clone();
    match ask(name, &Request::Stations { want })? {
        Answer::Stations(answer) => Ok(answer),
        answer => Err(unexpected(&answer)),
    }
}

fn unexpected(answer: &Answer) -> String {
    match answer {
        Answer::Error(text) => text.clone(),
        _ => "causeway answered something else: is it of this version?".into(),
    }
}

fn ask(name: &str, request: &Request) -> Result<Answer, String> {
    let broken = |e: io::Error| format!("control socket {name}: {e}");
    let address = SocketAddr::from_abstract_name(name).map_err(broken)?;
    let mut stream = UnixStream::connect_addr(&address).map_err(|e| match e.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => format!(
            "no causeway answers at control socket {name} in this network namespace: is it running? (ip netns exec NS causeway status asks in another)"
        ),
        _ => broken(e),
    })?;
    stream
        .set_read_timeout(Some(CLIENTS_PATIENCE))
        .map_err(broken)?;
    let request = serde_json::to_string(request).map_err(|e| e.to_string())?;
    // Who may not ask is told so at once and hung up on: our words may come too late, the answer is there.
    let asked = writeln!(stream, "{request}");
    let mut line = String::new();
    let read = BufReader::new(stream.take(64 << 20)).read_line(&mut line);
    if line.is_empty() {
        asked.and(read.map(drop)).map_err(|e| match e.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => format!(
                "causeway at control socket {name} does not answer, and does nothing about this any more: is it stopped (SIGSTOP), or hangs?"
            ),
            _ => broken(e),
        })?;
    }
    serde_json::from_str(&line)
        .map_err(|e| format!("causeway answered in another form: {e}; is it of this version?"))
}
