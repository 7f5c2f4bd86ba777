//! A request that the demo leaves open: Dora's card, up to the question that an RA operator is asked before the card is touched.

use std::time::Duration;

use anyhow::{Context, ensure};

use crate::journey::{self, Agent, Begun};
use crate::world::World;

const PERSON: &str = "dora";
const PIN: &str = "48150926";
/// The number of Dora's card; alice and bob have 0 and 1.
const CARD: usize = 2;
/// The reader that her card is put into, which alice has left empty.
const READER: usize = 0;
/// The interval of looks at her page, and how long it may take to show what it waits for.
const PAUSE: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(60);
/// The policy under which Dora begins: RA operators decide on certificates for signatures.
const POLICY: (&str, &str) = ("SEALWRIGHT__PROFILES__SMARTCARD_SIGNATURE__APPROVAL", "ra");

/// Dora's page, which waits for the decision with everybody else.
pub struct OpenRequest {
    begun: Begun,
}

impl OpenRequest {
    /// Takes Dora's personalization up to an RA operator's decision.
    ///
    /// The portal is restarted with the policy for that, and then without it: nobody else needs an
    /// approval, and her request keeps the one that it began with.
    ///
    /// # Errors
    /// Text of what did not go as expected.
    pub async fn begin(world: &mut World) -> anyhow::Result<Self> {
        let people = world.directory.as_ref().map(|directory| directory.people()).unwrap_or_default();
        let dora = people.into_iter().find(|person| person.login == PERSON).context("Dora is not in the directory")?;

        let (variable, value) = POLICY;
        world.kill_portal().await?;
        world.restart_portal(&[(variable.to_owned(), value.to_owned())]).await?;
        let mut begun = journey::begin(world, PERSON).await?;
        let asks = |page: &str| page.contains("value=\"ask\"");
        let page = begun.browser.until(&begun.path, PATIENCE, PAUSE, asks).await?;
        let fields = ["csrf", "step", "shown"].map(|name| journey::field(&page, name).unwrap_or_default());
        let [csrf, step, shown] = &fields;
        let form =
            [("csrf", csrf.as_str()), ("page", &begun.instance), ("step", step), ("shown", shown), ("action", "ask")];
        begun.browser.post(&format!("{}/act", begun.path), &form).await?;

        world.kill_portal().await?;
        world.restart_portal(&[]).await?;
        world.announce_request(Some(dora.name));
        Ok(Self { begun })
    }

    /// Waits for the decision; after an approval it puts Dora's card in and starts her agent.
    ///
    /// # Errors
    /// Text of what did not go as expected.
    pub async fn follow(mut self, world: &mut World) -> anyhow::Result<()> {
        let begun = &mut self.begun;
        loop {
            let view: serde_json::Value = serde_json::from_str(&journey::view(begun).await?)?;
            match view.get("state").and_then(serde_json::Value::as_str) {
                Some("insert-card") => break,
                _ if view.get("status").and_then(serde_json::Value::as_str) != Some("running") => {
                    world.announce_request(None);
                    return Ok(());
                }
                _ => tokio::time::sleep(PAUSE).await,
            }
        }

        let pin_file = world.folder.join(format!("{PERSON}-pin"));
        std::fs::write(&pin_file, format!("{PIN}\n"))?;
        world.insert_card(READER, CARD, &[])?;
        let code = journey::offer(begun).await?;
        let reader = world.readers.get(READER).context("no such reader")?.clone();
        let mut agent = Agent::start(world, &code, &reader, Some(&pin_file), &[])?;
        let ended = agent.converse(begun).await?;
        world.remove(READER).await?;
        world.announce_request(None);
        ensure!(ended.success(), "dora's agent ended: {}", ended.said);
        Ok(())
    }
}
