//! The child side: what runs between `exec` of our own binary and the engine's code.
//! Needs: `run_child_if_asked` as the first thing in `main`, before any thread exists.
//! Promises, in this order: the child sees only its own folders, is not root, and dies with the thread that started
//! it; only then is foreign code loaded.
//! Leaves out: supervision (`supervise`), configuration (`clickhouse`, `postgres`).
//! Invariant 1: a child whose parent is already gone never starts the engine.

use std::ffi::{CString, c_char, c_int, c_void};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use landlock::{
    ABI, Access, AccessFs, AccessNet, NetPort, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetStatus, path_beneath_rules,
};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Uid, geteuid, getppid, setgid, setgroups, setuid};
use serde::{Deserialize, Serialize};

use crate::place::RunAs;

/// First argument of the hidden command.
pub(crate) const COMMAND: &str = "__engine";

/// Exit code of a child that failed before the engine's code ran.
const EXIT_BEFORE_START: i32 = 111;

/// What the child is to become.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ChildSpec {
    pub(crate) parent: i32,
    pub(crate) user: Option<(u32, u32)>,
    pub(crate) death: Death,
    pub(crate) read_write: Vec<PathBuf>,
    pub(crate) read_only: Vec<PathBuf>,
    /// The one TCP port it may listen on; it may connect to none.
    pub(crate) port: u16,
    pub(crate) program: Program,
}

/// How the child dies when its parent does.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Death {
    /// At once.
    Kill,
    /// PostgreSQL's immediate shutdown: takes its own children along.
    Quit,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Program {
    /// `clickhouse-local` inside a shared library, with its arguments.
    ClickHouse {
        library: PathBuf,
        arguments: Vec<String>,
    },
    /// An executable, with its arguments.
    Execute {
        path: PathBuf,
        arguments: Vec<String>,
    },
}

