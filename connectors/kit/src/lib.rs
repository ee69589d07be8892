//! What every connector shares: signatures, pseudonyms, dead letters, the connector trait and the suite each one must pass.
//! Needs: one secret key a tenant.    Promises: no raw address, e-mail or body leaves here except as a keyed hash or encrypted;
//! the same input gives the same event ids whenever and in whatever order it comes.
//! Leaves out: receiving (gateway) and the mappings themselves (one folder each in `sources`).
//!
//! ```text
//! Pseudonymizer  address, e-mail -> keyed hashes + class          signature   HMAC and API keys, compared in constant time
//! Connector      one raw input -> events or rejections            conformance the suite for it
//! Addresses      class by ranges, operator and country by databases
//! audio          what a file of sound says of itself            prefix      addresses inside addresses
//! DeadLetters    what could not be used, encrypted, bounded       dead_letters, list and open it again
//! ```

mod addresses;
pub mod audio;
pub mod conformance;
pub mod connector;
mod deadletter;
mod deadletter_list;
mod deadletter_retry;
mod ip;
mod ip_database;
pub mod prefix;
mod pseudonym;
pub mod signature;
pub mod text;

pub use addresses::Addresses;
pub use connector::{Connector, Mapped, Origin, Raw, Rejected};
pub use deadletter::{DeadLetter, DeadLetterError, DeadLetterLimits, DeadLetterStats, DeadLetters};
pub use deadletter_list::{StoredDeadLetter, dead_letters};
pub use deadletter_retry::{Mark, Marked, Marks, RETRY_HEADER, Resend, Retry, read_marks};
pub use ip::{IpRangeError, IpRanges, Kept, kept, nets, parse_address, star};
pub use ip_database::{IpDatabase, IpDatabaseError};
pub use pseudonym::{Pseudonymizer, TenantKey, TenantKeyError};
