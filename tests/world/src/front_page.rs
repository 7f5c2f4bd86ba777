//! The demo's first page: who has which role, what to try, and a request that waits.

use askama::Template;
use tokio::sync::watch;

use crate::directory::Person;

/// Pages of the portal that the first page leads to once somebody is picked; the start page comes first.
const DESTINATIONS: [&str; 4] = ["/", "/token", "/role", "/role?to=/certificates"];
/// Titles of the roles that the portal's configuration gives to members of a group, by the group's name.
const ROLES: [(&str, &str); 3] =
    [("ra-operators", "RA Operator"), ("ca-operators", "CA Operator"), ("auditors", "Auditor")];
/// People whom the things to try are about.
const CAST: [&str; 3] = ["bob", "rita", "carl"];

/// A person whom the visitor can be.
pub struct Visitor {
    login: String,
    name: String,
    /// Titles of the roles, empty where only a foreign directory knows them.
    roles: Vec<&'static str>,
}

impl Visitor {
    /// A person of a foreign directory.
    pub fn unknown(login: String) -> Self {
        Self { name: login.clone(), login, roles: Vec::new() }
    }
}

impl From<Person> for Visitor {
    fn from(Person { login, name, groups }: Person) -> Self {
        let granted = ROLES.into_iter().filter(|(group, _)| groups.iter().any(|known| known == group));
        let roles = std::iter::once("User").chain(granted.map(|(_, title)| title)).collect();
        Self { login, name, roles }
    }
}

/// Everything that the page shows.
pub struct FrontPage {
    people: Vec<Visitor>,
    /// The name of the person whose request waits for an RA operator.
    open_request: watch::Receiver<Option<String>>,
}

#[derive(Template)]
#[template(path = "demo.html")]
struct DemoPage<'a> {
    people: &'a [Visitor],
    /// The login of the person whom the visitor is.
    login: Option<&'a str>,
    /// Where signing in leads to, if not to the start page.
    to: Option<&'a str>,
    has_cast: bool,
    open_request: Option<String>,
}

impl FrontPage {
    pub fn new(people: Vec<Visitor>, open_request: watch::Receiver<Option<String>>) -> Self {
        Self { people, open_request }
    }

    /// Whether somebody has this login.
    pub fn knows(&self, login: &str) -> bool {
        self.people.iter().any(|person| person.login == login)
    }

    /// The page, for a visitor who is `login` and wanted to go to `to`.
    ///
    /// # Errors
    /// The template fails.
    pub fn render(&self, login: Option<&str>, to: Option<&str>) -> askama::Result<String> {
        let page = DemoPage {
            people: &self.people,
            login: login.filter(|login| self.knows(login)),
            to: Some(destination(to)).filter(|to| *to != "/"),
            has_cast: CAST.into_iter().all(|login| self.knows(login)),
            open_request: self.open_request.borrow().clone(),
        };
        page.render()
    }
}

/// Where the browser goes once a person is picked: a page that is known here, or the start page.
pub fn destination(to: Option<&str>) -> &'static str {
    let [start, ..] = DESTINATIONS;
    DESTINATIONS.into_iter().find(|known| Some(*known) == to).unwrap_or(start)
}

/// The first page's own address, for a browser that wanted `path` while nobody was signed in.
pub fn location(path: &str) -> String {
    match destination(Some(path)) {
        "/" => "/demo".to_owned(),
        known => format!("/demo?to={known}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(login: &str, groups: &[&str]) -> Visitor {
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        Visitor::from(Person { login: login.to_owned(), name: format!("<{login}>"), groups })
    }

    fn page(people: Vec<Visitor>, open_request: Option<&str>, to: Option<&str>) -> String {
        let (_announced, open_request) = watch::channel(open_request.map(ToOwned::to_owned));
        FrontPage::new(people, open_request).render(Some("bob"), to).expect("a page")
    }

    fn cast() -> Vec<Visitor> {
        vec![person("bob", &[]), person("rita", &["ra-operators"]), person("carl", &["ca-operators", "auditors"])]
    }

    #[test]
    fn it_says_who_has_which_role_and_what_to_try() {
        let text = page(cast(), Some("Dora"), None);
        for expected in [
            ">User</td>",
            ">User, RA Operator</td>",
            ">User, CA Operator, Auditor</td>",
            "&#60;rita&#62;",
            "href=\"/token\"",
            "<strong>Dora</strong>",
            "You are bob",
        ] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
        assert_eq!(text.matches("name=\"person\" value=\"rita\"").count(), 3, "{text}");

        let text = page(cast(), None, None);
        assert!(text.contains("No request waits"), "{text}");
        // Another directory's people have other stories.
        let text = page(vec![Visitor::unknown("bob".to_owned())], None, None);
        assert!(!text.contains("to try") && text.contains("as the directory says"), "{text}");
    }

    #[test]
    fn it_needs_nothing_that_its_policy_forbids() {
        let text = page(cast(), Some("Dora"), Some("/token"));
        for forbidden in ["<script", "<style", " style=", " onclick=", "http:", "https:"] {
            assert!(!text.contains(forbidden), "{forbidden}: {text}");
        }
    }

    #[test]
    fn it_leads_to_pages_that_it_knows() {
        assert_eq!(destination(Some("/token")), "/token");
        for other in [None, Some(""), Some("//elsewhere.test/"), Some("https://elsewhere.test/"), Some("/token?x")] {
            assert_eq!(destination(other), "/", "{other:?}");
        }
        assert_eq!(location("/token"), "/demo?to=/token");
        assert_eq!(location("/certificates"), "/demo");
        assert_eq!(page(cast(), None, Some("/token")).matches("name=\"to\" value=\"/token\"").count(), 4);
    }
}
