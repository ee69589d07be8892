//! One integration crate on real parts: engines, Kafka, the binary. Modules exist only for tests.

#[cfg(test)]
mod cli_tests;
#[cfg(test)]
mod doors;
#[cfg(test)]
mod e2e;
#[cfg(test)]
mod engines_tests;
#[cfg(test)]
mod kafka;
#[cfg(test)]
mod kafka_tests;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod oracle_tests;
#[cfg(test)]
mod shared_data;
#[cfg(test)]
mod sinks_tests;
#[cfg(test)]
mod small_disk;
