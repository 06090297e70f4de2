//! The types of libraries whose schema is always the same, and what else is known of libraries by name.
//!
//! The fragments are what pydantic 2.14 writes.

/// Types with a fixed schema.
const FIXED: &[(&str, &str)] = &[
    ("builtins.bool", r#"{"type":"boolean"}"#),
    ("builtins.bytes", r#"{"format":"binary","type":"string"}"#),
    ("builtins.complex", r#"{"type":"string"}"#),
    ("builtins.float", r#"{"type":"number"}"#),
    ("builtins.int", r#"{"type":"integer"}"#),
    ("builtins.str", r#"{"type":"string"}"#),
    ("typing.Text", r#"{"type":"string"}"#),
    ("typing.Pattern", r#"{"format":"regex","type":"string"}"#),
    ("re.Pattern", r#"{"format":"regex","type":"string"}"#),
    ("datetime.date", r#"{"format":"date","type":"string"}"#),
    ("datetime.datetime", r#"{"format":"date-time","type":"string"}"#),
    ("datetime.time", r#"{"format":"time","type":"string"}"#),
    ("datetime.timedelta", r#"{"format":"duration","type":"string"}"#),
    ("decimal.Decimal", r#"{"anyOf":[{"type":"number"},{"type":"string"}]}"#),
    ("fractions.Fraction", r#"{"anyOf":[{"type":"number"},{"format":"fraction","type":"string"}]}"#),
    ("pathlib.Path", r#"{"format":"path","type":"string"}"#),
    ("pathlib.PosixPath", r#"{"format":"path","type":"string"}"#),
    ("pathlib.PurePath", r#"{"format":"path","type":"string"}"#),
    ("pathlib.PurePosixPath", r#"{"format":"path","type":"string"}"#),
    ("pathlib.PureWindowsPath", r#"{"format":"path","type":"string"}"#),
    ("os.PathLike", r#"{"format":"path","type":"string"}"#),
    ("uuid.UUID", r#"{"format":"uuid","type":"string"}"#),
    ("ipaddress.IPv4Address", r#"{"format":"ipv4","type":"string"}"#),
    ("ipaddress.IPv4Interface", r#"{"format":"ipv4interface","type":"string"}"#),
    ("ipaddress.IPv4Network", r#"{"format":"ipv4network","type":"string"}"#),
    ("ipaddress.IPv6Address", r#"{"format":"ipv6","type":"string"}"#),
    ("ipaddress.IPv6Interface", r#"{"format":"ipv6interface","type":"string"}"#),
    ("ipaddress.IPv6Network", r#"{"format":"ipv6network","type":"string"}"#),
    ("zoneinfo.ZoneInfo", r#"{"format":"zoneinfo","type":"string"}"#),
    ("pydantic.AmqpDsn", r#"{"format":"uri","minLength":1,"type":"string"}"#),
    ("pydantic.AnyHttpUrl", r#"{"format":"uri","minLength":1,"type":"string"}"#),
    ("pydantic.AnyUrl", r#"{"format":"uri","minLength":1,"type":"string"}"#),
    ("pydantic.AnyWebsocketUrl", r#"{"format":"uri","minLength":1,"type":"string"}"#),
    ("pydantic.AwareDatetime", r#"{"format":"date-time","type":"string"}"#),
    ("pydantic.Base64Bytes", r#"{"format":"base64","type":"string"}"#),
    ("pydantic.Base64Str", r#"{"format":"base64","type":"string"}"#),
    ("pydantic.Base64UrlBytes", r#"{"format":"base64url","type":"string"}"#),
    ("pydantic.Base64UrlStr", r#"{"format":"base64url","type":"string"}"#),
    ("pydantic.ByteSize", r#"{"anyOf":[{"pattern":"^\\s*(\\d*\\.?\\d+)\\s*(\\w+)?","type":"string"},{"minimum":0,"type":"integer"}]}"#),
    ("pydantic.ClickHouseDsn", r#"{"format":"uri","minLength":1,"type":"string"}"#),
    ("pydantic.CockroachDsn", r#"{"format":"uri","minLength":1,"type":"string"}"#),
    ("pydantic.DirectoryPath", r#"{"format":"directory-path","type":"string"}"#),
    ("pydantic.FilePath", r#"{"format":"file-path","type":"string"}"#),
    ("pydantic.FileUrl", r#"{"format":"uri","minLength":1,"type":"string"}"#),
    ("pydantic.FiniteFloat", r#"{"type":"number"}"#),
    ("pydantic.FtpUrl", r#"{"format":"uri","minLength":1,"type":"string"}"#),
    ("pydantic.FutureDate", r#"{"format":"date","type":"string"}"#),
    ("pydantic.FutureDatetime", r#"{"format":"date-time","type":"string"}"#),
    ("pydantic.HttpUrl", r#"{"format":"uri","maxLength":2083,"minLength":1,"type":"string"}"#),
    ("pydantic.IPvAnyAddress", r#"{"format":"ipvanyaddress","type":"string"}"#),
    ("pydantic.IPvAnyInterface", r#"{"format":"ipvanyinterface","type":"string"}"#),
    ("pydantic.IPvAnyNetwork", r#"{"format":"ipvanynetwork","type":"string"}"#),
    ("pydantic.ImportString", r#"{"type":"string"}"#),
    ("pydantic.Json", r#"{"contentMediaType":"application/json","contentSchema":{},"type":"string"}"#),
    ("pydantic.KafkaDsn", r#"{"format":"uri","minLength":1,"type":"string"}"#),
    ("pydantic.MariaDBDsn", r#"{"format":"uri","minLength":1,"type":"string"}"#),
    ("pydantic.MongoDsn", r#"{"format":"multi-host-uri","minLength":1,"type":"string"}"#),
    ("pydantic.MySQLDsn", r#"{"format":"uri","minLength":1,"type":"string"}"#),
    ("pydantic.NaiveDatetime", r#"{"format":"date-time","type":"string"}"#),
    ("pydantic.NatsDsn", r#"{"format":"multi-host-uri","minLength":1,"type":"string"}"#),
    ("pydantic.NegativeFloat", r#"{"exclusiveMaximum":0,"type":"number"}"#),
    ("pydantic.NegativeInt", r#"{"exclusiveMaximum":0,"type":"integer"}"#),
    ("pydantic.NewPath", r#"{"format":"path","type":"string"}"#),
    ("pydantic.NonNegativeFloat", r#"{"minimum":0,"type":"number"}"#),
    ("pydantic.NonNegativeInt", r#"{"minimum":0,"type":"integer"}"#),
    ("pydantic.NonPositiveFloat", r#"{"maximum":0,"type":"number"}"#),
    ("pydantic.NonPositiveInt", r#"{"maximum":0,"type":"integer"}"#),
    ("pydantic.PastDate", r#"{"format":"date","type":"string"}"#),
    ("pydantic.PastDatetime", r#"{"format":"date-time","type":"string"}"#),
    ("pydantic.PositiveFloat", r#"{"exclusiveMinimum":0,"type":"number"}"#),
    ("pydantic.PositiveInt", r#"{"exclusiveMinimum":0,"type":"integer"}"#),
    ("pydantic.PostgresDsn", r#"{"format":"multi-host-uri","minLength":1,"type":"string"}"#),
    ("pydantic.RedisDsn", r#"{"format":"uri","minLength":1,"type":"string"}"#),
    ("pydantic.SecretBytes", r#"{"format":"password","type":"string","writeOnly":true}"#),
    ("pydantic.SecretStr", r#"{"format":"password","type":"string","writeOnly":true}"#),
    ("pydantic.SnowflakeDsn", r#"{"format":"uri","minLength":1,"type":"string"}"#),
    ("pydantic.SocketPath", r#"{"format":"path","type":"string"}"#),
    ("pydantic.StrictBool", r#"{"type":"boolean"}"#),
    ("pydantic.StrictBytes", r#"{"format":"binary","type":"string"}"#),
    ("pydantic.StrictFloat", r#"{"type":"number"}"#),
    ("pydantic.StrictInt", r#"{"type":"integer"}"#),
    ("pydantic.StrictStr", r#"{"type":"string"}"#),
    ("pydantic.UUID1", r#"{"format":"uuid1","type":"string"}"#),
    ("pydantic.UUID3", r#"{"format":"uuid3","type":"string"}"#),
    ("pydantic.UUID4", r#"{"format":"uuid4","type":"string"}"#),
    ("pydantic.UUID5", r#"{"format":"uuid5","type":"string"}"#),
    ("pydantic.UUID6", r#"{"format":"uuid6","type":"string"}"#),
    ("pydantic.UUID7", r#"{"format":"uuid7","type":"string"}"#),
    ("pydantic.UUID8", r#"{"format":"uuid8","type":"string"}"#),
    ("pydantic.WebsocketUrl", r#"{"format":"uri","maxLength":2083,"minLength":1,"type":"string"}"#),
];

/// Classes of the standard library that pydantic only checks instances of: no type keys.
const PLAIN: &[&str] = &[
    "builtins.memoryview", "builtins.range", "builtins.slice", "builtins.bytearray", "logging.Logger",
    "logging.LoggerAdapter", "logging.Handler", "io.StringIO", "io.BytesIO", "io.TextIOWrapper", "subprocess.Popen",
    "threading.Thread", "threading.Event", "argparse.Namespace", "argparse.ArgumentParser", "queue.Queue",
    "asyncio.Queue", "asyncio.Event", "asyncio.Semaphore", "types.SimpleNamespace", "types.ModuleType",
    "concurrent.futures.Executor", "concurrent.futures.ThreadPoolExecutor", "random.Random", "datetime.tzinfo",
    "datetime.timezone", "sqlite3.Connection", "sqlite3.Cursor", "tempfile.TemporaryDirectory", "numbers.Number",
    "numbers.Real", "collections.UserDict", "collections.UserList", "configparser.ConfigParser", "enum.EnumMeta",
    "string.Template", "http.client.HTTPConnection", "re.Match",
];

/// Classes of the standard library with arguments, and typing's forms.
const GENERIC: &[&str] = &[
    "list", "tuple", "set", "frozenset", "dict", "type", "List", "Tuple", "Set", "FrozenSet", "Dict", "Type", "Sequence",
    "MutableSequence", "Iterable", "Generator", "Mapping", "MutableMapping", "Deque", "deque", "OrderedDict", "Counter",
    "DefaultDict", "defaultdict", "AbstractSet", "MutableSet", "Callable", "Required", "NotRequired", "ReadOnly",
    "ClassVar", "Final", "Iterator", "Collection", "Container", "Awaitable", "Coroutine", "AsyncIterator",
    "AsyncIterable", "AsyncGenerator", "Pattern", "PathLike", "Json", "InitVar", "ContextManager", "AsyncContextManager",
    "KeysView", "ValuesView", "ItemsView", "ChainMap", "Reversible",
];

const TYPING_MODULES: &[&str] = &["builtins", "typing", "collections", "collections.abc", "os", "re", "pydantic", "dataclasses"];

/// The module and the last part of a dotted name.
pub(super) fn split(name: &str) -> (&str, &str) {
    name.rsplit_once('.').unwrap_or(("", name))
}

/// The schema of a type that always has the same.
pub(super) fn fixed(name: &str) -> Option<serde_json::Value> {
    FIXED.iter().find(|(known, _)| *known == name).and_then(|(_, json)| serde_json::from_str(json).ok())
}

/// Whether `name[...]` is a generic type that is known here.
pub(super) fn is_generic(name: &str) -> bool {
    let (module, last) = split(name);
    TYPING_MODULES.contains(&module) && (GENERIC.contains(&last) || name == "collections.abc.Set")
}

/// Whether it is a class that pydantic only checks instances of.
pub(super) fn is_instance_of(name: &str) -> bool {
    PLAIN.contains(&name)
}

/// Whether it stands for a type.
pub(super) fn is_type(name: &str) -> bool {
    is_generic(name)
        || is_instance_of(name)
        || FIXED.iter().any(|(known, _)| *known == name)
        || matches!(name, "builtins.object" | "typing.Any" | "pydantic.EmailStr" | "pydantic.BaseModel" | "pydantic.JsonValue")
}

/// Whether it is a class proper, which does not combine with a text through `|`.
pub(super) fn is_plain_class(name: &str) -> bool {
    let (module, _) = split(name);
    is_type(name) && !matches!(module, "typing" | "pydantic")
}

/// Modules that are taken to be installed: the standard library, pydantic, Prefect.
pub(super) fn is_present(module: &str) -> bool {
    let first = module.split('.').next().unwrap_or(module);
    STDLIB.contains(&first) || matches!(first, "prefect" | "pydantic" | "typing_extensions" | "pydantic_core")
}

/// Modules that are never looked for in the repository: Prefect has imported them already.
pub(super) fn is_foreign(module: &str) -> bool {
    is_present(module) || matches!(module, "annotated_types" | "anyio" | "httpx" | "yaml" | "pytest" | "numpy" | "pandas")
}

/// Libraries whose objects decide what a schema is.
pub(super) fn is_core(name: &str) -> bool {
    let first = name.split('.').next().unwrap_or(name);
    matches!(first, "pydantic" | "prefect" | "typing" | "builtins" | "inspect" | "enum" | "dataclasses" | "sys")
        && name != "sys.path"
}

/// One name for what has several.
pub(super) fn canonical(name: &str) -> String {
    let (module, last) = split(name);
    let module = match (module, last) {
        ("typing_extensions", "TypedDict" | "TypeAliasType" | "Doc" | "deprecated") => module,
        ("typing_extensions", _) => "typing",
        ("prefect.flows" | "prefect.main", "flow") => "prefect",
        (
            "pydantic.fields" | "pydantic.main" | "pydantic.types" | "pydantic.networks" | "pydantic.config"
            | "pydantic.functional_validators" | "pydantic.functional_serializers" | "pydantic.root_model",
            _,
        ) => "pydantic",
        ("_io", _) => "io",
        ("asyncio.queues", _) => "asyncio",
        _ => return name.to_owned(),
    };
    format!("{module}.{last}")
}

/// Whether it is a name of every module.
pub(super) fn is_builtin(name: &str) -> bool {
    BUILTINS.contains(&name)
}

const BUILTINS: &[&str] = &[
    "abs", "aiter", "all", "anext", "any", "ascii", "bin", "bool", "breakpoint", "bytearray", "bytes", "callable", "chr",
    "classmethod", "compile", "complex", "copyright", "credits", "delattr", "dict", "dir", "divmod", "enumerate", "eval",
    "exec", "exit", "filter", "float", "format", "frozenset", "getattr", "globals", "hasattr", "hash", "help", "hex",
    "id", "input", "int", "isinstance", "issubclass", "iter", "len", "license", "list", "locals", "map", "max",
    "memoryview", "min", "next", "object", "oct", "open", "ord", "pow", "print", "property", "quit", "range", "repr",
    "reversed", "round", "set", "setattr", "slice", "sorted", "staticmethod", "str", "sum", "super", "tuple", "type",
    "vars", "zip", "NotImplemented", "Ellipsis", "__import__", "__debug__", "__build_class__", "ArithmeticError",
    "AssertionError", "AttributeError", "BaseException", "BaseExceptionGroup", "BlockingIOError", "BrokenPipeError",
    "BufferError", "BytesWarning", "ChildProcessError", "ConnectionAbortedError", "ConnectionError",
    "ConnectionRefusedError", "ConnectionResetError", "DeprecationWarning", "EOFError", "EncodingWarning",
    "EnvironmentError", "Exception", "ExceptionGroup", "FileExistsError", "FileNotFoundError", "FloatingPointError",
    "FutureWarning", "GeneratorExit", "IOError", "ImportError", "ImportWarning", "IndentationError", "IndexError",
    "InterruptedError", "IsADirectoryError", "KeyError", "KeyboardInterrupt", "LookupError", "MemoryError",
    "ModuleNotFoundError", "NameError", "NotADirectoryError", "NotImplementedError", "OSError", "OverflowError",
    "PendingDeprecationWarning", "PermissionError", "ProcessLookupError", "RecursionError", "ReferenceError",
    "ResourceWarning", "RuntimeError", "RuntimeWarning", "StopAsyncIteration", "StopIteration", "SyntaxError",
    "SyntaxWarning", "SystemError", "SystemExit", "TabError", "TimeoutError", "TypeError", "UnboundLocalError",
    "UnicodeDecodeError", "UnicodeEncodeError", "UnicodeError", "UnicodeTranslateError", "UnicodeWarning", "UserWarning",
    "ValueError", "Warning", "ZeroDivisionError",
];

const STDLIB: &[&str] = &[
    "__future__", "abc", "argparse", "array", "ast", "asyncio", "atexit", "base64", "bisect", "builtins", "bz2",
    "calendar", "cmath", "codecs", "collections", "concurrent", "configparser", "contextlib", "contextvars", "copy",
    "copyreg", "csv", "ctypes", "dataclasses", "datetime", "decimal", "difflib", "dis", "email", "encodings", "enum",
    "errno", "fcntl", "filecmp", "fileinput", "fnmatch", "fractions", "ftplib", "functools", "gc", "getpass", "gettext",
    "glob", "graphlib", "gzip", "hashlib", "heapq", "hmac", "html", "http", "imaplib", "importlib", "inspect", "io",
    "ipaddress", "itertools", "json", "keyword", "linecache", "locale", "logging", "lzma", "math", "mimetypes", "mmap",
    "multiprocessing", "numbers", "operator", "os", "pathlib", "pickle", "pkgutil", "platform", "posixpath", "pprint",
    "queue", "random", "re", "reprlib", "resource", "sched", "secrets", "select", "selectors", "shelve", "shlex",
    "shutil", "signal", "smtplib", "socket", "socketserver", "sqlite3", "ssl", "stat", "statistics", "string", "struct",
    "subprocess", "sys", "sysconfig", "tarfile", "tempfile", "textwrap", "threading", "time", "timeit", "tokenize",
    "tomllib", "traceback", "tracemalloc", "types", "typing", "unicodedata", "unittest", "urllib", "uuid", "venv",
    "warnings", "weakref", "webbrowser", "wsgiref", "xml", "xmlrpc", "zipfile", "zipimport", "zlib", "zoneinfo",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fragment_is_json_and_names_have_one_form() {
        assert!(FIXED.iter().all(|(name, _)| fixed(name).is_some()));
        assert_eq!(canonical("typing_extensions.Literal"), "typing.Literal");
        assert_eq!(canonical("typing_extensions.TypedDict"), "typing_extensions.TypedDict");
        assert_eq!(canonical("prefect.flows.flow"), "prefect.flow");
    }
}
