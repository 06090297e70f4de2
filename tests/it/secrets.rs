//! Secrets in encrypted files: decrypted where they are used, and shown nowhere.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use age::secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::support::project::{Output, Project};
use crate::support::server::Server;

const CANARY: &str = "canary-in-the-cage";

/// What the real program does for the arguments that are used, with base64 for a cipher: decrypts its standard input to
/// its standard output. Every run leaves a mark; `SOPS_FAILS` makes it fail and tell all it knows.
const SOPS: &str = "#!/bin/sh\n\
    echo \"$@\" >> \"$HOME/sops-ran\"\n\
    [ \"$1 $2 $4 $6\" = '--decrypt --input-type --output-type /dev/stdin' ] || exit 3\n\
    plain=$(base64 -d) || exit 1\n\
    [ -z \"$SOPS_FAILS\" ] || { echo \"$plain\" >&2; exit 128; }\n\
    printf '%s\\n' \"$plain\"\n";

struct Cage {
    project: Project,
    identity: age::x25519::Identity,
}

fn blocks(source: &str) -> String {
    format!("blocks:\n- type: secret\n  name: caged\n  data: {{ value: {{ {source} }} }}\n")
}

impl Cage {
    fn new(source: &str) -> Cage {
        let identity = age::x25519::Identity::generate();
        let project = Project::new().file("blocks.yaml", &blocks(source));
        let cage = Cage { project, identity };
        let bin = cage.project.home().join("bin");
        fs::create_dir_all(&bin).unwrap();
        cage.project
            .write("encrypted.enc.yaml", &base64(&format!("db:\n  users:\n  - name: x\n    password: {CANARY}\n")));
        cage.binary("db.age", &cage.encrypted(CANARY));
        cage
    }

    fn encrypted(&self, text: &str) -> Vec<u8> {
        age::encrypt(&self.identity.to_public(), text.as_bytes()).unwrap()
    }

    fn binary(&self, file: &str, bytes: &[u8]) {
        fs::write(self.project.path().join(file), bytes).unwrap();
    }

    fn sops(self) -> Cage {
        let file = self.project.home().join("bin/sops");
        fs::write(&file, SOPS).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:/usr/bin:/bin", file.parent().unwrap().display());
        Cage { project: self.project.env("PATH", &path), ..self }
    }

    fn api(self, url: &str) -> Cage {
        Cage { project: self.project.api(url), ..self }
    }

    fn env(self, name: &str, value: &str) -> Cage {
        Cage { project: self.project.env(name, value), ..self }
    }

    /// With the key in a file that the environment names.
    fn with_key(self) -> Cage {
        let file = self.project.home().join("keys.txt");
        fs::write(&file, format!("# made for a test\n{}\n", self.identity.to_string().expose_secret())).unwrap();
        self.env("SOPS_AGE_KEY_FILE", &file.display().to_string())
    }

    /// Runs a command and looks for the canary in all that it left.
    fn run(&self, args: &[&str], code: i32) -> String {
        let Output { stdout, stderr, .. } = self.project.reconcile(args).exits(code);
        let told = format!("{stdout}{stderr}");
        assert!(!told.contains("canary"), "{args:?}\n{told}");
        let key = self.identity.to_string();
        assert!(!told.contains(key.expose_secret()) && !told.contains("AGE-SECRET-KEY-1Q"), "{args:?}\n{told}");
        told
    }

    fn ran_sops(&self) -> bool {
        self.project.home().join("sops-ran").exists()
    }
}

fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// The value of the block, and everything else that the server holds.
fn stored(server: &Server) -> (Value, String) {
    let all = server.http().post(
        "/block_documents/filter",
        json!({ "include_secrets": true, "block_documents": { "is_anonymous": null } }),
    );
    let (ours, others): (Vec<Value>, Vec<Value>) =
        all.as_array().unwrap().iter().cloned().partition(|block| block["name"] == "caged");
    (ours[0]["data"]["value"].clone(), Value::Array(others).to_string())
}

#[test]
fn a_file_encrypted_with_age_reaches_the_block_and_nothing_else() {
    let server = Server::start();
    let cage = Cage::new("from_file: db.age").api(&server.url).with_key();
    cage.run(&["plan", "--json", "--out", "plan.json", "-vv"], 0);
    assert!(!fs::read_to_string(cage.project.path().join("plan.json")).unwrap().contains("canary"));
    cage.run(&["apply", "--yes", "--json", "-vv"], 0);
    let (value, others) = stored(&server);
    assert_eq!(value, CANARY);
    assert!(!others.contains("canary"), "{others}");
    cage.run(&["plan", "--detailed-exitcode"], 0);
    // Encrypted anew, with armour, it is the same secret; another text is another one.
    let armored = age::encrypt_and_armor(&cage.identity.to_public(), format!("{CANARY}\n").as_bytes()).unwrap();
    cage.project.write("db.age", &armored);
    cage.run(&["plan", "--detailed-exitcode"], 0);
    cage.binary("db.age", &cage.encrypted("canary-the-second"));
    assert!(cage.run(&["plan", "--detailed-exitcode"], 2).contains("sensitive"), "it changes");
    // The key itself in the environment, and a value within the file.
    let key = cage.identity.to_string().expose_secret().to_owned();
    cage.binary("many.age", &cage.encrypted("{\"a\": {\"b\": [1, \"canary-in-a-list\"]}}"));
    cage.project.write("blocks.yaml", &blocks("from_file: many.age, key: a.b.1"));
    let cage = cage.env("SOPS_AGE_KEY", &key);
    cage.run(&["apply", "--yes"], 0);
    assert_eq!(stored(&server).0, "canary-in-a-list");
}