#[derive(Debug, thiserror::Error)]
enum ChildError {
    #[error("the child's description cannot be read")]
    Spec(#[source] serde_json::Error),
    #[error("could not become the unprivileged user")]
    User(#[source] nix::Error),
    #[error("the engine would run as root")]
    Root,
    #[error("the parent is gone")]
    Orphan,
    #[error("could not ask to die with the parent")]
    Death(#[source] nix::Error),
    #[error("could not confine the process")]
    Confine(#[source] landlock::RulesetError),
    #[error("could not load \"{}\"", path.display())]
    Load {
        path: PathBuf,
        #[source]
        source: libloading::Error,
    },
    #[error("could not open \"{}\"", path.display())]
    Open {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("could not hide the process's memory from others of its user")]
    Dumpable(#[source] nix::Error),
    #[error("could not run \"{}\"", path.display())]
    Execute {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("an argument has a NUL byte")]
    Argument,
}

/// Runs an engine and returns its exit code if this process was started to be one; else returns `None` at once.
///
/// Every binary that starts engines calls this first in `main`, before a runtime or any other thread.
pub fn run_child_if_asked() -> Option<i32> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != COMMAND {
        return None;
    }
    let spec = arguments.next().unwrap_or_default();
    match run(spec.as_bytes()) {
        Ok(code) => Some(code),
        Err(error) => {
            use std::error::Error;
            use std::io::Write;
            let cause = error
                .source()
                .map_or_else(String::new, |cause| format!(": {cause}"));
            // There is no log yet; the parent keeps what comes here.
            drop(writeln!(std::io::stderr(), "{error}{cause}"));
            Some(EXIT_BEFORE_START)
        }
    }
}

fn run(spec: &[u8]) -> Result<i32, ChildError> {
    let spec: ChildSpec = serde_json::from_slice(spec).map_err(ChildError::Spec)?;
    let library = match &spec.program {
        Program::ClickHouse { library, .. } => Some(library.clone()),
        Program::Execute { .. } => None,
    };
    confine(&spec, library.as_deref())?;
    // Opened while still root: the package may lie where the unprivileged user cannot go.
    let opened = library.as_deref().map(open).transpose()?;
    become_user(spec.user)?;
    die_with_parent(spec.parent, spec.death)?;
    let loaded = opened.as_ref().map(load).transpose()?;
    match (spec.program, loaded) {
        (Program::ClickHouse { arguments, library }, Some(loaded)) => {
            run_clickhouse(&loaded, &library, &arguments)
        }
        (Program::Execute { path, arguments }, _) => {
            let source = Command::new(&path).args(arguments).exec();
            Err(ChildError::Execute { path, source })
        }
        (Program::ClickHouse { .. }, None) => Err(ChildError::Argument),
    }
}

fn become_user(user: Option<(u32, u32)>) -> Result<(), ChildError> {
    if let Some((uid, gid)) = user {
        setgroups(&[]).map_err(ChildError::User)?;
        setgid(Gid::from_raw(gid)).map_err(ChildError::User)?;
        setuid(Uid::from_raw(uid)).map_err(ChildError::User)?;
    }
    if geteuid().is_root() {
        Err(ChildError::Root)
    } else {
        Ok(())
    }
}

/// Comes after the change of user, which would clear the request.
fn die_with_parent(parent: i32, death: Death) -> Result<(), ChildError> {
    let signal = match death {
        Death::Kill => Signal::SIGKILL,
        Death::Quit => Signal::SIGQUIT,
    };
    prctl::set_pdeathsig(signal).map_err(ChildError::Death)?;
    // The parent may have died before the request.
    if getppid().as_raw() == parent {
        Ok(())
    } else {
        Err(ChildError::Orphan)
    }
}

/// Limits files to the given folders, listening to one port, and connecting to nothing.
fn confine(spec: &ChildSpec, library: Option<&Path>) -> Result<(), ChildError> {
    let abi = ABI::V4;
    let read_only = spec.read_only.iter().map(PathBuf::as_path).chain(library);
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(abi))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(abi)))
        .and_then(Ruleset::create)
        .and_then(|rules| rules.add_rules(path_beneath_rules(read_only, AccessFs::from_read(abi))))
        .and_then(|rules| {
            rules.add_rules(path_beneath_rules(
                &spec.read_write,
                AccessFs::from_all(abi),
            ))
        })
        .and_then(|rules| rules.add_rule(NetPort::new(spec.port, AccessNet::BindTcp)))
        .and_then(landlock::RulesetCreated::restrict_self)
        .map_err(ChildError::Confine)?;
    if status.ruleset == RulesetStatus::NotEnforced {
        use std::io::Write;
        // Grants and the SQL door still hold; `hostread doctor` and the log tell.
        drop(writeln!(
            std::io::stderr(),
            "this kernel has no Landlock: engine runs unconfined"
        ));
    }
    Ok(())
}

fn open(path: &Path) -> Result<File, ChildError> {
    File::open(path).map_err(|source| ChildError::Open {
        path: path.to_owned(),
        source,
    })
}

/// Loads the library by its open file.
fn load(file: &File) -> Result<libloading::os::unix::Library, ChildError> {
    use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    // After a change of user, the kernel hides a process's own files from it, and from others of that user.
    prctl::set_dumpable(true).map_err(ChildError::Dumpable)?;
    // SAFETY: loading runs the library's initialisers. It is the pinned package whose digest npm checked, it is made
    // to be loaded this way, and no other thread of this process exists that they could disturb.
    let loaded = unsafe { Library::open(Some(&path), RTLD_NOW | RTLD_LOCAL) };
    prctl::set_dumpable(false).map_err(ChildError::Dumpable)?;
    loaded.map_err(|source| ChildError::Load { path, source })
}

fn run_clickhouse(
    loaded: &libloading::os::unix::Library,
    path: &Path,
    arguments: &[String],
) -> Result<i32, ChildError> {
    type Main = unsafe extern "C" fn(c_int, *mut *mut c_char) -> *mut c_void;
    let owned: Vec<CString> = std::iter::once("clickhouse")
        .chain(arguments.iter().map(String::as_str))
        .map(CString::new)
        .collect::<Result<_, _>>()
        .map_err(|_| ChildError::Argument)?;
    let mut pointers: Vec<*mut c_char> = owned
        .iter()
        .map(|argument| argument.as_ptr().cast_mut())
        .chain(std::iter::once(std::ptr::null_mut()))
        .collect();
    let count = c_int::try_from(owned.len()).map_err(|_| ChildError::Argument)?;
    // SAFETY: the pinned library exports this symbol as a C function of (int, char **) that returns a pointer.
    let main = unsafe { loaded.get::<Main>(b"chdb_query_cmdline\0") }.map_err(|source| {
        ChildError::Load {
            path: path.to_owned(),
            source,
        }
    })?;
    // SAFETY: `pointers` has `count` valid NUL-terminated strings and a final null, as `main` receives them; both
    // vectors outlive the call. The result is left alone: the process ends next.
    let _result = unsafe { main(count, pointers.as_mut_ptr()) };
    Ok(0)
}

/// The command that starts `launcher` as the child of `spec`.
pub(crate) fn command(launcher: &Path, spec: &ChildSpec) -> std::io::Result<Command> {
    let spec = serde_json::to_string(spec).map_err(std::io::Error::other)?;
    let mut command = Command::new(launcher);
    command
        .arg(COMMAND)
        .arg(spec)
        .env_clear()
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .process_group(0);
    Ok(command)
}

impl ChildSpec {
    pub(crate) fn user(run_as: Option<RunAs>) -> Option<(u32, u32)> {
        run_as.map(|RunAs { uid, gid }| (uid, gid))
    }

    /// What every engine may read: the C library, time zones, and what the kernel says about the machine.
    pub(crate) fn system_files() -> Vec<PathBuf> {
        const SYSTEM: [&str; 13] = [
            "/lib",
            "/lib32",
            "/lib64",
            "/usr/lib",
            "/usr/lib64",
            "/usr/share/zoneinfo",
            "/etc/ld.so.cache",
            "/etc/localtime",
            "/proc",
            "/sys",
            "/dev/null",
            "/dev/urandom",
            "/dev/random",
        ];
        SYSTEM
            .iter()
            .map(PathBuf::from)
            .filter(|path| path.exists())
            .collect()
    }
}
