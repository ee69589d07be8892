//! What is told of a purchase, and the one conversion that all of it is.

use super::people::Touch;

/// The strongest kind of signal that a conversion has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Kind {
    Order,
    Redemption,
    PixelPurchase,
    PixelLead,
}

impl Kind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Redemption => "redemption",
            Self::PixelPurchase => "pixel_purchase",
            Self::PixelLead => "pixel_lead",
        }
    }
}

/// One conversion that stands.
#[derive(Clone, Debug)]
pub(crate) struct Conversion {
    pub(crate) brand: usize,
    pub(crate) order: Option<String>,
    pub(crate) kind: Kind,
    pub(crate) secs: i64,
    pub(crate) value_micros: i64,
    pub(crate) refunded_micros: i64,
    pub(crate) home: Option<usize>,
    pub(crate) code_line: Option<usize>,
    /// The touch without which it would not have happened.
    pub(crate) cause: Option<Touch>,
}

#[derive(Clone, Debug)]
pub(crate) struct Pixel {
    pub(crate) secs: i64,
    pub(crate) brand: usize,
    pub(crate) kind: &'static str,
    pub(crate) order: Option<String>,
    pub(crate) value_cents: Option<i64>,
    pub(crate) ip: String,
    pub(crate) agent: &'static str,
}

#[derive(Clone, Debug)]
pub(crate) struct Redemption {
    pub(crate) secs: i64,
    pub(crate) brand: usize,
    pub(crate) code: String,
    pub(crate) order: Option<String>,
    pub(crate) value_cents: i64,
    pub(crate) ip: Option<String>,
}

/// An order as its shop has it.
#[derive(Clone, Debug)]
pub(crate) struct OrderDoc {
    pub(crate) number: u64,
    pub(crate) brand: usize,
    pub(crate) secs: i64,
    pub(crate) ip: String,
    pub(crate) agent: &'static str,
    /// After discounts, without tax and shipping.
    pub(crate) subtotal_cents: i64,
    pub(crate) discount_cents: i64,
    pub(crate) shipping_cents: i64,
    pub(crate) tax_cents: i64,
    /// As typed.
    pub(crate) code: Option<String>,
    pub(crate) test: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Topic {
    Create,
    Paid,
    Cancelled,
    /// Cents of the products' subtotal, cents of shipping.
    Refund(i64, i64),
}

#[derive(Clone, Debug)]
pub(crate) struct Webhook {
    pub(crate) secs: i64,
    pub(crate) topic: Topic,
    pub(crate) order: OrderDoc,
    /// Delivered twice.
    pub(crate) again: bool,
}
