//! Chapters, and which of them are ads.

use serde::Deserialize;

use super::time::length_ms;

/// Chapters of an episode that are looked at.
pub(super) const CHAPTERS_MAX: usize = 1_000;
const TITLE_BYTES_MAX: usize = 512;
/// A chapter is an ad when its title begins with one of these. Elsewhere in a title they are a subject.
const AD_WORDS: [&str; 15] = [
    "ad",
    "ads",
    "advert",
    "adverts",
    "advertisement",
    "advertisements",
    "advertising",
    "commercial",
    "midroll",
    "postroll",
    "preroll",
    "promo",
    "sponsor",
    "sponsored",
    "sponsors",
];
const ROLLS: [&str; 3] = ["mid", "post", "pre"];

/// A chapter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chapter {
    /// Where it begins.
    pub start_ms: u64,
    /// Where it ends, where it says so.
    pub end_ms: Option<u64>,
    /// Title.
    pub title: String,
}

/// An ad's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ad {
    /// Where it begins.
    pub start_ms: u64,
    /// Where it ends.
    pub end_ms: u64,
    /// Title of its chapter.
    pub title: String,
}

#[derive(Deserialize)]
struct File {
    chapters: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    start_time: f64,
    end_time: Option<f64>,
    #[serde(default)]
    title: String,
}

/// Chapters of a `podcast:chapters` file.
pub fn read_chapters(json: &[u8]) -> Result<Vec<Chapter>, serde_json::Error> {
    let file: File = serde_json::from_slice(json)?;
    let chapters = file.chapters.into_iter().take(CHAPTERS_MAX);
    let chapters = chapters.map(|entry| Chapter {
        start_ms: ms(entry.start_time),
        end_ms: entry.end_time.map(ms),
        title: title(entry.title),
    });
    Ok(chapters.collect())
}

/// A `psc:chapter`.
pub(super) fn chapter(start: &str, text: &str) -> Option<Chapter> {
    Some(Chapter {
        start_ms: length_ms(start)?,
        end_ms: None,
        title: title(text.to_owned()),
    })
}

/// Seconds as JSON has them; `as` makes of what is no time the nearest that is one.
fn ms(seconds: f64) -> u64 {
    (seconds * 1_000.0).round() as u64
}

fn title(mut text: String) -> String {
    let end = hostread_connectors_kit::text::cut(&text, TITLE_BYTES_MAX).len();
    text.truncate(end);
    text
}

/// The chapters that are named as ads. One ends where it says, else where the next chapter begins, else with the episode.
#[must_use]
pub fn ads(chapters: &[Chapter], episode_ms: u64) -> Vec<Ad> {
    let mut sorted: Vec<&Chapter> = chapters.iter().collect();
    sorted.sort_by_key(|chapter| chapter.start_ms);
    let mut ads = Vec::new();
    for (place, chapter) in sorted.iter().enumerate() {
        let behind = sorted.get(place + 1..).unwrap_or_default();
        let next = behind.iter().map(|next| next.start_ms);
        let next = next.clone().find(|start| *start > chapter.start_ms);
        let end_ms = chapter
            .end_ms
            .or(next)
            .unwrap_or(episode_ms)
            .min(episode_ms);
        if is_ad(&chapter.title) && end_ms > chapter.start_ms {
            ads.push(Ad {
                start_ms: chapter.start_ms,
                end_ms,
                title: chapter.title.trim().to_owned(),
            });
        }
    }
    ads
}

fn is_ad(title: &str) -> bool {
    let lower = title.to_lowercase();
    let mut words = lower
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty());
    let first = words.next().unwrap_or_default();
    AD_WORDS.contains(&first) || (ROLLS.contains(&first) && words.next() == Some("roll"))
}
