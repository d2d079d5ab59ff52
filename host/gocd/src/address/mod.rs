//! Addresses of the Feeds API.
//!
//! A server builds its links from whatever host a request named, so that behind a proxy they point to `localhost`, and some lead to other
//! systems. A link is therefore data ([`Href`]): what it says of a document is its [`Resource`], which has no host, and only a
//! [`ServerUrl`], which an operator gave, makes an address to call out of that.

mod href;
mod resource;
mod server;

pub use href::Href;
pub use resource::Resource;
pub(crate) use resource::encode;
pub use server::{AddressError, ServerUrl};
