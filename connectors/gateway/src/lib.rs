//! hostread-gateway
