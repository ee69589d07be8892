//! A file system of 64 MiB of its own, which a test can fill up.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test's")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A small file system.
pub(crate) struct Small(PathBuf);

impl Small {
    /// Needs root; `None` without it.
    pub(crate) fn mount(at: &Path) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=64m", "tmpfs"])
            .arg(at);
        let mounted = mount.stderr(Stdio::null()).status();
        let is_there = mounted.is_ok_and(|status| status.success());
        if !is_there {
            println!("not root: no small disk to fill");
        }
        is_there.then(|| Self(at.to_owned()))
    }

    /// Takes all but so many bytes.
    pub(crate) fn fill(&self, left: usize) {
        let mut file = std::fs::File::create(self.0.join("filler")).unwrap();
        let mut size = 0;
        while file.write_all(&[0; 4_096]).is_ok() {
            size += 4_096_u64;
        }
        file.set_len(size.saturating_sub(left as u64)).unwrap();
    }

    /// Gives back what `fill` took.
    pub(crate) fn empty(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(&self.0).status().ok();
    }
}
