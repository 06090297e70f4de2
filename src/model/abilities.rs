//! `Abilities`: what a server can do that older ones cannot, by its version.

/// What a server can do. The default can do everything: so can Prefect Cloud, which has no version of that kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abilities {
    /// The version, as the server tells it; empty if it told none.
    pub version: String,
    /// Speaks the API of Prefect 3.
    pub is_three: bool,
    /// Knows `grace_period_seconds` of a deployment's concurrency options. Older ones drop it without a word.
    pub grace_period: bool,
    /// Takes the last job variable from a deployment. Older ones drop an empty mapping without a word.
    pub empties_job_variables: bool,
    /// Knows `force` of an automation's action `change-flow-run-state`. Older ones drop it without a word.
    pub forces_states: bool,
}

/// The first versions with an ability: `prefect/server/schemas/core.py` (`ConcurrencyOptions`),
/// `prefect/server/models/deployments.py` (`update_deployment`) and `prefect/server/events/actions.py`
/// (`ChangeFlowRunState`) of the released packages.
const GRACE_PERIOD: [u32; 3] = [3, 6, 6];
const EMPTIES_JOB_VARIABLES: [u32; 3] = [3, 8, 7];
const FORCES_STATES: [u32; 3] = [3, 6, 11];

impl Default for Abilities {
    fn default() -> Self {
        Abilities {
            version: String::new(),
            is_three: true,
            grace_period: true,
            empties_job_variables: true,
            forces_states: true,
        }
    }
}

impl Abilities {
    /// Those of a server of that version. One that cannot be understood is taken for a new one.
    pub fn of(version: &str) -> Abilities {
        let Some(number) = number(version) else {
            return Abilities { version: version.to_owned(), ..Abilities::default() };
        };
        Abilities {
            version: version.to_owned(),
            is_three: number >= [3, 0, 0],
            grace_period: number >= GRACE_PERIOD,
            empties_job_variables: number >= EMPTIES_JOB_VARIABLES,
            forces_states: number >= FORCES_STATES,
        }
    }
}

/// `3.8.8`, `3.9.0rc1`, `3.8.9.dev3` and `3.8.8+4.g12ab` as three numbers.
fn number(version: &str) -> Option<[u32; 3]> {
    let mut out = [0; 3];
    for (part, place) in version.splitn(4, '.').zip(&mut out) {
        let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
        *place = digits.parse().ok()?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers() {
        for (version, found) in [
            ("3.8.8", Some([3, 8, 8])),
            ("3.10.0rc1", Some([3, 10, 0])),
            ("3.8.9.dev3", Some([3, 8, 9])),
            ("3.8.8+4.g12ab", Some([3, 8, 8])),
            ("3.9", Some([3, 9, 0])),
            ("unknown", None),
            ("", None),
            ("99999999999.0", None),
        ] {
            assert_eq!(number(version), found, "{version}");
        }
    }

    #[test]
    fn older_servers_can_do_less() {
        let can = |version| {
            let abilities = Abilities::of(version);
            (abilities.is_three, abilities.grace_period, abilities.empties_job_variables, abilities.forces_states)
        };
        assert_eq!(can("2.20.1"), (false, false, false, false));
        assert_eq!(can("3.6.5"), (true, false, false, false));
        assert_eq!(can("3.6.6"), (true, true, false, false));
        assert_eq!(can("3.6.11"), (true, true, false, true));
        assert_eq!(can("3.8.7"), (true, true, true, true));
        assert_eq!(can("main"), (true, true, true, true));
    }
}
