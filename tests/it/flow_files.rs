//! Flow files as people write them, put together from pieces by numbers instead of by chance.

use std::fmt::Write as _;

/// A file and the objects to ask about.
pub struct FlowFile {
    pub text: String,
    pub objects: Vec<String>,
}

/// Numbers that look like chance and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % n
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

const NOUNS: &[&str] = &[
    "customer", "order", "sensor", "ticket", "payment", "article", "vehicle", "patient", "account", "product",
    "invoice", "reading", "shipment", "campaign",
];
const VERBS: &[&str] =
    &["load", "sync", "clean", "export", "score", "merge", "backfill", "archive", "publish", "check"];

const IMPORTS: &str = "import datetime as dt
import logging
import os
import typing as t
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path
from typing import Annotated, Any, Dict, List, Literal, NamedTuple, NewType, Optional, Set, Tuple, Union
from uuid import UUID

from prefect import flow, get_run_logger, task
from pydantic import BaseModel, ConfigDict, Field, HttpUrl, SecretStr, conint, constr, field_validator
from typing_extensions import NotRequired, TypedDict

logger = logging.getLogger(__name__)
";

/// Classes; `N` is the name, `P` the class before it.
const CLASSES: &[&str] = &[
    "class N(BaseModel):\n    \"\"\"One N.\"\"\"\n\n    id: int\n    name: str = Field(\"\", max_length=80, description=\"shown\")\n    tags: List[str] = []\n    since: Optional[date] = None\n",
    "class N(BaseModel):\n    model_config = ConfigDict(extra=\"forbid\")\n\n    url: HttpUrl\n    token: SecretStr = SecretStr(\"\")\n    wait: timedelta = timedelta(seconds=30)\n    retries: Annotated[int, Field(ge=0, le=10)] = 3\n",
    "class N(BaseModel):\n    size: conint(gt=0) = 10\n    code: constr(min_length=2, pattern=\"^[A-Z]+$\") = \"DE\"\n    price: Decimal = Decimal(\"9.99\")\n    meta: Dict[str, Any] = Field(default_factory=dict)\n\n    @field_validator(\"code\")\n    @classmethod\n    def upper(cls, value):\n        return value.upper()\n",
    "class N(P):\n    note: str | None = None\n    level: Literal[\"low\", \"high\"] = \"low\"\n",
    "class N(str, Enum):\n    \"\"\"Kinds.\"\"\"\n\n    NEW = \"new\"\n    OLD = \"old\"\n    GONE = \"gone\"\n",
    "class N(IntEnum):\n    LOW = 1\n    HIGH = 2\n",
    "@dataclass\nclass N:\n    start: date\n    end: Optional[date] = None\n    steps: List[int] = field(default_factory=list)\n",
    "@dataclass(frozen=True)\nclass N:\n    host: str = \"localhost\"\n    port: int = 5432\n    options: Tuple[str, ...] = ()\n",
    "class N(TypedDict):\n    id: int\n    label: NotRequired[str]\n",
    "class N(NamedTuple):\n    x: float\n    y: float = 0.0\n",
    "class N:\n    \"\"\"A client.\"\"\"\n\n    def __init__(self, url: str = \"\"):\n        self.url = url\n",
    "class N(BaseModel):\n    parent: Optional[\"N\"] = None\n    inner: \"P\"\n    many: list[\"P\"] = Field(default_factory=list, min_length=0)\n",
];

const CONSTANTS: &[&str] = &[
    "BATCH = 500",
    "ROOT = Path(\"/srv\") / \"data\"",
    "REGIONS = [\"eu\", \"us\"]",
    "LIMITS: dict[str, int] = {\"eu\": 10, \"us\": 20}",
    "TIMEOUT = 60 * 5",
    "Key = NewType(\"Key\", str)",
    "Region = Literal[\"eu\", \"us\"]",
    "Rows = List[Dict[str, Union[int, float, str, None]]]",
    "PREFIX = f\"{'raw'}/\"",
    "SQUARES = [n * n for n in range(4)]",
    "BUCKET = os.environ.get(\"BUCKET\", \"none\")",
];

