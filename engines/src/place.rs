//! Where the engines' files live and which Unix user runs them.
//! Needs: a data folder of ours.    Promises: engines never run as root; a root-owned data folder that the
//! unprivileged user cannot reach gets a folder under `/var/lib/hostread`, with a link left in the data folder.
//! Leaves out: removing such a folder when its data folder is gone (it may only be unmounted).

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid, User, geteuid};

use crate::access::random_hex;
use crate::error::EngineError;

/// Users that root hands the engines to, first that exists.
const UNPRIVILEGED: [&str; 2] = ["hostread", "nobody"];
const SHARED_ROOT: &str = "/var/lib/hostread";
const LINK: &str = "engines";

/// The Unix user of the engine processes, if it is not the one of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RunAs {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// Folders of the engines of one data folder.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// Holds one folder per engine.
    pub(crate) root: PathBuf,
    pub(crate) run_as: Option<RunAs>,
}

impl Place {
    pub(crate) fn find(data_dir: &Path) -> Result<Self, EngineError> {
        let run_as = if geteuid().is_root() {
            Some(unprivileged_user()?)
        } else {
            None
        };
        let link = data_dir.join(LINK);
        let root = match run_as {
            Some(run_as) if link.is_symlink() || !reachable(data_dir, run_as)? => relocated(&link)?,
            _ => {
                create_dir(&link, 0o755)?;
                link
            }
        };
        Ok(Self { root, run_as })
    }

    /// Creates a folder that the engines' user owns alone.
    pub(crate) fn own_dir(&self, path: &Path) -> Result<(), EngineError> {
        create_dir(path, 0o700)?;
        self.give(path)
    }

    /// Hands a file or folder to the engines' user.
    pub(crate) fn give(&self, path: &Path) -> Result<(), EngineError> {
        if let Some(RunAs { uid, gid }) = self.run_as {
            chown(path, Some(uid), Some(gid))
                .map_err(EngineError::file("change owner of", path))?;
        }
        Ok(())
    }

    /// `package`, or, where the engines' user cannot reach it, a copy of it beside the data.
    pub(crate) fn reachable_copy(
        &self,
        package: &Path,
        name: &str,
    ) -> Result<PathBuf, EngineError> {
        let Some(run_as) = self.run_as else {
            return Ok(package.to_owned());
        };
        if reachable(package, run_as)? {
            return Ok(package.to_owned());
        }
        let copy = self.root.join(name);
        if !copy.is_dir() {
            let partial = self.root.join(format!("{name}.partial"));
            if partial.exists() {
                fs::remove_dir_all(&partial).map_err(EngineError::file("remove", &partial))?;
            }
            copy_tree(package, &partial)?;
            fs::rename(&partial, &copy).map_err(EngineError::file("rename", &partial))?;
        }
        Ok(copy)
    }
}

fn unprivileged_user() -> Result<RunAs, EngineError> {
    UNPRIVILEGED
        .iter()
        .filter_map(|name| User::from_name(name).ok().flatten())
        .find(|user| !user.uid.is_root())
        .map(|User { uid, gid, .. }| RunAs {
            uid: Uid::as_raw(uid),
            gid: Gid::as_raw(gid),
        })
        .ok_or(EngineError::NoUnprivilegedUser)
}

/// True if `user` may pass through every folder down to `path`.
fn reachable(path: &Path, user: RunAs) -> Result<bool, EngineError> {
    let path = fs::canonicalize(path).map_err(EngineError::file("find", path))?;
    for folder in path.ancestors() {
        let found = fs::metadata(folder).map_err(EngineError::file("look at", folder))?;
        let class = if found.uid() == user.uid {
            6
        } else if found.gid() == user.gid {
            3
        } else {
            0
        };
        if (found.permissions().mode() >> class) & 1 == 0 && found.is_dir() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Follows the link in the data folder, or makes a new folder under the shared root and the link to it.
fn relocated(link: &Path) -> Result<PathBuf, EngineError> {
    if let Ok(target) = fs::read_link(link) {
        create_dir(&target, 0o755)?;
        return Ok(target);
    }
    let id: String = random_hex()?.chars().take(16).collect();
    let target = Path::new(SHARED_ROOT).join(id);
    create_dir(Path::new(SHARED_ROOT), 0o755)?;
    create_dir(&target, 0o755)?;
    symlink(&target, link).map_err(EngineError::file("link", link))?;
    tracing::info!(folder = %target.display(), "the data folder is closed to the engines' user; their files go here");
    Ok(target)
}

pub(crate) fn create_dir(path: &Path, mode: u32) -> Result<(), EngineError> {
    fs::create_dir_all(path).map_err(EngineError::file("create", path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .map_err(EngineError::file("set the mode of", path))
}

fn copy_tree(from: &Path, to: &Path) -> Result<(), EngineError> {
    create_dir(to, 0o755)?;
    for entry in fs::read_dir(from).map_err(EngineError::file("list", from))? {
        let entry = entry.map_err(EngineError::file("list", from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry
            .file_type()
            .map_err(EngineError::file("look at", &source))?;
        if kind.is_dir() {
            copy_tree(&source, &target)?;
        } else if kind.is_symlink() {
            let points_to = fs::read_link(&source).map_err(EngineError::file("read", &source))?;
            symlink(points_to, &target).map_err(EngineError::file("link", &target))?;
        } else {
            fs::copy(&source, &target).map_err(EngineError::file("copy", &source))?;
            let mode = if executable(&source)? { 0o755 } else { 0o644 };
            fs::set_permissions(&target, fs::Permissions::from_mode(mode))
                .map_err(EngineError::file("set the mode of", &target))?;
        }
    }
    Ok(())
}

fn executable(path: &Path) -> Result<bool, EngineError> {
    let found = fs::metadata(path).map_err(EngineError::file("look at", path))?;
    Ok(found.permissions().mode() & 0o100 != 0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]
    use super::*;

    #[test]
    fn a_folder_under_a_closed_one_is_not_reachable() {
        let base = tempfile::tempdir().unwrap();
        let inner = base.path().join("inner");
        fs::set_permissions(base.path(), fs::Permissions::from_mode(0o700)).unwrap();
        create_dir(&inner, 0o755).unwrap();
        let stranger = RunAs {
            uid: 4_000_001,
            gid: 4_000_001,
        };
        assert!(!reachable(&inner, stranger).unwrap());
        fs::set_permissions(base.path(), fs::Permissions::from_mode(0o711)).unwrap();
        assert!(reachable(&inner, stranger).unwrap());
        fs::set_permissions(base.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let owner = fs::metadata(base.path()).unwrap();
        let owner = RunAs {
            uid: owner.uid(),
            gid: owner.gid(),
        };
        assert!(reachable(&inner, owner).unwrap());
    }

    #[test]
    fn a_copy_keeps_links_and_executables() {
        let base = tempfile::tempdir().unwrap();
        let from = base.path().join("from/bin");
        create_dir(&from, 0o755).unwrap();
        fs::write(from.join("tool"), "x").unwrap();
        fs::set_permissions(from.join("tool"), fs::Permissions::from_mode(0o700)).unwrap();
        symlink("tool", from.join("alias")).unwrap();
        let to = base.path().join("to");
        copy_tree(&base.path().join("from"), &to).unwrap();
        assert_eq!(
            fs::read_link(to.join("bin/alias")).unwrap(),
            Path::new("tool")
        );
        assert!(executable(&to.join("bin/tool")).unwrap());
    }
}
