//! Who may import whom: the table of ARCHITECTURE.md, read against the `use` lines.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Each room and the rooms that it may use. `clock`, `random`, `fail_point`, `in_process` and `tls` are everybody's; `testing` is compiled for tests
/// alone, and composes as `portal` does.
fn rules() -> BTreeMap<&'static str, &'static [&'static str]> {
    BTreeMap::from([
        ("store", &[][..]),
        ("audit", &["store"]),
        ("directory", &[]),
        ("cards", &["store", "audit"]),
        ("hsm", &[]),
        ("issuance", &["store", "hsm"]),
        ("auth", &["store", "audit", "directory"]),
        ("engine", &["store", "audit"]),
        ("activities", &["engine", "store", "audit", "directory", "cards", "issuance"]),
        ("config", &["audit", "auth", "directory", "issuance"]),
        ("http", &["portal", "engine", "auth", "audit"]),
        ("desk", &["store", "engine"]),
        ("web", &["portal", "http", "desk", "engine", "audit", "auth", "cards"]),
        ("api", &["portal", "http", "desk", "engine"]),
        ("agents", &["portal", "http", "desk", "engine", "audit", "cards"]),
        ("public", &["portal", "desk"]),
        ("operations", &["portal", "desk"]),
        ("portal", &["activities", "audit", "auth", "cards", "config", "directory", "engine", "issuance", "store"]),
        (
            "commands",
            &[
                "portal",
                "http",
                "web",
                "api",
                "agents",
                "public",
                "operations",
                "engine",
                "auth",
                "store",
                "audit",
                "config",
                "cards",
                "activities",
                "hsm",
                "directory",
                "issuance",
            ],
        ),
    ])
}

const EVERYBODYS: [&str; 5] = ["clock", "random", "fail_point", "in_process", "tls"];

/// Outside crates that are confined to rooms.
const CONFINED: [(&str, &[&str]); 5] = [
    ("cryptoki", &["hsm"]),
    ("jsonwebtoken", &["auth"]),
    ("sea_orm", &["store"]),
    ("ldap3", &["directory"]),
    ("askama", &["web"]),
];

/// Every Rust file below a folder.
pub fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn room_of(path: &Path, root: &Path) -> String {
    let relative = path.strip_prefix(root).expect("inside");
    let first = relative.components().next().expect("a part").as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

/// The rooms that a `use` line or a path names: `crate::engine::…`, `crate::{cards, store::…}`.
fn named(text: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    for part in text.split("crate::").skip(1) {
        if let Some(group) = part.strip_prefix('{') {
            let group = group.split("};").next().unwrap_or_default();
            let mut depth = 0;
            let mut word = String::new();
            let mut taking = true;
            for letter in group.chars() {
                match letter {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        rooms.push(std::mem::take(&mut word));
                        taking = true;
                    }
                    ':' if depth == 0 => taking = false,
                    letter if depth == 0 && taking && (letter.is_ascii_alphanumeric() || letter == '_') => {
                        word.push(letter)
                    }
                    _ => {}
                }
            }
            rooms.push(word);
        } else {
            rooms.push(part.chars().take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '_').collect());
        }
    }
    rooms.retain(|room| !room.is_empty());
    rooms
}

/// The packages below `src`.
pub const PACKAGES: [&str; 4] = ["workflow", "pki", "protocol", "agent"];

