//! A web site of a test: a function from what was asked to an answer, over plain TCP or TLS, which notes what was asked.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// What was asked: the path with its query, and the header lines in lower case.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) path: String,
    head: String,
}

impl Asked {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// First and last byte of a range.
    pub(super) fn range(&self) -> Option<(usize, usize)> {
        let range = self.header("range")?.strip_prefix("bytes=")?;
        let (first, last) = range.split_once('-')?;
        Some((first.parse().ok()?, last.parse().ok()?))
    }
}

/// An answer: status and header lines, body.
pub(super) struct Answer(pub(super) String, pub(super) Vec<u8>);

impl Answer {
    pub(super) fn of(status: &str) -> Self {
        Self(status.to_owned(), Vec::new())
    }

    pub(super) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self("200 OK".to_owned(), body.into())
    }

    pub(super) fn with(mut self, header: &str) -> Self {
        self.0.push_str("\r\n");
        self.0.push_str(header);
        self
    }

    /// The part of a file that was asked for.
    pub(super) fn part(asked: &Asked, file: &[u8]) -> Self {
        let (first, last) = asked.range().unwrap();
        let last = last.min(file.len() - 1);
        let range = format!("content-range: bytes {first}-{last}/{}", file.len());
        Self::of("206 Partial Content")
            .with(&range)
            .body(&file[first..=last])
    }

    fn body(mut self, bytes: &[u8]) -> Self {
        self.1 = bytes.to_vec();
        self
    }
}

type Pages = dyn Fn(&Asked) -> Answer + Send + Sync;

/// Ends with its value.
pub(super) struct Site {
    pub(super) address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    server: JoinHandle<()>,
}

impl Site {
    pub(super) async fn start(pages: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        Self::over(None, Arc::new(pages)).await
    }

    /// With TLS, for the host `localhost`; also the certificate that says so, as PEM.
    pub(super) async fn start_tls(
        pages: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
    ) -> (Self, String) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let site = Self::over(Some(acceptor), Arc::new(pages)).await;
        (site, made.cert.pem())
    }

    async fn over(tls: Option<TlsAcceptor>, pages: Arc<Pages>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let address = match tls {
            Some(_) => format!("https://localhost:{port}"),
            None => format!("http://127.0.0.1:{port}"),
        };
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (pages, noted, tls) = (Arc::clone(&pages), Arc::clone(&noted), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => one(stream, &*pages, &noted).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => one(stream, &*pages, &noted).await,
                            Err(_) => None,
                        },
                    }
                });
            }
        });
        Self {
            address,
            asked,
            server,
        }
    }

    /// What was asked since the last time.
    pub(super) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn one(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    pages: &Pages,
    noted: &Mutex<Vec<Asked>>,
) -> Option<()> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let head = String::from_utf8(bytes).ok()?;
    let (first, rest) = head.split_once("\r\n")?;
    let asked = Asked {
        path: first.split(' ').nth(1)?.to_owned(),
        head: rest.to_lowercase(),
    };
    noted.lock().unwrap().push(asked.clone());
    let Answer(status, body) = pages(&asked);
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.ok()?;
    stream.write_all(&body).await.ok()?;
    stream.shutdown().await.ok()
}