/// Required parameters; `C` is a class of the file.
const REQUIRED: &[&str] = &[
    "C",
    "C | None",
    "List[C]",
    "Dict[str, C]",
    "int",
    "str",
    "date",
    "Path",
    "UUID",
    "list[dict[str, Any]]",
    "Sequence[str]",
    "Optional[C]",
    "Union[C, str]",
    "Tuple[int, str]",
    "Annotated[int, Field(gt=0)]",
    "",
    "\"C\"",
    "Callable[[int], str]",
    "Mapping[str, float]",
    "t.Optional[t.List[int]]",
];

/// Parameters with a default.
const FILLED: &[&str] = &[
    "int = 3",
    "float = 0.5",
    "bool = False",
    "str = \"x\"",
    "Optional[str] = None",
    "int | None = None",
    "List[C] = []",
    "Optional[C] = None",
    "\"Optional[C]\" = None",
    "Literal[\"a\", \"b\"] = \"a\"",
    "date | None = None",
    "datetime = datetime(2024, 1, 1)",
    "dt.timedelta = dt.timedelta(hours=6)",
    "Path = Path(\"/tmp\") / \"out\"",
    "Dict[str, Any] = {}",
    "Set[int] = {3, 1}",
    "Decimal = Decimal(\"1.5\")",
    "Annotated[str, Field(max_length=9)] = \"ok\"",
    "int = Field(5, description=\"how many\", ge=0)",
    "list[str] = Field(default_factory=list)",
    "Any = None",
    "SecretStr = SecretStr(\"s\")",
    "Callable = print",
    "t.Union[int, str] = 1",
    "tuple[int, ...] = (1, 2)",
    "Iterable[C] = ()",
    "UUID | None = None",
    "HttpUrl = \"https://example.org\"",
];

const DOCS: &[&str] = &[
    "",
    "    \"\"\"Does it.\"\"\"\n",
    "    \"\"\"Does it.\n\n    Args:\n        first: the first\n            of all\n        limit (int): how many\n    \"\"\"\n",
    "    \"\"\"Does it.\n\n    :param first: the first\n    :type first: int\n    :returns: nothing\n    \"\"\"\n",
    "    \"\"\"\n    Does it.\n\n    Parameters\n    ----------\n    first : int\n        The first.\n    limit\n        How many.\n    \"\"\"\n",
];

const FLOWS: &[&str] = &[
    "@flow",
    "@flow()",
    "@flow(name=\"V the N\", retries=2, log_prints=True)",
    "@flow(description=\"Runs V.\", version=\"1.2\", timeout_seconds=600)",
    "@flow(flow_run_name=\"V-{first}\", validate_parameters=True)",
];

/// So many files, all different.
pub fn flow_files(count: usize) -> Vec<FlowFile> {
    (0..count).map(|at| flow_file(at as u64)).collect()
}

fn title(text: &str) -> String {
    let (first, rest) = text.split_at(1);
    first.to_uppercase() + rest
}

