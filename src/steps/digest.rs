//! The key under which the run of a step list is remembered within a pass.

use std::path::Path;

use sha2::{Digest, Sha256};

use crate::model::Tree;
use crate::model::secret::{canonical, hex};

/// SHA-256, in hexadecimal, of the steps as written (templates unfilled), of where they run and of `extra`: whatever
/// else their outcome depends on. Secrets take part by a digest of their own under `extra`.
pub fn digest(steps: &[Tree], cwd: &Path, extra: &str) -> String {
    let mut hash = Sha256::new();
    let mut part = |text: &str| {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    };
    part(extra);
    part(&cwd.to_string_lossy());
    for step in steps {
        // Order matters inside a step only where `canonical` keeps it: in lists.
        part(&canonical(&step.masked()));
        secrets(step, extra, &mut part);
    }
    hex(&hash.finalize())
}

fn secrets(tree: &Tree, key: &str, part: &mut impl FnMut(&str)) {
    match tree {
        Tree::Secret(secret) => part(&secret.digest(key.as_bytes())),
        Tree::List(items) => items.iter().for_each(|item| secrets(item, key, part)),
        Tree::Map(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_unstable();
            keys.into_iter().for_each(|name| secrets(&map[name], key, part));
        }
        Tree::Null | Tree::Bool(_) | Tree::Number(_) | Tree::Text(_) | Tree::IdOf(_) | Tree::Unknown(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Secret;
    use serde_json::json;

    #[test]
    fn it_depends_on_steps_place_secrets_and_extra() {
        let step = |token: &str| {
            let inputs = [("t".to_owned(), Tree::Secret(Secret::text(token)))].into_iter().collect();
            vec![Tree::Map([("f".to_owned(), Tree::Map(inputs))].into_iter().collect())]
        };
        let of = |steps: &[Tree], cwd: &str, extra: &str| digest(steps, Path::new(cwd), extra);
        let base = of(&step("a"), "/x", "");
        assert_eq!(base, of(&step("a"), "/x", ""));
        assert_eq!(base.len(), 64);
        for other in [of(&step("b"), "/x", ""), of(&step("a"), "/y", ""), of(&step("a"), "/x", "e"), of(&[], "/x", "")]
        {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn the_order_of_keys_is_no_difference() {
        let (a, b) = (json!({"f": {"x": 1, "y": 2}}), json!({"f": {"y": 2, "x": 1}}));
        assert_eq!(digest(&[Tree::from(a)], Path::new("/"), ""), digest(&[Tree::from(b)], Path::new("/"), ""));
    }
}
