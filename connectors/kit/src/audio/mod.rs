//! What the file of an episode says about itself: where its sound begins, how long it is, at which rate.
//! Promises: any bytes give an answer or a named error; memory is bounded by `TABLES_BYTES_MAX` whatever the file claims.
//! Leaves out: fetching (the caller's `Bytes`), other formats than MP3 and M4A.

mod m4a;
mod mp3;

use std::io;

/// Of the tables of an M4A file so much is read; a day of sound has 8 MiB of them.
pub const TABLES_BYTES_MAX: u64 = 64 << 20;

/// A file that is read in places.
pub trait Bytes {
    /// Its size.
    fn size(&self) -> u64;
    /// Fills the buffer from this place on, as far as there are bytes; says how many there are.
    fn read_at(&mut self, at: u64, buffer: &mut [u8]) -> io::Result<usize>;
    /// Reading all of it costs so much that samples must do where they can.
    fn is_far(&self) -> bool {
        false
    }
}

impl Bytes for &[u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&mut self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let from = usize::try_from(at).unwrap_or(usize::MAX).min(self.len());
        let count = buffer.len().min(self.len() - from);
        let there = self.get(from..from + count).unwrap_or_default();
        buffer
            .iter_mut()
            .zip(there)
            .for_each(|(to, from)| *to = *from);
        Ok(count)
    }
}

/// Kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// MPEG audio, layer III.
    Mp3,
    /// AAC or another codec in an MPEG-4 file.
    M4a,
}

/// What a file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audio {
    /// Kind of file.
    pub container: Container,
    /// Size of the file.
    pub size_bytes: u64,
    /// Bytes before the first that holds sound: tags, pictures, padding, a frame that only describes the others, tables.
    pub header_bytes: u64,
    /// Bytes that hold sound.
    pub audio_bytes: u64,
    /// Bits a second of all frames; none where they differ.
    pub constant_rate: Option<u32>,
    /// Length of the sound.
    pub duration_ms: u64,
    /// Rate and length are those of samples.
    pub sampled: bool,
}

impl Audio {
    /// Bits a second over the whole file.
    #[must_use]
    pub fn mean_rate(&self) -> u64 {
        let bits = u128::from(self.audio_bytes) * 8 * 1_000;
        let rate = bits.checked_div(u128::from(self.duration_ms));
        u64::try_from(rate.unwrap_or(0)).unwrap_or(u64::MAX)
    }
}

/// Why a file says nothing.
#[derive(Debug, thiserror::Error)]
pub enum AudioError {
    /// It cannot be read.
    #[error("the file cannot be read")]
    Read(#[from] io::Error),
    /// No sound was found in it.
    #[error("there is no MP3 or M4A sound in the file")]
    None,
    /// It is an M4A file of another shape.
    #[error("the M4A file {0}")]
    Shape(&'static str),
}

/// Reads what a file says.
pub fn probe(file: &mut dyn Bytes) -> Result<Audio, AudioError> {
    let mut start = [0; 12];
    let count = file.read_at(0, &mut start)?;
    match start.get(4..8) {
        Some(b"ftyp") if count >= 8 => m4a::probe(file),
        _ => mp3::probe(file),
    }
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_be_bytes(*four))
}

fn be64(bytes: &[u8], at: usize) -> Option<u64> {
    let eight = bytes.get(at..)?.first_chunk::<8>()?;
    Some(u64::from_be_bytes(*eight))
}

#[cfg(test)]
mod tests;
