//! 0180 to 0199: schedules, triggers, limits and agreements.

use super::Page;

pub(super) static PAGES: &[Page] = &[
    Page {
        code: "E0180",
        title: "Schedules are not a list of mappings with known keys",
        text: "\
`schedules` is a list of mappings. Their keys are `cron`, `interval`, `rrule`, `timezone`, `anchor_date`, `active`,
`parameters`, `slug`, `replaces` and `day_or`; Prefect refuses any other, also those that its API knows.

    schedules:
      - slug: nightly
        cron: \"0 2 * * *\"
        timezone: Europe/Berlin",
    },
    Page {
        code: "E0181",
        title: "Both schedule and schedules are given",
        text: "\
`schedule` is the old spelling for a single one. Prefect refuses a deployment that has both; move the single schedule
into the list.",
    },
    Page {
        code: "E0182",
        title: "A schedule does not say when, or says it twice",
        text: "\
Each schedule has exactly one of `cron`, `interval` and `rrule`. For two ways of saying when, write two schedules.",
    },
    Page {
        code: "E0183",
        title: "A value of a schedule has the wrong type",
        text: "\
The message names the key and the type. A date in `anchor_date` has to be quoted where the schedule has other keys
than `interval` and `timezone` beside it.

    anchor_date: \"2026-01-01\"",
    },
    Page {
        code: "E0184",
        title: "The cron expression cannot be read",
        text: "\
Five fields: minute, hour, day of month, month, day of week; a sixth holds seconds. Names such as MON-FRI, steps,
lists, and words such as @daily are understood, just as Prefect does; @reboot, random and hashed fields are not.
Remember to quote expressions that begin with `*` or `@`.",
    },
    Page {
        code: "E0185",
        title: "The interval cannot be read",
        text: "\
Write a number of seconds without quotes, an ISO 8601 duration such as `PT1H30M`, or `HH:MM:SS`. It must be longer than
zero. Prefect refuses a number in quotes, and templates, because it reads the interval before filling them.

    interval: 3600",
    },
    Page {
        code: "E0186",
        title: "The anchor date is no point in time",
        text: "\
`anchor_date` is the moment that an interval is counted from, as a date or a date with time, with or without an offset;
without one it is UTC.

    anchor_date: \"2026-01-31T09:00:00+01:00\"",
    },
    Page {
        code: "E0187",
        title: "The recurrence rule cannot be read",
        text: "\
`rrule` is a rule of RFC 5545, of at most 6,500 characters, or a JSON object of `rrule` and `timezone`.

    rrule: FREQ=WEEKLY;BYDAY=MO,FR;BYHOUR=9",
    },
    Page {
        code: "E0188",
        title: "The time zone is not known",
        text: "\
Time zones are IANA names, such as `America/New_York`. Rules (`rrule`) know fewer names than cron and intervals do.",
    },
    Page {
        code: "E0189",
        title: "Two schedules share a slug",
        text: "\
A slug names a schedule within its deployment; the server refuses two that are equal. Give each a slug of its own.",
    },
    Page {
        code: "E0190",
        title: "Triggers are not a list of mappings",
        text: "\
`triggers` is a list, each item a mapping with text keys.

    triggers:
      - expect: [prefect.flow-run.Completed]
        match_related: { prefect.resource.name: extract }",
    },
    Page {
        code: "W0190",
        title: "A key of a trigger counts for nothing",
        text: "\
Prefect drops keys of triggers that it does not know. The trigger may fire more often than meant, since a misspelt
`match` matches everything. Correct the key.",
    },
    Page {
        code: "E0191",
        title: "A trigger cannot be built",
        text: "\
A value is missing or not possible: the type of the trigger, `posture`, `threshold`, `within`, a metric. Prefect finds
out after it has built, pushed and written the deployment; here nothing is written.",
    },
    Page {
        code: "E0192",
        title: "The concurrency limit cannot be read",
        text: "\
A whole number of at least 1, or a mapping that also says what happens to further runs. Templates cannot stand here.

    concurrency_limit: { limit: 2, collision_strategy: ENQUEUE, grace_period_seconds: 300 }

`collision_strategy` is ENQUEUE or CANCEL_NEW and has no default; the grace period is 60 to 86,400 seconds.",
    },
    Page {
        code: "W0192",
        title: "A key of the concurrency limit counts for nothing",
        text: "\
The keys are `limit`, `collision_strategy` and `grace_period_seconds`; Prefect drops any other. Correct or remove it.",
    },
    Page {
        code: "E0193",
        title: "A service level agreement cannot be read",
        text: "\
Each item of `sla` has a `name`, may have `severity` and `enabled`, and says one of `duration`, `within` and
`stale_after`. They exist on Prefect Cloud only.",
    },
    Page {
        code: "W0193",
        title: "A key of an agreement counts for nothing",
        text: "\
Prefect drops keys of `sla` items that it does not know. Correct or remove it.",
    },
];
