//! What leaves the dataflow.

use hostread_schemas::fact::{Carry, RetentionClass};
use hostread_schemas::view::ViewRow;
use hostread_schemas::{Day, TenantId};
use serde::{Deserialize, Serialize};

/// A row of a view, or what a release will have to carry on.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Output {
    /// A row of a view.
    Row(ViewRow),
    /// What stands for the facts of a day once they are released.
    Material(Material),
}

/// The carry of one day's facts of one class.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Material {
    /// Class of the facts that it stands for. Receipts belong to exposures: they are written when
    /// the touches of their path are released.
    pub class: RetentionClass,
    /// UTC day of the facts that it stands for.
    pub day: Day,
    /// Whose.
    pub tenant: TenantId,
    /// What is carried on.
    pub carry: Carry,
}
