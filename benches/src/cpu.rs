//! Processor time by thread of this process and by child process: what each stage costs.

use std::collections::BTreeMap;
use std::fs;

/// Processor milliseconds by name; a tick of the kernel's clock is 10 ms.
pub(crate) type CpuMs = BTreeMap<String, u64>;

/// `comm` and utime + stime of a `stat` file.
fn stat(path: &str) -> Option<(String, u32, u64)> {
    let text = fs::read_to_string(path).ok()?;
    let (head, tail) = text.rsplit_once(") ")?;
    let name = head.split_once('(')?.1.to_owned();
    let fields: Vec<&str> = tail.split(' ').collect();
    let parent = fields.get(1)?.parse().ok()?;
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some((name, parent, ticks * 10))
}

fn numbers(dir: &str) -> Vec<u32> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// Threads of this process by stage, and the given processes with their children.
pub(crate) fn cpu(children: &[(&str, u32)]) -> CpuMs {
    let mut sums = CpuMs::new();
    for thread in numbers("/proc/self/task") {
        if let Some((name, _, ms)) = stat(&format!("/proc/self/task/{thread}/stat")) {
            let stage = match name.as_str() {
                "sequencer" => "decode, head, journal",
                "collector" => "collect, settle",
                "housekeeping" => "journal compaction",
                name if name.starts_with("timely") => "dataflow",
                name if name.starts_with("tokio") => "sinks (rows to bytes), load",
                _ => "main",
            };
            *sums.entry(stage.to_owned()).or_default() += ms;
        }
    }
    let all: Vec<(u32, u32, u64)> = numbers("/proc")
        .into_iter()
        .filter_map(|pid| {
            let (_, parent, ms) = stat(&format!("/proc/{pid}/stat"))?;
            Some((pid, parent, ms))
        })
        .collect();
    for (name, root) in children {
        let of_root = |pid: u32| {
            let mut at = pid;
            for _ in 0..8 {
                if at == *root {
                    return true;
                }
                match all.iter().find(|(pid, _, _)| *pid == at) {
                    Some((_, parent, _)) => at = *parent,
                    None => return false,
                }
            }
            false
        };
        let ms = all
            .iter()
            .filter(|(pid, _, _)| of_root(*pid))
            .map(|(_, _, ms)| ms)
            .sum();
        sums.insert((*name).to_owned(), ms);
    }
    sums
}

/// What was used between two looks.
pub(crate) fn since(before: &CpuMs, after: &CpuMs) -> CpuMs {
    after
        .iter()
        .map(|(name, ms)| {
            (
                name.clone(),
                ms.saturating_sub(before.get(name).copied().unwrap_or(0)),
            )
        })
        .collect()
}