fn flow_file(number: u64) -> FlowFile {
    let mut dice = Dice(number.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x2545_F491_4F6C_DD1D);
    let noun = dice.pick(NOUNS);
    let mut text = format!("\"\"\"Flows about {noun}s, number {number}.\"\"\"\n");
    if dice.one_in(3) {
        text.push_str("from __future__ import annotations\n\n");
    }
    text.push_str(IMPORTS);
    for _ in 0..dice.below(4) {
        let line = dice.pick(CONSTANTS);
        if !text.contains(line) {
            let _ = writeln!(text, "{line}");
        }
    }
    let mut classes: Vec<String> = Vec::new();
    for suffix in ["", "Config", "Item"].iter().take(1 + dice.below(3)) {
        let name = title(noun) + suffix;
        let (mut body, mut model) =
            (dice.pick(CLASSES), classes.iter().any(|c| text.contains(&format!("class {c}(BaseModel)"))));
        model &= text.contains(&format!("class {}(BaseModel)", classes.last().cloned().unwrap_or_default()));
        if body.contains('P') && body.contains("(P)") && !model || body.contains("\"P\"") && classes.is_empty() {
            body = CLASSES[0];
        }
        let body = body.replace("(P)", &format!("({})", classes.last().cloned().unwrap_or_default()));
        let body = body.replace("\"P\"", &format!("\"{}\"", classes.last().cloned().unwrap_or_default()));
        let body = body.replace("class N", &format!("class {name}")).replace("\"N\"", &format!("\"{name}\""));
        let _ = write!(text, "\n\n{}", body.replace("One N", &format!("One {name}")));
        classes.push(name);
    }
    let _ = write!(
        text,
        "\n\n@task(retries=2)\ndef fetch(key: str) -> list[dict[str, Any]]:\n    logger = get_run_logger()\n    return [{{\"{noun}\": key}}]\n"
    );
    let mut objects = Vec::new();
    for at in 0..1 + dice.below(3) {
        flow(&mut dice, &mut text, &mut objects, noun, at, &classes);
    }
    if dice.one_in(3) {
        let first = objects[0].clone();
        if !first.contains('.') {
            let _ = write!(text, "\n\nnightly = {first}.with_options(name=\"nightly {noun}\", retries=1)\n");
            objects.push("nightly".to_owned());
        }
    }
    text.push_str("\n\nif __name__ == \"__main__\":\n    fetch(\"x\")\n");
    FlowFile { text, objects }
}

fn flow(dice: &mut Dice, text: &mut String, objects: &mut Vec<String>, noun: &str, at: usize, classes: &[String]) {
    let verb = dice.pick(VERBS);
    let name = format!("{verb}_{noun}s_{at}");
    let method = dice.one_in(6);
    let mut list: Vec<String> = Vec::new();
    let class = |dice: &mut Dice, piece: &str| {
        let class = &classes[dice.below(classes.len())];
        let mut out = String::new();
        for (i, part) in piece.split('C').enumerate() {
            // A `C` inside a word is no class.
            if i > 0 {
                out.push_str(if part.starts_with("allable") { "C" } else { class });
            }
            out.push_str(part);
        }
        out
    };
    for i in 0..dice.below(3) {
        let ty = dice.pick(REQUIRED);
        let ty = class(dice, ty);
        let name = ["first", "second", "third"][i];
        list.push(if ty.is_empty() { name.to_owned() } else { format!("{name}: {ty}") });
    }
    if !list.is_empty() && dice.one_in(6) {
        list.push("/".to_owned());
    }
    let star = dice.below(8);
    for (i, name) in ["limit", "mode", "since", "options", "target"].iter().enumerate().take(dice.below(6)) {
        if i == 2 && star < 2 {
            list.push(if star == 0 { "*".to_owned() } else { "*more: str".to_owned() });
        }
        let piece = dice.pick(FILLED);
        list.push(format!("{name}: {}", class(dice, piece)));
    }
    if dice.one_in(8) {
        list.push("**rest: Any".to_owned());
    }
    let decorator = dice.pick(FLOWS).replace('V', verb).replace('N', noun);
    let decorator = if list.first().is_some_and(|p| p.starts_with("first")) {
        decorator
    } else {
        decorator.replace("-{first}", "")
    };
    let (def, doc) = (if dice.one_in(5) { "async def" } else { "def" }, dice.pick(DOCS));
    if method {
        let holder = format!("{}Jobs{at}", title(noun));
        list.insert(0, "self".to_owned());
        let doc = doc.replace("    ", "        ");
        let _ = write!(
            text,
            "\n\nclass {holder}:\n    {decorator}\n    {def} {name}({}) -> None:\n{doc}        return None\n",
            list.join(", ")
        );
        objects.push(format!("{holder}.{name}"));
    } else {
        let _ = write!(text, "\n\n{decorator}\n{def} {name}({}):\n{doc}    return None\n", list.join(", "));
        objects.push(name);
    }
}
