//! Everything that the demo starts: readers, cards, directory, proxy and the portal, in one folder, on free ports of the loopback address.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

use crate::authorities;
use crate::card_service::{CardService, child};
use crate::configuration::{self, Addresses, Written};
use crate::directory::Directory;
use crate::front_page::{FrontPage, Visitor};
use crate::ports::free_address;
use crate::private_file;
use crate::proxy;
use crate::random;

pub use crate::authorities::TokenOptions;
pub use crate::options::{ForeignDirectory, Programs, WorldOptions};

const SECOND_FILE: &str = "second.toml";
const BIND_DN: &str = "cn=sealwright,dc=demo,dc=test";
const GROUPS: &str = "ou=groups,dc=demo,dc=test";

/// The running demo. Dropping it ends everything.
pub struct World {
    pub folder: PathBuf,
    pub proxy: SocketAddr,
    pub pages: SocketAddr,
    pub agent_url: String,
    pub public_url: String,
    /// What people's programs find pcscd by.
    pub socket: PathBuf,
    /// The names of the two readers.
    pub readers: [String; 2],
    /// The agent, with the demo's readers.
    pub agent: PathBuf,
    /// The secret that proxy and portal share.
    pub secret: String,
    /// The embedded directory, unless there is a foreign one.
    pub directory: Option<Directory>,
    programs: Programs,
    card_arguments: Vec<String>,
    ports: Vec<u16>,
    portal: Child,
    second: Option<Node>,
    upstream: watch::Sender<SocketAddr>,
    cards: [Option<Child>; 2],
    card_service: CardService,
    announced: watch::Sender<Option<String>>,
}

/// A second portal.
struct Node {
    pages: SocketAddr,
    agent: SocketAddr,
    public: SocketAddr,
    portal: Child,
}

impl World {
    /// Starts everything in an empty folder, with a card in each reader.
    ///
    /// # Errors
    /// What does not start.
    pub async fn start(options: WorldOptions) -> anyhow::Result<Self> {
        let WorldOptions {
            folder,
            programs,
            database,
            environment,
            cards,
            directory,
            profiles,
            further_people,
            hsm,
            proof,
            address,
            card_arguments,
        } = options;
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        let folder = folder.canonicalize()?;
        let (card_service, socket, ports) = CardService::start(&folder, &programs.virtual_card).await?;
        let secret = random::token()?;
        let password = random::token()?;
        private_file(&folder.join("ldap-password"), &password)?;
        let (embedded, section, groups, people) = match directory {
            Some(ForeignDirectory { section, groups, logins }) => {
                let people = logins.into_iter().map(Visitor::unknown);
                (None, section, groups, people.collect())
            }
            None => {
                let directory = Directory::start(BIND_DN, &password, further_people).await?;
                let (section, people) = (directory_section(&folder, &directory), directory.people());
                let people = people.into_iter().map(Visitor::from);
                (Some(directory), section, GROUPS.to_owned(), people.collect())
            }
        };
        let [pages, agent, public] = [free_address()?, free_address()?, free_address()?];
        let proxy = match address.map(TcpListener::bind) {
            Some(Ok(listener)) => listener.local_addr()?,
            _ => free_address()?,
        };
        let agent_script = folder.join("bin/sealwright-agent");
        let database = database.unwrap_or_else(|| format!("sqlite:{}/sealwright.db", folder.display()));
        let addresses = Addresses { pages, agent, public, proxy };
        authorities::make(&programs.portal, &folder.join("ca"), &format!("http://{public}"), hsm.as_ref()).await?;
        let written = Written {
            folder: &folder,
            database: &database,
            secret: &secret,
            directory: &section,
            groups: &groups,
            cards: &cards,
            profiles: &profiles,
            proof: proof.as_deref(),
            hsm: hsm.as_ref(),
        };
        configuration::write_portal(&written, &addresses, &agent_script)?;
        configuration::write_agent(&folder, &agent_script, &programs.agent, &socket, agent)?;
        let portal = start_portal(&folder, configuration::FILE, &programs.portal, &environment)?;
        let (upstream, portal_address) = watch::channel(pages);
        let (announced, open_request) = watch::channel(None);
        let mut world = Self {
            folder,
            proxy,
            pages,
            agent_url: format!("http://{agent}"),
            public_url: format!("http://{public}"),
            socket,
            readers: ["Virtual reader 0 00 00".to_owned(), "Virtual reader 0 00 01".to_owned()],
            agent: agent_script,
            secret: secret.clone(),
            programs,
            card_arguments,
            ports,
            portal,
            second: None,
            upstream,
            cards: [None, None],
            card_service,
            announced,
            directory: embedded,
        };
        world.insert(0)?;
        world.insert(1)?;
        world.wait_for_portal().await?;
        world.wait_for_cards().await?;
        tokio::spawn(proxy::start(proxy, portal_address, &secret, FrontPage::new(people, open_request))?);
        Ok(world)
    }

