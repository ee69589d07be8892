//! The lists that ship with the product: our own, of the apps, browsers, libraries, bots, devices and pages that podcasts meet
//! most. The public lists know more; `hostread lists import` takes a copy of them.

use super::AgentFile;

/// The day on which the lists were last changed; it is their version.
pub const SHIPPED_DATE: &str = "2026-11-22";

/// The shipped lists, each as the bytes of its file.
#[must_use]
pub fn shipped_files() -> [(AgentFile, &'static [u8]); 6] {
    macro_rules! file {
        ($name:literal) => {
            include_bytes!(concat!("../../agent_lists/", $name))
        };
    }
    AgentFile::ALL.map(|file| {
        let bytes: &[u8] = match file {
            AgentFile::Bots => file!("bots.json"),
            AgentFile::Apps => file!("apps.json"),
            AgentFile::Libraries => file!("libraries.json"),
            AgentFile::Browsers => file!("browsers.json"),
            AgentFile::Devices => file!("devices.json"),
            AgentFile::Referrers => file!("referrers.json"),
        };
        (file, bytes)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]
    use super::*;
    use crate::agents::AgentLists;

    #[test]
    fn the_shipped_lists_are_read_and_each_example_is_known_by_its_own_entry() {
        let lists = AgentLists::read(shipped_files()).unwrap();
        for file in AgentFile::ALL {
            let (tried, shadowed) = lists.try_examples(file);
            assert_eq!(shadowed, Vec::new());
            let entries = lists.entries(file);
            assert!(tried >= entries.len(), "{} lacks examples", file.name());
            assert!(entries.iter().all(|entry| !entry.name.is_empty()));
        }
        assert!(lists.patterns().bots.len() > 100);
    }
}
