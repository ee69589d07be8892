//! Reads dead letters back, oldest first, also beside a process that writes them.

use std::path::{Path, PathBuf};

use aes_gcm::Nonce;
use aes_gcm::aead::{Aead, Payload};
use hostread_disk::{Disk, FrameReader, Tail};
use hostread_schemas::unit::ReceivedAtMs;

use crate::deadletter::{DeadLetterError, cipher, segment_files, split};
use crate::deadletter_retry::Resend;
use crate::pseudonym::TenantKey;

const NONCE_BYTES: usize = 12;

/// A letter as it lies on disk.
#[derive(Clone, Debug)]
pub struct StoredDeadLetter {
    /// The tenant's name.
    pub tenant: String,
    /// The source's name.
    pub source: String,
    /// Connector that turned it down.
    pub connector: String,
    /// Why.
    pub reason: String,
    /// Where.
    pub position: String,
    /// When a door got it.
    pub received_at: ReceivedAtMs,
    /// Bytes of the body; more than were kept when it was over the limit.
    pub body_bytes: u64,
    /// The same input of a tenant has the same id.
    pub id: String,
    /// How often it had been sent again before it was turned down for this reason.
    pub tries: u32,
    /// How to send it to its door again.
    pub resend: Option<Resend>,
    header: Vec<u8>,
    sealed: Vec<u8>,
}

impl StoredDeadLetter {
    fn read(frame: &[u8], path: &Path) -> Result<Self, DeadLetterError> {
        let (header, raw, sealed) = split(frame, path)?;
        Ok(Self {
            tenant: header.tenant,
            source: header.source,
            connector: header.connector,
            reason: header.reason,
            position: header.position,
            received_at: header.received_at,
            body_bytes: header.body_bytes,
            id: header.id,
            tries: header.tries,
            resend: header.resend,
            header: raw.to_vec(),
            sealed: sealed.to_vec(),
        })
    }

    /// The raw body, for whoever holds the tenant's key.
    pub fn body(&self, key: &TenantKey) -> Result<Vec<u8>, DeadLetterError> {
        let (nonce, sealed) = self
            .sealed
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or(DeadLetterError::WrongKey)?;
        let payload = Payload {
            msg: sealed,
            aad: &self.header,
        };
        cipher(key)
            .decrypt(&Nonce::from(*nonce), payload)
            .map_err(|_| DeadLetterError::WrongKey)
    }
}

struct Letters<'a> {
    disk: &'a dyn Disk,
    files: std::vec::IntoIter<(u64, PathBuf)>,
    open: Option<(PathBuf, FrameReader)>,
}

/// The letters of a folder; none when there is no such folder. Ends after an error.
pub fn dead_letters<'a>(
    disk: &'a dyn Disk,
    dir: &Path,
) -> Result<impl Iterator<Item = Result<StoredDeadLetter, DeadLetterError>> + 'a, DeadLetterError> {
    let files = if disk.exists(dir)? {
        segment_files(disk, dir)?
    } else {
        Vec::new()
    };
    Ok(Letters {
        disk,
        files: files.into_iter(),
        open: None,
    })
}

