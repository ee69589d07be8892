//! The client side of the import door.
