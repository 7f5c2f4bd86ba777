//! Modules that import each other in a circle, computed from the `use` lines.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::architecture::{PACKAGES, sources};

/// Rooms and packages whose modules still form a circle. None is added; one whose circle was opened is taken out.
const CIRCULAR: [&str; 8] = ["activities", "directory", "engine", "hsm", "issuance", "pki", "store", "workflow"];

/// The modules of a crate, and the modules that each imports. The root's name is empty.
type Imports = BTreeMap<String, BTreeSet<String>>;

#[test]
fn the_agents_modules_form_no_import_circle() {
    let circles = circles(&imports("agent"));
    assert!(circles.is_empty(), "{circles:#?}");
}

/// Parts of the agent, and the parts that they never reach, however indirectly.
const AGENT_FLOORS: [(&str, &[&str]); 5] = [
    (
        "card",
        &["piv", "token", "readers", "job", "jobs", "journal", "worker", "connection", "conversation", "commands"],
    ),
    ("piv", &["token", "readers", "job", "jobs", "journal", "worker", "connection", "conversation", "commands"]),
    ("token", &["piv", "readers", "job", "jobs", "journal", "worker", "connection", "conversation", "commands"]),
    ("job", &["piv", "token", "readers", "jobs", "journal", "worker", "connection", "conversation", "commands"]),
    ("jobs", &["piv", "token", "readers", "journal", "worker", "connection", "conversation", "commands"]),
];

#[test]
fn the_agents_cards_and_jobs_know_nothing_of_what_is_above_them() {
    let imports = imports("agent");
    let part = |module: &str| module.split("::").next().unwrap_or_default().to_owned();
    for (low, above) in AGENT_FLOORS {
        let modules: Vec<_> = imports.keys().filter(|module| part(module) == low).collect();
        assert!(!modules.is_empty(), "there is no `{low}`");
        for module in modules {
            let reached = reachable(&imports, module);
            let wrong: Vec<_> = reached.iter().filter(|other| above.contains(&part(other).as_str())).collect();
            assert!(wrong.is_empty(), "{module} reaches {wrong:?}");
        }
    }
}

#[test]
fn no_further_room_has_an_import_circle() {
    let mut found = Vec::new();
    for package in PACKAGES {
        found.extend(circles(&imports(package)).into_iter().map(|circle| (package.to_owned(), circle)));
    }
    let rooms = circles(&imports("")).into_iter().filter_map(|circle| {
        let room = circle.first()?.split("::").next()?.to_owned();
        Some((room, circle))
    });
    found.extend(rooms);

    let further: Vec<_> = found.iter().filter(|(room, _)| !CIRCULAR.contains(&room.as_str())).collect();
    assert!(further.is_empty(), "{further:#?}");
}

/// Reads the `use` lines of a package below `src`, or, without a name, of the server. Unit tests do not count.
fn imports(package: &str) -> Imports {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(package);
    let mut files = Vec::new();
    sources(&root, &mut files);

    let mut texts = BTreeMap::new();
    for file in files {
        let relative = file.strip_prefix(&root).expect("inside").with_extension("");
        let parts: Vec<_> = relative.components().map(|part| part.as_os_str().to_string_lossy()).collect();
        let is_elsewhere = package.is_empty() && parts.first().is_some_and(|first| PACKAGES.contains(&first.as_ref()));
        if is_elsewhere || parts.iter().any(|part| part == "tests") {
            continue;
        }
        let names = parts.iter().map(AsRef::as_ref).filter(|part| !["mod", "main", "lib"].contains(part));
        let text = std::fs::read_to_string(&file).expect("a source");
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned();
        texts.insert(names.collect::<Vec<_>>().join("::"), code);
    }

    let mut modules: BTreeSet<String> = texts.keys().cloned().collect();
    // A module with a `#[path]` has its file somewhere else.
    for (module, code) in &texts {
        modules.extend(declared(code).map(|name| joined(module, name)));
    }
    let imported = |module: &str, code: &str| {
        let paths = paths(code);
        let found = paths.iter().filter_map(|path| target(path, module, &modules));
        found.filter(|other| other != module).collect()
    };
    texts.iter().map(|(module, code)| (module.clone(), imported(module, code))).collect()
}

/// The names of the modules that a text declares as files.
fn declared(code: &str) -> impl Iterator<Item = &str> {
    let names = code.lines().filter_map(|line| without_visibility(line).strip_prefix("mod ")?.strip_suffix(';'));
    names.map(str::trim)
}

