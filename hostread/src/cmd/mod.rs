//! One file per command.

mod api_key;
pub(crate) mod attribute;
pub(crate) mod catalog;
pub(crate) mod compare;
pub(crate) mod count;
mod customers;
mod databases;
pub(crate) mod dead_letters;
pub(crate) mod doctor;
pub(crate) mod engines;
mod episodes;
mod events_door;
pub(crate) mod explain;
pub(crate) mod gateway;
pub(crate) mod import;
pub(crate) mod journal;
mod lift;
pub(crate) mod lists;
mod logs;
pub(crate) mod method;
pub(crate) mod migrate;
mod numbers;
mod period;
pub(crate) mod pipeline;
pub(crate) mod probe;
mod reach;
pub(crate) mod replay;
pub(crate) mod report;
mod revenue;
pub(crate) mod rules;
pub(crate) mod simulate;
pub(crate) mod sinks;
mod tracking;
mod tree;
pub(crate) mod up;
pub(crate) mod validate;
mod words;

/// How a list is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// One JSON object a line
    Json,
    /// Columns for people
    Table,
}

/// How rows are printed that people also open in a spreadsheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum SheetFormat {
    /// Columns for people
    Table,
    /// For programs
    Json,
    /// Rows with a head, for spreadsheets
    Csv,
}

/// A table with a line under its head and none between its rows.
pub(crate) fn table() -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.remove_style(comfy_table::TableComponent::HorizontalLines);
    table.remove_style(comfy_table::TableComponent::MiddleIntersections);
    table
}
