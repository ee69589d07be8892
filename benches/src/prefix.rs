//! The redirect prefix on one thread, over real HTTP, with the embedded log on a real disk behind it.
//! Requests are due at fixed moments, whatever the answers before them took; a wait counts from when its request was due.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::doors;

/// What to run.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    /// Requests a second.
    pub(crate) rate: u64,
    /// For so long.
    pub(crate) secs: u64,
    /// Over so many keep-alive connections.
    pub(crate) connections: u64,
}

/// Runs and prints.
pub(crate) fn run(asked: Asked) -> Result<()> {
    ensure!(
        asked.connections > 0 && asked.rate > 0,
        "--connections and --rate are at least 1"
    );
    let dir = tempfile::tempdir()?;
    let (gateway, log) = doors::open(dir.path())?;
    let (told, address) = std::sync::mpsc::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = gateway.clone();
    let server = std::thread::spawn(move || -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            told.send(listener.local_addr()?.to_string())?;
            let end = async { drop(stopped.await) };
            Ok(serving.serve(listener, end).await?)
        })
    });
    let address = address.recv()?;
    let clients = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let waits = clients.block_on(clients_of(address, asked))?;
    stop.send(()).ok();
    drop(clients);
    server.join().ok().context("the server's thread")??;
    tell(waits, asked);
    let clients = tokio::runtime::Builder::new_current_thread().build()?;
    let ends = clients.block_on(async { hostread_eventlog::EventLog::end_offsets(&*log).await })?;
    let kept: u64 = ends.values().sum();
    let (waiting, lost) = gateway.prefix_hits();
    println!("prefix: {kept} hits in the log, {waiting} wait, {lost} lost");
    Ok(())
}

async fn clients_of(address: String, asked: Asked) -> Result<Vec<Duration>> {
    let began = Instant::now() + Duration::from_millis(100);
    let senders: Vec<_> = (0..asked.connections)
        .map(|connection| tokio::spawn(hits(address.clone(), connection, asked, began)))
        .collect();
    let mut waits = Vec::new();
    for sender in senders {
        waits.extend(sender.await??);
    }
    Ok(waits)
}

async fn hits(
    address: String,
    connection: u64,
    asked: Asked,
    began: Instant,
) -> Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(&address).await?;
    stream.set_nodelay(true)?;
    let mut waits = Vec::new();
    let mut answer = Vec::new();
    let all = asked.rate * asked.secs;
    for number in (connection..all).step_by(usize::try_from(asked.connections)?) {
        let due = began + Duration::from_nanos(number * 1_000_000_000 / asked.rate);
        tokio::time::sleep_until(due.into()).await;
        let request = format!(
            "GET /p/bench/https://media.example.com/audio/ep-{}.mp3?n={number} HTTP/1.1\r\nhost: bench\r\nuser-agent: Podcasts/1.0 (bench)\r\nx-forwarded-for: 86.{}.{}.{}\r\n\r\n",
            number % 40,
            connection % 256,
            number / 256 % 256,
            number % 256,
        );
        stream.write_all(request.as_bytes()).await?;
        answer.clear();
        while !answer.ends_with(b"\r\n\r\n") {
            let read = stream.read_buf(&mut answer).await?;
            ensure!(read > 0, "the connection closed");
        }
        ensure!(
            answer.starts_with(b"HTTP/1.1 302"),
            "{}",
            String::from_utf8_lossy(&answer)
        );
        waits.push(due.elapsed());
    }
    Ok(waits)
}

fn tell(mut waits: Vec<Duration>, asked: Asked) {
    waits.sort_unstable();
    let at = |share: usize| {
        let wait = waits.get((waits.len() * share / 1_000).min(waits.len().saturating_sub(1)));
        wait.copied().unwrap_or_default().as_secs_f64() * 1_000.0
    };
    println!(
        "prefix: {} redirects at {}/s over {} connections, one thread: p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, longest {:.2} ms",
        waits.len(),
        asked.rate,
        asked.connections,
        at(500),
        at(990),
        at(999),
        at(1_000),
    );
}