/// Every path that `use` lines name, groups written out.
fn paths(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = code.lines();
    while let Some(line) = lines.next() {
        let Some(first) = without_visibility(line).strip_prefix("use ") else { continue };
        let mut statement = first.to_owned();
        while !statement.ends_with(';') {
            let Some(next) = lines.next() else { break };
            statement.push_str(next.trim());
        }
        write_out("", statement.trim_end_matches(';'), &mut found);
    }
    found
}

/// `a::{b, c::{d, e}}` is `a::b`, `a::c::d` and `a::c::e`.
fn write_out(before: &str, tree: &str, found: &mut Vec<String>) {
    let Some((head, group)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or_default().trim();
        if !path.is_empty() {
            found.push(format!("{before}{path}"));
        }
        return;
    };
    let before = format!("{before}{}", head.trim());
    let group = group.trim_end().strip_suffix('}').unwrap_or(group);

    let (mut depth, mut start) = (0, 0);
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                write_out(&before, &group[start..at], found);
                start = at + 1;
            }
            _ => {}
        }
    }
    write_out(&before, &group[start..], found);
}

fn without_visibility(line: &str) -> &str {
    let line = line.trim();
    match line.strip_prefix("pub") {
        Some(rest) if rest.starts_with('(') => rest.split_once(") ").map_or(line, |(_, rest)| rest),
        Some(rest) => rest.trim_start(),
        None => line,
    }
}

/// The module that a path leads to from another one: the longest part of it that is one. None for another crate.
fn target(path: &str, from: &str, modules: &BTreeSet<String>) -> Option<String> {
    let mut home: Vec<&str> = from.split("::").filter(|name| !name.is_empty()).collect();
    let mut names: Vec<&str> = path.split("::").collect();
    match *names.first()? {
        "crate" => home.clear(),
        "self" | "super" => {}
        first if modules.contains(&joined(from, first)) => {}
        _ => return None,
    }
    while let Some(first) = names.first().copied().filter(|name| ["crate", "self", "super"].contains(name)) {
        if first == "super" {
            home.pop();
        }
        names.remove(0);
    }

    home.extend(names);
    while !home.is_empty() && !modules.contains(&home.join("::")) {
        home.pop();
    }
    Some(home.join("::"))
}

fn joined(module: &str, name: &str) -> String {
    if module.is_empty() { name.to_owned() } else { format!("{module}::{name}") }
}

/// The sets of modules that reach each other.
fn circles(imports: &Imports) -> Vec<Vec<String>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        imports.keys().map(|module| (module.as_str(), reachable(imports, module))).collect();
    let reaches = |one: &str, other: &str| reached.get(one).is_some_and(|modules| modules.contains(other));

    let mut circles = BTreeSet::new();
    for module in imports.keys().filter(|module| reaches(module, module)) {
        let circle = imports.keys().filter(|other| reaches(module, other) && reaches(other, module));
        circles.insert(circle.cloned().collect::<Vec<_>>());
    }
    circles.into_iter().collect()
}

fn reachable<'a>(imports: &'a Imports, module: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut next = vec![module];
    while let Some(module) = next.pop() {
        for other in imports.get(module).into_iter().flatten() {
            if reached.insert(other.as_str()) {
                next.push(other);
            }
        }
    }
    reached
}

#[test]
fn a_circle_is_found_through_groups_and_relative_paths() {
    let modules: BTreeSet<String> = ["", "a", "a::b", "a::c", "d"].into_iter().map(ToOwned::to_owned).collect();
    let code = |module: &str| match module {
        "a" => "pub use b::Thing;\nuse std::path::Path;",
        "a::b" => "use super::{\n    c::{One, Two as Other},\n};",
        "a::c" => "pub(super) use crate::a::b::Thing;\nuse crate::{d};",
        _ => "",
    };
    let imported = |module: &str| {
        paths(code(module)).iter().filter_map(|path| target(path, module, &modules)).collect::<BTreeSet<_>>()
    };
    let imports: Imports = modules.iter().map(|module| (module.clone(), imported(module))).collect();
    assert_eq!(imports["a::c"], BTreeSet::from(["a::b".to_owned(), "d".to_owned()]));
    assert_eq!(circles(&imports), [["a::b".to_owned(), "a::c".to_owned()]]);
}