#[test]
fn rooms_import_only_what_they_may() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let rules = rules();
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut wrong = Vec::new();
    for file in files {
        let room = room_of(&file, &root);
        if PACKAGES.contains(&room.as_str())
            || ["main", "lib", "clock", "random", "fail_point", "in_process", "testing", "tls"].contains(&room.as_str())
        {
            continue;
        }
        let allowed = rules.get(room.as_str()).unwrap_or_else(|| panic!("the room `{room}` is not in the table"));
        let text = std::fs::read_to_string(&file).expect("a source");
        let code: String =
            text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        for other in named(&code) {
            let known = rules.contains_key(other.as_str());
            let own = other == room || EVERYBODYS.contains(&other.as_str());
            if known && !own && !allowed.contains(&other.as_str()) {
                wrong.push(format!("{}: {room} must not use {other}", file.display()));
            }
        }
        for (library, homes) in CONFINED {
            let uses = code.contains(&format!("use {library}::")) || code.contains(&format!(" {library}::"));
            if uses && !homes.contains(&room.as_str()) {
                wrong.push(format!("{}: {library} is confined to {homes:?}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pure_packages_have_no_input_or_output() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for package in ["workflow", "pki", "protocol"] {
        let mut files = Vec::new();
        sources(&root.join(package), &mut files);
        for file in files.iter().filter(|file| !file.components().any(|part| part.as_os_str() == "tests")) {
            let text = std::fs::read_to_string(file).expect("a source");
            for forbidden in
                ["std::fs", "std::net", "std::env", "std::process", "now_utc", "SystemTime", "tokio", "async fn"]
            {
                assert!(!text.contains(forbidden), "{}: {forbidden}", file.display());
            }
        }
    }
}

/// Each statement of the store names the tenant, by the one trait that adds it.
#[test]
fn every_query_names_the_tenant() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 40, "{files:?}");
    for file in files.iter().filter(|file| !file.ends_with("database/tenant.rs")) {
        let text = std::fs::read_to_string(file).expect("a source");
        for forbidden in
            ["::find()", "find_by_id(", "update_many(", "delete_many(", "delete_by_id(", "Column::Tenant.eq"]
        {
            assert!(!text.contains(forbidden), "{}: {forbidden} names no tenant by itself", file.display());
        }
    }
}

/// The lower floor of the store knows its own tables, and none of the subjects whose queries are beside it.
#[test]
fn the_database_knows_no_subject() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/database");
    let mut files = Vec::new();
    sources(&root, &mut files);
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a source");
        for path in text.split("crate::store::").skip(1) {
            let is_own = ["database::", "database)", "StoreError"].iter().any(|own| path.starts_with(own));
            assert!(is_own, "{}: {}", file.display(), path.lines().next().unwrap_or_default());
        }
    }
}

/// The demo world runs the server as a program: with the library it would be linked twice, and the mock sign-in could come back into the product.
#[test]
fn the_world_links_no_server_and_the_server_no_world() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dependencies = |manifest: &str| {
        let text = std::fs::read_to_string(root.join(manifest)).expect("a manifest");
        let (_, section) = text.split_once("\n[dependencies]\n").expect("dependencies");
        section.split("\n[").next().unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let names = |manifest: &str, library: &str| {
        dependencies(manifest).iter().any(|line| line.split(['.', ' ', '=']).next() == Some(library))
    };
    assert!(names("Cargo.toml", "sealwright-pki"), "dependencies are not read");
    assert!(!names("tests/world/Cargo.toml", "sealwright"));
    assert!(!names("Cargo.toml", "sealwright-world"));
}

/// The module that a source file is, as tests are named: `journey::cards`, `pki::tests::keys`.
fn module_of(path: &Path, root: &Path) -> String {
    let relative = path.strip_prefix(root).expect("inside").with_extension("");
    let parts = relative.components().skip(1).map(|part| part.as_os_str().to_string_lossy().into_owned());
    parts.filter(|part| part != "mod").collect::<Vec<_>>().join("::")
}

fn read(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect(file)
}

/// Ids of the promises in SECURITY.md. Every list item of that section is `- **id** text`.
fn promised(security: &str) -> Vec<&str> {
    let (_, section) = security.split_once("\n## Promises\n").expect("a section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let items = section.lines().filter(|line| line.starts_with(['-', '*']));
    items.map(|item| item.strip_prefix("- **").and_then(|item| item.split_once("** ")).expect(item).0).collect()
}

/// Rows of `tests/matrices/promises.md`: the id of a promise, and its tests.
fn shown(promises: &str) -> Vec<(&str, Vec<&str>)> {
    let rows = promises.lines().filter(|line| line.starts_with('|')).skip(2);
    let rows = rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [id, _, tests] = cells[..] else { panic!("not id, promise and tests: {row}") };
        (id, tests.split('`').skip(1).step_by(2).collect())
    });
    rows.collect()
}

