//! The errors of cards and their drivers.

/// An error that a card or its driver answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CardError {
    /// The card was pulled, reset or taken: the job begins again when it is back.
    #[error("the card is gone")]
    Gone,
    #[error("the card answers {0:04x}")]
    Status(u16),
    /// A PIN, PUK or the security officer's PIN was wrong.
    #[error("wrong, {0:?} tries left")]
    Wrong(Option<u8>),
    #[error("blocked")]
    Blocked,
    /// The PIN that a person chose is the one that every such card comes with.
    #[error("the PIN is the factory's")]
    FactoryPin,
    /// The card has rules of its own for a new PIN.
    #[error("the card does not take the new PIN")]
    UnfitPin,
    /// The management key is neither the factory's nor the card's own.
    #[error("the management key is another one")]
    ManagementKey,
    #[error("there is no such object")]
    NotFound,
    #[error("the card's answer cannot be read")]
    Answer,
    /// The card is of another kind than what it is asked for, or its module cannot do it.
    #[error("the card cannot do this")]
    Unsupported,
    /// Its PIN is typed at the reader, and cannot be given for one job after another.
    #[error("the PIN is typed at the reader")]
    PinPad,
}
