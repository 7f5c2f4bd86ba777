//! The chip's operating system: trussed with the backends that piv-authenticator asks for, and its own randomness.

use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;
use trussed::{
    backend::{Backend as _, BackendId},
    platform::Platform,
    serde_extensions::{ExtensionDispatch, ExtensionId, ExtensionImpl},
    service::ServiceResources,
    types::Context,
    virt::{self, UserInterface},
};
use trussed_auth::AuthExtension;
use trussed_auth_backend::{AuthBackend, AuthContext, FilesystemLayout};
use trussed_chunked::ChunkedExtension;
use trussed_core::{
    Error,
    api::{Reply, Request, reply, request},
    types::Location,
};
use trussed_hpke::HpkeExtension;
use trussed_rsa_alloc::SoftwareRsa;
use trussed_staging::{StagingBackend, StagingContext};
use trussed_wrap_key_to_file::WrapKeyToFileExtension;

/// trussed's own virtual platform has a constant seed: all cards would hold the same keys.
pub struct HostPlatform<'a> {
    rng: ChaCha8Rng,
    store: virt::Store<'a>,
    ui: UserInterface,
}

impl<'a> HostPlatform<'a> {
    pub fn new(store: virt::Store<'a>) -> Self {
        Self { rng: ChaCha8Rng::from_entropy(), store, ui: UserInterface::new() }
    }
}

impl<'a> Platform for HostPlatform<'a> {
    type R = ChaCha8Rng;
    type S = virt::Store<'a>;
    type UI = UserInterface;

    fn rng(&mut self) -> &mut Self::R {
        &mut self.rng
    }

    fn store(&self) -> Self::S {
        self.store
    }

    fn user_interface(&mut self) -> &mut Self::UI {
        &mut self.ui
    }
}

pub enum CardBackend {
    Rsa,
    Auth,
    Staging,
}

/// Tried in this order until one does not answer `RequestNotAvailable`.
pub const BACKENDS: &[BackendId<CardBackend>] = &[
    BackendId::Custom(CardBackend::Rsa),
    BackendId::Custom(CardBackend::Auth),
    BackendId::Custom(CardBackend::Staging),
    BackendId::Core,
];

pub enum CardExtension {
    Auth,
    Chunked,
    Hpke,
    WrapKeyToFile,
}

impl From<CardExtension> for u8 {
    fn from(extension: CardExtension) -> Self {
        match extension {
            CardExtension::Auth => 0,
            CardExtension::Chunked => 1,
            CardExtension::Hpke => 2,
            CardExtension::WrapKeyToFile => 3,
        }
    }
}

impl TryFrom<u8> for CardExtension {
    type Error = Error;

    fn try_from(id: u8) -> Result<Self, Error> {
        match id {
            0 => Ok(Self::Auth),
            1 => Ok(Self::Chunked),
            2 => Ok(Self::Hpke),
            3 => Ok(Self::WrapKeyToFile),
            _ => Err(Error::FunctionNotSupported),
        }
    }
}

pub struct CardDispatch {
    auth: AuthBackend,
    staging: StagingBackend,
}

impl CardDispatch {
    pub fn new() -> Self {
        Self { auth: AuthBackend::new(Location::Internal, FilesystemLayout::V0), staging: StagingBackend::new() }
    }
}

#[derive(Default)]
pub struct CardContext {
    auth: AuthContext,
    staging: StagingContext,
}

impl ExtensionId<AuthExtension> for CardDispatch {
    type Id = CardExtension;
    const ID: CardExtension = CardExtension::Auth;
}

impl ExtensionId<ChunkedExtension> for CardDispatch {
    type Id = CardExtension;
    const ID: CardExtension = CardExtension::Chunked;
}

impl ExtensionId<HpkeExtension> for CardDispatch {
    type Id = CardExtension;
    const ID: CardExtension = CardExtension::Hpke;
}

impl ExtensionId<WrapKeyToFileExtension> for CardDispatch {
    type Id = CardExtension;
    const ID: CardExtension = CardExtension::WrapKeyToFile;
}

// `trussed` implements `Dispatch` for every `ExtensionDispatch`.
impl ExtensionDispatch for CardDispatch {
    type BackendId = CardBackend;
    type Context = CardContext;
    type ExtensionId = CardExtension;

    fn core_request<P: Platform>(
        &mut self,
        backend: &CardBackend,
        ctx: &mut Context<CardContext>,
        request: &Request,
        resources: &mut ServiceResources<P>,
    ) -> Result<Reply, Error> {
        match backend {
            CardBackend::Rsa => SoftwareRsa.request(&mut ctx.core, &mut (), request, resources),
            CardBackend::Auth => self.auth.request(&mut ctx.core, &mut ctx.backends.auth, request, resources),
            CardBackend::Staging => self.staging.request(&mut ctx.core, &mut ctx.backends.staging, request, resources),
        }
    }

    fn extension_request<P: Platform>(
        &mut self,
        backend: &CardBackend,
        extension: &CardExtension,
        ctx: &mut Context<CardContext>,
        request: &request::SerdeExtension,
        resources: &mut ServiceResources<P>,
    ) -> Result<reply::SerdeExtension, Error> {
        let core = &mut ctx.core;
        let (auth, staging) = (&mut ctx.backends.auth, &mut ctx.backends.staging);
        match (backend, extension) {
            (CardBackend::Auth, CardExtension::Auth) => ExtensionImpl::<AuthExtension>::extension_request_serialized(
                &mut self.auth,
                core,
                auth,
                request,
                resources,
            ),
            (CardBackend::Staging, CardExtension::Chunked) => {
                ExtensionImpl::<ChunkedExtension>::extension_request_serialized(
                    &mut self.staging,
                    core,
                    staging,
                    request,
                    resources,
                )
            }
            (CardBackend::Staging, CardExtension::Hpke) => {
                ExtensionImpl::<HpkeExtension>::extension_request_serialized(
                    &mut self.staging,
                    core,
                    staging,
                    request,
                    resources,
                )
            }
            (CardBackend::Staging, CardExtension::WrapKeyToFile) => {
                ExtensionImpl::<WrapKeyToFileExtension>::extension_request_serialized(
                    &mut self.staging,
                    core,
                    staging,
                    request,
                    resources,
                )
            }
            _ => Err(Error::RequestNotAvailable),
        }
    }
}