/// SECURITY.md and the file that says which tests show its promises have the same ids.
#[test]
fn every_promise_has_tests_and_every_row_a_promise() {
    let (security, promises) = (read("SECURITY.md"), read("tests/matrices/promises.md"));
    let (promised, shown) = (promised(&security), shown(&promises));
    assert!(promised.len() > 50 && shown.len() > 70, "{} promises, {} rows", promised.len(), shown.len());

    let ids: BTreeSet<&str> = promised.iter().copied().collect();
    assert_eq!(ids.len(), promised.len(), "an id is given twice: {promised:?}");
    let rows: BTreeSet<&str> = shown.iter().map(|(id, _)| *id).collect();
    let untested: Vec<_> = ids.difference(&rows).collect();
    assert!(untested.is_empty(), "promised in SECURITY.md and not in tests/matrices/promises.md: {untested:?}");
    let unpromised: Vec<_> = rows.difference(&ids).collect();
    assert!(unpromised.is_empty(), "in tests/matrices/promises.md and not promised in SECURITY.md: {unpromised:?}");

    let empty: Vec<_> = shown.iter().filter(|(_, tests)| tests.is_empty()).map(|(id, _)| id).collect();
    assert!(empty.is_empty(), "rows without a test: {empty:?}");
}

/// Every test that shows a promise of SECURITY.md exists, in the module that it is said to be in.
#[test]
fn every_test_that_security_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    for folder in ["src", "tests"] {
        sources(&root.join(folder), &mut paths);
    }
    let module = |path: &PathBuf| (module_of(path, root), std::fs::read_to_string(path).expect("a source"));
    let modules: Vec<(String, String)> = paths.iter().map(module).collect();

    let promises = read("tests/matrices/promises.md");
    let names: Vec<&str> = shown(&promises).into_iter().flat_map(|(_, tests)| tests).collect();
    assert!(names.len() > 150, "{names:?}");
    for name in names {
        let (home, last) = name.rsplit_once("::").unwrap_or(("", name));
        // Tests may stand in the file of what they test; where no module is named, only one test has the name.
        let is_home = |module: &str| home.is_empty() || module == home || home == format!("{module}::tests");
        let tests = modules.iter().filter(|(module, text)| is_home(module) && text.contains(&format!("fn {last}(")));
        let is_module = modules.iter().any(|(module, _)| module == name);
        assert!(is_module || tests.count() == 1, "{name} is no test, or more than one");
    }
}

/// Every crate that a build takes in, with its licence.
fn crates() -> Vec<(String, String)> {
    let output = std::process::Command::new(env!("CARGO"))
        .args(["tree", "--workspace", "--all-features", "--edges", "normal,build", "--prefix", "none", "--offline"])
        .args(["--format", "{p}|{l}"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    let crates = text.lines().filter_map(|line| line.split_once('|'));
    crates.map(|(name, licence)| (name.to_owned(), licence.trim_end_matches(" (*)").trim().to_owned())).collect()
}

/// One crypto provider, no OpenSSL, and no licence that asks more of whoever ships this than its own does.
#[test]
fn crates_are_of_known_licences_and_one_crypto_provider() {
    const FORBIDDEN: [&str; 6] = ["openssl", "openssl-sys", "native-tls", "ring", "boring", "mbedtls"];
    // MPL-2.0 asks that changes to its own files be published: none is changed.
    const LICENCES: [&str; 13] = [
        "MIT",
        "Apache-2.0",
        "Apache-2.0 WITH LLVM-exception",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "ISC",
        "Zlib",
        "Unicode-3.0",
        "CC0-1.0",
        "Unlicense",
        "CDLA-Permissive-2.0",
        "MIT-0",
        "MPL-2.0",
    ];
    let crates = crates();
    assert!(crates.len() > 100);
    for (name, licence) in crates {
        let bare = name.split(' ').next().unwrap_or_default();
        assert!(!FORBIDDEN.contains(&bare), "{name} must not be in the product");
        // `A OR B` is a choice, `A AND B` is all of them.
        let alternatives = licence.replace('/', " OR ").replace(['(', ')'], "");
        let known =
            alternatives.split(" OR ").any(|choice| choice.split(" AND ").all(|part| LICENCES.contains(&part.trim())));
        assert!(known, "{name} has the licence `{licence}`");
    }
}
