//! A file of distinct paths for `hostread attribute`, the same for the same numbers.

use std::collections::BTreeSet;
use std::io::{BufWriter, Write, stdout};

use anyhow::Result;

/// Longer paths are cut.
const TOUCHES_MAX: usize = 40;

/// Draws numbers (xorshift64*).
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound
    }
}

/// Prints so many paths; low channels come more often, and a path has about six touches.
pub(crate) fn run(paths: u64, channels: u64) -> Result<()> {
    let mut draw = Draw(0x9E37_79B9_7F4A_7C15);
    let mut seen = BTreeSet::new();
    let mut out = BufWriter::new(stdout().lock());
    writeln!(out, "path,conversions,value,nulls,ages")?;
    while (seen.len() as u64) < paths {
        let mut path = Vec::new();
        while path.is_empty() || path.len() < TOUCHES_MAX && draw.below(6) > 0 {
            let highest = draw.below(channels) + 1;
            path.push(draw.below(highest));
        }
        if !seen.insert(path.clone()) {
            continue;
        }
        let names: Vec<String> = path
            .iter()
            .map(|channel| format!("channel {channel:02}"))
            .collect();
        let mut ages: Vec<u64> = path.iter().map(|_| draw.below(720)).collect();
        ages.sort_unstable_by(|a, b| b.cmp(a));
        let ages: Vec<String> = ages.iter().map(u64::to_string).collect();
        let (conversions, nulls) = (draw.below(4), draw.below(60));
        let cents = conversions * (1_000 + draw.below(8_000));
        writeln!(
            out,
            "{},{conversions},{}.{:02},{nulls},{}",
            names.join(" > "),
            cents / 100,
            cents % 100,
            ages.join(" > ")
        )?;
    }
    Ok(out.flush()?)
}
