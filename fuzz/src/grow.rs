//! What grows too fast: parts of an input are repeated, and twice the input may not cost much more than twice the time.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// The sizes that are compared, in bytes.
const SIZES: [usize; 3] = [32 << 10, 128 << 10, 512 << 10];

/// What takes less is not looked at.
const NOTABLE: Duration = Duration::from_millis(1000);

/// What takes less at the second size is taken for harmless.
const HARMLESS: Duration = Duration::from_millis(60);

/// Four times the input may take so many times as long.
const FAIR: f64 = 8.0;

/// Repeats parts of the inputs of a directory for some minutes; prints what grows too fast and gives the number of it.
pub fn look(target: &str, dir: &Path, minutes: u64) -> usize {
    let until = Instant::now() + Duration::from_secs(60 * minutes);
    let (_, check) = crate::TARGETS.into_iter().find(|(name, _)| *name == target).expect("a target");
    let mut paths: Vec<_> = fs::read_dir(dir).expect("a directory").flatten().map(|entry| entry.path()).collect();
    // The smallest first: most of them differ in more than a name.
    paths.sort_by_key(|path| (fs::metadata(path).map_or(0, |data| data.len()), path.clone()));
    let mut seen = BTreeSet::new();
    let mut found = 0;
    for path in paths {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for (start, end) in parts(&text) {
            let part = &text[start..end];
            if Instant::now() > until || !seen.insert(part.to_owned()) {
                continue;
            }
            let grown = |size: usize| {
                let times = size / part.len() + 1;
                format!("{}{}{}", &text[..start], numbered(part, times), &text[end..])
            };
            if let Some(why) = too_fast(check, &grown) {
                found += 1;
                println!("{}: {part:?} {why}", path.display());
            }
        }
    }
    println!("{target}: {} parts repeated, {found} grow too fast", seen.len());
    found
}

/// A part again and again; `0` in it counts, so that names differ.
fn numbered(part: &str, times: usize) -> String {
    (0..times).map(|i| part.replace('0', &i.to_string())).collect()
}

/// Lines, groups of them, and words of a line.
fn parts(text: &str) -> Vec<(usize, usize)> {
    let mut starts: Vec<usize> = vec![0];
    starts.extend(text.match_indices('\n').map(|(at, _)| at + 1));
    starts.push(text.len());
    let mut all = BTreeSet::new();
    for (i, &start) in starts.iter().enumerate() {
        for &end in starts.iter().skip(i + 1).take(3) {
            all.insert((start, end));
        }
    }
    let words: Vec<usize> = text.match_indices([' ', ',', '[', '(', '{', ':']).map(|(at, _)| at).collect();
    for pair in words.windows(2) {
        all.insert((pair[0], pair[1]));
        all.insert((pair[0], pair[0] + 1));
    }
    all.into_iter().filter(|(start, end)| start < end).collect()
}

fn too_fast(check: fn(&[u8]), grown: &dyn Fn(usize) -> String) -> Option<String> {
    let mut last: Option<Duration> = None;
    for size in SIZES {
        let text = grown(size);
        let start = worked();
        check(text.as_bytes());
        let took = worked().saturating_sub(start);
        if let Some(before) = last
            && took > NOTABLE
        {
            let ratio = took.as_secs_f64() / before.as_secs_f64().max(0.01);
            if ratio > FAIR || took > 4 * NOTABLE {
                return Some(format!(
                    "takes {took:?} at {} KiB, {ratio:.1} times as long as a quarter of it",
                    size >> 10
                ));
            }
        }
        if last.is_some() && took < HARMLESS {
            return None;
        }
        last = Some(took);
    }
    None
}

/// Processor time of this process so far, in hundredths of a second: a busy machine makes nothing slower by it.
fn worked() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").expect("a Linux machine");
    let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
    let ticks: u64 = after.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(10 * ticks)
}