#[test]
fn what_cannot_be_decrypted_says_why() {
    let server = Server::shared();
    let told = |cage: &Cage, words: &str| {
        let told = cage.run(&["plan"], 4);
        assert!(told.contains(words) && told.contains("blocks.yaml:4:"), "{words}\n{told}");
    };
    let cage = Cage::new("from_file: db.age").api(&server.url);
    told(&cage, "set SOPS_AGE_KEY_FILE");
    let cage = cage.env("SOPS_AGE_KEY_FILE", "/nowhere/keys.txt");
    told(&cage, "cannot be read");
    let cage = cage.env("SOPS_AGE_KEY", "AGE-SECRET-KEY-1QNOT");
    told(&cage, "are no age identities");
    let other = age::x25519::Identity::generate().to_string().expose_secret().to_owned();
    let cage = cage.env("SOPS_AGE_KEY", &other);
    told(&cage, "other age keys than ours");
    let own = cage.identity.to_string().expose_secret().to_owned();
    let cage = cage.env("SOPS_AGE_KEY", &own);
    let mut damaged = cage.encrypted(CANARY);
    *damaged.last_mut().unwrap() ^= 1;
    cage.binary("db.age", &damaged);
    told(&cage, "it is damaged");
    cage.binary("db.age", b"age-encryption.org/v1\n-> nothing");
    told(&cage, "damaged");
    cage.binary("db.age", CANARY.as_bytes());
    told(&cage, "it is not an age file");
    cage.binary("db.age", &cage.encrypted(&"x".repeat((1 << 20) + 1)));
    told(&cage, "more than 1 MiB");
    cage.binary("db.age", &cage.encrypted("a: canary"));
    cage.project.write("blocks.yaml", &blocks("from_file: db.age, key: b.c"));
    told(&cage, "has nothing at `b.c`");
}

#[test]
fn sops_decrypts_what_is_its_own() {
    let server = Server::start();
    let source = "from_file: encrypted.enc.yaml, sops: true, key: db.users.0.password";
    let cage = Cage::new(source).api(&server.url).sops();
    cage.run(&["apply", "--yes", "--json", "-vv"], 0);
    let (value, others) = stored(&server);
    assert_eq!(value, CANARY);
    assert!(!others.contains("canary"), "{others}");
    let ran = fs::read_to_string(cage.project.home().join("sops-ran")).unwrap();
    assert!(ran.starts_with("--decrypt --input-type yaml --output-type yaml /dev/stdin\n"), "{ran}");
    let cage = cage.env("SOPS_FAILS", "1");
    let told = cage.run(&["plan"], 4);
    assert!(told.contains("`sops` cannot decrypt it (exit status: 128)"), "{told}");
    let cage = cage.env("PATH", "/nowhere");
    let told = cage.run(&["plan"], 4);
    assert!(told.contains("there is no program `sops`"), "{told}");
}

#[test]
fn files_of_strangers_are_not_decrypted() {
    let source = "from_file: encrypted.enc.yaml, sops: true, key: db.users.0.password";
    let cage = Cage::new(source).sops().with_key();
    cage.project.write(
        "more.reconcile.yaml",
        "blocks:\n- { type: secret, name: second, data: { value: { from_file: db.age } } }\n",
    );
    cage.run(&["validate"], 0);
    cage.run(&["plan", "--untrusted"], 0);
    assert!(!cage.ran_sops(), "no program was run");
}

#[test]
fn what_stands_beside_a_source_is_checked() {
    for (bad, good) in [
        ("from_env: A, key: x", "from_file: a, key: x"),
        ("from_env: A, sops: true", "from_file: a, sops: true"),
        ("from_file: a, sops: yes please", "from_file: a, sops: false"),
        ("from_file: a, key: ''", "from_file: a, key: x.y, format: json"),
    ] {
        let project = Project::new().file("blocks.yaml", &blocks(bad));
        let told = project.reconcile(&["validate", "--json"]).exits(4).stdout;
        assert!(told.contains("E0710"), "{bad}: {told}");
        project.write("blocks.yaml", &blocks(good));
        project.reconcile(&["validate"]).exits(0);
    }
}
