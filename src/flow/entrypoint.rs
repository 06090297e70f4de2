//! `Entrypoint`: where a deployment says its flow is.

use std::fmt;
use std::str::FromStr;

/// A flow's place, as `path.py:object`, `module:object` or `package.module.object`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entrypoint {
    /// A file, run as a script.
    File {
        /// The file's path as written, relative to the directory Prefect runs in.
        path: String,
        /// The name in it, with dots for the attributes of a class.
        object: String,
    },
    /// A module, imported from the directory Prefect runs in.
    Module {
        /// The dotted name of the module.
        module: String,
        /// The name in it.
        object: String,
    },
}

impl Entrypoint {
    /// The name asked for.
    pub fn object(&self) -> &str {
        match self {
            Entrypoint::File { object, .. } | Entrypoint::Module { object, .. } => object,
        }
    }
}

/// Splits as Prefect 3.8.8 does (`utilities/importtools.py`, `import_object`): at the last colon, else at the last dot.
impl FromStr for Entrypoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let complaint = || format!("`{text}` is not an entrypoint: write `path/to/file.py:flow_function`");
        let (place, object) = text.rsplit_once(':').or_else(|| text.rsplit_once('.')).ok_or_else(complaint)?;
        if place.is_empty() || object.is_empty() {
            return Err(complaint());
        }
        let (place, object) = (place.to_owned(), object.to_owned());
        Ok(match text.contains(".py:") {
            true => Entrypoint::File { path: place, object },
            false => Entrypoint::Module { module: place, object },
        })
    }
}

impl fmt::Display for Entrypoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Entrypoint::File { path, object } => write!(f, "{path}:{object}"),
            Entrypoint::Module { module, object } => write!(f, "{module}:{object}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_colon_splits_and_a_dotted_name_splits_at_its_last_dot() {
        let file = |path: &str, object: &str| Entrypoint::File { path: path.into(), object: object.into() };
        let module = |module: &str, object: &str| Entrypoint::Module { module: module.into(), object: object.into() };
        assert_eq!("C:\\x\\flow.py:run".parse(), Ok(file("C:\\x\\flow.py", "run")));
        assert_eq!("./a/flow.py:K.run".parse(), Ok(file("./a/flow.py", "K.run")));
        assert_eq!("pkg.mod:run".parse(), Ok(module("pkg.mod", "run")));
        assert_eq!("pkg.mod.run".parse(), Ok(module("pkg.mod", "run")));
        assert!("flow".parse::<Entrypoint>().is_err());
        assert!("flow.py:".parse::<Entrypoint>().is_err());
    }
}