impl Letters<'_> {
    fn try_next(&mut self) -> Result<Option<StoredDeadLetter>, DeadLetterError> {
        loop {
            if let Some((path, reader)) = &mut self.open {
                if let Some((_, frame)) = reader.next_frame()? {
                    return StoredDeadLetter::read(frame, path).map(Some);
                }
                self.open = None;
            }
            let Some((_, path)) = self.files.next() else {
                return Ok(None);
            };
            match FrameReader::open(self.disk, &path, Tail::MayBeTorn) {
                Ok(reader) => self.open = Some((path, reader)),
                // The writer removed it for its age meanwhile.
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Iterator for Letters<'_> {
    type Item = Result<StoredDeadLetter, DeadLetterError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.try_next().transpose();
        if matches!(item, Some(Err(_))) {
            self.files = Vec::new().into_iter();
            self.open = None;
        }
        item
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]
    use super::*;
    use crate::deadletter::{DeadLetter, DeadLetterLimits, DeadLetters};
    use crate::deadletter_retry::Retry;
    use hostread_disk::SimDisk;
    use hostread_schemas::unit::DAY_MS;
    use std::sync::Arc;

    fn letter(at: i64, body: &[u8]) -> DeadLetter<'_> {
        DeadLetter {
            tenant: "northwind",
            source: "shop",
            connector: "shopify",
            reason: "body is not JSON",
            position: "delivery 7",
            received_at: ReceivedAtMs(at),
            body,
            resend: None,
            retry: None,
        }
    }

    fn open(disk: &SimDisk, limits: DeadLetterLimits) -> DeadLetters {
        DeadLetters::open(Arc::new(disk.clone()), Path::new("/dead"), limits).unwrap()
    }

    fn listed(disk: &SimDisk) -> Vec<StoredDeadLetter> {
        dead_letters(disk, Path::new("/dead"))
            .unwrap()
            .map(Result::unwrap)
            .collect()
    }

    #[test]
    fn letters_survive_a_crash_and_open_with_the_key_only() {
        let disk = SimDisk::new(3);
        let key = TenantKey::new([1; 32]);
        assert!(listed(&disk).is_empty());
        open(&disk, DeadLetterLimits::default())
            .append(&key, &[letter(5, b"ana@example.com"), letter(6, b"second")])
            .unwrap();
        disk.crash();
        let found = listed(&disk);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].reason, "body is not JSON");
        assert_eq!(found[0].body(&key).unwrap(), b"ana@example.com");
        assert_eq!(found[1].body(&key).unwrap(), b"second");
        assert_ne!(found[0].id, found[1].id);
        assert!(matches!(
            found[0].body(&TenantKey::new([2; 32])),
            Err(DeadLetterError::WrongKey)
        ));
        let file = hostread_disk::read_all(&disk, Path::new("/dead/0000000000.dead")).unwrap();
        assert!(
            !file.windows(3).any(|window| window == b"ana"),
            "the body lies open on disk"
        );
    }

    #[test]
    fn an_input_has_one_id_whenever_it_comes_and_keeps_it_when_it_is_sent_again() {
        let disk = SimDisk::new(3);
        let (key, other) = (TenantKey::new([1; 32]), TenantKey::new([2; 32]));
        let letters = open(&disk, DeadLetterLimits::default());
        letters.append(&key, &[letter(5, b"a")]).unwrap();
        letters.append(&key, &[letter(9, b"a")]).unwrap();
        letters.append(&other, &[letter(9, b"a")]).unwrap();
        let first = listed(&disk).remove(0);
        let resend = Resend::new("/v1/import/combined?source=s", &[]).unwrap();
        let retry = Retry {
            id: first.id.clone(),
            tries: 1,
        };
        let again = DeadLetter {
            resend: Some(&resend),
            retry: Some(&retry),
            ..letter(11, b"repaired")
        };
        letters.append(&key, &[again]).unwrap();
        let found = listed(&disk);
        assert_eq!(found[0].id, found[1].id);
        assert_ne!(
            found[0].id, found[2].id,
            "an id tells nothing without the key"
        );
        assert_eq!(found[3].id, first.id);
        assert_eq!((found[0].tries, found[3].tries), (0, 1));
        assert_eq!(found[3].resend.as_ref(), Some(&resend));
    }

    #[test]
    fn age_and_size_are_bounded() {
        let disk = SimDisk::new(3);
        let key = TenantKey::new([1; 32]);
        let limits = DeadLetterLimits {
            bytes_max: 4_000,
            segment_bytes: 1_000,
            age_ms_max: 14 * DAY_MS,
        };
        let letters = open(&disk, limits);
        for n in 0..40 {
            letters.append(&key, &[letter(n, &[7; 200])]).unwrap();
        }
        let stats = letters.stats();
        assert!(
            stats.bytes <= 5_000 && stats.letters + stats.pushed_out_total == 40,
            "{stats:?}"
        );
        assert_eq!(listed(&disk).len() as u64, stats.letters);
        letters.prune(ReceivedAtMs(14 * DAY_MS)).unwrap();
        assert!(letters.stats().letters > 0);
        letters
            .append(&key, &[letter(15 * DAY_MS, b"new")])
            .unwrap();
        assert_eq!(listed(&disk).len(), 1, "old letters stay");
        drop(letters);
        assert_eq!(open(&disk, limits).stats().letters, 1);
    }
}
