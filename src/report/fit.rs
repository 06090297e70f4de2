//! Cuts a page of Markdown to a size: from the middle, and never inside of a block, so that what is left still reads.

/// A page of at most `limit` UTF-16 units. What had to go is told in its place, with `rest`: where all of it is.
///
/// The beginning and the end stay, and so does the line that sums up. A `<details>` goes or stays as a whole.
pub fn fit(page: &str, limit: usize, rest: &str) -> String {
    if size(page) <= limit {
        return page.to_owned();
    }
    let units = units(page);
    let lines = page.lines().count();
    // Its own length does not depend much on the number in it.
    let reserve = size(&note(lines, rest)) + 8;
    let essential: Vec<bool> = units.iter().map(|unit| unit.starts_with("**")).collect();
    let kept: usize = units.iter().zip(&essential).filter(|(_, keep)| **keep).map(|(unit, _)| size(unit)).sum();
    let Some(budget) = limit.checked_sub(reserve + kept) else { return cut(page, limit) };
    let cost = |n: usize| if essential[n] { 0 } else { size(units[n]) };
    let (mut head, mut tail, mut used) = (0, units.len(), 0);
    while head < tail && used + cost(head) <= budget / 2 {
        used += cost(head);
        head += 1;
    }
    while tail > head && used + cost(tail - 1) <= budget {
        used += cost(tail - 1);
        tail -= 1;
    }
    while head < tail && used + cost(head) <= budget {
        used += cost(head);
        head += 1;
    }
    let gone: usize = (head..tail).filter(|n| !essential[*n]).map(|n| units[n].lines().count()).sum();
    let mut out: String = units[..head].concat();
    out.push_str(&note(gone, rest));
    out.extend((head..tail).filter(|n| essential[*n]).map(|n| units[n]));
    out.push_str(&units[tail..].concat());
    out
}

fn note(lines: usize, rest: &str) -> String {
    format!("\n> … {lines} lines do not fit in here{rest}.\n\n")
}

/// What forges mean by a character, at most.
fn size(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// Lines with their ends; a `<details>` is one with all that is in it.
fn units(page: &str) -> Vec<&str> {
    let (mut found, mut start, mut at, mut open) = (Vec::new(), 0, 0, false);
    for line in page.split_inclusive('\n') {
        open |= line.starts_with("<details>");
        at += line.len();
        if open && line.trim_end() == "</details>" {
            open = false;
        }
        if !open {
            found.push(&page[start..at]);
            start = at;
        }
    }
    if start < page.len() {
        found.push(&page[start..]);
    }
    found
}

/// The last resort: the first so many units.
fn cut(page: &str, limit: usize) -> String {
    let mut used = 0;
    let fits = |c: &char| {
        used += c.len_utf16();
        used <= limit
    };
    page.chars().take_while(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(n: usize) -> String {
        let mut out = "<!-- marker -->\n### title\n\n| a |\n|---|\n".to_owned();
        out.extend((0..n).map(|n| format!("| row {n} 🦀 |\n")));
        out.push_str("\n**Plan: everything.**\n");
        out.extend((0..n).map(|n| format!("\n<details><summary>{n}</summary>\n\n```diff\n+ a\n```\n\n</details>\n")));
        out + "\n<sub>foot</sub>\n"
    }

    #[test]
    fn the_middle_goes_and_the_rest_still_reads() {
        let page = page(500);
        for limit in [400, 1_000, 5_000, 15_000, 25_000] {
            let short = fit(&page, limit, ": see [the run](https://x)");
            assert!(size(&short) <= limit && size(&short) > limit - 200, "{limit}: {}", size(&short));
            assert!(
                short.starts_with("<!-- marker -->\n### title\n") && short.ends_with("<sub>foot</sub>\n"),
                "{short}"
            );
            assert!(short.contains("**Plan: everything.**\n"), "{short}");
            assert!(short.contains("lines do not fit in here: see [the run](https://x).\n"), "{short}");
            assert_eq!(short.matches("<details>").count(), short.matches("</details>").count());
            assert_eq!(short.matches("```").count() % 2, 0);
        }
        assert_eq!(fit(&page, 1_000_000, ""), page);
    }

    #[test]
    fn one_block_that_is_too_large_goes_as_a_whole() {
        let huge = format!("head\n<details>\n{}\n</details>\nfoot\n", "x".repeat(10_000));
        let short = fit(&huge, 300, "");
        assert!(short.starts_with("head\n") && short.ends_with("foot\n") && !short.contains("xx"), "{short}");
        for limit in [0, 1, 7, 60] {
            assert!(size(&fit(&huge, limit, "")) <= limit);
            assert!(size(&fit(&"🦀".repeat(100), limit, "")) <= limit);
        }
    }
}