    /// Waits until the agent sees a card in each reader: the service notices them a moment after they were put in.
    ///
    /// # Errors
    /// It does not see them within fifteen seconds.
    pub async fn wait_for_cards(&self) -> anyhow::Result<()> {
        for _ in 0..300 {
            let output = Command::new(&self.agent).arg("cards").output().await?;
            if String::from_utf8_lossy(&output.stdout).matches(": card ").count() == self.readers.len() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        anyhow::bail!("the cards were not noticed")
    }

    /// Puts a card into its reader.
    ///
    /// # Errors
    /// It does not start.
    pub fn insert(&mut self, index: usize) -> anyhow::Result<()> {
        let arguments = self.card_arguments.clone();
        self.insert_as(index, &arguments)
    }

    /// The same, with arguments of its own that say what kind of card it is.
    ///
    /// # Errors
    /// It does not start.
    pub fn insert_as(&mut self, index: usize, arguments: &[String]) -> anyhow::Result<()> {
        self.insert_card(index, index, arguments)
    }

    /// Puts the card with this number, counted from 0, into a reader that is another card's.
    ///
    /// # Errors
    /// It does not start.
    pub fn insert_card(&mut self, index: usize, number: usize, arguments: &[String]) -> anyhow::Result<()> {
        let port = self.ports.get(index).context("no such reader")?;
        let place = self.cards.get_mut(index).context("no such reader")?;
        let card = child(&self.programs.virtual_card)
            .args(["card", "--reader", &format!("127.0.0.1:{port}")])
            .args(["--serial", &format!("{}", 20_000_001 + number)])
            .arg("--state")
            .arg(self.folder.join(format!("card-{number}")))
            .args(arguments)
            .stdin(Stdio::null())
            .spawn()?;
        *place = Some(card);
        Ok(())
    }

    /// Pulls a card out of its reader, in the middle of whatever it does; comes back when the service has noticed.
    ///
    /// # Errors
    /// The service does not notice.
    pub async fn remove(&mut self, index: usize) -> anyhow::Result<()> {
        let reader = self.readers.get(index).context("no such reader")?;
        let mut watch = child(&self.programs.virtual_card)
            .args(["removal", "--reader", reader])
            .env("PCSCLITE_CSOCK_NAME", &self.socket)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = watch.stdout.take().context("no output")?;
        BufReader::new(output).lines().next_line().await?.context("the reader cannot be watched")?;
        let place = self.cards.get_mut(index).context("no such reader")?;
        place.take().context("no card in the reader")?.kill().await?;
        anyhow::ensure!(watch.wait().await?.success(), "{reader} still shows the card");
        Ok(())
    }

    /// Restarts the smart card service, as an update of it does; the cards stay in their readers.
    ///
    /// # Errors
    /// It does not come back.
    pub async fn restart_card_service(&mut self) -> anyhow::Result<()> {
        self.start_card_service("restart").await?;
        for index in 0..self.cards.len() {
            self.insert(index)?;
        }
        Ok(())
    }

    /// Unplugs the readers with the cards in them; [`World::restart_card_service`] plugs them in again.
    ///
    /// # Errors
    /// The service does not come back without them.
    pub async fn unplug_readers(&mut self) -> anyhow::Result<()> {
        self.start_card_service("unplug").await
    }

    async fn start_card_service(&mut self, how: &str) -> anyhow::Result<()> {
        for card in &mut self.cards {
            if let Some(mut card) = card.take() {
                card.kill().await?;
            }
        }
        self.card_service.start_again(how).await
    }

    /// Another program that uses the card of a reader: `exclusive`, `transaction` or `reset`. It has the card when this returns, and lets go of it
    /// when it is dropped; a reset is done by then.
    ///
    /// # Errors
    /// It does not get the card.
    pub async fn hold_card(&self, index: usize, how: &str) -> anyhow::Result<Child> {
        let reader = self.readers.get(index).context("no such reader")?;
        let mut holder = child(&self.programs.virtual_card)
            .args(["hold", "--reader", reader, "--how", how])
            .env("PCSCLITE_CSOCK_NAME", &self.socket)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        if how == "reset" {
            anyhow::ensure!(holder.wait().await?.success(), "the card was not reset");
        } else {
            let output = holder.stdout.take().context("no output")?;
            BufReader::new(output).lines().next_line().await?.context("the card cannot be held")?;
        }
        Ok(holder)
    }

    /// The portal's process; none when it has ended.
    pub fn portal_id(&self) -> u32 {
        self.portal.id().unwrap_or_default()
    }

    /// Whether the portal has ended by itself.
    ///
    /// # Errors
    /// It cannot be found out.
    pub fn portal_has_ended(&mut self) -> anyhow::Result<bool> {
        Ok(self.portal.try_wait()?.is_some())
    }

    /// Tells the first page whose request waits for an RA operator, by name; `None` when no request does.
    pub fn announce_request(&self, of: Option<String>) {
        self.announced.send_replace(of);
    }

    /// Ends the portal as `kill -9` does.
    ///
    /// # Errors
    /// It cannot be ended.
    pub async fn kill_portal(&mut self) -> anyhow::Result<()> {
        self.portal.kill().await?;
        Ok(())
    }

    /// Starts the portal again, with further variables of its environment.
    ///
    /// # Errors
    /// It does not start.
    pub async fn restart_portal(&mut self, environment: &[(String, String)]) -> anyhow::Result<()> {
        self.portal = start_portal(&self.folder, configuration::FILE, &self.programs.portal, environment)?;
        self.wait_for_portal().await
    }

    /// Starts a second portal on the same database, on addresses of its own.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start_second_node(&mut self) -> anyhow::Result<()> {
        let mut text = std::fs::read_to_string(self.folder.join(configuration::FILE))?;
        let [pages, agent, public] = [free_address()?, free_address()?, free_address()?];
        let before =
            [self.pages.to_string(), self.agent_url.replace("http://", ""), self.public_url.replace("http://", "")];
        for (old, new) in before.into_iter().zip([pages, agent, public]) {
            text = text.replace(&format!(" = \"{old}\""), &format!(" = \"{new}\""));
        }
        std::fs::write(self.folder.join(SECOND_FILE), text)?;
        let portal = start_portal(&self.folder, SECOND_FILE, &self.programs.portal, &[])?;
        self.second = Some(Node { pages, agent, public, portal });
        wait_for(pages).await
    }

