//! Bodies, in bounded memory and time.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;

use crate::problem::Problem;

/// Of a body over its limit, this much more is read and dropped before the answer: a client that is still sending would not read
/// it. Whoever sends more sees the connection close.
const OVER_BYTES_MAX: u64 = 32 << 20;

/// The whole body.
pub(crate) async fn read(body: Body, bytes_max: u64, secs_max: u64) -> Result<Bytes, Problem> {
    tokio::time::timeout(Duration::from_secs(secs_max), collect(body, bytes_max))
        .await
        .unwrap_or(Err(Problem::Body))
}

async fn collect(mut body: Body, bytes_max: u64) -> Result<Bytes, Problem> {
    let mut kept = BytesMut::new();
    let mut seen = 0_u64;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::Body)?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        seen += data.len() as u64;
        if seen <= bytes_max {
            kept.extend_from_slice(&data);
        } else {
            kept = BytesMut::new();
            if seen > bytes_max + OVER_BYTES_MAX {
                break;
            }
        }
    }
    if seen > bytes_max {
        return Err(Problem::TooLarge { bytes_max });
    }
    Ok(kept.freeze())
}
