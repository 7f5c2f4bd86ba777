//! A request that the demo leaves open: Dora's card, up to the question that an RA operator is asked.

use anyhow::Context;

use crate::journey::{self, Agent};
use crate::world::World;

const PERSON: &str = "dora";
const PIN: &str = "48150926";
/// The number of Dora's card; alice and bob have 0 and 1.
const CARD: usize = 2;
/// The reader that her card is put into, which alice has left empty.
const READER: usize = 0;
/// The policy under which Dora begins: RA operators decide on certificates for signatures.
const POLICY: (&str, &str) = ("SEALWRIGHT__PROFILES__SMARTCARD_SIGNATURE__APPROVAL", "ra");

/// Dora's agent, which waits for the decision with everybody else.
pub struct OpenRequest {
    agent: Agent,
}

impl OpenRequest {
    /// Takes Dora's personalization up to an RA operator's decision, and her card out of the reader.
    ///
    /// The portal is restarted with the policy for that, and then without it: nobody else needs an
    /// approval, and her request keeps the one that it began with.
    ///
    /// # Errors
    /// Text of what did not go as expected.
    pub async fn begin(world: &mut World) -> anyhow::Result<Self> {
        let people = world.directory.as_ref().map(|directory| directory.people()).unwrap_or_default();
        let dora = people.into_iter().find(|person| person.login == PERSON).context("Dora is not in the directory")?;
        let pin_file = world.folder.join(format!("{PERSON}-pin"));
        std::fs::write(&pin_file, format!("{PIN}\n"))?;

        let (variable, value) = POLICY;
        world.kill_portal().await?;
        world.restart_portal(&[(variable.to_owned(), value.to_owned())]).await?;

        world.insert_card(READER, CARD, &[])?;
        let mut begun = journey::begin(world, PERSON).await?;
        let code = journey::offer(&mut begun).await?;
        let reader = world.readers.get(READER).context("no such reader")?;
        let mut agent = Agent::start(world, &code, reader, Some(&pin_file), &[])?;
        agent.until(&mut begun, "Waiting for an RA operator").await?;
        world.remove(READER).await?;

        world.kill_portal().await?;
        world.restart_portal(&[]).await?;
        world.announce_request(Some(dora.name));
        Ok(Self { agent })
    }

    /// Waits for the decision, and puts Dora's card in while the agent asks for it after an approval.
    ///
    /// # Errors
    /// The agent cannot be listened to, or the card not be put in or taken out.
    pub async fn follow(mut self, world: &mut World) -> anyhow::Result<()> {
        let mut is_inserted = false;
        while let Some(line) = self.agent.line().await? {
            if !is_inserted && line.starts_with("Please put the card") {
                world.insert_card(READER, CARD, &[])?;
                is_inserted = true;
            }
        }

        self.agent.end().await?;
        if is_inserted {
            world.remove(READER).await?;
        }
        world.announce_request(None);
        Ok(())
    }
}