    /// Everybody asks the second node from now on.
    ///
    /// # Errors
    /// There is none.
    pub fn fail_over(&mut self) -> anyhow::Result<()> {
        let node = self.second.take().context("no second node")?;
        self.upstream.send(node.pages)?;
        self.pages = node.pages;
        self.agent_url = format!("http://{}", node.agent);
        self.public_url = format!("http://{}", node.public);
        self.portal = node.portal;
        Ok(())
    }

    async fn wait_for_portal(&mut self) -> anyhow::Result<()> {
        tokio::select! {
            waited = wait_for(self.pages) => waited,
            status = self.portal.wait() => {
                anyhow::bail!("the portal ended ({}); see portal.log in {}", status?, self.folder.display())
            }
        }
    }
}

/// Waits until somebody listens.
async fn wait_for(address: SocketAddr) -> anyhow::Result<()> {
    for _ in 0..1200 {
        if tokio::net::TcpStream::connect(address).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::bail!("the portal did not start within a minute; see portal.log")
}

/// The configuration's section `[directory]` for the embedded directory.
fn directory_section(folder: &Path, directory: &Directory) -> String {
    format!(
        r#"servers = ["{}"]
encryption = "none"
bind-dn = "{BIND_DN}"
bind-password-file = "{}/ldap-password"
base = "ou=people,dc=demo,dc=test""#,
        directory.url(),
        folder.display()
    )
}

fn start_portal(
    folder: &Path,
    configuration: &str,
    program: &Path,
    environment: &[(String, String)],
) -> anyhow::Result<Child> {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("portal.log"))?;
    let portal = child(program)
        .args(["serve", "--config"])
        .arg(folder.join(configuration))
        .envs(environment.iter().cloned())
        .stdin(Stdio::null())
        .stderr(log)
        .spawn()?;
    Ok(portal)
}
