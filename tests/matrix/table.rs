//! Matrices as data files: `tests/matrices/<name>.md` contains an explanation and one Markdown table.
//!
//! A test computes the rows from the running portal and compares them with the file. With [`REWRITE`] set to `1` it writes
//! them to the file instead, so that the diff shows what has changed.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// The environment variable that asks for a rewrite.
const REWRITE: &str = "SEALWRIGHT_REWRITE";

/// A matrix: its file and the headings of its columns.
pub struct Matrix {
    /// The name of the file, without folder and extension.
    pub name: &'static str,
    /// The heading of the first column, which names a row, and those of the statuses.
    pub head: &'static [&'static str],
}

/// A row: a request or an action, and the HTTP status for each column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub name: String,
    pub cells: Vec<u16>,
}

impl fmt::Display for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "| `{}` |", self.name)?;
        self.cells.iter().try_for_each(|cell| write!(formatter, " {cell} |"))
    }
}

/// A file in three parts: the text before the table, the table's lines, the text after it.
struct Parts<'a> {
    before: Vec<&'a str>,
    table: Vec<&'a str>,
    after: Vec<&'a str>,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Self {
        let mut lines = text.lines().peekable();
        let mut take_while = |in_table: bool| {
            let mut taken = Vec::new();
            while let Some(line) = lines.next_if(|line| line.starts_with('|') == in_table) {
                taken.push(line);
            }
            taken
        };
        let (before, table) = (take_while(false), take_while(true));
        Self { before, table, after: lines.collect() }
    }

    /// Rows of the table below its two head lines: name and whole line.
    fn rows(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let name = |line: &'a str| line.split('|').nth(1).unwrap_or_default().trim().trim_matches('`');
        self.table.iter().skip(2).map(move |line| (name(line), *line))
    }
}

#[expect(clippy::disallowed_methods, reason = "whoever runs the tests asks for a rewrite in the environment")]
fn is_rewrite_requested() -> bool {
    std::env::var_os(REWRITE).is_some_and(|value| value == "1")
}

impl Matrix {
    fn path(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/matrices").join(self.name).with_extension("md")
    }

    fn read(&self) -> String {
        let path = self.path();
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Names of the rows in the file.
    pub fn names(&self) -> Vec<String> {
        let text = self.read();
        Parts::of(&text).rows().map(|(name, _)| name.to_owned()).collect()
    }

    /// Compares the rows that a test has computed with the file, or rewrites the file where that is asked for.
    ///
    /// # Panics
    /// If a row is missing in the file or listed twice, if the file has another row, or if a cell or the head differs.
    pub fn check(&self, computed: &[Row]) {
        let (path, text) = (self.path(), self.read());

        if is_rewrite_requested() {
            let rewritten = self.rewrite(&text, computed);
            if rewritten != text {
                // Renamed into place: another test may read the file, and rewrite it from the other database.
                let temporary = path.with_extension(format!("md.{}", std::process::id()));
                std::fs::write(&temporary, rewritten).expect("a temporary file");
                std::fs::rename(&temporary, &path).expect("the matrix in its place");
            }
            return;
        }

        let differences = self.differences(&text, computed);
        let path = path.display();
        assert!(
            differences.is_empty(),
            "{path} is not what the portal does:\n{}\n\
             Where the portal is right, run the test again with {REWRITE}=1 and review the diff of the file.",
            differences.join("\n")
        );
    }

    /// The two first lines of the table.
    fn head_lines(&self) -> [String; 2] {
        let headings = self.head.iter().map(|heading| format!(" {heading} |"));
        [format!("|{}", headings.collect::<String>()), format!("|{}", "---|".repeat(self.head.len()))]
    }

    /// Differences between a file and the computed rows; the order of the rows is none.
    fn differences(&self, text: &str, computed: &[Row]) -> Vec<String> {
        let parts = Parts::of(text);
        let mut differences = Vec::new();
        let head = self.head_lines();
        if !parts.table.iter().take(2).eq(&head) {
            differences.push(format!("the table does not begin with:\n{}", head.join("\n")));
        }
        if parts.after.iter().any(|line| line.starts_with('|')) {
            differences.push("the file has a second table".to_owned());
        }

        let mut listed = BTreeMap::new();
        for (name, line) in parts.rows() {
            if listed.insert(name, line).is_some() {
                differences.push(format!("`{name}` is listed twice"));
            }
        }

        for row in computed {
            assert_eq!(row.cells.len() + 1, self.head.len(), "{row}");
            match listed.remove(row.name.as_str()) {
                Some(line) if line == row.to_string() => {}
                Some(line) => differences.push(format!("changed:  {line}\n     now  {row}")),
                None => differences.push(format!("missing:  {row}")),
            }
        }
        differences.extend(listed.values().map(|line| format!("extra:    {line}")));
        differences
    }

    /// The file with the computed rows in its table; the text around the table stays.
    fn rewrite(&self, text: &str, computed: &[Row]) -> String {
        let Parts { before, after, .. } = Parts::of(text);
        let before = before.into_iter().map(str::to_owned);
        let table = self.head_lines().into_iter().chain(computed.iter().map(Row::to_string));
        let lines = before.chain(table).chain(after.into_iter().map(str::to_owned));
        lines.map(|line| format!("{line}\n")).collect()
    }
}

const EXAMPLE: Matrix = Matrix { name: "example", head: &["request", "nobody", "user"] };

const EXAMPLE_FILE: &str = "# Example\n\nTwo requests.\n\n| request | nobody | user |\n|---|---|---|\n\
                            | `GET /` | 403 | 200 |\n| `GET /role` | 403 | 200 |\n\nMore text.\n";

fn example_rows() -> Vec<Row> {
    ["GET /", "GET /role"].map(|name| Row { name: name.to_owned(), cells: vec![403, 200] }).to_vec()
}

#[test]
fn a_matrix_fails_on_each_kind_of_difference() {
    let rows = example_rows();
    assert_eq!(EXAMPLE.differences(EXAMPLE_FILE, &rows), Vec::<String>::new());

    let mut more = rows.clone();
    more.push(Row { name: "GET /new".to_owned(), cells: vec![403, 404] });
    assert_eq!(EXAMPLE.differences(EXAMPLE_FILE, &more), ["missing:  | `GET /new` | 403 | 404 |"]);
    assert_eq!(EXAMPLE.differences(EXAMPLE_FILE, &rows[..1]), ["extra:    | `GET /role` | 403 | 200 |"]);

    let changed = EXAMPLE_FILE.replace("`GET /role` | 403", "`GET /role` | 200");
    assert_eq!(EXAMPLE.differences(&changed, &rows).len(), 1);
    let unreadable = EXAMPLE_FILE.replace("`GET /role` | 403 | 200 |", "`GET /role` | 403 |");
    assert_eq!(EXAMPLE.differences(&unreadable, &rows).len(), 1);
    let twice = EXAMPLE_FILE.replace("| `GET /` | 403 | 200 |\n", &"| `GET /` | 403 | 200 |\n".repeat(2));
    assert_eq!(EXAMPLE.differences(&twice, &rows), ["`GET /` is listed twice"]);
    let other_head = EXAMPLE_FILE.replace("| nobody | user |", "| user | nobody |");
    assert_eq!(EXAMPLE.differences(&other_head, &rows).len(), 1);
    let second_table = format!("{EXAMPLE_FILE}\n| `GET /old` | 403 | 200 |\n");
    assert_eq!(EXAMPLE.differences(&second_table, &rows), ["the file has a second table"]);
}

#[test]
fn a_rewrite_changes_the_table_alone() {
    let rows = example_rows();
    assert_eq!(EXAMPLE.rewrite(EXAMPLE_FILE, &rows), EXAMPLE_FILE);

    let stale =
        EXAMPLE_FILE.replace("| `GET /role` | 403 | 200 |\n", "| `GET /old` | 403 |\n").replace("nobody", "none");
    assert_eq!(EXAMPLE.rewrite(&stale, &rows), EXAMPLE_FILE);

    let explained = "# Example\n\nTwo requests.\n\n";
    assert_eq!(EXAMPLE.differences(&EXAMPLE.rewrite(explained, &rows), &rows), Vec::<String>::new());
}
