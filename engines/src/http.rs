//! One blocking request to an engine's HTTP port: enough for readiness and start-up statements.
//! Needs: a loopback port.    Promises: well-formed HTTP/1.1 (a malformed line would abort ClickHouse), bounded time and size.
//! Leaves out: TLS, keep-alive, other machines.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// Status and body of the answer to `body` posted (or, when empty, a GET) to `path`.
pub(crate) fn request(
    port: u16,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
    timeout: Duration,
) -> std::io::Result<(u16, String)> {
    use std::fmt::Write as _;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    let method = if body.is_empty() { "GET" } else { "POST" };
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n");
    for (name, value) in headers {
        write!(head, "{name}: {value}\r\n").map_err(std::io::Error::other)?;
    }
    if !body.is_empty() {
        write!(head, "Content-Length: {}\r\n", body.len()).map_err(std::io::Error::other)?;
    }
    stream.write_all(format!("{head}\r\n{body}").as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    parse(&String::from_utf8_lossy(&answer))
        .ok_or_else(|| std::io::Error::new(std::io::ErrorKind::InvalidData, "no HTTP answer"))
}

fn parse(answer: &str) -> Option<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_its_status_and_body() {
        let answer = "HTTP/1.1 404 Not Found\r\nX: y\r\n\r\nno\r\n\r\nway";
        assert_eq!(parse(answer), Some((404, "no\r\n\r\nway".to_owned())));
        assert_eq!(parse("rubbish"), None);
    }
}
