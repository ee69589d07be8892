//! Between the pipeline and a database: passes on, waits, cuts, or answers in the database's place.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A server may go on so long with what a client that is gone had sent.
const GONE_MAX: Duration = Duration::from_secs(30);

/// What becomes of the bytes that a client sent at once.
pub(super) enum Deed {
    Pass,
    /// Later.
    Wait(Duration),
    /// Never, and both sides hear of it.
    Cut,
    /// They arrive, but what the server says to it does not.
    PassAndCut,
    /// The server does not hear of it.
    Answer(&'static str),
    /// So many bytes now; the rest, and all that follows, when it is let go.
    Hold(usize, watch::Receiver<bool>),
}

/// Asked for everything that a client sends.
pub(super) type Rule = Box<dyn FnMut(&[u8]) -> Deed + Send>;

/// A server's second address.
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    rule: Arc<Mutex<Rule>>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub(super) async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let rule: Arc<Mutex<Rule>> = Arc::new(Mutex::new(Box::new(|_| Deed::Pass)));
        let asked = Arc::clone(&rule);
        let task = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(relay(client, server, Arc::clone(&asked)));
            }
        });
        Self {
            address,
            rule,
            task,
        }
    }

    /// From now on.
    pub(super) fn set(&self, rule: impl FnMut(&[u8]) -> Deed + Send + 'static) {
        *self.rule.lock().unwrap() = Box::new(rule);
    }

    pub(super) fn pass(&self) {
        self.set(|_| Deed::Pass);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Do these bytes hold this text?
pub(super) fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|part| part == text.as_bytes())
}

async fn relay(client: TcpStream, server: SocketAddr, rule: Arc<Mutex<Rule>>) {
    // Away: the client is cut off, as the server itself would.
    let Ok(server) = TcpStream::connect(server).await else {
        return;
    };
    drop(client.set_nodelay(true));
    drop(server.set_nodelay(true));
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let answers = tokio::spawn(async move {
        drop(tokio::io::copy(&mut from_server, &mut to_client).await);
        to_client
    });
    let mut buffer = vec![0; 1 << 16];
    while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
        let bytes = &buffer[..read];
        let deed = (*rule.lock().unwrap())(bytes);
        let sent = match deed {
            Deed::Pass => to_server.write_all(bytes).await,
            Deed::Wait(time) => {
                tokio::time::sleep(time).await;
                to_server.write_all(bytes).await
            }
            Deed::Hold(now, mut free) => {
                let (now, later) = bytes.split_at(now.min(read));
                drop(to_server.write_all(now).await);
                drop(free.wait_for(|free| *free).await);
                to_server.write_all(later).await
            }
            Deed::PassAndCut => {
                answers.abort();
                drop(to_server.write_all(bytes).await);
                // Long enough for the server to do it.
                tokio::time::sleep(Duration::from_millis(200)).await;
                return;
            }
            Deed::Answer(text) => {
                drop(to_server);
                if let Ok(mut to_client) = answers.await {
                    drop(to_client.write_all(text.as_bytes()).await);
                }
                return;
            }
            Deed::Cut => {
                answers.abort();
                return;
            }
        };
        if sent.is_err() {
            break;
        }
    }
    // The client has gone; what it sent arrives all the same.
    drop(to_server.shutdown().await);
    drop(tokio::time::timeout(GONE_MAX, answers).await);
}
