//! The models by their names.

use hostread_rules::channels::CUSTOM;
use hostread_schemas::event::Model;

/// A model by its name; the order is that of the columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum ModelName {
    /// All of them
    All,
    /// All to the first touch
    First,
    /// All to the last touch
    Last,
    /// Equal shares
    Linear,
    /// 40 % to the first, 40 % to the last, the rest between
    Position,
    /// Half for every 7 days before the conversion
    TimeDecay,
    /// By what a channel's removal loses
    Markov,
    /// Equal over the distinct channels
    Shapley,
    /// Shares by place and weights by age of one's own
    Custom,
}

impl ModelName {
    /// What was asked, each once; a model of one's own is not among all of them.
    pub(crate) fn chosen(names: &[Self]) -> Vec<Self> {
        let all = <Self as clap::ValueEnum>::value_variants().iter().copied();
        all.filter(|name| {
            let in_all = !matches!(name, Self::All | Self::Custom);
            *name != Self::All && (names.contains(name) || in_all && names.contains(&Self::All))
        })
        .collect()
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::First => "first",
            Self::Last => "last",
            Self::Linear => "linear",
            Self::Position => "position",
            Self::TimeDecay => "time_decay",
            Self::Markov => "markov",
            Self::Shapley => "shapley",
            Self::Custom => "custom",
        }
    }

    /// Its place among those that look at one journey at a time.
    pub(super) fn place(self) -> Option<usize> {
        let model = match self {
            Self::First => Model::First,
            Self::Last => Model::Last,
            Self::Linear => Model::Linear,
            Self::Position => Model::Position,
            Self::TimeDecay => Model::TimeDecay,
            Self::Shapley => Model::Shapley,
            Self::Custom => return Some(CUSTOM),
            Self::All | Self::Markov => return None,
        };
        Model::ALL.iter().position(|known| *known == model)
    }
}
