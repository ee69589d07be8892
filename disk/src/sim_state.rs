//! What a simulated disk holds: for each file and folder what is visible, what is durable, and the steps between the two.
//! Pure state, no locks. Randomness comes from one seeded generator, so a seed replays a crash exactly.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Disks promise to write one sector whole or not at all, and no more than that.
const SECTOR_BYTES: u64 = 512;

#[derive(Debug)]
pub(crate) enum FileStep {
    Write { offset: u64, bytes: Vec<u8> },
    Truncate { len: u64 },
}

#[derive(Debug, Default)]
pub(crate) struct Inode {
    pub(crate) visible: Vec<u8>,
    pub(crate) durable: Vec<u8>,
    pub(crate) steps: Vec<FileStep>,
}

/// One change of names in a folder; all of `names` change together (a rename is atomic).
#[derive(Debug)]
pub(crate) struct DirStep {
    pub(crate) dir: PathBuf,
    pub(crate) names: Vec<(PathBuf, Option<usize>)>,
}

#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches that tests turn"
)]
pub(crate) struct State {
    pub(crate) random: u64,
    /// Counts crashes: a handle or lock from before one is void.
    pub(crate) epoch: u64,
    pub(crate) powered: bool,
    pub(crate) steps_done: u64,
    pub(crate) power_off_at: Option<u64>,
    pub(crate) ignore_sync: bool,
    pub(crate) fail_next_sync: bool,
    pub(crate) ignore_sync_dir: bool,
    pub(crate) free_bytes: Option<u64>,
    pub(crate) inodes: Vec<Inode>,
    pub(crate) visible: BTreeMap<PathBuf, usize>,
    pub(crate) durable: BTreeMap<PathBuf, usize>,
    pub(crate) dir_steps: Vec<DirStep>,
    pub(crate) dirs: BTreeSet<PathBuf>,
    pub(crate) locks: BTreeSet<PathBuf>,
}

#[derive(Clone, Copy)]
enum Mood {
    DropAll,
    KeepAll,
    Mixed,
}

impl State {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            random: seed,
            epoch: 0,
            powered: true,
            steps_done: 0,
            power_off_at: None,
            ignore_sync: false,
            fail_next_sync: false,
            ignore_sync_dir: false,
            free_bytes: None,
            inodes: Vec::new(),
            visible: BTreeMap::new(),
            durable: BTreeMap::new(),
            dir_steps: Vec::new(),
            dirs: BTreeSet::new(),
            locks: BTreeSet::new(),
        }
    }

    /// splitmix64.
    fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    pub(crate) fn change_names(&mut self, dir: &Path, names: Vec<(PathBuf, Option<usize>)>) {
        for (path, inode) in &names {
            set_name(&mut self.visible, path, *inode);
        }
        self.dir_steps.push(DirStep {
            dir: dir.to_path_buf(),
            names,
        });
    }

    pub(crate) fn sync_names(&mut self, dir: &Path) {
        let steps = std::mem::take(&mut self.dir_steps);
        for step in steps {
            if step.dir == dir {
                for (path, inode) in &step.names {
                    set_name(&mut self.durable, path, *inode);
                }
            } else {
                self.dir_steps.push(step);
            }
        }
    }

    /// Power comes back: of everything unsynced some is lost, some torn, some kept, independently of each other.
    pub(crate) fn crash(&mut self) {
        let mood = match self.below(8) {
            0 => Mood::DropAll,
            1 => Mood::KeepAll,
            _ => Mood::Mixed,
        };
        for index in 0..self.inodes.len() {
            let steps = std::mem::take(&mut self.inodes[index].steps);
            let mut bytes = std::mem::take(&mut self.inodes[index].durable);
            for step in steps {
                self.apply_after_crash(mood, &mut bytes, step);
            }
            self.inodes[index].visible.clone_from(&bytes);
            self.inodes[index].durable = bytes;
        }
        for step in std::mem::take(&mut self.dir_steps) {
            let keep = match mood {
                Mood::DropAll => false,
                Mood::KeepAll => true,
                Mood::Mixed => self.below(2) == 0,
            };
            if keep {
                for (path, inode) in &step.names {
                    set_name(&mut self.durable, path, *inode);
                }
            }
        }
        self.visible.clone_from(&self.durable);
        self.locks.clear();
        self.epoch += 1;
        self.powered = true;
        self.power_off_at = None;
        self.fail_next_sync = false;
    }

    fn apply_after_crash(&mut self, mood: Mood, file: &mut Vec<u8>, step: FileStep) {
        let fate = match mood {
            Mood::DropAll => 0,
            Mood::KeepAll => 1,
            Mood::Mixed => self.below(4),
        };
        match (fate, step) {
            (0, _) => {}
            (1, step) => apply(file, &step),
            (_, FileStep::Truncate { len }) => {
                if self.below(2) == 0 {
                    apply(file, &FileStep::Truncate { len });
                }
            }
            (2, FileStep::Write { offset, mut bytes }) => {
                // The head of the write arrived, the rest did not.
                let kept = self.below(bytes.len() as u64 + 1);
                bytes.truncate(kept as usize);
                apply(file, &FileStep::Write { offset, bytes });
            }
            (_, FileStep::Write { offset, bytes }) => self.tear_by_sector(file, offset, &bytes),
        }
    }

    /// The length arrived, but of the sectors only some; the others keep old bytes, are zero, or hold what lay there before.
    fn tear_by_sector(&mut self, file: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
        let end = offset + bytes.len() as u64;
        let old_len = file.len() as u64;
        if old_len < end {
            file.resize(end as usize, 0);
        }
        let mut at = offset;
        while at < end {
            let stop = ((at / SECTOR_BYTES + 1) * SECTOR_BYTES).min(end);
            let from = &bytes[(at - offset) as usize..(stop - offset) as usize];
            let into = at as usize..stop as usize;
            match self.below(4) {
                0 | 1 => file[into].copy_from_slice(from),
                2 if at >= old_len => {
                    let noise = self.next() as u8;
                    file[into].fill(noise);
                }
                _ => {}
            }
            at = stop;
        }
    }
}

fn set_name(names: &mut BTreeMap<PathBuf, usize>, path: &Path, inode: Option<usize>) {
    match inode {
        Some(inode) => names.insert(path.to_path_buf(), inode),
        None => names.remove(path),
    };
}

/// What the step does when nothing goes wrong.
pub(crate) fn apply(file: &mut Vec<u8>, step: &FileStep) {
    match step {
        FileStep::Truncate { len } => file.resize(*len as usize, 0),
        FileStep::Write { offset, bytes } => {
            let (start, end) = (*offset as usize, *offset as usize + bytes.len());
            if file.len() < end {
                file.resize(end, 0);
            }
            file[start..end].copy_from_slice(bytes);
        }
    }
}
