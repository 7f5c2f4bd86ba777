//! The demo world: a whole portal on this computer, with its own directory, sign-in and virtual smart cards. The portal and the agent are the
//! product's programs; this package stands around them, for the demo, the tests and the benchmark.

mod authorities;
pub mod browser;
mod card_service;
mod configuration;
pub mod directory;
pub mod evidence;
mod front_page;
pub mod journey;
pub mod open_request;
mod options;
pub mod ports;
pub mod postgres;
mod private_file;
mod proxy;
mod random;
pub mod world;

pub use private_file::private_file;
