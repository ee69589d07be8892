//! One answer of a server: whole and bounded, or the word that nothing has changed.

use std::error::Error as _;
use std::time::Duration;

use reqwest::{Client, Response, StatusCode, Url, header, redirect};

/// A chain of prefixes, and the host's own.
pub const REDIRECTS_MAX: usize = 20;
/// One answer may take so long.
pub const ANSWER_SECS_MAX: u64 = 30;

/// Says that it is no listener: whoever counts there leaves it out.
const AGENT: &str = concat!("Hostread/", env!("CARGO_PKG_VERSION"), " (bot)");
const CONNECT_WAIT: Duration = Duration::from_secs(10);

/// Why an address gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Not one that can be asked.
    #[error("\"{0}\" is no http or https address")]
    Address(String),
    /// It never ends.
    #[error("the server leads on more than {REDIRECTS_MAX} times")]
    Redirects,
    /// It leads where nobody can be asked.
    #[error("the server leads on to \"{0}\", which is neither http nor https")]
    Scheme(String),
    /// No, or not now.
    #[error("the server answered {0}")]
    Status(StatusCode),
    /// A page for people where a file should be.
    #[error("the server sent a page ({0}), not a file")]
    Page(String),
    /// More than is taken.
    #[error("the server sent more than {0} bytes")]
    TooLarge(u64),
    /// A file of this size can be read in parts only.
    #[error("the server sends no parts, and the file is over {0} bytes")]
    NoParts(u64),
    /// Parts of a file that nobody knows the end of.
    #[error("the server does not say how large the file is")]
    NoSize,
    /// Two parts are of two files.
    #[error("the file changed while it was read, or each request gets another one")]
    Changed,
    /// All parts together.
    #[error("over {0} bytes of the file would have to be read")]
    Parts(u64),
    /// All answers together.
    #[error("reading the file took over {0} seconds")]
    Slow(u64),
    /// Nobody, or broken off.
    #[error("the server could not be reached, or broke off")]
    Send(#[source] reqwest::Error),
}

impl From<reqwest::Error> for FetchError {
    fn from(error: reqwest::Error) -> Self {
        let mut cause = error.source();
        while let Some(found) = cause {
            match found.downcast_ref::<Led>() {
                Some(Led::TooOften) => return Self::Redirects,
                Some(Led::To(scheme)) => return Self::Scheme(scheme.clone()),
                None => cause = found.source(),
            }
        }
        // Its own words say what was asked, with whatever the address holds.
        Self::Send(error.without_url())
    }
}

/// Why a redirect is not followed.
#[derive(Debug, thiserror::Error)]
enum Led {
    #[error("too often")]
    TooOften,
    #[error("to {0}")]
    To(String),
}

/// An http or https address.
pub fn address(text: &str) -> Result<Url, FetchError> {
    let url = Url::parse(text).ok().filter(asks);
    url.ok_or_else(|| FetchError::Address(text.to_owned()))
}

fn asks(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.has_host()
}

/// Asks this address, and where it leads.
pub fn client(url: &Url) -> Result<Client, FetchError> {
    let follow = |attempt: redirect::Attempt<'_>| {
        if attempt.previous().len() > REDIRECTS_MAX {
            return attempt.error(Led::TooOften);
        }
        if !asks(attempt.url()) {
            let to = attempt.url().scheme().to_owned();
            return attempt.error(Led::To(to));
        }
        attempt.follow()
    };
    let mut client = Client::builder()
        .user_agent(AGENT)
        .connect_timeout(CONNECT_WAIT)
        .timeout(Duration::from_secs(ANSWER_SECS_MAX))
        .redirect(redirect::Policy::custom(follow));
    if matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]")) {
        // A company's proxy knows nothing of this machine's own doors.
        client = client.no_proxy();
    }
    Ok(client.build()?)
}

/// What a server calls the state of a file; sent back to it, it says whether that still holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version {
    /// ETag.
    pub etag: Option<String>,
    /// Last-Modified.
    pub last_modified: Option<String>,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What to ask with the next time.
    pub version: Version,
    /// Where it came from in the end.
    pub url: Url,
}

/// Fetches what is behind an address; nothing where the server says that it is still `known`.
pub async fn changed(
    url: &Url,
    known: &Version,
    bytes_max: u64,
) -> Result<Option<Fetched>, FetchError> {
    let mut asked = client(url)?.get(url.clone());
    if let Some(etag) = &known.etag {
        asked = asked.header(header::IF_NONE_MATCH, etag);
    }
    if let Some(time) = &known.last_modified {
        asked = asked.header(header::IF_MODIFIED_SINCE, time);
    }
    let answer = asked.send().await?;
    let conditional = known != &Version::default();
    match answer.status() {
        StatusCode::NOT_MODIFIED if conditional => return Ok(None),
        StatusCode::OK => {}
        status => return Err(FetchError::Status(status)),
    }
    let field = |name| text(&answer, name).map(str::to_owned);
    let version = Version {
        etag: field(header::ETAG),
        last_modified: field(header::LAST_MODIFIED),
    };
    let url = answer.url().clone();
    let bytes = whole(answer, bytes_max).await?;
    Ok(Some(Fetched {
        bytes: bytes.ok_or(FetchError::TooLarge(bytes_max))?,
        version,
        url,
    }))
}

/// All bytes of an answer; none when there are more than so many.
pub(crate) async fn whole(
    mut answer: Response,
    bytes_max: u64,
) -> Result<Option<Vec<u8>>, FetchError> {
    let mut whole = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if (whole.len() + chunk.len()) as u64 > bytes_max {
            return Ok(None);
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(Some(whole))
}

pub(crate) fn text(answer: &Response, name: header::HeaderName) -> Option<&str> {
    answer.headers().get(name)?.to_str().ok()
}
